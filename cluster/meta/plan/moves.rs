//! Moves that must happen: away from nodes that go, and up to the replication factor.

use crate::command::MetaCommand;
use crate::ids::{GroupId, NodeId, ReplicaId};
use crate::placement::choose_target;
use crate::state::{GroupInfo, MetaState, NodeState};

/// Why a group needs a move; the more urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// A replica's disk is gone, as far as known.
    ReplaceLost,
    /// There are nodes for more replicas.
    Add,
    /// A replica's node shall be emptied.
    ReplaceDraining,
}

/// Whether a group's move goes to a node that may no longer take a replica. It is aborted when the group itself has let go
/// of that replica, and finished if that has a vote already.
pub fn is_stranded(state: &MetaState, info: &GroupInfo) -> bool {
    info.incoming().is_some_and(|replica| !is_active(state, replica.node))
}

/// The commands that bring the cluster closer to every group having its replicas on active nodes: new moves while less than
/// `max_parallel` are under way. Applying them in order succeeds. Empty when nothing can be done; groups with the fewest
/// replicas in use come first.
///
/// A replica is never removed without another in its place: with too few nodes, a draining node keeps its replicas.
pub fn next_moves(state: &MetaState, max_parallel: usize) -> Vec<MetaCommand> {
    let mut after = state.clone();
    let mut commands = Vec::new();
    let mut waiting: Vec<_> = after
        .groups
        .iter()
        .filter(|(_, info)| info.change.is_none())
        .filter_map(|(group, info)| needs(&after, info).into_iter().min().map(|need| (info, need, *group)))
        .map(|(info, need, group)| (in_use(&after, info), need, group))
        .collect();
    waiting.sort_unstable();
    for (_, _, group) in waiting {
        if after.moves() >= max_parallel {
            break;
        }
        if let Some(command) = start(&after, group) {
            issue(&mut after, &mut commands, command);
        }
    }
    commands
}

/// Later choices see the loads that earlier ones make.
fn issue(after: &mut MetaState, commands: &mut Vec<MetaCommand>, command: MetaCommand) {
    if after.apply(command.clone()).is_ok() {
        commands.push(command);
    }
}

fn start(state: &MetaState, group: GroupId) -> Option<MetaCommand> {
    let info = state.group(group)?;
    needs(state, info).into_iter().find_map(|need| {
        let from = match need {
            Need::ReplaceLost => replica_on(state, info, |node| matches!(node, NodeState::Lost { .. })),
            Need::Add => None,
            Need::ReplaceDraining => replica_on(state, info, |node| node == NodeState::Draining),
        };
        let to = choose_target(state, group, from)?;
        Some(MetaCommand::StartMove {
            group,
            from,
            to: Some(to),
        })
    })
}

/// What a group needs, the more urgent first.
fn needs(state: &MetaState, info: &GroupInfo) -> Vec<Need> {
    let lost = replica_on(state, info, |node| matches!(node, NodeState::Lost { .. }));
    let draining = replica_on(state, info, |node| node == NodeState::Draining);
    [
        (Need::ReplaceLost, lost.is_some()),
        (Need::Add, info.replicas.len() < state.wanted_replicas()),
        (Need::ReplaceDraining, draining.is_some()),
    ]
    .into_iter()
    .filter_map(|(need, applies)| applies.then_some(need))
    .collect()
}

fn replica_on(state: &MetaState, info: &GroupInfo, accepts: impl Fn(NodeState) -> bool) -> Option<ReplicaId> {
    info.replicas
        .iter()
        .find(|replica| state.node(replica.node).is_some_and(|node| accepts(node.state)))
        .map(|replica| replica.id)
}

fn in_use(state: &MetaState, info: &GroupInfo) -> usize {
    info.replicas
        .iter()
        .filter(|replica| state.node(replica.node).is_some_and(|node| node.state.in_use()))
        .count()
}

fn is_active(state: &MetaState, node: NodeId) -> bool {
    state.node(node).is_some_and(|info| info.state == NodeState::Active)
}
