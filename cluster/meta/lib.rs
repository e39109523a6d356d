//! The cluster's control plane as pure rules: no I/O, no clock, no randomness, no Raft. The meta group replicates
//! [`MetaCommand`]s and applies them to a [`MetaState`]; the reconciler asks the planners what to propose next.
//!
//! | file | what it holds |
//! |---|---|
//! | `ids` | identities of clusters, disks, nodes, groups and replicas |
//! | `address` | network addresses and zones |
//! | `limits` | every limit |
//! | `hashing` | the pinned hash |
//! | `slots` | slots, and which group holds which |
//! | `placement/` | slots on groups, replicas on nodes |
//! | `state` | what the meta group knows |
//! | `check` | what is true of every state |
//! | `command` | commands, answers and errors |
//! | `apply/` | what each command does, one file per family |
//! | `plan/` | what should be done next: moves, voters, leaders |
//! | `encode/` | bytes on disk and on the wire |
//!
//! Invariants (`README.md` says why):
//! - equal logs make equal states, on every machine and in every build that knows the state's versions;
//! - a command that fails changes nothing, one that changes something raises the version by one;
//! - node and replica ids are never given out twice;
//! - every slot leads to a group; a group's replicas are on distinct nodes; a group has at most one move under way;
//! - nothing here panics on input.

pub mod address;
mod apply;
pub mod check;
pub mod command;
pub mod encode;
mod hashing;
pub mod ids;
pub mod limits;
pub mod placement;
pub mod plan;
pub mod slots;
pub mod state;

pub use address::{Address, AddressError, Addresses, Zone};
pub use check::StateError;
pub use command::{Detail, Found, FoundingError, FoundingNode, MetaCommand, MetaError, MetaOutcome, Reason};
pub use encode::DecodeError;
pub use hashing::HASH_VERSION;
pub use ids::{ClusterId, GroupId, IdError, NodeId, NodeUuid, ReplicaId};
pub use slots::{Slot, SlotTable, slot_of};
pub use state::{Cluster, FEATURE_VERSION, GroupInfo, MetaState, Move, NodeInfo, NodeState, Replica};
