//! What a node had on disk when its process ended, for the time without it and to be found after it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_journal::{Journal, Leader, ReplicaKey};

use super::{Checked, Violation, violated};
use crate::node::Machine;

/// Synced entries of the nodes that are down.
#[derive(Default)]
pub struct Durable(Mutex<State>);

#[derive(Default)]
struct State {
    /// Replicas that were ever seen, with their nodes. A process that ends has given up some of them already.
    known: BTreeSet<(usize, ReplicaKey)>,
    /// By node and replica.
    kept: BTreeMap<(usize, ReplicaKey), Kept>,
    checked: u64,
    failure: Option<Violation>,
}

struct Kept {
    purged: Option<u64>,
    entries: BTreeMap<u64, Leader>,
    /// From where on the log was being cut, and perhaps written anew, without a sync so far: what is found there may be
    /// the old entries, none, or the new ones.
    cut_from: Option<u64>,
}

impl Kept {
    fn of(journal: &Journal, key: ReplicaKey) -> Self {
        let state = journal.state(key);
        let last = state.last.map_or(0, |last| last.index);
        let entries: BTreeMap<_, _> = (state.first_index.unwrap_or(last)..=last)
            .filter_map(|index| Some((index, journal.synced_leader_at(key, index)?)))
            .collect();
        let is_cut = |(index, leader): &(&u64, &Leader)| journal.leader_at(key, **index) != Some(**leader);
        Self {
            purged: state.last_purged.map(|purged| purged.index),
            cut_from: entries.iter().find(is_cut).map(|(index, _)| *index),
            entries,
        }
    }
}

impl Kept {
    /// The first entry that a journal has not which was opened after that; it may have purged some since.
    fn lost(&self, purged: Option<u64>, found: impl Fn(u64) -> Option<Leader>) -> Option<(u64, Leader)> {
        let stays =
            |index: &u64| purged.is_none_or(|purged| purged < *index) && self.cut_from.is_none_or(|from| *index < from);
        let due = self.entries.iter().filter(|(index, _)| stays(index));
        let mut lost = due.filter(|(index, leader)| found(**index) != Some(**leader));
        lost.next().map(|(index, leader)| (*index, *leader))
    }
}

impl Durable {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was found wrong since the last call.
    pub(super) fn failure(&self) -> Checked {
        self.state().failure.take().map_or(Ok(()), Err)
    }

    pub(super) fn checked(&self) -> u64 {
        self.state().checked
    }

    /// Takes note of a replica.
    pub(super) fn see(&self, node: usize, key: ReplicaKey) {
        self.state().known.insert((node, key));
    }

    /// Takes note of what a node has, before its process ends.
    pub fn keep(&self, machine: &Machine) {
        // A node that is not open yet has a journal all the same, and takes entries.
        let Some(journal) = machine.steps.journal() else {
            return;
        };
        let State { known, kept, .. } = &mut *self.state();
        for (node, key) in known.iter().filter(|(node, _)| *node == machine.number) {
            kept.insert((*node, *key), Kept::of(&journal, *key));
        }
    }

    /// A node's disk is lost.
    pub fn lose(&self, node: usize) {
        self.state().kept.retain(|(of, _), _| *of != node);
    }

    /// A journal was opened: everything that was synced is there.
    pub fn recovered(&self, node: usize, journal: &Arc<Journal>) {
        let mut state = self.state();
        let State {
            kept, checked, failure, ..
        } = &mut *state;
        for ((_, key), kept) in kept.iter().filter(|((of, _), _)| *of == node) {
            let purged = journal.state(*key).last_purged.map(|purged| purged.index);
            *checked += kept.entries.len() as u64;
            if let Some((index, leader)) = kept.lost(purged, |index| journal.leader_at(*key, index)) {
                let found = journal.leader_at(*key, index);
                let seen = format!("n{node} {key:?} had {index} of {leader:?}, and has {found:?} after its restart");
                failure.get_or_insert(violated("what was synced survives", seen));
            }
        }
    }

    /// Whether a node has an entry on disk, running or not.
    pub(super) fn has(&self, machine: &Machine, key: ReplicaKey, index: u64, leader: Leader) -> bool {
        if let Some(journal) = machine.steps.journal() {
            let purged = journal
                .state(key)
                .last_purged
                .is_some_and(|purged| index <= purged.index);
            return purged || journal.synced_leader_at(key, index) == Some(leader);
        }
        let state = self.state();
        let kept = state.kept.get(&(machine.number, key));
        kept.is_some_and(|kept| {
            kept.purged.is_some_and(|purged| index <= purged) || kept.entries.get(&index) == Some(&leader)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_a_restart_lost_is_found() {
        let leader = |term| Leader { term, node: 5 };
        let kept_with = |cut_from| Kept {
            purged: None,
            entries: BTreeMap::from([(1, leader(1)), (2, leader(1)), (3, leader(2))]),
            cut_from,
        };
        let kept = kept_with(None);
        let log = |terms: [u64; 4]| move |index: u64| terms.get(index as usize).map(|term| leader(*term));
        assert_eq!(kept.lost(None, log([0, 1, 1, 2])), None);
        assert_eq!(kept.lost(Some(2), log([0, 0, 0, 2])), None);
        assert_eq!(kept.lost(None, log([0, 1, 1, 3])), Some((3, leader(2))));
        assert_eq!(
            kept.lost(None, |index| (index < 3).then(|| leader(1))),
            Some((3, leader(2)))
        );
        // Where a cut was on its way it may have arrived, but nothing before it may be missing.
        assert_eq!(kept_with(Some(3)).lost(None, log([0, 1, 1, 3])), None);
        assert_eq!(kept_with(Some(3)).lost(None, log([0, 1, 3, 3])), Some((2, leader(1))));
    }
}
