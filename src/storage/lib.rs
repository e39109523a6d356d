//! The Storage contract: streams that survive, deterministic enough to be replicated.
//!
//! | file | what it holds |
//! |---|---|
//! | `contract` | the trait [`Storage`]: what a backend does |
//! | `command` | what is applied, and what it answers |
//! | `error` | why a backend fails |
//! | `machine/` | the rules: one file per operation, the same for every backend |
//! | `stage` | a batch in the making: what its commands have changed so far |
//! | `rows` | what the rules need of a backend: a view, and a set of changes to commit |
//! | `record` | what is kept of a stream |
//! | `reference` | forks whose source is another group's |
//! | `row` | how payload is kept: rows, each a run of consecutive bytes |
//! | `meta` | records, producers, forks and deadlines in maps, for the memory and the file backend |
//! | `memory` | backend: maps in memory |
//! | `file/` | backend: an append log per stream |
//! | `redb/` | backend: an ACID B-tree |
//! | `limits` | sizes that nobody may set |
//!
//! Invariants:
//! - The rules read no clock, no randomness, no configuration, and iterate over no unordered map: two stores that applied
//!   the same commands in the same order hold the same streams and gave the same answers.
//! - A backend decides nothing: it shows a coherent view and commits one set of changes, whole or not at all.
//! - A batch that changes nothing writes nothing.
//! - Stored bytes never change and never move to another offset.
//!
//! Deliberately absent: async code (a caller brings its own threads), and notification of readers: a change is part of
//! an answer ([`Applied::changes`]), and whoever applies batches tells it on.

mod command;
mod contract;
mod error;
mod file;
mod limits;
mod machine;
mod memory;
mod meta;
mod record;
mod redb;
mod reference;
mod row;
mod rows;
mod stage;

pub use command::{Applied, Batch, Change, Command, Expired, Op, Outcome, Retain};
pub use contract::{Export, Import, Inherited, PendingCheckpoint, ProducerTable, Storage};
pub use error::StorageError;
pub use file::{FileOptions, FileStorage};
pub use limits::LATE_FORK;
pub use memory::MemoryStorage;
pub use redb::{RealFiles, RedbOptions, RedbStorage, StoreFiles};
pub use reference::{
    Boundary, Elsewhere, Fetched, Given, Probed, RETAINED_FOR_MS, Reference, ReferenceCursor, ReferencePage, Retained,
};
