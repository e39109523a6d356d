//! Log matching: two entries with the same index of the same leader are the same, and so is everything before them.

use std::collections::BTreeMap;

use weir_journal::{Entry, Leader, LogId};

use super::{Checked, Replica, Violation, violated};

/// An entry and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Link {
    sum: u32,
    bytes: usize,
    before: Option<Leader>,
}

/// All entries that were ever seen in a log.
#[derive(Default)]
pub(super) struct Logs {
    links: BTreeMap<(u64, u64, Leader), Link>,
    /// By node and group: the last entry seen.
    seen: BTreeMap<(usize, u64), LogId>,
}

impl Logs {
    /// A process has ended: its log is looked at anew.
    pub(super) fn forget(&mut self, node: usize) {
        self.seen.retain(|(of, _), _| *of != node);
    }

    /// Looks at the entries that are new since the last time; says how many.
    pub(super) fn check(&mut self, replica: &Replica<'_>) -> Result<u64, Violation> {
        let key = replica.key();
        let state = replica.journal.state(key);
        let place = (replica.node, key.group);
        let (Some(last), Some(first)) = (state.last, state.first_index) else {
            return Ok(0);
        };
        let seen = self.seen.get(&place).copied();
        if seen == Some(last) {
            return Ok(0);
        }
        // What was seen before and is still there needs no second look: an entry follows from the one after it.
        let from = match seen {
            Some(seen) if replica.journal.leader_at(key, seen.index) == Some(seen.leader) => seen.index + 1,
            _ => first,
        };
        let entries = replica.journal.read(key, from..last.index + 1, u64::MAX);
        let entries = entries.map_err(|error| violated("logs can be read", format!("{}: {error}", replica.name())))?;
        let count = entries.len() as u64;
        for entry in entries {
            self.link(replica, &entry)?;
        }
        self.seen.insert(place, last);
        Ok(count)
    }

    fn link(&mut self, replica: &Replica<'_>, entry: &Entry) -> Checked {
        let key = replica.key();
        let before = entry.id.index.checked_sub(1);
        let link = Link {
            sum: crc32c::crc32c(&entry.payload),
            bytes: entry.payload.len(),
            before: before.and_then(|index| replica.journal.leader_at(key, index)),
        };
        let known = self.compare(key.group, entry.id, link);
        known.map_err(|known| {
            let seen = format!(
                "{} has {:?} as {link:?}, another log as {known:?}",
                replica.name(),
                entry.id
            );
            violated("log matching", seen)
        })
    }

    /// Compares an entry with what is known of it; gives that, where it is another.
    fn compare(&mut self, group: u64, id: LogId, link: Link) -> Result<(), Link> {
        let known = self.links.entry((group, id.index, id.leader)).or_insert(link);
        let same = (known.sum, known.bytes) == (link.sum, link.bytes);
        // Behind the purge point nothing is known of the entry before.
        let linked = known.before == link.before || known.before.is_none() || link.before.is_none();
        if !same || !linked {
            return Err(*known);
        }
        if known.before.is_none() {
            *known = link;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEADER: Leader = Leader { term: 2, node: 5 };
    const ID: LogId = LogId {
        leader: LEADER,
        index: 9,
    };

    fn link(sum: u32, before: Option<u64>) -> Link {
        Link {
            sum,
            bytes: 10,
            before: before.map(|term| Leader { term, node: 5 }),
        }
    }

    #[test]
    fn another_entry_under_one_id_is_found() {
        let mut logs = Logs::default();
        logs.compare(7, ID, link(1, Some(2))).unwrap();
        logs.compare(7, ID, link(1, Some(2))).unwrap();
        // Another group's is another entry; what was purged says nothing.
        logs.compare(8, ID, link(3, Some(2))).unwrap();
        logs.compare(7, ID, link(1, None)).unwrap();
        assert_eq!(logs.compare(7, ID, link(3, Some(2))), Err(link(1, Some(2))));
    }

    #[test]
    fn another_entry_before_it_is_found() {
        let mut logs = Logs::default();
        logs.compare(7, ID, link(1, None)).unwrap();
        logs.compare(7, ID, link(1, Some(1))).unwrap();
        assert_eq!(logs.compare(7, ID, link(1, Some(2))), Err(link(1, Some(1))));
    }
}
