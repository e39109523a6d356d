//! Who should vote in the meta group.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::Zone;
use crate::ids::{NodeId, ReplicaId};
use crate::state::{MetaState, NodeInfo, NodeState};

/// The meta replicas that should vote, given those that do: five with five active nodes, three with three, otherwise
/// one. All other nodes are learners.
///
/// Voters are spread over zones; within that, those that vote already stay. With less than three active nodes, voters
/// that are draining or lost but still host replicas fill up to three: giving up the second and third copy would be
/// worse. Without any node to choose, `current` stays.
pub fn meta_voters(state: &MetaState, current: &BTreeSet<ReplicaId>) -> BTreeSet<ReplicaId> {
    let loads = state.loads();
    let mut eligible: Vec<_> = state
        .nodes()
        .iter()
        .filter_map(|(id, info)| {
            let stays = current.contains(&info.meta_replica);
            let hosts = loads.get(id).is_some_and(|load| *load > 0) || hosts_now(state, *id);
            let rank = match info.state {
                NodeState::Active => Rank::Active,
                NodeState::Draining if stays && hosts => Rank::Draining,
                NodeState::Lost { .. } if stays && hosts => Rank::Lost,
                _ => return None,
            };
            Some(Eligible {
                rank,
                stays,
                id: *id,
                info,
            })
        })
        .collect();
    let active = eligible.iter().filter(|node| node.rank == Rank::Active).count();
    let size = match (active, eligible.len()) {
        (5.., _) => 5,
        (3.., _) | (_, 3..) => 3,
        (_, 1..) => 1,
        (_, 0) => return current.clone(),
    };

    let mut zones: BTreeMap<&Zone, usize> = BTreeMap::new();
    let mut voters = BTreeSet::new();
    while voters.len() < size && !eligible.is_empty() {
        let in_zone = |node: &Eligible<'_>| zones.get(&node.info.zone).copied().unwrap_or_default();
        let best = (0..eligible.len()).min_by_key(|index| {
            let node = &eligible[*index];
            (node.rank, in_zone(node), !node.stays, node.id)
        });
        let Some(best) = best else { break };
        let chosen = eligible.swap_remove(best);
        *zones.entry(&chosen.info.zone).or_default() += 1;
        voters.insert(chosen.info.meta_replica);
    }
    voters
}

fn hosts_now(state: &MetaState, node: NodeId) -> bool {
    state.groups().values().any(|group| group.replica_on(node).is_some())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Active,
    Draining,
    Lost,
}

struct Eligible<'a> {
    rank: Rank,
    stays: bool,
    id: NodeId,
    info: &'a NodeInfo,
}
