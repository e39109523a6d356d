//! Backend: redb, an ACID B-tree with copy on write.
//!
//! Readers see the last committed transaction, durable or not, and never wait for a writer.

mod backend;
mod commit;
mod digest;
mod export;
mod loose;
mod maintain;
mod space;
mod tables;
mod view;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use ::redb::{Database, ReadableTable as _, TableHandle as _};
use bytes::Bytes;
use weir_protocol::{
    Fault, HeadError, ListError, ListPage, ListRequest, Offset, ReadError, ReadFrom, ReadResult, StreamMetadata,
    StreamName, Timestamp,
};

use self::backend::Control;
use self::commit::End;
use self::export::{RedbExport, RedbImport};
use self::loose::Loose;
use self::space::Space;
use self::tables::{APPLIED_KEY, EXPIRY, FORKS, FORMAT, FORMAT_KEY, GARBAGE, META, OUTBOX, PRODUCERS, ROWS, STREAMS};
use self::view::View;
use crate::command::{Applied, Batch};
use crate::contract::{Export, Import, Inherited, Storage};
use crate::error::StorageError;
use crate::machine;
use crate::reference::{Elsewhere, Fetched, Reference, ReferenceCursor, ReferencePage};
use crate::rows::Rows as _;

/// How to open a store.
#[derive(Debug, Clone)]
pub struct RedbOptions {
    /// The file. Made when it is not there.
    pub path: PathBuf,
    /// How much memory redb may use to keep pages, in bytes.
    pub cache_bytes: usize,
    /// Whether a write waits when the disk is full, until it is not. Otherwise a batch that may not fit is refused
    /// ([`StorageError::Full`]).
    pub waits_for_space: bool,
}

/// Streams in one redb file.
///
/// Dropping it forgets what was applied after the last durable batch or checkpoint, as a crash would.
pub struct RedbStorage {
    database: Database,
    control: Arc<Control>,
    waits_for_space: bool,
    /// Held by whoever writes.
    writer: Mutex<Writer>,
}

/// What only a writer needs.
struct Writer {
    loose: Loose,
    space: Space,
    /// Whether batches were committed that are not durable.
    is_dirty: bool,
    /// Set by the first write that failed, unless for want of space.
    failure: Option<StorageError>,
}

impl std::fmt::Debug for RedbStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedbStorage").finish_non_exhaustive()
    }
}

impl RedbStorage {
    /// Opens a store, and repairs it after a crash: everything durable is there.
    ///
    /// # Errors
    /// [`StorageError`] when the file cannot be opened, is held by another process, or was written in another layout.
    pub fn open(options: &RedbOptions) -> Result<Self, StorageError> {
        let mut builder = Database::builder();
        builder.set_cache_size(options.cache_bytes);
        let control = Arc::default();
        let storage = Self {
            database: backend::open(&builder, &options.path, &control)?,
            control,
            waits_for_space: options.waits_for_space,
            writer: Mutex::new(Writer {
                loose: Loose::default(),
                space: Space::of(&options.path),
                is_dirty: false,
                failure: None,
            }),
        };
        storage.prepare()?;
        if options.waits_for_space {
            storage.control.wait_for_space();
        }
        Ok(storage)
    }

    /// Begins to make a store from an export, at a path where nothing of value is.
    ///
    /// # Errors
    /// [`StorageError`] when the file cannot be made.
    pub fn import(options: &RedbOptions) -> Result<Box<dyn Import>, StorageError> {
        Ok(Box::new(RedbImport::begin(&options.path, options.cache_bytes)?))
    }

    /// Makes the tables of a new store; checks the layout of an old one.
    fn prepare(&self) -> Result<(), StorageError> {
        let transaction = commit::begin(&self.database, End::Checkpoint)?;
        let known = {
            let mut meta = transaction.open_table(META).map_err(fault)?;
            let known: Option<Vec<u8>> = meta.get(FORMAT_KEY).map_err(fault)?.map(|value| value.value().to_vec());
            if known.is_none() {
                meta.insert(FORMAT_KEY, FORMAT).map_err(fault)?;
            }
            known
        };
        match known {
            Some(format) if format == FORMAT => {
                let mut tables = transaction.list_tables().map_err(fault)?;
                if tables.any(|table| table.name() == OUTBOX.name()) {
                    drop(tables);
                    return transaction.abort().map_err(fault);
                }
                // Written before streams had forks in other groups.
            }
            Some(other) => {
                return Err(StorageError::Damaged(format!(
                    "this version reads the layout {:?}, the file has {:?}",
                    String::from_utf8_lossy(FORMAT),
                    String::from_utf8_lossy(&other)
                )));
            }
            None => {}
        }
        transaction.open_table(STREAMS).map_err(fault)?;
        transaction.open_table(ROWS).map_err(fault)?;
        transaction.open_table(PRODUCERS).map_err(fault)?;
        transaction.open_table(FORKS).map_err(fault)?;
        transaction.open_table(OUTBOX).map_err(fault)?;
        transaction.open_table(EXPIRY).map_err(fault)?;
        transaction.open_table(GARBAGE).map_err(fault)?;
        transaction.commit().map_err(fault)
    }

    /// Runs `write` as the only writer, unless a write failed before.
    fn write<T>(&self, write: impl FnOnce(&mut Writer) -> Result<T, StorageError>) -> Result<T, StorageError> {
        let mut writer = self.writer.lock().map_err(|_| StorageError::panicked())?;
        if let Some(failure) = &writer.failure {
            return Err(StorageError::Failed(failure.to_string()));
        }
        let result = write(&mut writer);
        match &result {
            Err(error) if *error != StorageError::Full => writer.failure = Some(error.clone()),
            _ => {}
        }
        result
    }
}

impl Storage for RedbStorage {
    fn apply(&self, batch: Batch) -> Result<Applied, StorageError> {
        self.write(|writer| {
            let end = match (batch.durable, batch.commands.is_empty()) {
                (false, _) => End::Lazy,
                (true, false) => End::Durable,
                (true, true) => End::Checkpoint,
            };
            let (applied, mutations) = machine::run(&View::begin(&self.database)?, batch)?;
            // Answers that change nothing may rest on batches that are not durable yet.
            let must_sync = end == End::Durable && writer.is_dirty;
            if !mutations.is_empty() || must_sync {
                if !self.waits_for_space {
                    writer.space.take(&mutations)?;
                }
                commit::commit(&self.database, &mutations, end).map_err(latched)?;
                writer.committed(end);
                writer.loose.note(&mutations);
            }
            Ok(applied)
        })
    }

    fn read(&self, name: &StreamName, from: ReadFrom, max_bytes: u64, now: Timestamp) -> Result<ReadResult, ReadError> {
        let view = View::begin(&self.database).map_err(Fault::from)?;
        machine::read(&view, name, from, max_bytes, now)
    }

    fn head(&self, name: &StreamName, now: Timestamp) -> Result<StreamMetadata, HeadError> {
        let view = View::begin(&self.database).map_err(Fault::from)?;
        machine::head(&view, name, now)
    }

    fn inherited(&self, name: &StreamName, now: Timestamp) -> Result<Inherited, ReadError> {
        let view = View::begin(&self.database).map_err(Fault::from)?;
        machine::inherited(&view, name, now)
    }

    fn fetch(&self, place: &Elsewhere, from: Offset, max_bytes: u64) -> Result<Fetched, ReadError> {
        let view = View::begin(&self.database).map_err(Fault::from)?;
        machine::fetch(&view, place, from, max_bytes)
    }

    fn outbox(&self, limit: usize) -> Result<Vec<Reference>, StorageError> {
        View::begin(&self.database)?.outbox(limit)
    }

    fn references(&self, after: Option<&ReferenceCursor>, limit: usize) -> Result<ReferencePage, StorageError> {
        View::begin(&self.database)?.references(after, limit)
    }

    fn list_streams(&self, request: &ListRequest, now: Timestamp) -> Result<ListPage, ListError> {
        let view = View::begin(&self.database).map_err(Fault::from)?;
        machine::list(&view, request, now)
    }

    fn applied(&self) -> Result<Option<Bytes>, StorageError> {
        let applied = View::begin(&self.database)?.meta(APPLIED_KEY)?;
        Ok(applied.map(Bytes::from))
    }

    fn checkpoint(&self) -> Result<(), StorageError> {
        self.write(|writer| {
            let transaction = commit::begin(&self.database, End::Checkpoint).map_err(latched)?;
            transaction.commit().map_err(fault).map_err(latched)?;
            writer.committed(End::Checkpoint);
            Ok(())
        })
    }

    fn has_due(&self, cutoff: Timestamp) -> Result<bool, StorageError> {
        Ok(!View::begin(&self.database)?.due(cutoff, 1)?.is_empty())
    }

    fn export(&self) -> Result<Option<Box<dyn Export>>, StorageError> {
        Ok(Some(Box::new(RedbExport::begin(&self.database)?)))
    }

    fn maintain(&self) -> Result<bool, StorageError> {
        self.write(|writer| {
            let room = writer.space.room()?;
            // Mostly not durable, and need not be: no answer rests on it.
            maintain::maintain(&self.database, &mut writer.loose, room).map_err(latched)
        })
    }
}

impl Drop for RedbStorage {
    fn drop(&mut self) {
        let is_durable = self
            .writer
            .get_mut()
            .is_ok_and(|writer| !writer.is_dirty && writer.failure.is_none());
        if !is_durable {
            self.control.abandon();
        }
    }
}

impl Writer {
    fn committed(&mut self, end: End) {
        self.is_dirty = end == End::Lazy;
        if !self.is_dirty {
            self.space.synced();
        }
    }
}

/// Once redb found no space, it takes no write until the file is opened again: then that is more than a full disk.
fn latched(error: StorageError) -> StorageError {
    match error {
        StorageError::Full => StorageError::Io("no space is left on the device".to_owned()),
        other => other,
    }
}

/// redb's errors in our terms.
fn fault(error: impl Into<::redb::Error>) -> StorageError {
    match error.into() {
        ::redb::Error::Io(error) => error.into(),
        ::redb::Error::Corrupted(what) => StorageError::Damaged(what),
        error @ ::redb::Error::PreviousIo => StorageError::Failed(error.to_string()),
        ::redb::Error::DatabaseAlreadyOpen => StorageError::Io("the file is in use by another process".to_owned()),
        other => StorageError::Io(other.to_string()),
    }
}
