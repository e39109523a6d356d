//! Backend: maps in memory. Gone with the process.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{RwLock, RwLockReadGuard};

use bytes::Bytes;
use weir_protocol::producer::ProducerState;
use weir_protocol::{
    HeadError, ListError, ListPage, ListRequest, ReadError, ReadFrom, ReadResult, StreamMetadata, StreamName, Timestamp,
};

use crate::command::{Applied, Batch};
use crate::contract::Storage;
use crate::error::StorageError;
use crate::machine;
use crate::meta::Meta;
use crate::record::StreamRecord;
use crate::row::Row;
use crate::rows::{Lookup, Mutations, Rows, VisitFork, VisitRow, VisitStream};

/// Streams in memory.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    tables: RwLock<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    meta: Meta,
    /// By stream id, then by position.
    rows: HashMap<u64, BTreeMap<u64, Row>>,
}

impl MemoryStorage {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn tables(&self) -> Result<RwLockReadGuard<'_, Tables>, StorageError> {
        self.tables.read().map_err(|_| StorageError::panicked())
    }
}

impl Storage for MemoryStorage {
    fn apply(&self, batch: Batch) -> Result<Applied, StorageError> {
        let mut tables = self.tables.write().map_err(|_| StorageError::panicked())?;
        let (applied, mutations) = machine::run(&*tables, batch)?;
        tables.commit(mutations);
        Ok(applied)
    }

    fn read(&self, name: &StreamName, from: ReadFrom, max_bytes: u64, now: Timestamp) -> Result<ReadResult, ReadError> {
        let tables = self.tables().map_err(weir_protocol::Fault::from)?;
        machine::read(&*tables, name, from, max_bytes, now)
    }

    fn head(&self, name: &StreamName, now: Timestamp) -> Result<StreamMetadata, HeadError> {
        let tables = self.tables().map_err(weir_protocol::Fault::from)?;
        machine::head(&*tables, name, now)
    }

    fn list_streams(&self, request: &ListRequest, now: Timestamp) -> Result<ListPage, ListError> {
        let tables = self.tables().map_err(weir_protocol::Fault::from)?;
        machine::list(&*tables, request, now)
    }

    fn applied(&self) -> Result<Option<Bytes>, StorageError> {
        Ok(self.tables()?.meta.applied.clone())
    }

    fn checkpoint(&self) -> Result<(), StorageError> {
        self.tables().map(drop)
    }

    fn has_due(&self, cutoff: Timestamp) -> Result<bool, StorageError> {
        Ok(!self.tables()?.meta.due(cutoff, 1).is_empty())
    }

    fn maintain(&self) -> Result<bool, StorageError> {
        Ok(false)
    }
}

impl Tables {
    fn commit(&mut self, mut mutations: Mutations) {
        for (id, rows) in std::mem::take(&mut mutations.rows) {
            let of_stream = self.rows.entry(id).or_default();
            of_stream.extend(rows.into_iter().map(|row| (row.start, row)));
        }
        for id in &mutations.discarded {
            self.rows.remove(id);
        }
        self.meta.commit(mutations);
    }
}

impl Lookup for Tables {
    fn stream(&self, name: &StreamName) -> Result<Option<StreamRecord>, StorageError> {
        Ok(self.meta.streams.get(name).cloned())
    }

    fn rows(&self, id: u64, from: u64, visit: VisitRow<'_>) -> Result<(), StorageError> {
        let Some(rows) = self.rows.get(&id) else {
            return Ok(());
        };
        let holds = rows.range(..=from).next_back().filter(|(_, row)| row.end() > from);
        let after = rows.range((Bound::Excluded(from), Bound::Unbounded));
        for (_, row) in holds.into_iter().chain(after) {
            if visit(row.as_ref()).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Rows for Tables {
    fn producer(&self, id: u64, producer: &str) -> Result<Option<ProducerState>, StorageError> {
        Ok(self.meta.producer(id, producer))
    }

    fn forks(&self, id: u64, visit: VisitFork<'_>) -> Result<(), StorageError> {
        self.meta.visit_forks(id, visit);
        Ok(())
    }

    fn due(&self, cutoff: Timestamp, limit: usize) -> Result<Vec<(Timestamp, StreamName)>, StorageError> {
        Ok(self.meta.due(cutoff, limit))
    }

    fn streams(&self, prefix: &str, after: Option<&str>, visit: VisitStream<'_>) -> Result<(), StorageError> {
        self.meta.visit_streams(prefix, after, visit);
        Ok(())
    }

    fn next_id(&self) -> Result<u64, StorageError> {
        Ok(self.meta.next_id())
    }
}
