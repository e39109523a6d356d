//! Groups of replicas behind the trait `Streams`.
//!
//! | file | what it holds |
//! |---|---|
//! | `node` | a node from its first start to its end |
//! | `router` | the trait `Streams`: which group an operation goes to |
//! | `fork/` | forks whose source is another group's |
//! | `view` | the cluster's shape, as the data path needs it |
//! | `group/` | one group: propose, barrier and read, renew, watch, its state machine |
//! | `raft/` | Raft, by openraft: the only place that names it |
//! | `journal/` | a crate: the node's write-ahead log |
//! | `meta/` | a crate: the control plane's rules, without I/O |
//! | `control/` | the control plane at work: forming, joining, hosting, reconciling |
//! | `admin` | what operators can see and do |
//! | `report` | what a node measures of itself |
//! | `peer/` | how nodes talk |
//! | `codec/` | commands, answers and reads as bytes |
//! | `memory_disk` | the journal's disk for nodes that keep everything in memory |
//! | `disk_space` | whether the disk has room for further writes |
//! | `clock` | the system's clock |
//! | `platform` | what a node takes from its machine, for simulations to replace |
//! | `probe` | what simulations look at |
//! | `blocking` | calls that may block for long |
//! | `limits` | sizes and times that nobody may set |
//!
//! The path of a write: `router` -> `group/propose` -> `group/attempt` -> (`peer`, `group/serve` on the leader's node) ->
//! `raft/replica` -> `raft/log_store` and `raft/network` -> `raft/state_machine` -> `group/machine` -> the Storage contract ->
//! `group/watch` -> answer. The path of a read: `router` -> `group/read` -> `group/barrier` -> the Storage contract.
//!
//! Invariants:
//! - A write is answered after a majority has it on disk and the leader has applied it; what is not certain to have been
//!   done or not done is said to be unknown.
//! - A proposal is applied once, however often it is sent.
//! - Commands carry their time; within a group it never runs backwards.
//! - A store is never durable beyond the log; the log is never purged beyond the durable store.
//! - Whatever queues is bounded; a full queue is refused, not waited for.
//! - A failed write to a disk ends the process.

mod admin;
mod blocking;
mod clock;
mod codec;
mod control;
mod disk_space;
mod fork;
mod group;
mod limits;
mod memory_disk;
mod node;
mod peer;
mod platform;
mod probe;
mod raft;
mod report;
mod router;
mod view;

pub use admin::{Admin, AdminError, ClusterStatus, GroupStatus, NodeStatus, NotReady, ReplicaHash, ReplicaLine};
pub use clock::SystemClock;
pub use control::{CommandError, FormError, IdentityError};
pub use node::{CloseError, Node, NodeOptions, OpenError, StorageKind};
pub use platform::{Connect, Connection, Network, PeerListener, Platform, StepJournal, Threads};
pub use probe::{Done, Probe, Replay, ReplicaView};
pub use report::{ReplicaReport, Report};
pub use weir_journal::{Stats as JournalStats, WRITE_TIME_BOUNDS_US};
pub use weir_meta as meta;
