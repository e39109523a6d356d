//! Leaders evenly over nodes.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::ids::{GroupId, NodeId};
use crate::state::{MetaState, NodeState};

/// Transfers of leadership that leave no leader on a node that goes, and no node with two leaders more than another
/// that could take one of them: the group, its leader's node, and the node to transfer to. At most one per group.
///
/// `leaders` holds the node of each group's leader where that is known. Only replicas that are members before and after
/// a move under way are asked to lead.
pub fn leader_balance(state: &MetaState, leaders: &BTreeMap<GroupId, NodeId>) -> Vec<(GroupId, NodeId, NodeId)> {
    let mut placed: BTreeMap<GroupId, NodeId> = leaders
        .iter()
        .filter(|(group, _)| state.group(**group).is_some())
        .map(|(group, node)| (*group, *node))
        .collect();
    // Every round lowers the number of leaders on leaving nodes, or the sum of squares of the nodes' leaders.
    while let Some((group, to)) = best(state, &placed) {
        placed.insert(group, to);
    }
    placed
        .into_iter()
        .filter_map(|(group, to)| {
            let from = *leaders.get(&group)?;
            (from != to).then_some((group, from, to))
        })
        .collect()
}

fn best(state: &MetaState, placed: &BTreeMap<GroupId, NodeId>) -> Option<(GroupId, NodeId)> {
    let mut counts: BTreeMap<NodeId, usize> = BTreeMap::new();
    for node in placed.values() {
        *counts.entry(*node).or_default() += 1;
    }
    let count = |node: NodeId| counts.get(&node).copied().unwrap_or_default();
    let options = placed.iter().flat_map(|(group, from)| {
        let must_go = !can_lead(state, *group, *from);
        state
            .group(*group)
            .into_iter()
            .flat_map(|info| info.replicas.iter().map(|replica| replica.node))
            .filter(move |to| to != from && can_lead(state, *group, *to))
            .filter_map(move |to| {
                let gain = count(*from).saturating_sub(count(to) + 1);
                (must_go || gain > 0).then_some((must_go, gain, Reverse(count(to)), Reverse(*group), to))
            })
    });
    options.max().map(|(_, _, _, Reverse(group), to)| (group, to))
}

fn can_lead(state: &MetaState, group: GroupId, node: NodeId) -> bool {
    let active = state.node(node).is_some_and(|info| info.state == NodeState::Active);
    active && stays(state, group, node)
}

/// Whether the node's replica is a member now and once the move under way is finished.
fn stays(state: &MetaState, group: GroupId, node: NodeId) -> bool {
    state.group(group).is_some_and(|info| {
        let leaving = info.change.and_then(|change| change.from);
        info.replica_on(node).is_some_and(|replica| Some(replica.id) != leaving)
    })
}
