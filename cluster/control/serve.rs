//! Requests of other nodes.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use prost::Message as _;
use tokio::time::timeout;
use weir_meta::{Detail, GroupId, MetaCommand, MetaError};
use weir_proto::control as pb;
use weir_proto::peer::Frame;

use super::commands::{CommandError, Commands};
use super::group_calls::status_to_pb;
use super::hosting::{Hosting, addresses};
use super::machine::MetaMachine;
use crate::codec::Malformed;
use crate::group::GroupRequest;
use crate::limits::READ_TIMEOUT;
use crate::peer::{ClusterName, Dispatch, Incoming, Kind, Lane, Reply, Room, Status};
use crate::raft::{Appends, Replica, Seen, WriteError};
use crate::router::Router;

/// Who this node is, for whoever asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hello {
    pub(crate) uuid: String,
    pub(crate) peer_address: String,
    pub(crate) client_address: String,
    pub(crate) admin_address: String,
    pub(crate) zone: String,
}

/// Leads requests to whoever answers them. Until the node belongs to a cluster that is nobody but itself.
pub(crate) struct Dispatcher {
    pub(crate) hello: Hello,
    /// The cluster that this node belongs to.
    pub(crate) cluster: ClusterName,
    pub(crate) member: OnceLock<MemberParts>,
}

/// What a node has once it belongs to a cluster.
pub(crate) struct MemberParts {
    pub(crate) cluster: String,
    /// Whether other nodes may join.
    pub(crate) can_replicate: bool,
    pub(crate) commands: Arc<Commands>,
    pub(crate) machine: Arc<MetaMachine>,
    pub(crate) hosting: Arc<Hosting>,
    pub(crate) router: Arc<Router>,
}

type Answer = (Status, Bytes);

/// The requests of one stream.
struct Stream {
    dispatcher: Arc<Dispatcher>,
    /// The node that asks.
    node: u64,
    appends: Appends,
}

/// A [`Dispatcher`] that hands itself to each stream.
pub(crate) struct Shared(pub(crate) Arc<Dispatcher>);

impl Dispatch for Shared {
    fn accept(&self, node: u64, lane: Lane) -> Box<dyn Incoming> {
        Box::new(Stream {
            dispatcher: Arc::clone(&self.0),
            node,
            appends: Appends::by(lane),
        })
    }
}

impl Incoming for Stream {
    fn take(&mut self, kind: Kind, frame: Frame, mut reply: Reply) {
        if !self.dispatcher.is_sender(&frame, self.node) {
            tokio::spawn(reply.send(Status::WrongReplica, NOTHING));
            return;
        }
        if kind == Kind::Append {
            match self.dispatcher.replica(&frame) {
                Some(replica) => self.appends.take(&replica, frame, reply),
                None => drop(tokio::spawn(reply.send(Status::WrongReplica, Bytes::new()))),
            }
            return;
        }
        let dispatcher = Arc::clone(&self.dispatcher);
        tokio::spawn(async move {
            let (status, body) = dispatcher.answer(kind, frame, reply.room()).await;
            reply.send(status, body).await;
        });
    }
}

const NOTHING: Bytes = Bytes::new();

impl Dispatcher {
    /// Whether `node` may speak for the replica that a frame says it comes from. A replica that the state knows to be
    /// gone may not; one that is newer than the state may.
    fn is_sender(&self, frame: &Frame, node: u64) -> bool {
        let Some(parts) = self.member.get().filter(|_| frame.from != 0) else {
            return true;
        };
        let state = Arc::clone(&parts.machine.states().borrow());
        let known = if frame.group == 0 {
            let mut nodes = state.nodes().iter();
            let owner = nodes.find(|(_, info)| info.meta_replica.0 == frame.from);
            owner.map(|(id, _)| id.0)
        } else {
            let info = state.group(GroupId(frame.group));
            let mut replicas = info
                .into_iter()
                .flat_map(|info| info.replicas.iter().copied().chain(info.incoming()));
            let replica = replicas.find(|replica| replica.id.0 == frame.from);
            replica.map(|replica| replica.node.0)
        };
        match known {
            Some(owner) => owner == node,
            None => frame.from > state.last_replica_id(),
        }
    }

    /// The replica that a frame means, if it is here: of that group, and with that very id unless any will do.
    fn replica(&self, frame: &Frame) -> Option<Arc<Replica>> {
        let parts = self.member.get()?;
        let replica = match frame.group {
            0 => Arc::clone(parts.commands.replica()),
            group => Arc::clone(&parts.hosting.group(group)?.hosted()?.replica),
        };
        (frame.to == 0 || frame.to == replica.id()).then_some(replica)
    }

    async fn answer(&self, kind: Kind, frame: Frame, room: &mut Room) -> Answer {
        match kind {
            Kind::Hello => (Status::Done, self.hello().encode_to_vec().into()),
            Kind::Join => self.join(frame.body).await,
            Kind::Append => (Status::Malformed, NOTHING),
            Kind::Meta => match self.member.get() {
                Some(parts) => parts.commands.serve(frame.body).await,
                None => (Status::Unavailable, NOTHING),
            },
            Kind::Vote | Kind::PreVote | Kind::TransferLeader | Kind::Snapshot => match self.replica(&frame) {
                Some(replica) => replica.answer(kind, frame.body).await,
                None => (Status::WrongReplica, NOTHING),
            },
            Kind::GroupStatus => match self.replica(&frame) {
                Some(replica) => (Status::Done, status_to_pb(&replica.status()).encode_to_vec().into()),
                None => (Status::WrongReplica, NOTHING),
            },
            Kind::ChangeMembers => match self.replica(&frame) {
                Some(replica) => change_members(&replica, frame.body).await,
                None => (Status::WrongReplica, NOTHING),
            },
            Kind::HandOver => match (self.replica(&frame), pb::HandOver::decode(frame.body)) {
                (Some(replica), Ok(order)) => told(replica.hand_over(order.to).await),
                (None, _) => (Status::WrongReplica, NOTHING),
                (_, Err(_)) => (Status::Malformed, NOTHING),
            },
            Kind::ReadIndex | Kind::Propose | Kind::Read | Kind::Head | Kind::Wait | Kind::List | Kind::Fetch => {
                self.roomy_request(kind, frame, room).await
            }
        }
    }

    async fn roomy_request(&self, kind: Kind, frame: Frame, room: &mut Room) -> Answer {
        let answer = self.fitting_answer(kind, frame, room);
        if !kind.is_read() {
            return answer.await;
        }
        // Whoever asked waits no longer than this, so its turn need not be held for longer.
        timeout(READ_TIMEOUT, answer)
            .await
            .unwrap_or((Status::Unavailable, NOTHING))
    }

    /// A message comes whole, so an answer may be larger than it was asked for. It is not kept while it waits for more room.
    async fn fitting_answer(&self, kind: Kind, frame: Frame, room: &mut Room) -> Answer {
        loop {
            let answer = self.group_request(kind, frame.clone(), room).await;
            let bytes = answer.1.len() as u64;
            if !room.is_refused() && room.fits(bytes) {
                return answer;
            }
            drop(answer);
            if room.is_refused() || room.claim(bytes).await.is_err() {
                return (Status::Unavailable, NOTHING);
            }
        }
    }

    async fn group_request(&self, kind: Kind, frame: Frame, room: &mut Room) -> Answer {
        let group = self.member.get().and_then(|parts| parts.hosting.group(frame.group));
        let Some((group, hosted)) = group.and_then(|group| group.hosted().map(|hosted| (group, hosted))) else {
            return (Status::WrongReplica, NOTHING);
        };
        if frame.to != 0 && frame.to != hosted.replica.id() {
            return (Status::WrongReplica, NOTHING);
        }
        // One that would have to ask others is not asked: they might ask it in turn.
        let asks_store = matches!(kind, Kind::Read | Kind::Head | Kind::List | Kind::Fetch | Kind::Wait);
        if asks_store && group.serving().is_none() {
            return (Status::WrongReplica, NOTHING);
        }
        if let (Kind::Read, Some(parts)) = (kind, self.member.get()) {
            // What a fork inherited may be in groups that the asking node cannot know of.
            return match parts.router.serve_read(&group, frame.body, room).await {
                Ok(body) => (Status::Done, body),
                Err(Malformed) => (Status::Malformed, NOTHING),
            };
        }
        let request = GroupRequest { kind, body: frame.body };
        group.serve(&hosted, request, room).await
    }

    pub(crate) fn hello(&self) -> pb::HelloReply {
        let hello = self.hello.clone();
        pb::HelloReply {
            uuid: hello.uuid,
            // Known before the rest is open: who asks may be about to found another one.
            cluster: self.cluster.read().map(|cluster| cluster.clone()).unwrap_or_default(),
            peer_address: hello.peer_address,
            client_address: hello.client_address,
            admin_address: hello.admin_address,
            zone: hello.zone,
        }
    }

    /// Lets a new node in: any node can have that done.
    async fn join(&self, body: Bytes) -> Answer {
        let Some(parts) = self.member.get() else {
            return (Status::Unavailable, NOTHING);
        };
        if !parts.can_replicate {
            let reply = pb::JoinReply {
                refused: "its backend cannot be replicated: only redb can".to_owned(),
                ..pb::JoinReply::default()
            };
            return (Status::Done, reply.encode_to_vec().into());
        }
        let command = match MetaCommand::decode(&body) {
            Ok(command @ MetaCommand::RegisterNode(_)) => command,
            _ => return (Status::Malformed, NOTHING),
        };
        let reply = match parts.commands.run(&command).await {
            Ok(outcome) => match outcome.detail {
                Detail::Registered { node, meta_replica, .. } => pb::JoinReply {
                    cluster: parts.cluster.clone(),
                    node: node.0,
                    meta_replica: meta_replica.0,
                    peers: addresses(&parts.machine.states().borrow()).collect(),
                    refused: String::new(),
                },
                _ => return (Status::Unavailable, NOTHING),
            },
            // The founder is about to: another attempt finds it done.
            Err(CommandError::Refused(MetaError::NotFounded) | CommandError::NoLeader) => {
                return (Status::Unavailable, NOTHING);
            }
            Err(CommandError::Refused(error)) => pb::JoinReply {
                refused: error.to_string(),
                ..pb::JoinReply::default()
            },
        };
        (Status::Done, reply.encode_to_vec().into())
    }
}

async fn change_members(replica: &Replica, body: Bytes) -> Answer {
    use pb::change_members::Change;
    let Ok(order) = pb::ChangeMembers::decode(body) else {
        return (Status::Malformed, NOTHING);
    };
    let (seen, all) = (Seen::At(order.membership), |set: pb::ReplicaSet| {
        set.replicas.into_iter().collect()
    });
    told(match order.change {
        Some(Change::AddLearner(new)) => replica.add_learner(new.replica, new.node, seen).await,
        Some(Change::SetVoters(voters)) => replica.set_voters(all(voters), seen).await,
        Some(Change::RemoveLearners(learners)) => replica.remove_learners(all(learners), seen).await,
        None => return (Status::Malformed, NOTHING),
    })
}

fn told(result: Result<(), WriteError>) -> Answer {
    match result {
        Ok(()) => (Status::Done, NOTHING),
        Err(WriteError::NotLeader(_)) => (Status::NotLeader, NOTHING),
        Err(WriteError::Refused(why)) => (Status::Unavailable, Bytes::from(why)),
        Err(error) => (Status::Unknown, Bytes::from(error.to_string())),
    }
}
