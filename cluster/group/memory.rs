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

/// An origin that proposed nothing for so long (by the log's own time) is forgotten: its process has ended.
const FORGET_AFTER_MS: u64 = 60 * 60 * 1000;

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
    answered: BTreeMap<u64, Outcome>,
}

/// What is known of a proposal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    /// Nothing: apply it.
    New,
    /// It was applied and answered so.
    Answered(Outcome),
    /// Nobody waits for it: it must not be applied.
    Forgotten,
}

impl Memory {
    /// The time of a batch stamped `at`: time does not run backwards, whatever the leaders' clocks do.
    pub(crate) fn advance(&mut self, at: u64) -> u64 {
        self.last_at = self.last_at.max(at);
        self.last_at
    }

    pub(crate) fn last_at(&self) -> u64 {
        self.last_at
    }

    /// Takes note of an origin's floor.
    pub(crate) fn raise_floor(&mut self, origin: u64, floor: u64) {
        let last_at = self.last_at;
        let known = self.origins.entry(origin).or_default();
        known.last_at = last_at;
        if floor > known.floor {
            known.floor = floor;
            known.answered = known.answered.split_off(&floor);
        }
    }

    pub(crate) fn seen(&self, origin: u64, id: u64) -> Seen {
        match self.origins.get(&origin) {
            Some(known) if id < known.floor => Seen::Forgotten,
            Some(known) => known.answered.get(&id).cloned().map_or(Seen::New, Seen::Answered),
            None => Seen::New,
        }
    }

    pub(crate) fn answered(&mut self, origin: u64, id: u64, outcome: Outcome) {
        self.origins.entry(origin).or_default().answered.insert(id, outcome);
    }

    /// Forgets origins that have ended.
    pub(crate) fn forget_ended(&mut self) {
        let oldest = self.last_at.saturating_sub(FORGET_AFTER_MS);
        self.origins.retain(|_, origin| origin.last_at >= oldest);
    }

    pub(crate) fn origins_to_pb(&self) -> Vec<pb::Origin> {
        let answered = |(id, outcome): (&u64, &Outcome)| pb::Answered {
            id: *id,
            outcome: outcome_to_pb(Some(outcome)).encode_to_vec().into(),
        };
        let origin = |(origin, known): (&u64, &Origin)| pb::Origin {
            origin: *origin,
            floor: known.floor,
            last_at: known.last_at,
            answered: known.answered.iter().map(answered).collect(),
        };
        self.origins.iter().map(origin).collect()
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
                known.answered.insert(answered.id, outcome.ok_or(Malformed)?);
            }
            memory.origins.insert(origin.origin, known);
        }
        Ok(memory)
    }
}
