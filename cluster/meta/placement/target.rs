//! A node for one replica of a group that exists.

use std::collections::BTreeMap;

use crate::address::Zone;
use crate::ids::{GroupId, NodeId, ReplicaId};
use crate::placement::{Candidate, pick};
use crate::state::{MetaState, NodeState};

/// Where a replica should go: instead of `leaving`, or in addition when that is none. None when no active node is free
/// of the group.
///
/// A node that replaces the leaving replica's node has precedence over zones and load. Replicas on nodes that are on
/// their way out do not count for zones, as they will move as well.
pub fn choose_target(state: &MetaState, group: GroupId, leaving: Option<ReplicaId>) -> Option<NodeId> {
    let info = state.group(group)?;
    let leaving = leaving.and_then(|id| info.replica(id));
    let takes =
        |node: NodeId| !info.touches(node) && state.node(node).is_some_and(|info| info.state == NodeState::Active);
    let successor = leaving
        .and_then(|replica| state.node(replica.node))
        .and_then(|node| node.replaced_by);
    if let Some(node) = successor.filter(|node| takes(*node)) {
        return Some(node);
    }

    let loads = state.loads();
    let candidates: Vec<_> = state
        .nodes()
        .iter()
        .filter(|(node, _)| takes(**node))
        .map(|(node, info)| Candidate {
            node: *node,
            zone: &info.zone,
            load: loads.get(node).copied().unwrap_or_default(),
        })
        .collect();
    let mut zones: BTreeMap<&Zone, usize> = BTreeMap::new();
    for replica in info.replicas.iter().filter(|replica| Some(**replica) != leaving) {
        if let Some(node) = state.node(replica.node).filter(|node| node.state == NodeState::Active) {
            *zones.entry(&node.zone).or_default() += 1;
        }
    }
    pick(group, &candidates, &zones).map(|candidate| candidate.node)
}
