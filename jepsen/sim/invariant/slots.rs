//! One group per stream: all nodes, at all times, have the same table of slots.

use std::collections::BTreeMap;

use weir_journal::LogId;

use super::{Checked, violated};

/// The table, once anybody has it. Nothing changes it after the cluster was founded.
#[derive(Default)]
pub(super) struct Slots {
    table: Vec<u64>,
    /// By node: how far its meta group had come when its table was looked at.
    seen: BTreeMap<usize, LogId>,
}

impl Slots {
    /// A process has ended.
    pub(super) fn forget(&mut self, node: usize) {
        self.seen.remove(&node);
    }

    /// Whether a node's table may be another than it was when it was looked at last.
    pub(super) fn may_differ(&mut self, node: usize, applied: Option<LogId>) -> bool {
        applied.is_some_and(|applied| self.seen.insert(node, applied) != Some(applied))
    }

    /// Looks at a node's table; it is empty before the node knows of a cluster.
    pub(super) fn check(&mut self, node: usize, table: Vec<u64>) -> Checked {
        if table.is_empty() || table == self.table {
            return Ok(());
        }
        if self.table.is_empty() {
            self.table = table;
            return Ok(());
        }
        let differ = self.table.iter().zip(&table).filter(|(ours, theirs)| ours != theirs);
        let seen = format!(
            "n{node} has {} slots, {} of them in other groups",
            table.len(),
            differ.count()
        );
        Err(violated("one group per stream", seen))
    }

    /// Whether anybody has it.
    pub(super) fn is_known(&self) -> bool {
        !self.table.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_in_another_group_is_found() {
        let mut slots = Slots::default();
        slots.check(1, Vec::new()).unwrap();
        assert!(!slots.is_known());
        slots.check(1, vec![1, 2, 3]).unwrap();
        slots.check(2, vec![1, 2, 3]).unwrap();
        slots.check(2, Vec::new()).unwrap();
        let found = slots.check(3, vec![1, 2, 2]).unwrap_err();
        assert_eq!(found.invariant, "one group per stream");
        assert!(slots.check(3, vec![1, 2]).is_err());
    }
}
