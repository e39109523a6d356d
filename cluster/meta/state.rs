//! What the meta group knows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::address::{Addresses, Zone};
use crate::ids::{ClusterId, GroupId, NodeId, NodeUuid, ReplicaId};
use crate::slots::{SlotTable, slot_of};

/// The newest set of rules that this build knows. A state with a newer one is refused.
pub const FEATURE_VERSION: u32 = 1;

/// The state of the meta group. Changed by [`MetaState::apply`] only, equal on every replica at equal log positions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetaState {
    pub(crate) version: u64,
    /// None until the cluster is founded; then everything below is set.
    pub(crate) cluster: Option<Cluster>,
    pub(crate) groups: BTreeMap<GroupId, GroupInfo>,
    pub(crate) nodes: BTreeMap<NodeId, NodeInfo>,
    pub(crate) meta_voters: BTreeSet<ReplicaId>,
    /// The last ones given out; 0 for none.
    pub(crate) last_node_id: u64,
    pub(crate) last_replica_id: u64,
}

/// What is settled when the cluster is founded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Which cluster this is.
    pub id: ClusterId,
    /// The rules in force, up to [`FEATURE_VERSION`].
    pub feature_version: u32,
    /// The hash that slots and placement come from ([`crate::HASH_VERSION`]).
    pub hash_version: u32,
    /// How many replicas each group should have, as soon as there are that many nodes.
    pub replication_factor: u32,
    /// How many nodes founded it: they have the node ids (and meta replica ids) from 1 to this.
    pub founders: u64,
    /// Which group holds which slot.
    pub slots: SlotTable,
}

/// A group of streams.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupInfo {
    /// Its replicas, ordered by id. On distinct nodes, never none.
    pub replicas: Vec<Replica>,
    /// The change of its replicas that is under way.
    pub change: Option<Move>,
}

/// A group's member on one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Replica {
    /// Its id in Raft.
    pub id: ReplicaId,
    /// The node that hosts it.
    pub node: NodeId,
}

/// A change of a group's replicas: `to` is added, `from` removed, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// The replica that goes. A member of the group until the move is finished.
    pub from: Option<ReplicaId>,
    /// The replica that comes. No member of the group until the move is finished.
    pub to: Option<Replica>,
    /// The state's version when it began: with the group it names this move and no other.
    pub started_version: u64,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its disk.
    pub uuid: NodeUuid,
    /// Where it is reached, as far as known. A node that is not in use may show addresses that others have now.
    pub addresses: Addresses,
    /// Where it stands.
    pub zone: Zone,
    /// What may be done with it.
    pub state: NodeState,
    /// Its replica of the meta group, voter or learner.
    pub meta_replica: ReplicaId,
    /// The node that should get its replicas.
    pub replaced_by: Option<NodeId>,
}

/// What may be done with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeState {
    /// It serves and takes new replicas.
    Active,
    /// It serves; its replicas are moved away.
    Draining,
    /// Another disk registered at its address. Its replicas are moved away. It is in use again once it registers.
    Lost {
        /// Whether it was to be drained, as it will be when it comes back.
        draining: bool,
    },
    /// It was taken out of the cluster for good.
    Removed,
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Lost { .. } => "lost",
            Self::Removed => "removed",
        })
    }
}

impl NodeState {
    /// Whether the node has its address: active or draining.
    pub fn in_use(self) -> bool {
        matches!(self, Self::Active | Self::Draining)
    }
}

impl GroupInfo {
    /// The replica of this id.
    pub fn replica(&self, id: ReplicaId) -> Option<Replica> {
        self.replicas.iter().copied().find(|replica| replica.id == id)
    }

    /// The replica on this node.
    pub fn replica_on(&self, node: NodeId) -> Option<Replica> {
        self.replicas.iter().copied().find(|replica| replica.node == node)
    }

    /// Whether the node has a replica, or gets one by the move under way.
    pub fn touches(&self, node: NodeId) -> bool {
        self.replica_on(node).is_some() || self.incoming().is_some_and(|replica| replica.node == node)
    }

    /// The replica that the move under way adds.
    pub fn incoming(&self) -> Option<Replica> {
        self.change.and_then(|change| change.to)
    }

    /// The replicas that the group has once the move under way is finished: what the Raft group's voters should become.
    pub fn wanted(&self) -> Vec<Replica> {
        let leaving = self.change.and_then(|change| change.from);
        self.replicas
            .iter()
            .copied()
            .filter(|replica| Some(replica.id) != leaving)
            .chain(self.incoming())
            .collect()
    }
}

impl MetaState {
    /// The state before a cluster is founded.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the changes; 0 before the first.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The cluster, once it is founded.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// All groups of streams.
    pub fn groups(&self) -> &BTreeMap<GroupId, GroupInfo> {
        &self.groups
    }

    /// One group of streams.
    pub fn group(&self, group: GroupId) -> Option<&GroupInfo> {
        self.groups.get(&group)
    }

    /// The group that holds a stream of this name, once the cluster is founded.
    pub fn group_of(&self, name: &str) -> Option<GroupId> {
        self.cluster.as_ref().map(|cluster| cluster.slots.group(slot_of(name)))
    }

    /// All nodes that ever were, also removed ones.
    pub fn nodes(&self) -> &BTreeMap<NodeId, NodeInfo> {
        &self.nodes
    }

    /// One node.
    pub fn node(&self, node: NodeId) -> Option<&NodeInfo> {
        self.nodes.get(&node)
    }

    /// The node with this disk.
    pub fn node_by_uuid(&self, uuid: NodeUuid) -> Option<(NodeId, &NodeInfo)> {
        self.nodes
            .iter()
            .find(|(_, info)| info.uuid == uuid)
            .map(|(node, info)| (*node, info))
    }

    /// The node that is in use at this peer address.
    pub fn node_at(&self, peer: &crate::Address) -> Option<NodeId> {
        self.nodes
            .iter()
            .find(|(_, info)| info.state.in_use() && info.addresses.peer == *peer)
            .map(|(node, _)| *node)
    }

    /// The nodes that take replicas.
    pub fn active_nodes(&self) -> impl Iterator<Item = (NodeId, &NodeInfo)> {
        self.nodes
            .iter()
            .filter(|(_, info)| info.state == NodeState::Active)
            .map(|(node, info)| (*node, info))
    }

    /// The meta group's voters, as last recorded. The Raft group itself has the last word.
    pub fn meta_voters(&self) -> &BTreeSet<ReplicaId> {
        &self.meta_voters
    }

    /// How many replicas each node will have when all moves under way are finished.
    pub fn loads(&self) -> BTreeMap<NodeId, usize> {
        let mut loads = BTreeMap::new();
        for replica in self.groups.values().flat_map(GroupInfo::wanted) {
            *loads.entry(replica.node).or_default() += 1;
        }
        loads
    }

    /// How many replicas each group should have now: the replication factor, or the number of active nodes when there
    /// are fewer. 0 before the cluster is founded.
    pub fn wanted_replicas(&self) -> usize {
        let factor = self
            .cluster
            .as_ref()
            .map_or(0, |cluster| cluster.replication_factor as usize);
        factor.min(self.active_nodes().count())
    }

    /// The last replica id that was given out: a larger one is newer than this state.
    pub fn last_replica_id(&self) -> u64 {
        self.last_replica_id
    }

    /// The last replica id of the founding: replicas up to it began their groups together.
    pub fn last_founding_replica(&self) -> Option<u64> {
        let cluster = self.cluster.as_ref()?;
        let factor = u64::from(cluster.replication_factor).min(cluster.founders);
        Some(cluster.founders + self.groups.len() as u64 * factor)
    }

    /// How many moves are under way.
    pub fn moves(&self) -> usize {
        self.groups.values().filter(|group| group.change.is_some()).count()
    }
}
