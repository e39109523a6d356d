//! Replicas on nodes, by rendezvous hashing within zones and loads.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::address::Zone;
use crate::hashing;
use crate::ids::{GroupId, NodeId};

/// A node that may take a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Which node.
    pub node: NodeId,
    /// Where it is.
    pub zone: &'a Zone,
    /// How many replicas it holds or is about to.
    pub load: usize,
}

/// Where a new group's replicas go: at most `factor` nodes, fewer when there are fewer, in the order of choice.
///
/// Zones come first (a group's replicas are spread over them as evenly as they can be), then load, then the rendezvous
/// score. The order of `candidates` does not matter.
pub fn place(group: GroupId, candidates: &[Candidate<'_>], factor: usize) -> Vec<NodeId> {
    let mut free = candidates.to_vec();
    let mut zones: BTreeMap<&Zone, usize> = BTreeMap::new();
    let mut chosen = Vec::with_capacity(factor.min(free.len()));
    while chosen.len() < factor {
        let Some(next) = pick(group, &free, &zones) else { break };
        *zones.entry(next.zone).or_default() += 1;
        free.retain(|candidate| candidate.node != next.node);
        chosen.push(next.node);
    }
    chosen
}

/// The best candidate for one more replica of a group that has `zones` of them in each zone already.
pub(crate) fn pick<'a>(
    group: GroupId,
    candidates: &[Candidate<'a>],
    zones: &BTreeMap<&Zone, usize>,
) -> Option<Candidate<'a>> {
    candidates.iter().copied().min_by_key(|candidate| {
        (
            zones.get(candidate.zone).copied().unwrap_or_default(),
            candidate.load,
            Reverse(hashing::score(group, candidate.node)),
            candidate.node,
        )
    })
}
