//! Founding a cluster.

use std::collections::{BTreeMap, BTreeSet};

use crate::command::{Detail, Found, FoundingError, MetaError};
use crate::hashing::HASH_VERSION;
use crate::ids::{GroupId, NodeId};
use crate::limits::{MAX_NODES, MAX_REPLICATION_FACTOR};
use crate::placement::{Candidate, assign_slots, place};
use crate::plan::meta_voters;
use crate::state::{Cluster, FEATURE_VERSION, GroupInfo, MetaState, NodeInfo, NodeState, Replica};

impl MetaState {
    pub(super) fn found(&mut self, found: Found) -> Result<Detail, MetaError> {
        if let Some(cluster) = &self.cluster {
            return if self.was_founded_by(cluster, &found) {
                Ok(Detail::Done)
            } else {
                Err(MetaError::AlreadyFounded(cluster.id))
            };
        }
        check(&found).map_err(MetaError::Founding)?;
        let slots = assign_slots(found.groups).ok_or(MetaError::Founding(FoundingError::Groups))?;
        self.cluster = Some(Cluster {
            id: found.cluster,
            feature_version: FEATURE_VERSION,
            hash_version: HASH_VERSION,
            replication_factor: found.replication_factor,
            founders: found.nodes.len() as u64,
            slots,
        });
        for node in &found.nodes {
            let (id, meta_replica) = (self.new_node_id()?, self.new_replica_id()?);
            let info = NodeInfo {
                uuid: node.uuid,
                addresses: node.addresses.clone(),
                zone: node.zone.clone(),
                state: NodeState::Active,
                meta_replica,
                replaced_by: None,
            };
            self.nodes.insert(id, info);
        }
        self.place_groups(found.groups, found.replication_factor as usize)?;
        self.meta_voters = meta_voters(self, &BTreeSet::new());
        Ok(Detail::Done)
    }

    fn place_groups(&mut self, groups: u64, factor: usize) -> Result<(), MetaError> {
        let mut loads: BTreeMap<NodeId, usize> = BTreeMap::new();
        for group in (1..=groups).map(GroupId) {
            let candidates: Vec<_> = self
                .active_nodes()
                .map(|(node, info)| Candidate {
                    node,
                    zone: &info.zone,
                    load: loads.get(&node).copied().unwrap_or_default(),
                })
                .collect();
            let mut replicas = Vec::with_capacity(factor);
            for node in place(group, &candidates, factor) {
                *loads.entry(node).or_default() += 1;
                let id = self.new_replica_id()?;
                replicas.push(Replica { id, node });
            }
            self.groups.insert(group, GroupInfo { replicas, change: None });
        }
        Ok(())
    }

    /// Whether the command is the one that this cluster began with. Addresses may have changed since.
    fn was_founded_by(&self, cluster: &Cluster, found: &Found) -> bool {
        cluster.id == found.cluster
            && cluster.replication_factor == found.replication_factor
            && self.groups.len() as u64 == found.groups
            && cluster.founders == found.nodes.len() as u64
            && found
                .members()
                .all(|(uuid, node, _)| self.node(node).is_some_and(|info| info.uuid == uuid))
    }
}

fn check(found: &Found) -> Result<(), FoundingError> {
    if found.cluster.0 == 0 {
        return Err(FoundingError::NilCluster);
    }
    if !(1..=MAX_REPLICATION_FACTOR).contains(&found.replication_factor) {
        return Err(FoundingError::ReplicationFactor);
    }
    if !(1..=MAX_NODES).contains(&found.nodes.len()) {
        return Err(FoundingError::Nodes);
    }
    let uuids: BTreeSet<_> = found.nodes.iter().map(|node| node.uuid).collect();
    let peers: BTreeSet<_> = found.nodes.iter().map(|node| &node.addresses.peer).collect();
    let distinct = uuids.len() == found.nodes.len() && peers.len() == found.nodes.len();
    if !distinct || uuids.iter().any(|uuid| uuid.0 == 0) {
        return Err(FoundingError::NotDistinct);
    }
    Ok(())
}
