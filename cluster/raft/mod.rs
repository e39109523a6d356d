//! Raft, by openraft: the only place that names it. Messages and log records have encodings of our own.
//!
//! | file | what it holds |
//! |---|---|
//! | `types` | openraft's types with ours put in |
//! | `runtime` | tokio as openraft's runtime, with a pace for its ticks |
//! | `settings` | timers and limits of a replica |
//! | `encode` | messages and records as bytes |
//! | `log_store` | the log, in the node's journal |
//! | `state_machine` | committed entries on their way into a [`Machine`] |
//! | `machine` | what a replica replicates, as a trait |
//! | `mark` | a note beside a state that came by snapshot |
//! | `network` | messages to other replicas |
//! | `pipeline` | append requests on their way to one replica, and what is told of their answers |
//! | `snapshot` | snapshots sent and received piece by piece |
//! | `serve` | messages from other replicas |
//! | `replica` | one replica: opening, proposing, reading, changing members |

#[cfg(test)]
mod confirm;
mod encode;
#[cfg(test)]
mod founders;
mod log_store;
#[cfg(test)]
pub(crate) mod lost;
mod machine;
mod mark;
mod members;
mod network;
mod pipeline;
mod replica;
mod runtime;
mod serve;
mod settings;
mod snapshot;
#[cfg(test)]
pub(crate) mod stalled;
mod state_machine;
#[cfg(test)]
mod suite;
mod types;

pub(crate) use machine::{
    Answer, LogEntry, Machine, PendingCheckpoint, Position, SnapshotSink, SnapshotSource, Staged, StateHash,
};
pub(crate) use mark::SnapshotMark;
pub(crate) use members::Seen;
pub(crate) use replica::{NotLeader, OpenReplicaError, Replica, ReplicaOptions, ReplicaStatus, WriteError};
pub(crate) use serve::Appends;
pub(crate) use settings::RaftSettings;
pub(crate) use state_machine::advance;
