//! Changes that are applied and not yet in the file.
//!
//! What lies here shares its maps with every view that was taken of it, so taking one costs nothing and a view never
//! changes. That is what the persistent maps are for.

use std::sync::Arc;

use bytes::Bytes;
use imbl::{OrdMap, OrdSet};
use weir_protocol::producer::ProducerState;
use weir_protocol::{StreamName, Timestamp};

use crate::record::StreamRecord;
use crate::reference::{ForkKey, Reference};
use crate::row::Row;
use crate::rows::Mutations;

/// About how many bytes a changed thing takes beside its payload.
const OVERHEAD_BYTES: u64 = 256;

/// The sum of many batches' [`Mutations`]; the fields are theirs.
#[derive(Clone, Default)]
pub(super) struct Held {
    pub(super) streams: OrdMap<StreamName, Option<Arc<StreamRecord>>>,
    /// By stream id, then by position.
    pub(super) rows: OrdMap<u64, OrdMap<u64, Arc<Row>>>,
    pub(super) producers: OrdMap<u64, OrdMap<Arc<str>, ProducerState>>,
    pub(super) forks: OrdMap<u64, OrdMap<ForkKey, bool>>,
    pub(super) outbox: OrdMap<u64, Option<Reference>>,
    pub(super) deadlines: OrdMap<(Timestamp, StreamName), bool>,
    pub(super) discarded: OrdSet<u64>,
    pub(super) next_id: Option<u64>,
    pub(super) applied: Option<Bytes>,
    /// About how much memory this takes.
    bytes: u64,
    /// How many of them are payload.
    payload_bytes: u64,
}

impl Held {
    /// Adds what a batch changes on top of what is here.
    pub(super) fn merge(&mut self, mutations: Mutations) {
        for (name, record) in mutations.streams {
            self.bytes += OVERHEAD_BYTES;
            self.streams.insert(name, record.map(Arc::new));
        }
        for (id, rows) in mutations.rows {
            let of_stream = self.rows.entry(id).or_default();
            for row in rows {
                self.bytes += OVERHEAD_BYTES + row.payload.len() as u64;
                self.payload_bytes += row.payload.len() as u64;
                of_stream.insert(row.start, Arc::new(row));
            }
        }
        for ((id, producer), state) in mutations.producers {
            self.bytes += OVERHEAD_BYTES;
            self.producers.entry(id).or_default().insert(producer, state);
        }
        for ((id, fork), is_fork) in mutations.forks {
            self.bytes += OVERHEAD_BYTES;
            self.forks.entry(id).or_default().insert(fork, is_fork);
        }
        for (fork_id, reference) in mutations.outbox {
            self.bytes += OVERHEAD_BYTES;
            self.outbox.insert(fork_id, reference);
        }
        for (deadline, is_there) in mutations.deadlines {
            self.bytes += OVERHEAD_BYTES;
            self.deadlines.insert(deadline, is_there);
        }
        for id in mutations.discarded {
            // Nobody asks for them again, so they need not reach the file.
            self.rows.remove(&id);
            self.producers.remove(&id);
            self.bytes += OVERHEAD_BYTES;
            self.discarded.insert(id);
        }
        self.next_id = mutations.next_id.or(self.next_id);
        if mutations.applied.is_some() {
            self.applied = mutations.applied;
        }
    }

    /// Whether there is nothing to commit.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0 && self.next_id.is_none() && self.applied.is_none()
    }

    /// About how much memory this takes, in bytes. What was replaced counts, too.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many payload bytes were added.
    pub(super) fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }
}
