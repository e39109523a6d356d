//! Moves that would be nice: groups over more zones, replicas evenly over nodes.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::address::Zone;
use crate::command::MetaCommand;
use crate::ids::{GroupId, NodeId, ReplicaId};
use crate::state::{GroupInfo, MetaState, NodeState};

/// Replacements that spread groups over zones where they can be spread further and, that done, even out how many
/// replicas the nodes have; as many as keep the moves under way within `max_parallel`. Applying them in order succeeds.
/// Empty when nothing is to be gained.
///
/// Each lowers the unevenness of zones (over all groups), or leaves that and lowers the unevenness of loads: repeated, it
/// comes to an end. Groups with a move under way or a replica on a node that goes are left to [`super::next_moves`].
pub fn rebalance_moves(state: &MetaState, max_parallel: usize) -> Vec<MetaCommand> {
    let mut after = state.clone();
    let mut commands = Vec::new();
    while after.moves() < max_parallel {
        let Some(command) = best(&after) else { break };
        if after.apply(command.clone()).is_err() {
            break;
        }
        commands.push(command);
    }
    commands
}

/// How much a move gains: zones before load.
type Gain = (usize, usize);

fn best(state: &MetaState) -> Option<MetaCommand> {
    let loads = state.loads();
    let mut best: Option<(Gain, Reverse<GroupId>, ReplicaId, NodeId)> = None;
    for (group, info) in &state.groups {
        let Some(zones) = zones_of(state, info) else { continue };
        for replica in &info.replicas {
            for (node, target) in state.active_nodes().filter(|(node, _)| !info.touches(*node)) {
                let Some(from_zone) = state.node(replica.node).map(|node| &node.zone) else {
                    continue;
                };
                let at = |node| loads.get(&node).copied().unwrap_or_default();
                let gain = gain(&zones, from_zone, &target.zone, at(replica.node), at(node));
                let option = gain.map(|gain| (gain, Reverse(*group), replica.id, node));
                best = best.max(option);
            }
        }
    }
    best.map(|(_, Reverse(group), from, to)| MetaCommand::StartMove {
        group,
        from: Some(from),
        to: Some(to),
    })
}

/// None unless the move gains something. A difference of one would only be turned around.
fn gain(zones: &BTreeMap<&Zone, usize>, from: &Zone, to: &Zone, load_from: usize, load_to: usize) -> Option<Gain> {
    let in_zone = |zone| zones.get(zone).copied().unwrap_or_default();
    let by_zone = if from == to {
        0
    } else {
        // To one more in the target zone: equal after the swap means nothing is gained and nothing lost.
        in_zone(from).checked_sub(in_zone(to) + 1)?
    };
    let by_load = load_from.saturating_sub(load_to + 1);
    (by_zone > 0 || by_load > 0).then_some((by_zone, by_load))
}

/// How many replicas the group has in each zone; none when it is not at rest.
fn zones_of<'a>(state: &'a MetaState, info: &GroupInfo) -> Option<BTreeMap<&'a Zone, usize>> {
    if info.change.is_some() {
        return None;
    }
    let mut zones = BTreeMap::new();
    for replica in &info.replicas {
        let node = state
            .node(replica.node)
            .filter(|node| node.state == NodeState::Active)?;
        *zones.entry(&node.zone).or_default() += 1;
    }
    Some(zones)
}
