//! What the rules need of a backend: a coherent view, and a place to commit one set of changes.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use weir_protocol::producer::ProducerState;
use weir_protocol::{StreamName, Timestamp};

use crate::error::StorageError;
use crate::record::StreamRecord;
use crate::reference::{ForkKey, Reference};
use crate::row::{Row, RowRef};

/// Sees one row after the other until it breaks off.
pub(crate) type VisitRow<'a> = &'a mut dyn FnMut(RowRef<'_>) -> ControlFlow<()>;

/// Sees one fork after the other until it breaks off.
pub(crate) type VisitFork<'a> = &'a mut dyn FnMut(ForkKey) -> ControlFlow<()>;

/// Sees one stream after the other until it breaks off.
pub(crate) type VisitStream<'a> = &'a mut dyn FnMut(StreamName, StreamRecord) -> ControlFlow<()>;

/// Streams and their bytes.
pub(crate) trait Lookup {
    /// The record of a stream, also of one that clients no longer see.
    fn stream(&self, name: &StreamName) -> Result<Option<StreamRecord>, StorageError>;

    /// Shows the rows of a stream in order, beginning with the one that holds position `from` or, when there is none,
    /// the one after.
    fn rows(&self, id: u64, from: u64, visit: VisitRow<'_>) -> Result<(), StorageError>;
}

/// A coherent view of a store.
pub(crate) trait Rows: Lookup {
    /// What a stream remembers of a producer.
    fn producer(&self, id: u64, producer: &str) -> Result<Option<ProducerState>, StorageError>;

    /// Shows a stream's forks, live or kept for theirs.
    fn forks(&self, id: u64, visit: VisitFork<'_>) -> Result<(), StorageError>;

    /// Up to `limit` entries of the expiry index at or before `cutoff`, in order.
    fn due(&self, cutoff: Timestamp, limit: usize) -> Result<Vec<(Timestamp, StreamName)>, StorageError>;

    /// Shows the streams after `after` whose name begins with `prefix`, in order, tombstones included.
    fn streams(&self, prefix: &str, after: Option<&str>, visit: VisitStream<'_>) -> Result<(), StorageError>;

    /// The next stream id to give away; 1 in a new store.
    fn next_id(&self) -> Result<u64, StorageError>;
}

/// All that a batch changes. Maps are ordered, so that every replica writes in the same order.
#[derive(Debug, Default)]
pub(crate) struct Mutations {
    /// Records, `None` where one goes.
    pub(crate) streams: BTreeMap<StreamName, Option<StreamRecord>>,
    /// New rows, by stream id, in order.
    pub(crate) rows: BTreeMap<u64, Vec<Row>>,
    /// Producers' states.
    pub(crate) producers: BTreeMap<(u64, Arc<str>), ProducerState>,
    /// The forks of a stream id: `true` where one is added, `false` where one goes.
    pub(crate) forks: BTreeMap<(u64, ForkKey), bool>,
    /// The outbox by fork id: what is added, `None` where an entry goes.
    pub(crate) outbox: BTreeMap<u64, Option<Reference>>,
    /// The expiry index: `true` where an entry is added, `false` where one goes.
    pub(crate) deadlines: BTreeMap<(Timestamp, StreamName), bool>,
    /// Stream ids whose rows and producers nobody will ask for again.
    pub(crate) discarded: Vec<u64>,
    /// The next stream id, when ids were given away.
    pub(crate) next_id: Option<u64>,
    /// See [`crate::Batch::applied`].
    pub(crate) applied: Option<Bytes>,
}

impl Mutations {
    /// Whether there is nothing to commit.
    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty()
            && self.rows.is_empty()
            && self.producers.is_empty()
            && self.forks.is_empty()
            && self.outbox.is_empty()
            && self.deadlines.is_empty()
            && self.discarded.is_empty()
            && self.next_id.is_none()
            && self.applied.is_none()
    }
}
