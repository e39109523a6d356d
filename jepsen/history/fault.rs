//! What the nemesis did, and what the harness noted.

use serde::{Deserialize, Serialize};

/// The name of what is no fault of ours: a process that ended though nobody ended it, and whose files nobody spoiled.
pub const CRASH: &str = "crash";

/// One end of a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Joins `begin` and `end`; unique in the run.
    pub id: u64,
    /// What kind: `kill`, `pause`, `partition-ring`, ...
    pub name: String,
    /// Which end.
    pub stage: Stage,
    /// Nodes (`n1`), links (`n1>n2`), files, replicas.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Whether it did anything; absent: not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<bool>,
    /// How that is known: `pid 71 gone`, `412 packets dropped`, `term 3 -> 4`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub evidence: String,
}

/// Which end of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It starts to act.
    Begin,
    /// It is undone.
    End,
}

/// A turn of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// The load begins.
    Started,
    /// Every fault is undone, every node runs: from here on the liveness limit counts.
    Healed,
    /// Every replica has reached the same state.
    Converged,
    /// They have not, though they had more time than they are allowed.
    NotConverged,
    /// The run is over; nothing is missing.
    Ended,
}

/// What one replica's state machine says of itself; the event's `node` says whose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateHash {
    /// The group.
    pub group: u64,
    /// The index of the last applied entry.
    pub applied: u64,
    /// The hash of the state after it.
    pub hash: String,
}
