//! Groups of replicas behind the trait `Streams`.
//!
//! | file | what it holds |
//! |---|---|
//! | `node` | opening and closing what one process keeps |
//! | `router` | the trait `Streams`: which group an operation goes to |
//! | `group/propose` | writes: from many callers into few batches, and the answers back |
//! | `group/read` | reads, and what they renew |
//! | `group/renew` | TTL renewals, collected and proposed in batches |
//! | `group/watch` | who waits for a stream's next change |
//! | `group/housekeeping` | expiry, and the store's own upkeep |
//! | `clock` | the system's clock |
//! | `limits` | sizes and times that nobody may set |
//!
//! Invariants:
//! - An answer to a write is given after the batch that holds it is durable, and never otherwise.
//! - Commands carry their time; within a group it never runs backwards.
//! - Watchers are told in the order of the batches.
//! - Whatever queues is bounded; a full queue is refused, not waited for.
//! - After a failed write the node answers no write again: the process ends.

mod clock;
mod group;
mod limits;
mod node;
mod router;

pub use clock::SystemClock;
pub use node::{CloseError, Node, NodeOptions, OpenError, StorageKind};
