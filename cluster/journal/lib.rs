//! One write-ahead log per node, shared by all its replicas.
//!
//! | file | what it holds |
//! |---|---|
//! | `journal` | the handle, its threads, opening and closing |
//! | `submit` | every change: append, vote, truncate, purge, committed, remove |
//! | `read` | reading entries and states |
//! | `writer/` | the one writer: fill a frame, write, sync, call back |
//! | `alone` | running the writer elsewhere than on its thread |
//! | `maintain` | giving up old segments, moving what is live in them |
//! | `prepare` | making and recycling segments before they are needed |
//! | `recover/` | opening existing files: scan, checks, replay |
//! | `group` | one replica in memory: as submitted, and as synced |
//! | `index`, `cache` | where entries stand on disk; the budget of those in memory |
//! | `shared` | the queue and its limits |
//! | `format/`, `segment` | bytes on disk, file names |
//! | `disk`, `pages` | the file system behind a trait; frames as whole pages, for writes past its cache |
//! | `limits`, `types`, `error` | settings, values, errors |
//!
//! Invariants (`README.md` says why):
//! - A frame is written only after the frame before it was synced. A callback runs only after the sync of its frame.
//! - Frames and submissions have the same order; after a crash a prefix of it is found, never less than was called back.
//! - A sync that failed is never repeated: the journal stops for good.
//! - Segments are freed oldest first, after a synced frame said that recovery does not need them.
//! - Recovery takes space from nobody, and refuses what a crash cannot have caused.
//! - Deliberately absent: compression, encryption, locking the directory (the caller's), retrying.

mod alone;
mod cache;
mod disk;
mod error;
mod format;
mod group;
mod index;
mod journal;
mod limits;
mod maintain;
mod pages;
mod prepare;
mod read;
mod recover;
mod segment;
mod shared;
mod submit;
mod types;
mod writer;

pub use disk::{Disk, DiskFile, RealDisk};
pub use error::{Damage, Failure, OpenError, ReadError, SubmitError};
pub use journal::{Journal, Recovered, Stepper};
pub use limits::{Identity, MAX_SEGMENT_BYTES, MAX_VOTE_BYTES, MIN_SEGMENT_BYTES, Options, WRITE_TIME_BOUNDS_US};
pub use prepare::Prepared;
pub use recover::Cut;
pub use submit::append_bytes;
pub use types::{Callback, Entry, Leader, LogId, ReplicaKey, ReplicaState, SpaceStatus, Stats};
pub use writer::Step;
