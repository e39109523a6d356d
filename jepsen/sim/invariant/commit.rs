//! State machine safety, leader completeness, and that a majority has on disk what was applied anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bytes::Bytes;
use weir_journal::{Leader, LogId, ReplicaKey};

use super::durable::Durable;
use super::{Checked, Replica, Violation, violated};
use crate::node::Machine;

/// An entry that some replica has applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    leader: Leader,
    /// The vote of the replica on which it was seen first: it was committed under this one or an earlier one.
    under: Leader,
}

/// One group's committed log.
#[derive(Default)]
struct Group {
    entries: BTreeMap<u64, Entry>,
    /// The last index that is known to be on a majority's disks.
    durable: u64,
    /// By replica: its node.
    members: BTreeMap<u64, usize>,
    /// The voters, as the replica has them that applied last.
    voters: Vec<BTreeSet<u64>>,
}

impl Group {
    fn upto(&self) -> Option<u64> {
        self.entries.keys().next_back().copied()
    }

    /// Takes note of an applied entry, and says whether nobody had applied it before; gives what another replica has
    /// applied there, if that is another.
    fn note(&mut self, index: u64, entry: Entry) -> Result<bool, Entry> {
        match self.entries.get(&index) {
            Some(known) if known.leader != entry.leader => Err(*known),
            Some(_) => Ok(false),
            None if self.upto().is_none_or(|upto| index == upto + 1) => {
                self.entries.insert(index, entry);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// The first entry that one who leads under `vote` has to have, and has not.
    fn lacks(&self, vote: Leader, purged: Option<u64>, has: impl Fn(u64) -> Option<Leader>) -> Option<(u64, Entry)> {
        let due = self.entries.iter().filter(|(index, entry)| {
            let is_purged = purged.is_some_and(|purged| **index <= purged);
            entry.under < vote && !is_purged
        });
        let mut lacking = due.filter(|(index, entry)| has(**index) != Some(entry.leader));
        lacking.next().map(|(index, entry)| (*index, *entry))
    }
}

/// Whether a majority of the voters has something. During a change of members one of the two sets must do: which one
/// depends on when it was committed.
fn is_held(voters: &[BTreeSet<u64>], has: impl Fn(u64) -> bool) -> bool {
    let holds = |set: &BTreeSet<u64>| set.iter().filter(|replica| has(**replica)).count() * 2 > set.len();
    voters.iter().any(holds)
}

/// What was applied, by group.
#[derive(Default)]
pub(super) struct Committed {
    groups: BTreeMap<u64, Group>,
    /// By node and group: the last index applied that was looked at.
    seen: BTreeMap<(usize, u64), u64>,
    /// By group and node: the last vote with which it was seen to lead.
    leaders: BTreeMap<(u64, usize), Leader>,
}

/// What was found new, and entries that nobody had applied before.
type News = (u64, Vec<(LogId, Bytes)>);

impl Committed {
    /// A process has ended: it may begin again at an earlier state.
    pub(super) fn forget(&mut self, node: usize) {
        self.seen.retain(|(of, _), _| *of != node);
        self.leaders.retain(|(_, of), _| *of != node);
    }

    /// State machine safety: what a replica has applied is what any other has applied at that index.
    pub(super) fn check(&mut self, replica: &Replica<'_>) -> Result<News, Violation> {
        let key = replica.key();
        let group = self.groups.entry(key.group).or_default();
        group.members.insert(key.replica, replica.node);
        let Some(applied) = replica.view.applied else {
            return Ok((0, Vec::new()));
        };
        let place = (replica.node, key.group);
        let before = self.seen.get(&place).copied();
        if before == Some(applied.index) {
            return Ok((0, Vec::new()));
        }
        if before.is_some_and(|before| before > applied.index) {
            let seen = format!("{} went back from {before:?} to {applied:?}", replica.name());
            return Err(violated("applied entries stay applied", seen));
        }
        self.seen.insert(place, applied.index);
        group.voters = replica.probe.voters(key.group);
        let mut news = Vec::new();
        for index in before.map_or(0, |before| before + 1)..=applied.index {
            // Entries that came with a snapshot are in no log here; neither are those that were purged.
            let Some(leader) = replica.journal.leader_at(key, index) else {
                continue;
            };
            let under = replica.view.vote.0;
            let is_new = group.note(index, Entry { leader, under }).map_err(|known| {
                let seen = format!("{} applied {index} of {leader:?}, another of {known:?}", replica.name());
                violated("state machine safety", seen)
            })?;
            if is_new {
                let payload = read(replica, key, index)?;
                news.push((LogId { leader, index }, payload));
            }
        }
        match group.entries.get(&applied.index) {
            Some(known) if known.leader == applied.leader => Ok((news.len() as u64, news)),
            known => Err(violated(
                "state machine safety",
                format!(
                    "{} applied {applied:?}, but the log that all have has {known:?}",
                    replica.name()
                ),
            )),
        }
    }

    /// Leader completeness: who leads has every entry that was committed under an earlier leader. Says whether it is
    /// a new one.
    pub(super) fn leader(&mut self, replica: &Replica<'_>) -> Result<bool, Violation> {
        let key = replica.key();
        let (vote, is_committed) = replica.view.vote;
        if !is_committed || vote.node != key.replica {
            // Its own vote is not on disk yet.
            return Ok(false);
        }
        if self.leaders.insert((key.group, replica.node), vote) == Some(vote) {
            return Ok(false);
        }
        let Some(group) = self.groups.get(&key.group) else {
            return Ok(true);
        };
        let purged = replica.journal.state(key).last_purged.map(|purged| purged.index);
        match group.lacks(vote, purged, |index| replica.journal.leader_at(key, index)) {
            None => Ok(true),
            Some((index, entry)) => Err(violated(
                "leader completeness",
                format!(
                    "{} leads as {vote:?} with {:?} at {index}, committed was {entry:?}",
                    replica.name(),
                    replica.journal.leader_at(key, index)
                ),
            )),
        }
    }

    /// What any replica has applied, and so may have been acknowledged, is on the disks of a majority of the voters.
    pub(super) fn majorities(&mut self, machines: &[Rc<Machine>], durable: &Durable) -> Checked {
        for (id, group) in &mut self.groups {
            let Some(upto) = group.upto().filter(|upto| *upto > group.durable) else {
                continue;
            };
            // Where a voter is, is known once its node was seen open; it may well have entries before.
            let is_known = |replica: &u64| group.members.contains_key(replica);
            if !group.voters.iter().flatten().all(is_known) {
                continue;
            }
            for (index, entry) in group.entries.range(group.durable + 1..=upto) {
                let has = |replica: u64| {
                    let node = group.members.get(&replica).copied().unwrap_or_default();
                    let key = ReplicaKey { group: *id, replica };
                    let machine = machines.iter().find(|machine| machine.number == node);
                    machine.is_some_and(|machine| durable.has(machine, key, *index, entry.leader))
                };
                if !is_held(&group.voters, has) {
                    return Err(violated(
                        "applied entries are durable on a majority",
                        format!(
                            "group {id} entry {index} of {entry:?}: voters {:?}, members {:?}",
                            group.voters, group.members
                        ),
                    ));
                }
            }
            group.durable = upto;
        }
        Ok(())
    }
}

fn read(replica: &Replica<'_>, key: ReplicaKey, index: u64) -> Result<Bytes, Violation> {
    let entries = replica.journal.read(key, index..index + 1, u64::MAX);
    let failed = |what: String| violated("logs can be read", format!("{} at {index}: {what}", replica.name()));
    let entry = entries.map_err(|error| failed(error.to_string()))?.pop();
    Ok(entry.ok_or_else(|| failed("nothing".to_owned()))?.payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn leader(term: u64) -> Leader {
        Leader { term, node: 5 }
    }

    fn group(terms: &[u64]) -> Group {
        let mut group = Group::default();
        for (index, term) in terms.iter().enumerate() {
            let entry = Entry {
                leader: leader(*term),
                under: leader(*term),
            };
            assert_eq!(group.note(index as u64, entry), Ok(true));
        }
        group
    }

    #[test]
    fn another_entry_applied_at_an_index_is_found() {
        let mut group = group(&[1, 1, 2]);
        let entry = |term| Entry {
            leader: leader(term),
            under: leader(9),
        };
        assert_eq!(group.note(1, entry(1)), Ok(false));
        // Behind a gap nothing is known of what comes before.
        assert_eq!(group.note(7, entry(3)), Ok(false));
        assert!(group.note(1, entry(2)).is_err());
    }

    #[test]
    fn a_leader_that_lacks_a_committed_entry_is_found() {
        let group = group(&[1, 1, 2]);
        let log = |terms: &'static [u64]| move |index: u64| terms.get(index as usize).map(|term| leader(*term));
        assert_eq!(group.lacks(leader(3), None, log(&[1, 1, 2])), None);
        // It was elected before the last one was committed.
        assert_eq!(group.lacks(leader(2), None, log(&[1, 1])), None);
        assert_eq!(group.lacks(leader(3), Some(2), log(&[])), None);
        assert_eq!(group.lacks(leader(3), None, log(&[1, 1])).unwrap().0, 2);
        assert_eq!(group.lacks(leader(3), None, log(&[1, 2, 2])).unwrap().0, 1);
    }

    #[test]
    fn a_minority_is_none() {
        let voters = [BTreeSet::from([1, 2, 3])];
        assert!(is_held(&voters, |replica| replica != 2));
        assert!(!is_held(&voters, |replica| replica == 2));
        let both = [BTreeSet::from([1, 2, 3]), BTreeSet::from([3, 4, 5])];
        assert!(is_held(&both, |replica| replica > 3));
        assert!(!is_held(&both, |replica| replica == 3));
        assert!(!is_held(&[], |_| true));
    }
}
