//! What is true of every state, checked on every decoded one.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::hashing::HASH_VERSION;
use crate::ids::{GroupId, NodeId, ReplicaId};
use crate::limits::{MAX_GROUPS, MAX_REPLICATION_FACTOR};
use crate::state::{Cluster, FEATURE_VERSION, GroupInfo, MetaState, NodeState};

/// Which rule a state breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StateError {
    /// Nothing but version 0 can be without a cluster.
    #[error("it has content but no cluster")]
    Unfounded,
    /// A cluster without an id, a founder, or with a replication factor out of bounds.
    #[error("the cluster's own record is impossible")]
    Cluster,
    /// Written by a newer build.
    #[error("it needs feature version {0}, this build knows {FEATURE_VERSION}")]
    Feature(u32),
    /// Written with another hash.
    #[error("it needs hash version {0}, this build knows {HASH_VERSION}")]
    Hash(u32),
    /// A slot leads to a group that is not there, or the groups are not numbered from 1 on.
    #[error("its slot table and its groups do not match")]
    Slots,
    /// An id of a node, or a node's uuid or peer address, that another one has; or an id that was not given out.
    #[error("node {0} is impossible")]
    Node(NodeId),
    /// A group without replicas, with two on one node, with more than the factor, or with an impossible move.
    #[error("group {0} is impossible")]
    Group(GroupId),
    /// Used twice, or not given out.
    #[error("replica id {0} is impossible")]
    Replica(ReplicaId),
    /// The recorded voter is no meta replica of a node.
    #[error("meta voter {0} is on no node")]
    MetaVoter(ReplicaId),
}

impl MetaState {
    /// Checks every invariant of a state.
    ///
    /// # Errors
    /// The first one that is broken.
    pub fn check(&self) -> Result<(), StateError> {
        let Some(cluster) = &self.cluster else {
            return if *self == Self::default() {
                Ok(())
            } else {
                Err(StateError::Unfounded)
            };
        };
        self.check_cluster(cluster)?;
        let mut replicas = BTreeSet::new();
        self.check_nodes(&mut replicas)?;
        for (id, group) in &self.groups {
            self.check_group(cluster, group, &mut replicas)
                .map_err(|error| error.unwrap_or(StateError::Group(*id)))?;
        }
        for voter in &self.meta_voters {
            let known = self
                .nodes
                .values()
                .any(|node| node.meta_replica == *voter && node.state != NodeState::Removed);
            if !known {
                return Err(StateError::MetaVoter(*voter));
            }
        }
        Ok(())
    }

    fn check_cluster(&self, cluster: &Cluster) -> Result<(), StateError> {
        if cluster.feature_version > FEATURE_VERSION {
            return Err(StateError::Feature(cluster.feature_version));
        }
        if cluster.hash_version != HASH_VERSION {
            return Err(StateError::Hash(cluster.hash_version));
        }
        let possible = cluster.id.0 != 0
            && cluster.feature_version != 0
            && self.version != 0
            && (1..=MAX_REPLICATION_FACTOR).contains(&cluster.replication_factor)
            && (1..=self.nodes.len() as u64).contains(&cluster.founders)
            && (1..=cluster.founders).all(|id| self.nodes.contains_key(&NodeId(id)));
        if !possible {
            return Err(StateError::Cluster);
        }
        let groups = self.groups.len() as u64;
        let numbered = (1..=groups).all(|id| self.groups.contains_key(&GroupId(id)));
        if groups > MAX_GROUPS || !numbered || cluster.slots.groups().any(|group| group.0 > groups) {
            return Err(StateError::Slots);
        }
        Ok(())
    }

    fn check_nodes(&self, replicas: &mut BTreeSet<ReplicaId>) -> Result<(), StateError> {
        let (mut uuids, mut peers) = (BTreeSet::new(), BTreeSet::new());
        for (id, node) in &self.nodes {
            let successor_known = node
                .replaced_by
                .is_none_or(|other| other != *id && self.nodes.contains_key(&other));
            let possible = id.0 != 0
                && id.0 <= self.last_node_id
                && node.uuid.0 != 0
                && successor_known
                && uuids.insert(node.uuid)
                && (!node.state.in_use() || peers.insert(&node.addresses.peer));
            if !possible {
                return Err(StateError::Node(*id));
            }
            self.check_replica(node.meta_replica, replicas)?;
        }
        Ok(())
    }

    /// The error is none when the group itself is what is wrong.
    fn check_group(
        &self,
        cluster: &Cluster,
        group: &GroupInfo,
        replicas: &mut BTreeSet<ReplicaId>,
    ) -> Result<(), Option<StateError>> {
        let mut nodes = BTreeSet::new();
        for replica in group.replicas.iter().copied().chain(group.incoming()) {
            self.check_replica(replica.id, replicas).map_err(Some)?;
            let hosted = self
                .node(replica.node)
                .is_some_and(|node| node.state != NodeState::Removed);
            if !hosted || !nodes.insert(replica.node) {
                return Err(None);
            }
        }
        let move_possible = group.change.is_none_or(|change| {
            (change.from.is_some() || change.to.is_some())
                && change.from.is_none_or(|from| group.replica(from).is_some())
                && (1..=self.version).contains(&change.started_version)
        });
        let sized = (1..=cluster.replication_factor as usize).contains(&group.replicas.len())
            && (1..=cluster.replication_factor as usize).contains(&group.wanted().len());
        // An incoming replica's id is the newest.
        if sized && move_possible && group.replicas.is_sorted() && group.wanted().is_sorted() {
            Ok(())
        } else {
            Err(None)
        }
    }

    fn check_replica(&self, id: ReplicaId, seen: &mut BTreeSet<ReplicaId>) -> Result<(), StateError> {
        if id.0 != 0 && id.0 <= self.last_replica_id && seen.insert(id) {
            Ok(())
        } else {
            Err(StateError::Replica(id))
        }
    }
}
