//! Backend: redb, an ACID B-tree with copy on write.
//!
//! What is applied is held in memory (`held`) and seen over the file (`layered`) until it is written to it (`store`), by
//! a checkpoint, or because it is much. Readers see all that is applied and never wait for the file.

mod backend;
#[cfg(test)]
mod blocks;
mod commit;
mod digest;
mod export;
mod files;
mod held;
mod layered;
mod loose;
mod maintain;
mod space;
mod store;
mod tables;
mod view;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::redb::{Builder, Database, ReadableTable as _, TableHandle as _};
use bytes::Bytes;
use weir_protocol::{
    Fault, HeadError, ListError, ListPage, ListRequest, Offset, ReadError, ReadFrom, ReadResult, StreamMetadata,
    StreamName, Timestamp,
};

use self::commit::End;
use self::export::{RedbExport, RedbImport};
pub use self::files::{RealFiles, StoreFiles};
use self::space::Space;
use self::store::Store;
use self::tables::{EXPIRY, FORKS, FORMAT, FORMAT_KEY, GARBAGE, META, OUTBOX, PRODUCERS, ROWS, STREAMS};
use self::view::View;
use crate::command::{Applied, Batch};
use crate::contract::{Export, Import, Inherited, PendingCheckpoint, Storage};
use crate::error::StorageError;
use crate::machine;
use crate::reference::{Elsewhere, Fetched, Reference, ReferenceCursor, ReferencePage};
use crate::rows::{Mutations, Rows as _};

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
    store: Arc<Store>,
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
        Self::open_in(options, Arc::new(RealFiles))
    }

    /// As [`RedbStorage::open`], but in other files than the operating system's.
    ///
    /// # Errors
    /// As [`RedbStorage::open`].
    pub fn open_in(options: &RedbOptions, files: Arc<dyn StoreFiles>) -> Result<Self, StorageError> {
        let mut builder = Database::builder();
        builder.set_cache_size(options.cache_bytes);
        if !files.exists(&options.path)? {
            create(&builder, &options.path, &*files)?;
        }
        let control = Arc::default();
        let database = backend::open(&builder, files.open(&options.path)?, &control)?;
        prepare(&database)?;
        if options.waits_for_space {
            control.wait_for_space();
        }
        let space = Space::of(&options.path, files);
        Ok(Self {
            store: Arc::new(Store::new(database, space, control)),
        })
    }

    /// Begins to make a store from an export, at a path where nothing of value is.
    ///
    /// # Errors
    /// [`StorageError`] when the file cannot be made.
    pub fn import(options: &RedbOptions) -> Result<Box<dyn Import>, StorageError> {
        Self::import_in(options, Arc::new(RealFiles))
    }

    /// As [`RedbStorage::import`], but in other files than the operating system's.
    ///
    /// # Errors
    /// As [`RedbStorage::import`].
    pub fn import_in(options: &RedbOptions, files: Arc<dyn StoreFiles>) -> Result<Box<dyn Import>, StorageError> {
        Ok(Box::new(RedbImport::begin(&options.path, options.cache_bytes, files)?))
    }
}

/// Makes an empty store, beside its place, and puts it there when it is whole. redb refuses a file that it had not come to
/// the end of making when the power failed, and cannot tell one from a store that is damaged.
fn create(builder: &Builder, path: &Path, files: &dyn StoreFiles) -> Result<(), StorageError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    files::remove_any(files, &unfinished)?;
    let database = backend::open(builder, files.open(&unfinished)?, &Arc::default())?;
    prepare(&database)?;
    drop(database);
    files.sync(&unfinished)?;
    Ok(files.replace(&unfinished, path)?)
}

/// Makes the tables of a new store; checks the layout of an old one.
fn prepare(database: &Database) -> Result<(), StorageError> {
    let transaction = commit::begin(database, End::Checkpoint)?;
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

impl Storage for RedbStorage {
    fn apply(&self, batch: Batch) -> Result<Applied, StorageError> {
        self.store.write(|writer| {
            let is_checkpoint = batch.durable && batch.commands.is_empty();
            let is_durable = batch.durable;
            if is_checkpoint {
                self.store.check_room()?;
            }
            let (applied, mutations) = machine::run(&self.store.snapshot()?, batch)?;
            let changes = !mutations.is_empty();
            if changes {
                self.store.hold(writer, mutations)?;
            }
            // Answers that change nothing may rest on batches that are not durable yet.
            if is_durable && writer.is_dirty {
                let end = if is_checkpoint { End::Checkpoint } else { End::Durable };
                self.store.freeze(end)?;
                self.store.write_frozen()?;
                writer.is_dirty = false;
            }
            Ok(applied)
        })
    }

    fn may_block(&self) -> bool {
        self.store.may_block()
    }

    fn read(&self, name: &StreamName, from: ReadFrom, max_bytes: u64, now: Timestamp) -> Result<ReadResult, ReadError> {
        let view = self.store.snapshot().map_err(Fault::from)?;
        machine::read(&view, name, from, max_bytes, now)
    }

    fn head(&self, name: &StreamName, now: Timestamp) -> Result<StreamMetadata, HeadError> {
        let view = self.store.snapshot().map_err(Fault::from)?;
        machine::head(&view, name, now)
    }

    fn inherited(&self, name: &StreamName, now: Timestamp) -> Result<Inherited, ReadError> {
        let view = self.store.snapshot().map_err(Fault::from)?;
        machine::inherited(&view, name, now)
    }

    fn fetch(&self, place: &Elsewhere, from: Offset, max_bytes: u64) -> Result<Fetched, ReadError> {
        let view = self.store.snapshot().map_err(Fault::from)?;
        machine::fetch(&view, place, from, max_bytes)
    }

    fn outbox(&self, limit: usize) -> Result<Vec<Reference>, StorageError> {
        self.store.snapshot()?.outbox(limit)
    }

    fn references(&self, after: Option<&ReferenceCursor>, limit: usize) -> Result<ReferencePage, StorageError> {
        if self.store.snapshot()?.holds_forks() {
            self.store.write(|_| self.store.flush())?;
        }
        View::begin(&self.store.database)?.references(after, limit)
    }

    fn list_streams(&self, request: &ListRequest, now: Timestamp) -> Result<ListPage, ListError> {
        let view = self.store.snapshot().map_err(Fault::from)?;
        machine::list(&view, request, now)
    }

    fn applied(&self) -> Result<Option<Bytes>, StorageError> {
        self.store.snapshot()?.applied()
    }

    fn has_room(&self, payload_bytes: u64) -> Result<bool, StorageError> {
        self.store.has_room(payload_bytes)
    }

    fn checkpoint(&self) -> Result<(), StorageError> {
        self.store.write(|writer| {
            self.store.freeze(End::Checkpoint)?;
            self.store.write_frozen()?;
            writer.is_dirty = false;
            Ok(())
        })
    }

    fn begin_checkpoint(&self, applied: Bytes) -> Result<PendingCheckpoint, StorageError> {
        self.store.write(|writer| {
            let mutations = Mutations {
                applied: Some(applied),
                ..Mutations::default()
            };
            self.store.check_room()?;
            self.store.hold(writer, mutations)?;
            self.store.freeze(End::Checkpoint)
        })?;
        let store = Arc::clone(&self.store);
        Ok(Box::new(move || store.latch(|| store.write_frozen())))
    }

    fn held_bytes(&self) -> u64 {
        self.store.held_bytes()
    }

    fn has_due(&self, cutoff: Timestamp) -> Result<bool, StorageError> {
        Ok(!self.store.snapshot()?.due(cutoff, 1)?.is_empty())
    }

    fn export(&self) -> Result<Option<Box<dyn Export>>, StorageError> {
        self.store.write(|_| {
            self.store.check_room()?;
            self.store.flush()?;
            Ok(Some(
                Box::new(RedbExport::begin(&self.store.database)?) as Box<dyn Export>
            ))
        })
    }

    fn maintain(&self) -> Result<bool, StorageError> {
        let mut file = self.store.file.lock().map_err(|_| StorageError::panicked())?;
        self.store.latch(|| {
            let room = self.store.space.room()?;
            maintain::maintain(&self.store.database, &mut file, room).map_err(latched)
        })
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
