//! A coherent view: one read transaction.

use std::cell::OnceCell;
use std::ops::Bound;

use ::redb::{Key, ReadOnlyTable, ReadTransaction, ReadableDatabase as _, TableDefinition, Value};
use weir_protocol::producer::ProducerState;
use weir_protocol::{StreamName, Timestamp};

use super::fault;
use super::tables::{
    EXPIRY, FORKS, META, NEXT_ID_KEY, OUTBOX, PRODUCERS, ROWS, STREAMS, decode_record, decode_reference, decode_row,
    row_key,
};
use crate::error::StorageError;
use crate::record::StreamRecord;
use crate::reference::{ForkKey, Reference, ReferenceCursor, ReferencePage};
use crate::rows::{Lookup, Rows, VisitFork, VisitRow, VisitStream};

type Producers = ReadOnlyTable<(u64, &'static str), (u64, u64)>;

/// Tables are opened as they are asked for: most reads need two.
pub(super) struct View {
    transaction: ReadTransaction,
    streams: OnceCell<ReadOnlyTable<&'static str, &'static [u8]>>,
    rows: OnceCell<ReadOnlyTable<&'static [u8; 16], &'static [u8]>>,
    producers: OnceCell<Producers>,
    forks: OnceCell<ReadOnlyTable<(u64, &'static str), ()>>,
}

impl View {
    pub(super) fn begin(database: &::redb::Database) -> Result<Self, StorageError> {
        Ok(Self {
            transaction: database.begin_read().map_err(fault)?,
            streams: OnceCell::new(),
            rows: OnceCell::new(),
            producers: OnceCell::new(),
            forks: OnceCell::new(),
        })
    }

    fn open<'a, K: Key + 'static, V: Value + 'static>(
        &'a self,
        cell: &'a OnceCell<ReadOnlyTable<K, V>>,
        definition: TableDefinition<'_, K, V>,
    ) -> Result<&'a ReadOnlyTable<K, V>, StorageError> {
        if let Some(table) = cell.get() {
            return Ok(table);
        }
        let table = self.transaction.open_table(definition).map_err(fault)?;
        Ok(cell.get_or_init(|| table))
    }

    pub(super) fn outbox(&self, limit: usize) -> Result<Vec<Reference>, StorageError> {
        let outbox = self.transaction.open_table(OUTBOX).map_err(fault)?;
        let mut references = Vec::new();
        for entry in outbox.range::<u64>(..).map_err(fault)?.take(limit) {
            let (fork_id, value) = entry.map_err(fault)?;
            references.push(decode_reference(fork_id.value(), value.value())?);
        }
        Ok(references)
    }

    /// References sort before a stream's other forks, which are skipped.
    pub(super) fn references(
        &self,
        after: Option<&ReferenceCursor>,
        limit: usize,
    ) -> Result<ReferencePage, StorageError> {
        let forks = self.open(&self.forks, FORKS)?;
        let mut page = ReferencePage::default();
        let mut at = after.cloned().unwrap_or(ReferenceCursor(0, String::new()));
        let mut left = limit;
        while left > 0 {
            let mut is_done = true;
            let begin = Bound::Excluded((at.0, at.1.as_str()));
            let mut next = None;
            for entry in forks.range((begin, Bound::Unbounded)).map_err(fault)?.take(left) {
                let (key, _) = entry.map_err(fault)?;
                let (source, text) = key.value();
                left -= 1;
                is_done = false;
                if !ForkKey::is_remote_text(text) {
                    next = Some(ReferenceCursor(source.saturating_add(1), String::new()));
                    break;
                }
                if let ForkKey::Remote(reference) = ForkKey::parse(source, text)? {
                    page.references.push(reference);
                }
                next = Some(ReferenceCursor(source, text.to_owned()));
            }
            if is_done {
                return Ok(page);
            }
            at = next.unwrap_or(at);
        }
        page.next = Some(at);
        Ok(page)
    }

    /// A value of the table `meta`.
    pub(super) fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let meta = self.transaction.open_table(META).map_err(fault)?;
        let value = meta.get(key).map_err(fault)?;
        Ok(value.map(|value| value.value().to_vec()))
    }
}

impl Lookup for View {
    fn stream(&self, name: &StreamName) -> Result<Option<StreamRecord>, StorageError> {
        let streams = self.open(&self.streams, STREAMS)?;
        let value = streams.get(name.as_str()).map_err(fault)?;
        value
            .map(|value| decode_record(name.as_str(), value.value()))
            .transpose()
    }

    fn rows(&self, id: u64, from: u64, visit: VisitRow<'_>) -> Result<(), StorageError> {
        let rows = self.open(&self.rows, ROWS)?;
        let (first, last) = (row_key(id, 0), row_key(id, u64::MAX));
        let at = row_key(id, from);
        let holder = rows.range::<&[u8; 16]>(&first..=&at).map_err(fault)?.next_back();
        let begin = match holder {
            Some(entry) => *entry.map_err(fault)?.0.value(),
            None => at,
        };
        for entry in rows.range::<&[u8; 16]>(&begin..=&last).map_err(fault)? {
            let (key, value) = entry.map_err(fault)?;
            let row = decode_row(key.value(), value.value())?;
            if row.end() > from && visit(row).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Rows for View {
    fn producer(&self, id: u64, producer: &str) -> Result<Option<ProducerState>, StorageError> {
        let producers = self.open(&self.producers, PRODUCERS)?;
        let value = producers.get((id, producer)).map_err(fault)?;
        Ok(value.map(|value| {
            let (epoch, last_seq) = value.value();
            ProducerState { epoch, last_seq }
        }))
    }

    fn forks(&self, id: u64, visit: VisitFork<'_>) -> Result<(), StorageError> {
        let forks = self.open(&self.forks, FORKS)?;
        for entry in forks.range((id, "")..).map_err(fault)? {
            let (key, _) = entry.map_err(fault)?;
            let (source, fork) = key.value();
            if source != id || visit(ForkKey::parse(id, fork)?).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn due(&self, cutoff: Timestamp, limit: usize) -> Result<Vec<(Timestamp, StreamName)>, StorageError> {
        let expiry = self.transaction.open_table(EXPIRY).map_err(fault)?;
        let mut due = Vec::new();
        for entry in expiry.range((0, "")..).map_err(fault)?.take(limit) {
            let (key, _) = entry.map_err(fault)?;
            let (at, name) = key.value();
            if at > cutoff.as_millis() {
                break;
            }
            due.push((Timestamp::from_millis(at), stored_name(name)?));
        }
        Ok(due)
    }

    fn streams(&self, prefix: &str, after: Option<&str>, visit: VisitStream<'_>) -> Result<(), StorageError> {
        let streams = self.open(&self.streams, STREAMS)?;
        let begin = after.filter(|after| *after >= prefix).unwrap_or(prefix);
        for entry in streams.range(begin..).map_err(fault)? {
            let (key, value) = entry.map_err(fault)?;
            let name = key.value();
            if Some(name) == after {
                continue;
            }
            if !name.starts_with(prefix) || visit(stored_name(name)?, decode_record(name, value.value())?).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn next_id(&self) -> Result<u64, StorageError> {
        let Some(bytes) = self.meta(NEXT_ID_KEY)? else {
            return Ok(1);
        };
        let bytes = bytes.try_into();
        let bytes = bytes.map_err(|_| StorageError::Damaged("the next stream id".to_owned()))?;
        Ok(u64::from_be_bytes(bytes))
    }
}

fn stored_name(name: &str) -> Result<StreamName, StorageError> {
    StreamName::new(name).map_err(|error| StorageError::Damaged(format!("a stream's name: {error}")))
}
