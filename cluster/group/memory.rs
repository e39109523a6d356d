//! What was answered to proposals that may come again (DESIGN.md, decision 8).
//!
//! A front end (an *origin*) numbers its proposals to a group and tells with each the lowest that it still waits for.
//! So a proposal sent again after a change of leader is recognised, and what lies below the floor can be forgotten.
//! The memory is part of the replicated state: every replica has the same after the same entry.

use std::collections::BTreeMap;

use prost::Message as _;
use weir_proto::{entry, raft as pb};
use weir_storage::Outcome;

use crate::codec::{Malformed, outcome_from_pb, outcome_to_pb};

/// An origin that proposed nothing for so long (by the log's own time) is forgotten: its process has ended. The last
/// [`KEPT_ORIGINS`] are kept all the same: the time in the log comes from leaders' clocks, and one that jumps must not
/// make anybody forget what is still under way.
const FORGET_AFTER_MS: u64 = 60 * 60 * 1000;

/// How many origins are kept however long they were silent; more than any cluster has nodes.
const KEPT_ORIGINS: usize = 64;

/// How often (by the log's own time) somebody looks for such origins.
const FORGET_INTERVAL_MS: u64 = 60 * 1000;

/// The proposals of all origins.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Memory {
    origins: BTreeMap<u64, Origin>,
    /// The time of the last command.
    last_at: u64,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Origin {
    floor: u64,
    last_at: u64,
    /// By id: the outcome, unless it was lost with the process that had applied the proposal.
    answered: BTreeMap<u64, Option<Outcome>>,
}

/// What is known of a proposal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    /// Nothing: apply it.
    New,
    /// It was applied and answered so.
    Answered(Outcome),
    /// It must not be applied: nobody waits for it, or its answer is lost.
    Forgotten,
}

impl Memory {
    /// The time of a batch stamped `at`: time does not run backwards, whatever the leaders' clocks do. Forgets origins
    /// that have ended by then; when that happens depends on nothing but the log.
    pub(crate) fn advance(&mut self, at: u64) -> u64 {
        let before = self.last_at;
        self.last_at = before.max(at);
        if self.last_at / FORGET_INTERVAL_MS != before / FORGET_INTERVAL_MS {
            self.forget_ended();
        }
        self.last_at
    }

    fn forget_ended(&mut self) {
        let oldest = self.last_at.saturating_sub(FORGET_AFTER_MS);
        let mut known: Vec<(u64, u64)> = self.origins.iter().map(|(id, origin)| (origin.last_at, *id)).collect();
        known.sort_unstable();
        let spare = known.len().saturating_sub(KEPT_ORIGINS);
        for (_, id) in known.iter().take(spare).take_while(|(last_at, _)| *last_at < oldest) {
            self.origins.remove(id);
        }
    }

    /// Takes note of a batch that an origin proposed, at the time of the last [`Memory::advance`]. True when it was not
    /// known before.
    pub(crate) fn heard_of(&mut self, origin: u64) -> bool {
        let known = self.origins.len();
        self.origins.entry(origin).or_default().last_at = self.last_at;
        self.origins.len() > known
    }

    pub(crate) fn last_at(&self) -> u64 {
        self.last_at
    }

    /// Takes note of an origin's floor.
    pub(crate) fn raise_floor(&mut self, origin: u64, floor: u64) {
        if let Some(known) = self.origins.get_mut(&origin).filter(|known| floor > known.floor) {
            known.floor = floor;
            known.answered = known.answered.split_off(&floor);
        }
    }

    pub(crate) fn seen(&self, origin: u64, id: u64) -> Seen {
        match self.origins.get(&origin) {
            Some(known) if id < known.floor => Seen::Forgotten,
            Some(known) => match known.answered.get(&id) {
                Some(Some(outcome)) => Seen::Answered(outcome.clone()),
                Some(None) => Seen::Forgotten,
                None => Seen::New,
            },
            None => Seen::New,
        }
    }

    /// Remembers an answer, unless nobody waits for it: a later entry of the same piece may have said so already, and
    /// where pieces begin and end differs from replica to replica.
    pub(crate) fn answered(&mut self, origin: u64, id: u64, outcome: Outcome) {
        if let Some(known) = self.origins.get_mut(&origin).filter(|known| id >= known.floor) {
            known.answered.insert(id, Some(outcome));
        }
    }

    /// All of it, with `pending` proposals, by origin and id, as applied without a known outcome.
    pub(crate) fn origins_to_pb(&self, pending: impl IntoIterator<Item = (u64, u64)>) -> Vec<pb::Origin> {
        let answered = |(id, outcome): (&u64, &Option<Outcome>)| pb::Answered {
            id: *id,
            outcome: outcome_to_pb(outcome.as_ref()).encode_to_vec().into(),
        };
        let origin = |(origin, known): (&u64, &Origin)| pb::Origin {
            origin: *origin,
            floor: known.floor,
            last_at: known.last_at,
            answered: known.answered.iter().map(answered).collect(),
        };
        let mut origins: Vec<pb::Origin> = self.origins.iter().map(origin).collect();
        for (origin, id) in pending {
            let known = origins.binary_search_by_key(&origin, |known| known.origin);
            if let Some(known) = known.ok().map(|at| &mut origins[at]).filter(|known| id >= known.floor) {
                known.answered.push(pb::Answered {
                    id,
                    outcome: outcome_to_pb(None).encode_to_vec().into(),
                });
            }
        }
        origins
    }

    /// # Errors
    /// [`Malformed`] unless it was encoded by [`Memory::origins_to_pb`].
    pub(crate) fn from_pb(last_at: u64, origins: Vec<pb::Origin>) -> Result<Self, Malformed> {
        let mut memory = Self {
            last_at,
            origins: BTreeMap::new(),
        };
        for origin in origins {
            let mut known = Origin {
                floor: origin.floor,
                last_at: origin.last_at,
                answered: BTreeMap::new(),
            };
            for answered in origin.answered {
                let outcome = outcome_from_pb(entry::Outcome::decode(answered.outcome)?)?;
                known.answered.insert(answered.id, outcome);
            }
            memory.origins.insert(origin.origin, known);
        }
        Ok(memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a replica remembers after these batches of (time, origin, id, floor), applied in pieces of `size`.
    fn replay(batches: &[(u64, u64, u64, u64)], size: usize) -> Memory {
        let mut memory = Memory::default();
        for piece in batches.chunks(size) {
            for (at, origin, _, floor) in piece {
                memory.advance(*at);
                memory.heard_of(*origin);
                memory.raise_floor(*origin, *floor);
            }
            // Answers are known when the piece is committed.
            for (_, origin, id, _) in piece {
                memory.answered(*origin, *id, Outcome::Release);
            }
        }
        memory
    }

    #[test]
    fn what_is_remembered_does_not_depend_on_the_pieces() {
        let minute = 60_000_u64;
        let busy = (1_u64..200).map(|number| (minute + number, 1 + number % 3, number, number.saturating_sub(4)));
        // Many that end, a long silence, and a last one.
        let ended = (0_u64..100).map(|number| (10 * minute + number, 1000 + number, 1, 1));
        let last = (0_u64..3).map(|number| (200 * minute + number, 1, 300 + number, 300));
        let batches: Vec<_> = busy.chain(ended).chain(last).collect();
        let one_by_one = replay(&batches, 1);
        for size in [2, 7, 64, batches.len()] {
            assert_eq!(replay(&batches, size), one_by_one, "pieces of {size}");
        }
        // One more was heard of after the last look.
        assert_eq!(one_by_one.origins.len(), KEPT_ORIGINS + 1);
        assert_eq!(one_by_one.seen(1, 299), Seen::Forgotten);
        assert_eq!(one_by_one.seen(1, 301), Seen::Answered(Outcome::Release));
        assert_eq!(one_by_one.seen(1000, 1), Seen::New);
        let (last_at, origins) = (one_by_one.last_at(), one_by_one.origins_to_pb([]));
        assert_eq!(Memory::from_pb(last_at, origins).unwrap(), one_by_one);
        // Some were on their way into the store; one of them nobody waits for.
        let origins = one_by_one.origins_to_pb([(1, 299), (1, 303)]);
        let reopened = Memory::from_pb(last_at, origins).unwrap();
        assert_eq!(reopened.seen(1, 301), Seen::Answered(Outcome::Release));
        assert_eq!(
            (reopened.seen(1, 303), reopened.seen(1, 304)),
            (Seen::Forgotten, Seen::New)
        );
        assert!(!reopened.origins[&1].answered.contains_key(&299));
    }

    #[test]
    fn a_clock_that_jumps_makes_nobody_forget() {
        let mut memory = replay(&[(1000, 1, 1, 1)], 1);
        memory.advance(1000 + 10 * FORGET_AFTER_MS);
        assert_eq!(memory.seen(1, 1), Seen::Answered(Outcome::Release));
    }
}
