//! Backend: maps in memory. Gone with the process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, RwLock, RwLockReadGuard};

use bytes::Bytes;
use weir_protocol::producer::ProducerState;
use weir_protocol::{
    HeadError, ListError, ListPage, ListRequest, ReadError, ReadFrom, ReadResult, StreamMetadata, StreamName, Timestamp,
};

use crate::command::{Applied, Batch};
use crate::contract::Storage;
use crate::error::StorageError;
use crate::machine;
use crate::record::StreamRecord;
use crate::row::Row;
use crate::rows::{Lookup, Mutations, Rows, VisitFork, VisitRow, VisitStream};

/// Streams in memory.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    tables: RwLock<Tables>,
}

/// All that a store holds, in maps.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) streams: BTreeMap<StreamName, StreamRecord>,
    /// By stream id, then by position.
    rows: HashMap<u64, BTreeMap<u64, Row>>,
    producers: HashMap<u64, BTreeMap<Arc<str>, ProducerState>>,
    forks: HashMap<u64, BTreeSet<StreamName>>,
    deadlines: BTreeSet<(Timestamp, StreamName)>,
    next_id: u64,
    applied: Option<Bytes>,
}

impl MemoryStorage {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn tables(&self) -> Result<RwLockReadGuard<'_, Tables>, StorageError> {
        self.tables.read().map_err(|_| poisoned())
    }
}

fn poisoned() -> StorageError {
    StorageError::Failed("a thread panicked while it wrote".to_owned())
}

impl Storage for MemoryStorage {
    fn apply(&self, batch: Batch) -> Result<Applied, StorageError> {
        let mut tables = self.tables.write().map_err(|_| poisoned())?;
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
        Ok(self.tables()?.applied.clone())
    }

    fn checkpoint(&self) -> Result<(), StorageError> {
        self.tables().map(drop)
    }

    fn maintain(&self) -> Result<bool, StorageError> {
        Ok(false)
    }
}

impl Tables {
    pub(crate) fn commit(&mut self, mutations: Mutations) {
        for (name, record) in mutations.streams {
            match record {
                Some(record) => self.streams.insert(name, record),
                None => self.streams.remove(&name),
            };
        }
        for (id, rows) in mutations.rows {
            let of_stream = self.rows.entry(id).or_default();
            of_stream.extend(rows.into_iter().map(|row| (row.start, row)));
        }
        for ((id, producer), state) in mutations.producers {
            self.producers.entry(id).or_default().insert(producer, state);
        }
        for ((id, name), is_fork) in mutations.forks {
            if is_fork {
                self.forks.entry(id).or_default().insert(name);
            } else if let Some(forks) = self.forks.get_mut(&id) {
                forks.remove(&name);
                if forks.is_empty() {
                    self.forks.remove(&id);
                }
            }
        }
        for (entry, is_there) in mutations.deadlines {
            if is_there {
                self.deadlines.insert(entry);
            } else {
                self.deadlines.remove(&entry);
            }
        }
        for id in mutations.discarded {
            self.rows.remove(&id);
            self.producers.remove(&id);
        }
        self.next_id = mutations.next_id.unwrap_or(self.next_id);
        self.applied = mutations.applied.or(self.applied.take());
    }
}

impl Lookup for Tables {
    fn stream(&self, name: &StreamName) -> Result<Option<StreamRecord>, StorageError> {
        Ok(self.streams.get(name).cloned())
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
        Ok(self.producers.get(&id).and_then(|states| states.get(producer)).copied())
    }

    fn forks(&self, id: u64, visit: VisitFork<'_>) -> Result<(), StorageError> {
        for name in self.forks.get(&id).into_iter().flatten() {
            if visit(name.clone()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn due(&self, cutoff: Timestamp, limit: usize) -> Result<Vec<(Timestamp, StreamName)>, StorageError> {
        let due = self.deadlines.iter().take_while(|(at, _)| *at <= cutoff);
        Ok(due.take(limit).cloned().collect())
    }

    fn streams(&self, prefix: &str, after: Option<&str>, visit: VisitStream<'_>) -> Result<(), StorageError> {
        let begin = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        for (name, record) in self.streams.range::<str, _>((begin, Bound::Unbounded)) {
            if !name.as_str().starts_with(prefix) || visit(name.clone(), record.clone()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn next_id(&self) -> Result<u64, StorageError> {
        Ok(self.next_id.max(1))
    }
}
