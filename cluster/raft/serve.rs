//! Messages from other replicas.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendError, StreamAppendResult, TransferLeaderError,
    TransferLeaderRequest, VoteRequest, VoteResponse,
};
use prost::Message as _;
use tokio::sync::mpsc;
use weir_proto::peer::Frame;
use weir_proto::raft as pb;

use super::encode::{self, Malformed};
use super::replica::{OurRaft, Replica};
use super::snapshot::Received;
use super::state_machine::SnapshotData;
use super::types::{LogId, SnapshotMeta, TypeConfig, Vote};
use crate::blocking::blocking;
use crate::peer::{Kind, Lane, Reply, Status};

type Answer = (Status, Bytes);

/// How many append requests of one leader may wait to be taken, and how many of those that are taken may still be owed an
/// answer.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    waiting: usize,
    owed: usize,
}

/// Of log entries.
const ENTRIES: Bounds = Bounds {
    waiting: 256,
    // More than openraft takes without having answered.
    owed: 128,
};

/// Of heartbeats. A disk that is full or stands still owes an answer to all of them, and those of all groups share a stream
/// with votes and read indexes, which must still get through.
const HEARTBEATS: Bounds = Bounds { waiting: 3, owed: 2 };

/// Append requests of one stream between two nodes, kept in order per replica.
pub(crate) struct Appends {
    bounds: Bounds,
    /// By the group and the replica that sends: the replica that takes them, and the way to it. A node that let go of its
    /// replica may have another one of the same group later.
    queues: HashMap<(u64, u64), (u64, Queue)>,
}

type Queue = mpsc::Sender<(pb::AppendRequest, Reply)>;

impl Appends {
    /// Those that come by `lane`.
    pub(crate) fn by(lane: Lane) -> Self {
        Self {
            bounds: if lane == Lane::Control { HEARTBEATS } else { ENTRIES },
            queues: HashMap::new(),
        }
    }

    /// Takes an append request for `replica`. One that is too much is dropped: its sender tries again.
    pub(crate) fn take(&mut self, replica: &Arc<Replica>, frame: Frame, reply: Reply) {
        let Ok(request) = pb::AppendRequest::decode(frame.body) else {
            tokio::spawn(reply.send(Status::Malformed, Bytes::new()));
            return;
        };
        let key = (replica.group(), frame.from);
        if self.queues.get(&key).is_some_and(|(taker, _)| *taker != replica.id()) {
            self.queues.remove(&key);
        }
        let mut waiting = (request, reply);
        for _ in 0..2 {
            // Not the replica itself: its files would stay open as long as the other side may send.
            let begin = || (replica.id(), start(replica.raft().clone(), self.bounds));
            let (_, queue) = self.queues.entry(key).or_insert_with(begin);
            match queue.try_send(waiting) {
                Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => return,
                // It ended with a conflict, as it should; requests after that go into a new one.
                Err(mpsc::error::TrySendError::Closed(back)) => {
                    waiting = back;
                    self.queues.remove(&key);
                }
            }
        }
    }
}

/// Feeds a replica with append requests one behind the other, without waiting for each to be durable.
fn start(raft: OurRaft, bounds: Bounds) -> Queue {
    let (queue, waiting) = mpsc::channel(bounds.waiting);
    tokio::spawn(async move {
        let (told, mut owed) = mpsc::unbounded_channel();
        let taking = Taking {
            waiting,
            told,
            owed: VecDeque::new(),
            most: bounds.owed,
        };
        let requests = stream::unfold(taking, |mut taking| async move {
            let request = taking.next().await?;
            Some((request, taking))
        });
        let mut answers = std::pin::pin!(raft.stream_append(requests));
        while let Some(answer) = answers.next().await {
            let Some(debt) = owed.recv().await else {
                return;
            };
            let is_fatal = answer.is_err();
            if let Some(reply) = debt.settle() {
                match answer {
                    Ok(result) => reply.send(Status::Done, append_reply(result)).await,
                    Err(fatal) => reply.send(Status::Failed, Bytes::from(fatal.to_string())).await,
                }
            }
            if is_fatal {
                return;
            }
        }
    });
    queue
}

/// An answer that is owed until somebody takes it.
#[derive(Clone)]
struct Debt(Arc<Mutex<Option<Reply>>>);

impl Debt {
    fn of(reply: Reply) -> Self {
        Self(Arc::new(Mutex::new(Some(reply))))
    }

    fn settle(&self) -> Option<Reply> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Takes requests out of a queue.
struct Taking {
    waiting: mpsc::Receiver<(pb::AppendRequest, Reply)>,
    /// To whoever answers them.
    told: mpsc::UnboundedSender<Debt>,
    /// The latest ones, at most `most`. Some of them may be settled.
    owed: VecDeque<Debt>,
    most: usize,
}

impl Taking {
    /// The next request. None once nobody takes replies any more: openraft goes on asking for requests after it has given
    /// its last answer, and must not swallow those of a later stream.
    async fn next(&mut self) -> Option<AppendEntriesRequest<TypeConfig>> {
        loop {
            let (request, reply) = tokio::select! {
                biased;
                () = self.told.closed() => return None,
                next = self.waiting.recv() => next?,
            };
            match append_request(request) {
                Ok(request) => {
                    let debt = Debt::of(reply);
                    self.owe(debt.clone());
                    return self.told.send(debt).ok().map(|()| request);
                }
                Err(Malformed) => reply.send(Status::Malformed, Bytes::new()).await,
            }
        }
    }

    /// The oldest is let go where they are too many: its sender hears that nobody knows, and has long stopped waiting.
    fn owe(&mut self, debt: Debt) {
        if self.owed.len() == self.most {
            self.owed.pop_front().and_then(|oldest| oldest.settle());
        }
        self.owed.push_back(debt);
    }
}

fn append_request(request: pb::AppendRequest) -> Result<AppendEntriesRequest<TypeConfig>, Malformed> {
    let entries = request.entries.into_iter().map(encode::entry_from_pb);
    Ok(AppendEntriesRequest {
        vote: encode::vote_from_pb(request.vote.as_ref())?,
        prev_log_id: encode::maybe_log_id(request.prev_log_id.as_ref())?,
        leader_commit: encode::maybe_log_id(request.leader_commit.as_ref())?,
        entries: entries.collect::<Result<_, _>>()?,
    })
}

/// The answer says up to where the logs match, which for a whole success is what the sender sent.
fn append_reply(result: StreamAppendResult<TypeConfig>) -> Bytes {
    use pb::append_reply::Reply;
    let reply = match result {
        Ok(log_id) => Reply::PartialSuccess(pb::Matched {
            log_id: log_id.as_ref().map(encode::log_id_to_pb),
        }),
        Err(StreamAppendError::Conflict(_)) => Reply::Conflict(pb::Blank {}),
        Err(StreamAppendError::HigherVote(vote)) => Reply::HigherVote(encode::vote_to_pb(&vote)),
    };
    pb::AppendReply { reply: Some(reply) }.encode_to_vec().into()
}

impl Replica {
    /// Answers any other message of Raft's.
    pub(crate) async fn answer(&self, kind: Kind, body: Bytes) -> (Status, Bytes) {
        let answer = match kind {
            Kind::Vote => self.answer_vote(body, false).await,
            Kind::PreVote => self.answer_vote(body, true).await,
            Kind::TransferLeader => self.answer_transfer(body).await,
            Kind::Snapshot => self.answer_snapshot(body).await,
            _ => Err(Malformed),
        };
        answer.unwrap_or_else(|Malformed| (Status::Malformed, Bytes::new()))
    }

    async fn answer_vote(&self, body: Bytes, is_pre_vote: bool) -> Result<Answer, Malformed> {
        let request = pb::VoteRequest::decode(body)?;
        let request = VoteRequest {
            vote: encode::vote_from_pb(request.vote.as_ref())?,
            last_log_id: encode::maybe_log_id(request.last_log_id.as_ref())?,
            leadership_transfer: request.leadership_transfer,
        };
        let answer = if is_pre_vote {
            self.raft().pre_vote(request).await
        } else {
            self.raft().vote(request).await
        };
        Ok(match answer {
            Ok(response) => (Status::Done, vote_reply(&response)),
            Err(error) => failed(&error),
        })
    }

    async fn answer_transfer(&self, body: Bytes) -> Result<Answer, Malformed> {
        use pb::transfer_reply::Reply;
        let request = pb::TransferRequest::decode(body)?;
        let from: Vote = encode::vote_from_pb(request.from_leader.as_ref())?;
        let last: Option<LogId> = encode::maybe_log_id(request.last_log_id.as_ref())?;
        let request = TransferLeaderRequest::new(from, request.to, last);
        let reply = match self.raft().handle_transfer_leader(request).await {
            Ok(Ok(())) => Reply::Done(pb::Blank {}),
            Ok(Err(TransferLeaderError::VoteChanged { actual, .. })) => Reply::VoteChanged(encode::vote_to_pb(&actual)),
            Ok(Err(TransferLeaderError::LogNotFlushed { actual, .. })) => {
                Reply::NotFlushed(actual.as_ref().map(encode::log_id_to_pb).unwrap_or_default())
            }
            Err(error) => return Ok(failed(&error)),
        };
        let reply = pb::TransferReply { reply: Some(reply) };
        Ok((Status::Done, reply.encode_to_vec().into()))
    }

    async fn answer_snapshot(&self, body: Bytes) -> Result<Answer, Malformed> {
        let piece = pb::SnapshotPiece::decode(body)?;
        let vote: Vote = encode::vote_from_pb(piece.vote.as_ref())?;
        let meta = SnapshotMeta {
            last_log_id: encode::maybe_log_id(piece.last_log_id.as_ref())?,
            last_membership: encode::stored_from_pb(&piece.membership.clone().unwrap_or_default())?,
        };
        let (receiving, machine) = (self.receiving(), self.machine());
        let taken = blocking(move || {
            let mut receiving = receiving.lock().unwrap_or_else(PoisonError::into_inner);
            receiving.take(&*machine, piece)
        });
        let mut reply = pb::SnapshotReply {
            vote: Some(encode::vote_to_pb(&vote)),
            ..pb::SnapshotReply::default()
        };
        match taken.await {
            Ok(Ok(Received::More(received))) => reply.received = received,
            Ok(Ok(Received::Whole(staged))) => {
                let snapshot = openraft::storage::Snapshot {
                    meta,
                    snapshot: SnapshotData::Incoming(staged),
                };
                match self.raft().install_full_snapshot(vote, snapshot).await {
                    Ok(SnapshotResponse { vote }) => {
                        reply.vote = Some(encode::vote_to_pb(&vote));
                        reply.installed = true;
                    }
                    Err(fatal) => return Ok(failed(&fatal)),
                }
            }
            Ok(Err(error)) => return Ok(failed(&error)),
            Err(error) => return Ok(failed(&error)),
        }
        Ok((Status::Done, reply.encode_to_vec().into()))
    }
}

fn vote_reply(response: &VoteResponse<TypeConfig>) -> Bytes {
    let reply = pb::VoteReply {
        vote: Some(encode::vote_to_pb(&response.vote)),
        granted: response.vote_granted,
        last_log_id: response.last_log_id.as_ref().map(encode::log_id_to_pb),
    };
    reply.encode_to_vec().into()
}

fn failed(error: &impl std::error::Error) -> Answer {
    (Status::Failed, Bytes::from(error.to_string()))
}
