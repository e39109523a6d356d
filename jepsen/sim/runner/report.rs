//! What a seed's process says of its run, as one line of JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::invariant::Counts;
use crate::seed::Ran;

/// One seed's run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The one command that repeats it.
    pub repeat: String,
    /// What does not hold.
    pub violation: Option<String>,
    /// What the checkers say of the history.
    pub verdict: String,
    /// Simulated time, in milliseconds.
    pub elapsed_ms: u64,
    /// Operations of clients.
    pub operations: u64,
    /// Operations that succeeded.
    pub succeeded: u64,
    /// Processes that ended, for whatever reason.
    pub ends: u64,
    /// Sectors that were lost with power.
    pub lost_sectors: u64,
    /// How many faults of each kind began.
    pub faults: BTreeMap<String, u64>,
    /// How much was checked.
    pub counts: Counts,
    /// A hash of everything that happened.
    pub trace_hash: String,
    /// A hash of the history.
    pub history_hash: String,
}

impl Report {
    /// Of a run.
    #[must_use]
    pub fn of(seed: u64, repeat: String, ran: &Ran) -> Self {
        let outcome = &ran.outcome;
        Self {
            seed,
            repeat,
            violation: outcome.violation.clone(),
            verdict: outcome.verdict.clone(),
            elapsed_ms: outcome.elapsed_ms,
            operations: outcome.operations,
            succeeded: outcome.succeeded,
            ends: outcome.ends,
            lost_sectors: outcome.lost_sectors,
            faults: outcome.faults.clone(),
            counts: outcome.counts,
            trace_hash: format!("{:016x}", ran.hash),
            history_hash: format!("{:08x}", crc32c::crc32c(&outcome.history)),
        }
    }

    /// Of a process that did not get to the end of its run.
    #[must_use]
    pub fn broken(seed: u64, repeat: String, why: String) -> Self {
        Self {
            seed,
            repeat,
            violation: Some(why),
            ..Self::default()
        }
    }
}
