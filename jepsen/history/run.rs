//! What kind of run a history is of: the file's first line.

use serde::{Deserialize, Serialize};

/// A run's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The workload's name.
    pub workload: String,
    /// The nemeses' names; empty: none was wanted.
    #[serde(default)]
    pub nemeses: Vec<String>,
    /// How many nodes; they are numbered from 1.
    pub nodes: u32,
    /// How many replicas a group has; 0: one on every node. With fewer than nodes, a node may ask another for an
    /// eventual read, which then is monotonic for nobody.
    #[serde(default)]
    pub replication: u32,
    /// The seed.
    pub seed: u64,
    /// How long the load runs, in seconds.
    pub time_s: u64,
    /// How many operations per second were wanted.
    pub rate: u64,
    /// Where it ran: `namespaces`, `loopback`, `simulation`.
    pub place: String,
    /// The command that repeats it.
    pub command: String,
    /// When it began, in words.
    #[serde(default)]
    pub began: String,
    /// The checkers that this workload is for (their names in `check`): where such a checker finds nothing to check,
    /// the verdict is `unknown` instead of `not applicable`.
    #[serde(default)]
    pub expects: Vec<String>,
    /// What is allowed.
    #[serde(default)]
    pub limits: Limits,
    /// The nodes' logs, relative to the history's folder.
    #[serde(default)]
    pub logs: Vec<LogFile>,
    /// What the machine could not do, and whatever else a reader must know.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// One log of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFile {
    /// What it is the log of: `n1`.
    pub name: String,
    /// Relative to the history's folder.
    pub path: String,
}

/// Bounds that the checkers apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// How many operations must have succeeded for a verdict.
    pub min_ok: u64,
    /// How long after healing everything must work again, in milliseconds.
    pub liveness_ms: u64,
    /// How far the nodes' wall clocks may be wrong, in milliseconds: the sum of all clock faults' sizes.
    pub clock_error_ms: u64,
    /// How long a read's renewal of a TTL may take to reach all replicas, in milliseconds.
    pub renew_lag_ms: u64,
    /// How long after its expiry a stream may still be served, in milliseconds.
    pub expiry_lag_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            min_ok: 50,
            liveness_ms: 30_000,
            clock_error_ms: 0,
            renew_lag_ms: 1_000,
            expiry_lag_ms: 10_000,
        }
    }
}
