//! When a node may go.

use crate::command::Reason;
use crate::ids::NodeId;
use crate::placement::choose_target;
use crate::state::{MetaState, NodeState};

/// Whether a node may be removed. Nothing keeps a node that is unknown or was removed.
///
/// # Errors
/// All that is in the way, by group.
pub fn may_remove(state: &MetaState, node: NodeId) -> Result<(), Vec<Reason>> {
    let Some(info) = state.node(node).filter(|info| info.state != NodeState::Removed) else {
        return Ok(());
    };
    let mut reasons = Vec::new();
    if info.state == NodeState::Active {
        reasons.push(Reason::Active);
    }
    if state.meta_voters.contains(&info.meta_replica) {
        reasons.push(Reason::MetaVoter);
    }
    for (group, info) in &state.groups {
        let group = *group;
        if let Some(replica) = info.replica_on(node).map(|replica| replica.id) {
            let stuck = info.change.is_none() && choose_target(state, group, Some(replica)).is_none();
            reasons.push(if stuck {
                Reason::Stuck { group, replica }
            } else {
                Reason::Hosts { group, replica }
            });
        }
        if let Some(incoming) = info.incoming().filter(|replica| replica.node == node) {
            reasons.push(Reason::MoveTarget {
                group,
                replica: incoming.id,
            });
        }
    }
    if reasons.is_empty() { Ok(()) } else { Err(reasons) }
}
