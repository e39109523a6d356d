//! Messages to other replicas, over the links between nodes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, Either};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::SnapshotOf;
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use prost::Message;
use tokio::time::Instant;
use weir_mutant::Mutant;
use weir_proto::raft as pb;

use super::encode::{self, Malformed};
use super::pipeline::{Answers, Sent};
use super::snapshot;
use super::state_machine::SnapshotData;
use super::types::{LogId, Member, TypeConfig, Vote};
use crate::peer::{Address, CallError, Kind, Lane, Peers};

/// How long an append request may take.
const APPEND_TIMEOUT: Duration = Duration::from_secs(2);

/// The first pause before a snapshot's piece is sent again, and the time after which it is given up.
const SNAPSHOT_RETRY_PAUSE: Duration = Duration::from_millis(500);
const SNAPSHOT_GIVE_UP: Duration = Duration::from_secs(60);
const SNAPSHOT_PIECE_TIMEOUT: Duration = Duration::from_secs(30);

/// Makes connections from one replica to the others of its group.
pub(super) struct Network {
    pub(super) peers: Arc<Peers>,
    pub(super) group: u64,
    pub(super) replica: u64,
}

impl Network {
    fn connect(&self, target: u64, member: &Member, lane: Lane) -> Connection {
        Connection {
            peers: Arc::clone(&self.peers),
            lane,
            address: Address {
                node: member.node,
                group: self.group,
                from: self.replica,
                to: target,
            },
        }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Connection;

    async fn new_client(&mut self, target: u64, node: &Member) -> Connection {
        self.connect(target, node, Lane::Bulk)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &Member) -> Connection {
        self.connect(target, node, Lane::Control)
    }

    async fn new_snapshot_client(&mut self, target: u64, node: &Member) -> Connection {
        self.connect(target, node, Lane::Snapshot)
    }
}

/// A replica's way to another one. Links are shared by all replicas of a node.
pub(super) struct Connection {
    peers: Arc<Peers>,
    lane: Lane,
    address: Address,
}

type Rpc<T> = Result<T, RPCError<TypeConfig>>;

fn unreachable(error: &(impl std::error::Error + 'static)) -> RPCError<TypeConfig> {
    RPCError::Unreachable(Unreachable::new(error))
}

fn rpc_error(error: &CallError) -> RPCError<TypeConfig> {
    match error {
        // The line may be fine; only this answer is missing.
        CallError::Timeout => RPCError::Network(NetworkError::new(error)),
        _ => unreachable(error),
    }
}

impl Connection {
    async fn call<R: Message + Default>(
        &self,
        kind: Kind,
        lane: Lane,
        request: &impl Message,
        timeout: Duration,
    ) -> Rpc<R> {
        let body = Bytes::from(request.encode_to_vec());
        let call = self.peers.call(self.address, lane, kind, body, timeout);
        let answer = call.await.map_err(|error| rpc_error(&error))?;
        R::decode(answer).map_err(|error| unreachable(&error))
    }

    /// Sends a request at once; the answer comes when the future is awaited.
    fn start_append(
        &self,
        request: AppendEntriesRequest<TypeConfig>,
        timeout: Duration,
    ) -> impl Future<Output = Rpc<StreamAppendResult<TypeConfig>>> + use<> {
        let prev = request.prev_log_id;
        let last = request.entries.last().map(|entry| entry.log_id).or(prev);
        let presumed = weir_mutant::is(Mutant::AnswerBeforeQuorum) && !request.entries.is_empty();
        let body = Bytes::from(append_to_pb(request).encode_to_vec());
        let answer = self.peers.start(self.address, self.lane, Kind::Append, body, timeout);
        async move {
            if presumed {
                tokio::spawn(answer);
                return Ok(Ok(last));
            }
            let answer = answer.await.map_err(|error| rpc_error(&error))?;
            let reply = pb::AppendReply::decode(answer).map_err(|error| unreachable(&error))?;
            let response = append_reply(reply).map_err(|error| unreachable(&error))?;
            Ok(response.into_stream_result(prev, last))
        }
    }
}

fn append_to_pb(request: AppendEntriesRequest<TypeConfig>) -> pb::AppendRequest {
    pb::AppendRequest {
        vote: Some(encode::vote_to_pb(&request.vote)),
        prev_log_id: request.prev_log_id.as_ref().map(encode::log_id_to_pb),
        leader_commit: request.leader_commit.as_ref().map(encode::log_id_to_pb),
        entries: request.entries.into_iter().map(encode::entry_to_pb).collect(),
    }
}

fn append_reply(reply: pb::AppendReply) -> Result<AppendEntriesResponse<TypeConfig>, Malformed> {
    use pb::append_reply::Reply;
    Ok(match reply.reply.ok_or(Malformed)? {
        Reply::Success(_) => AppendEntriesResponse::Success,
        Reply::PartialSuccess(matched) => {
            AppendEntriesResponse::PartialSuccess(encode::maybe_log_id(matched.log_id.as_ref())?)
        }
        Reply::Conflict(_) => AppendEntriesResponse::Conflict,
        Reply::HigherVote(vote) => AppendEntriesResponse::HigherVote(encode::vote_from_pb(Some(&vote))?),
    })
}

fn vote_to_pb(request: &VoteRequest<TypeConfig>) -> pb::VoteRequest {
    pb::VoteRequest {
        vote: Some(encode::vote_to_pb(&request.vote)),
        last_log_id: request.last_log_id.as_ref().map(encode::log_id_to_pb),
        leadership_transfer: request.leadership_transfer,
    }
}

fn vote_reply(reply: &pb::VoteReply) -> Result<VoteResponse<TypeConfig>, Malformed> {
    let last_log_id: Option<LogId> = encode::maybe_log_id(reply.last_log_id.as_ref())?;
    let vote: Vote = encode::vote_from_pb(reply.vote.as_ref())?;
    Ok(VoteResponse::new(vote, last_log_id, reply.granted))
}

impl RaftNetworkV2<TypeConfig> for Connection {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpc<AppendEntriesResponse<TypeConfig>> {
        let request = append_to_pb(rpc);
        let reply = self.call(Kind::Append, self.lane, &request, option.hard_ttl()).await?;
        append_reply(reply).map_err(|error| unreachable(&error))
    }

    /// Requests are sent as they come, without waiting for the answers to those before.
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Rpc<BoxStream<'s, Rpc<StreamAppendResult<TypeConfig>>>>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        // openraft allows one heartbeat's time, which a busy disk may need for itself. Whether the line still works,
        // heartbeats tell, and links notice by themselves.
        let timeout = option.hard_ttl().max(APPEND_TIMEOUT);
        let connection = &*self;
        let requests = input.map(move |request| Sent {
            has_entries: !request.entries.is_empty(),
            answer: connection.start_append(request, timeout),
        });
        let answers = Answers::new(requests);
        Box::pin(async move { Ok(answers.boxed()) })
    }

    async fn vote(&mut self, rpc: VoteRequest<TypeConfig>, option: RPCOption) -> Rpc<VoteResponse<TypeConfig>> {
        let request = vote_to_pb(&rpc);
        let reply = self
            .call(Kind::Vote, Lane::Control, &request, option.hard_ttl())
            .await?;
        vote_reply(&reply).map_err(|error| unreachable(&error))
    }

    async fn pre_vote(&mut self, rpc: VoteRequest<TypeConfig>, option: RPCOption) -> Rpc<VoteResponse<TypeConfig>> {
        let request = vote_to_pb(&rpc);
        let reply = self
            .call(Kind::PreVote, Lane::Control, &request, option.hard_ttl())
            .await?;
        vote_reply(&reply).map_err(|error| unreachable(&error))
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: SnapshotOf<TypeConfig, SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let SnapshotData::Outgoing(source) = snapshot.snapshot else {
            let error = std::io::Error::other("a received snapshot cannot be sent on");
            return Err(StreamingError::Unreachable(Unreachable::new(&error)));
        };
        let mut sending = snapshot::Sending::new(&vote, &snapshot.meta, source);
        let send = async {
            loop {
                let piece = sending.piece().await.map_err(|error| unreachable(&error))?;
                let reply: pb::SnapshotReply = self.send_piece(&piece).await?;
                let their_vote = encode::vote_from_pb(reply.vote.as_ref()).map_err(|error| unreachable(&error))?;
                if reply.installed || their_vote > vote {
                    return Ok(SnapshotResponse::new(their_vote));
                }
                sending.acknowledge(&reply).map_err(|error| unreachable(&error))?;
            }
        };
        let (send, cancel) = (std::pin::pin!(send), std::pin::pin!(cancel));
        match futures_util::future::select(send, cancel).await {
            Either::Left((Ok(response), _)) => Ok(response),
            Either::Left((Err(RPCError::Network(error)), _)) => Err(StreamingError::Network(error)),
            Either::Left((Err(error), _)) => Err(StreamingError::Unreachable(Unreachable::new(&error))),
            Either::Right((closed, _)) => Err(StreamingError::Closed(closed)),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpc<TransferLeaderResponse<TypeConfig>> {
        let message = pb::TransferRequest {
            from_leader: Some(encode::vote_to_pb(request.from_leader())),
            to: *request.to_node_id(),
            last_log_id: request.last_log_id().map(encode::log_id_to_pb),
        };
        let call = self.call(Kind::TransferLeader, Lane::Control, &message, option.hard_ttl());
        let reply: pb::TransferReply = call.await?;
        transfer_reply(&request, &reply).map_err(|error| unreachable(&error))
    }
}

fn transfer_reply(
    request: &TransferLeaderRequest<TypeConfig>,
    reply: &pb::TransferReply,
) -> Result<TransferLeaderResponse<TypeConfig>, Malformed> {
    use pb::transfer_reply::Reply;
    Ok(match reply.reply.as_ref().ok_or(Malformed)? {
        Reply::Done(_) => Ok(()),
        Reply::VoteChanged(vote) => Err(TransferLeaderError::VoteChanged {
            expected: *request.from_leader(),
            actual: encode::vote_from_pb(Some(vote))?,
        }),
        Reply::NotFlushed(log_id) => Err(TransferLeaderError::LogNotFlushed {
            expected: request.last_log_id().copied(),
            actual: Some(encode::log_id_from_pb(log_id)?),
        }),
    })
}

impl Connection {
    /// Sends a piece, again when the line breaks: the receiver keeps what it has.
    async fn send_piece(&self, piece: &pb::SnapshotPiece) -> Rpc<pb::SnapshotReply> {
        let began = Instant::now();
        loop {
            let sent = self
                .call(Kind::Snapshot, Lane::Snapshot, piece, SNAPSHOT_PIECE_TIMEOUT)
                .await;
            match sent {
                Err(RPCError::Unreachable(_) | RPCError::Network(_)) if began.elapsed() < SNAPSHOT_GIVE_UP => {
                    tokio::time::sleep(SNAPSHOT_RETRY_PAUSE).await;
                }
                result => return result,
            }
        }
    }
}
