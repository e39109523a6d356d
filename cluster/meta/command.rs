//! What the meta group is told, and what it answers.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::address::{Addresses, Zone};
use crate::ids::{ClusterId, GroupId, NodeId, NodeUuid, ReplicaId};
use crate::limits::{MAX_GROUPS, MAX_NODES, MAX_REPLICATION_FACTOR};
use crate::state::{Move, NodeState};

/// A change of the meta group's state. Repeating one that succeeded is a success without effect, or an error without
/// effect where that is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetaCommand {
    /// Founds the cluster on an empty state.
    Found(Found),
    /// A node starts. Known by its uuid, it has these addresses and this zone from now on; unknown, it is a new node.
    /// The node that had its peer address so far is lost.
    RegisterNode(FoundingNode),
    /// An operator corrects where a node is.
    UpdateNode {
        /// A node in use.
        node: NodeId,
        /// Its addresses. The peer address must be free.
        addresses: Addresses,
        /// Its zone.
        zone: Zone,
    },
    /// Begins to change a group's replicas: add one, remove one, or replace one by another.
    StartMove {
        /// A group without a move under way.
        group: GroupId,
        /// The replica to remove.
        from: Option<ReplicaId>,
        /// An active node without a replica of the group.
        to: Option<NodeId>,
    },
    /// The group's Raft membership is what the move wanted.
    FinishMove {
        /// The group. Without a move under way it must have just these replicas.
        group: GroupId,
        /// All voters that the Raft group has now.
        replicas: BTreeSet<ReplicaId>,
    },
    /// Gives a move up: the group's replicas are those from before. The new replica's id is used up.
    AbortMove {
        /// The group.
        group: GroupId,
        /// Which move. An error when it is not the one under way, also when it was aborted before.
        started_version: u64,
    },
    /// The node's replicas shall move away.
    SetDraining(NodeId),
    /// The node may keep and take replicas. Moves under way go on.
    SetActive(NodeId),
    /// Takes a node out for good. It must be draining or lost, without replicas and no meta voter.
    RemoveNode(NodeId),
    /// The old node's replicas shall move to the new one: the old one is drained, and every move that can begin does.
    ReplaceNode {
        /// A node that was not removed.
        old: NodeId,
        /// An active node.
        new: NodeId,
    },
    /// Who votes in the meta group. Recorded before and after each change of its membership (before: the old and the
    /// new voters), so that no voter's node is removed.
    RecordMetaVoters(BTreeSet<ReplicaId>),
}

/// How a cluster begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Chosen by whoever founds it; not 0.
    pub cluster: ClusterId,
    /// How many groups, 1 to [`MAX_GROUPS`]. Never changes.
    pub groups: u64,
    /// How many replicas a group should have, 1 to [`MAX_REPLICATION_FACTOR`]. May be more than there are nodes yet.
    pub replication_factor: u32,
    /// The nodes. The first has node id 1 and meta replica id 1, and so on.
    pub nodes: Vec<FoundingNode>,
}

/// A node as it introduces itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundingNode {
    /// Its disk; not 0.
    pub uuid: NodeUuid,
    /// Where it is reached.
    pub addresses: Addresses,
    /// Where it stands.
    pub zone: Zone,
}

impl Found {
    /// The ids that the founding nodes will have, so that the meta group's first membership can be made before this
    /// command is in its log.
    pub fn members(&self) -> impl Iterator<Item = (NodeUuid, NodeId, ReplicaId)> {
        (1..)
            .zip(&self.nodes)
            .map(|(id, node)| (node.uuid, NodeId(id), ReplicaId(id)))
    }
}

/// The answer to a command that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaOutcome {
    /// The state's version from which on the effect is seen.
    pub version: u64,
    /// What is to know about it.
    pub detail: Detail,
}

/// What is to know about a command's effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// Nothing more.
    Done,
    /// Who the node is.
    Registered {
        /// Its number.
        node: NodeId,
        /// Its replica of the meta group.
        meta_replica: ReplicaId,
        /// The node that is lost since its address is now this one's.
        lost: Option<NodeId>,
    },
    /// The move under way.
    MoveStarted {
        /// The group.
        group: GroupId,
        /// The move.
        change: Move,
    },
    /// The groups in which a move began.
    Replacing(BTreeSet<GroupId>),
}

/// Why a command was not carried out. The state is as before.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MetaError {
    /// There is no cluster yet.
    #[error("the cluster is not founded yet")]
    NotFounded,
    /// There is a cluster already, or it was founded otherwise.
    #[error("cluster {0} is founded already")]
    AlreadyFounded(ClusterId),
    /// A founding command that cannot be.
    #[error("cannot found a cluster: {0}")]
    Founding(FoundingError),
    /// The uuid is 0.
    #[error("a node needs a uuid other than 0")]
    NilUuid,
    /// No such node ever was.
    #[error("there is no node {0}")]
    UnknownNode(NodeId),
    /// No such group.
    #[error("there is no group {0}")]
    UnknownGroup(GroupId),
    /// The group has no such replica.
    #[error("group {group} has no replica {replica}")]
    UnknownReplica {
        /// The group.
        group: GroupId,
        /// The replica.
        replica: ReplicaId,
    },
    /// The replica is no node's meta replica.
    #[error("no node has meta replica {0}")]
    UnknownMetaReplica(ReplicaId),
    /// There must be a voter.
    #[error("the meta group needs a voter")]
    NoMetaVoter,
    /// The node was taken out for good; its disk must be emptied before it can join again.
    #[error("node {0} was removed from the cluster: it can join again only with an empty data directory")]
    NodeRemoved(NodeId),
    /// The node is in the wrong state.
    #[error("node {node} is {state}")]
    NodeState {
        /// The node.
        node: NodeId,
        /// Its state.
        state: NodeState,
    },
    /// Another node in use has the peer address.
    #[error("node {0} has this peer address")]
    AddressTaken(NodeId),
    /// There are [`MAX_NODES`] nodes.
    #[error("the cluster has {MAX_NODES} nodes already")]
    TooManyNodes,
    /// One move at a time.
    #[error("a move of group {0} is under way")]
    MoveUnderWay(GroupId),
    /// Nothing to finish or abort.
    #[error("no move of group {0} is under way")]
    NoMove(GroupId),
    /// Another move is under way, or it wants other replicas.
    #[error("the move of group {0} that is under way is another one")]
    OtherMove(GroupId),
    /// Neither a replica to remove nor a node to add one on.
    #[error("a move needs a replica to remove, a node to add one on, or both")]
    EmptyMove,
    /// The group has, or is about to get, a replica there.
    #[error("group {group} has a replica on node {node} already")]
    AlreadyHosted {
        /// The group.
        group: GroupId,
        /// The node.
        node: NodeId,
    },
    /// The group has as many replicas as the replication factor says.
    #[error("group {0} has all its replicas")]
    Full(GroupId),
    /// No replica on a node in use would be left.
    #[error("group {0} would have no replica left on a node in use")]
    LastReplica(GroupId),
    /// A node cannot replace itself.
    #[error("a node cannot replace itself")]
    SameNode,
    /// The node is still needed.
    #[error("node {node} cannot be removed yet: {}", list(.reasons))]
    NotRemovable {
        /// The node.
        node: NodeId,
        /// All that is in the way.
        reasons: Vec<Reason>,
    },
    /// 2^64 ids were given out.
    #[error("no id is left")]
    NoIdLeft,
}

/// Why a cluster cannot be founded this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum FoundingError {
    /// The cluster id is 0.
    #[error("it needs an id other than 0")]
    NilCluster,
    /// None, or too many.
    #[error("the number of groups must be from 1 to {MAX_GROUPS}")]
    Groups,
    /// 0 or too large.
    #[error("the replication factor must be from 1 to {MAX_REPLICATION_FACTOR}")]
    ReplicationFactor,
    /// None, or too many.
    #[error("the number of nodes must be from 1 to {MAX_NODES}")]
    Nodes,
    /// Two nodes with one uuid or one peer address, or a uuid of 0.
    #[error("every node needs its own uuid and peer address")]
    NotDistinct,
}

/// What keeps a node in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum Reason {
    /// It was not told to go.
    #[error("it is not draining")]
    Active,
    /// It hosts a replica.
    #[error("it hosts replica {replica} of group {group}")]
    Hosts {
        /// The group.
        group: GroupId,
        /// The replica.
        replica: ReplicaId,
    },
    /// It hosts a replica that no other node can take: every active node has one of the group.
    #[error("it hosts replica {replica} of group {group}, which no other node can take")]
    Stuck {
        /// The group.
        group: GroupId,
        /// The replica.
        replica: ReplicaId,
    },
    /// A move under way brings a replica.
    #[error("a move brings it replica {replica} of group {group}")]
    MoveTarget {
        /// The group.
        group: GroupId,
        /// The replica.
        replica: ReplicaId,
    },
    /// It votes in the meta group, or is about to or did so until now.
    #[error("it votes in the meta group")]
    MetaVoter,
}

fn list(reasons: &[Reason]) -> String {
    /// An error message is for a person: the rest is in the list itself.
    const SHOWN: usize = 3;
    let mut text = reasons
        .iter()
        .take(SHOWN)
        .map(Reason::to_string)
        .collect::<Vec<_>>()
        .join("; ");
    if reasons.len() > SHOWN {
        text.push_str(&format!("; and {} more reasons", reasons.len() - SHOWN));
    }
    text
}
