//! A whole store as pieces of bytes, to be read while others write, and a store made from them.
//!
//! A piece is a sequence of records, each
//!
//! ```text
//! table (1) | key length (4, little-endian) | value length (4, little-endian) | key | value
//! ```
//!
//! in the order of tables and keys. A cursor is the table and the key of the last record before it.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::redb::{Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, WriteTransaction};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use weir_mutant::Mutant;
use weir_protocol::StreamName;
use weir_protocol::producer::ProducerState;

use super::backend;
use super::commit::{self, End};
use super::fault;
use super::files::{self, StoreFiles};
use super::tables::{EXPIRY, FORKS, GARBAGE, META, OUTBOX, PRODUCERS, ROWS, STREAMS, decode_record};
use crate::contract::{Export, Import, ProducerTable};
use crate::error::StorageError;
use crate::record::State;

const TABLES: u8 = 8;

/// A view of a store. It holds on to the pages of its time, so it should not live longer than it must.
pub(super) struct RedbExport(ReadTransaction);

impl RedbExport {
    pub(super) fn begin(database: &Database) -> Result<Self, StorageError> {
        Ok(Self(database.begin_read().map_err(fault)?))
    }
}

impl Export for RedbExport {
    fn piece(&self, cursor: &Bytes, max_bytes: usize) -> Result<(Bytes, Option<Bytes>), StorageError> {
        let mut piece = BytesMut::new();
        let mut last = cursor.clone();
        let (table, after) = match cursor.split_first() {
            Some((table, key)) => (*table, Some(key)),
            None => (0, None),
        };
        let mut after = after.map(<[u8]>::to_vec);
        for table in table..TABLES {
            let mut is_full = false;
            let is_skipped = table == 3 && weir_mutant::is(Mutant::ForgetProducers);
            let mut skips = is_skipped || table == 2 && after.is_none() && weir_mutant::is(Mutant::SkipRowInSnapshot);
            visit(&self.0, table, after.take().as_deref(), &mut |key, value| {
                if std::mem::replace(&mut skips, is_skipped) {
                    return ControlFlow::Continue(());
                }
                if !piece.is_empty() && piece.len() + value.len() > max_bytes {
                    is_full = true;
                    return ControlFlow::Break(());
                }
                put(&mut piece, table, key, value);
                let mut cursor = BytesMut::with_capacity(1 + key.len());
                cursor.put_u8(table);
                cursor.put_slice(key);
                last = cursor.freeze();
                ControlFlow::Continue(())
            })?;
            if is_full {
                return Ok((piece.freeze(), Some(last)));
            }
        }
        Ok((piece.freeze(), None))
    }

    fn digest(&self) -> Result<u128, StorageError> {
        super::digest::digest(&self.0)
    }

    fn producers(&self) -> Result<ProducerTable, StorageError> {
        let mut producers = ProducerTable::new();
        let mut names = BTreeMap::new();
        for entry in self
            .0
            .open_table(STREAMS)
            .map_err(fault)?
            .range::<&str>(..)
            .map_err(fault)?
        {
            let (name, value) = entry.map_err(fault)?;
            let record = decode_record(name.value(), value.value())?;
            if record.state == State::Live {
                let stream = StreamName::new(name.value());
                let stream = stream.map_err(|error| StorageError::Damaged(error.to_string()))?;
                producers.insert(stream.clone(), BTreeMap::new());
                names.insert(record.id, stream);
            }
        }
        for entry in self.0.open_table(PRODUCERS).map_err(fault)?.iter().map_err(fault)? {
            let (key, value) = entry.map_err(fault)?;
            let ((id, producer), (epoch, last_seq)) = (key.value(), value.value());
            if let Some(of_stream) = names.get(&id).and_then(|name| producers.get_mut(name)) {
                of_stream.insert(producer.to_owned(), ProducerState { epoch, last_seq });
            }
        }
        Ok(producers)
    }
}

fn put(piece: &mut BytesMut, table: u8, key: &[u8], value: &[u8]) {
    piece.reserve(9 + key.len() + value.len());
    piece.put_u8(table);
    piece.put_u32_le(u32::try_from(key.len()).unwrap_or(u32::MAX));
    piece.put_u32_le(u32::try_from(value.len()).unwrap_or(u32::MAX));
    piece.put_slice(key);
    piece.put_slice(value);
}

type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// Shows the entries of a table after a key.
pub(super) fn visit(
    transaction: &ReadTransaction,
    table: u8,
    after: Option<&[u8]>,
    visit: Visit<'_>,
) -> Result<(), StorageError> {
    let damaged = || StorageError::Damaged("a cursor into an export".to_owned());
    match table {
        0 | 1 => {
            let table = transaction
                .open_table(if table == 0 { META } else { STREAMS })
                .map_err(fault)?;
            let after = after.map(std::str::from_utf8).transpose().map_err(|_| damaged())?;
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            for entry in table.range::<&str>((from, Bound::Unbounded)).map_err(fault)? {
                let (key, value) = entry.map_err(fault)?;
                if visit(key.value().as_bytes(), value.value()).is_break() {
                    return Ok(());
                }
            }
        }
        2 => {
            let table = transaction.open_table(ROWS).map_err(fault)?;
            let after: Option<[u8; 16]> = after.map(TryInto::try_into).transpose().map_err(|_| damaged())?;
            let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            for entry in table.range::<&[u8; 16]>((from, Bound::Unbounded)).map_err(fault)? {
                let (key, value) = entry.map_err(fault)?;
                if visit(key.value(), value.value()).is_break() {
                    return Ok(());
                }
            }
        }
        3 => {
            let table = transaction.open_table(PRODUCERS).map_err(fault)?;
            let after = after.map(pair).transpose()?;
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            for entry in table.range((from, Bound::Unbounded)).map_err(fault)? {
                let (key, value) = entry.map_err(fault)?;
                let (epoch, last_seq) = value.value();
                let mut state = [0; 16];
                state[..8].copy_from_slice(&epoch.to_be_bytes());
                state[8..].copy_from_slice(&last_seq.to_be_bytes());
                if visit(&pair_bytes(key.value()), &state).is_break() {
                    return Ok(());
                }
            }
        }
        4 | 5 => {
            let table = transaction
                .open_table(if table == 4 { FORKS } else { EXPIRY })
                .map_err(fault)?;
            let after = after.map(pair).transpose()?;
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            for entry in table.range((from, Bound::Unbounded)).map_err(fault)? {
                if visit(&pair_bytes(entry.map_err(fault)?.0.value()), &[]).is_break() {
                    return Ok(());
                }
            }
        }
        6 => {
            let table = transaction.open_table(GARBAGE).map_err(fault)?;
            let after = after.map(number).transpose()?;
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            for entry in table.range((from, Bound::Unbounded)).map_err(fault)? {
                if visit(&entry.map_err(fault)?.0.value().to_be_bytes(), &[]).is_break() {
                    return Ok(());
                }
            }
        }
        _ => {
            let table = transaction.open_table(OUTBOX).map_err(fault)?;
            let after = after.map(number).transpose()?;
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            for entry in table.range((from, Bound::Unbounded)).map_err(fault)? {
                let (key, value) = entry.map_err(fault)?;
                if visit(&key.value().to_be_bytes(), value.value()).is_break() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn pair_bytes((number, text): (u64, &str)) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + text.len());
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn pair(bytes: &[u8]) -> Result<(u64, &str), StorageError> {
    let split = bytes.split_at_checked(8);
    let (head, text) = split.ok_or_else(|| StorageError::Damaged("a key of an export".to_owned()))?;
    let text = std::str::from_utf8(text).map_err(|_| StorageError::Damaged("a key of an export".to_owned()))?;
    Ok((number(head)?, text))
}

fn number(bytes: &[u8]) -> Result<u64, StorageError> {
    let bytes = bytes.try_into();
    bytes
        .map(u64::from_be_bytes)
        .map_err(|_| StorageError::Damaged("a number of an export".to_owned()))
}

/// A store in the making. It is of no use before [`Import::finish`].
pub(super) struct RedbImport {
    database: Database,
    path: PathBuf,
    files: Arc<dyn StoreFiles>,
}

impl RedbImport {
    /// Begins a store at `path`, where a file that is there already goes.
    pub(super) fn begin(path: &Path, cache_bytes: usize, files: Arc<dyn StoreFiles>) -> Result<Self, StorageError> {
        files::remove_any(&*files, path)?;
        let mut builder = Database::builder();
        builder.set_cache_size(cache_bytes);
        Ok(Self {
            database: backend::open(&builder, files.open(path)?, &Arc::default())?,
            path: path.to_owned(),
            files,
        })
    }
}

impl Import for RedbImport {
    fn put(&mut self, mut piece: Bytes) -> Result<(), StorageError> {
        let transaction = commit::begin(&self.database, End::Lazy)?;
        while piece.has_remaining() {
            let damaged = || StorageError::Damaged("a piece of an export".to_owned());
            if piece.remaining() < 9 {
                return Err(damaged());
            }
            let table = piece.get_u8();
            let (key, value) = (piece.get_u32_le() as usize, piece.get_u32_le() as usize);
            if piece.remaining() < key.saturating_add(value) {
                return Err(damaged());
            }
            let key = piece.split_to(key);
            let value = piece.split_to(value);
            insert(&transaction, table, &key, &value)?;
        }
        transaction.commit().map_err(fault)
    }

    fn finish(self: Box<Self>) -> Result<(), StorageError> {
        let transaction = commit::begin(&self.database, End::Checkpoint)?;
        // Tables without an entry must exist as well.
        transaction.open_table(STREAMS).map_err(fault)?;
        transaction.open_table(ROWS).map_err(fault)?;
        transaction.open_table(PRODUCERS).map_err(fault)?;
        transaction.open_table(FORKS).map_err(fault)?;
        transaction.open_table(OUTBOX).map_err(fault)?;
        transaction.open_table(EXPIRY).map_err(fault)?;
        transaction.open_table(GARBAGE).map_err(fault)?;
        transaction.commit().map_err(fault)?;
        let Self { database, path, files } = *self;
        drop(database);
        Ok(files.sync(&path)?)
    }
}

fn insert(transaction: &WriteTransaction, table: u8, key: &[u8], value: &[u8]) -> Result<(), StorageError> {
    let damaged = || StorageError::Damaged("a record of an export".to_owned());
    match table {
        0 | 1 => {
            let mut table = transaction
                .open_table(if table == 0 { META } else { STREAMS })
                .map_err(fault)?;
            let key = std::str::from_utf8(key).map_err(|_| damaged())?;
            table.insert(key, value).map_err(fault)?;
        }
        2 => {
            let mut table = transaction.open_table(ROWS).map_err(fault)?;
            let key: &[u8; 16] = key.try_into().map_err(|_| damaged())?;
            table.insert(key, value).map_err(fault)?;
        }
        3 => {
            let mut table = transaction.open_table(PRODUCERS).map_err(fault)?;
            let (epoch, last_seq) = value.split_at_checked(8).ok_or_else(damaged)?;
            table
                .insert(pair(key)?, (number(epoch)?, number(last_seq)?))
                .map_err(fault)?;
        }
        4 | 5 => {
            let mut table = transaction
                .open_table(if table == 4 { FORKS } else { EXPIRY })
                .map_err(fault)?;
            table.insert(pair(key)?, ()).map_err(fault)?;
        }
        6 => {
            let mut table = transaction.open_table(GARBAGE).map_err(fault)?;
            table.insert(number(key)?, ()).map_err(fault)?;
        }
        7 => {
            let mut table = transaction.open_table(OUTBOX).map_err(fault)?;
            table.insert(number(key)?, value).map_err(fault)?;
        }
        _ => return Err(damaged()),
    }
    Ok(())
}
