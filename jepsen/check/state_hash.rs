//! Replicas that applied the same entries have the same state.

use std::collections::BTreeMap;

use super::verdict::{Check, Findings};
use super::view::View;

pub(crate) fn check(view: &View<'_>) -> Check {
    let mut findings = Findings::new("state-hash");
    let mut known: BTreeMap<(u64, u64), (u32, &str, u64)> = BTreeMap::new();
    for (index, node, state) in &view.history.hashes {
        findings.figure("hashes", 1);
        let first = *known
            .entry((state.group, state.applied))
            .or_insert((*node, state.hash.as_str(), *index));
        let (other, hash, at) = first;
        if other == *node && at == *index {
            continue;
        }
        findings.checked("comparisons", 1);
        if hash != state.hash {
            findings.error("states-differ", &[at, *index], || {
                format!(
                    "group {} at {}: n{other} has {hash}, n{node} has {}",
                    state.group, state.applied, state.hash
                )
            });
        }
    }
    let hashes = view.history.hashes.len();
    if hashes > 0 && hashes == known.len() {
        findings.undecided("no two replicas were seen at the same index");
    }
    findings.finish()
}
