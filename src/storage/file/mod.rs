//! Backend: an append log per stream, and one redo log that makes a batch over many streams atomic.
//!
//! Everything but payload is kept in memory. A batch is written to the redo log and synced there, becomes visible, and
//! is then written to the logs of its streams, which are synced only when the redo log begins anew. So a log in
//! `streams/` never has a byte that the synced part of the redo log, or an earlier one, did not have. `README.md` has
//! the layout.
//!
//! Readers hold a shared lock for as long as they read; a writer takes it exclusively only to make a batch visible.

mod compact;
mod disk;
mod files;
mod frame;
mod log;
mod recover;
mod redo;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, RwLock, RwLockReadGuard};

use bytes::Bytes;
use weir_protocol::{
    Fault, HeadError, ListError, ListPage, ListRequest, ReadError, ReadFrom, ReadResult, StreamMetadata, StreamName,
    Timestamp,
};

use self::files::Files;
use self::tables::{Tables, View};
use self::writer::Writer;
use crate::command::{Applied, Batch};
use crate::contract::Storage;
use crate::error::StorageError;
use crate::machine;

/// How to open a store.
#[derive(Debug, Clone)]
pub struct FileOptions {
    /// The directory. Made when it is not there.
    pub dir: PathBuf,
}

/// Streams in one directory.
#[derive(Debug)]
pub struct FileStorage {
    files: Files,
    tables: RwLock<Tables>,
    writer: Mutex<Writer>,
    /// Held by whoever does housekeeping.
    maintenance: Mutex<()>,
    /// Keeps other processes out.
    _lock: File,
}

impl FileStorage {
    /// Opens a store, and repairs it after a crash: everything durable is there.
    ///
    /// # Errors
    /// [`StorageError`] when the directory cannot be read and written, is held by another process, or holds bytes that
    /// were not written there; the message names the file and the byte.
    pub fn open(options: &FileOptions) -> Result<Self, StorageError> {
        let dir = &options.dir;
        std::fs::create_dir_all(dir)?;
        let lock = lock(dir)?;
        let files = Files::open(dir)?;
        let (tables, redo) = recover::recover(dir, &files)?;
        Ok(Self {
            files,
            tables: RwLock::new(tables),
            writer: Mutex::new(Writer::new(redo)),
            maintenance: Mutex::default(),
            _lock: lock,
        })
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

    fn tables(&self) -> Result<RwLockReadGuard<'_, Tables>, Fault> {
        Ok(writer::read(&self.tables)?)
    }

    fn view<'a>(&'a self, tables: &'a Tables) -> View<'a> {
        View {
            tables,
            files: &self.files,
        }
    }
}

fn lock(dir: &std::path::Path) -> Result<File, StorageError> {
    let path = dir.join("lock");
    let lock = File::options().write(true).create(true).truncate(false).open(path)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(StorageError::Io(format!(
            "{} is in use by another process",
            dir.display()
        ))),
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

impl Storage for FileStorage {
    fn apply(&self, batch: Batch) -> Result<Applied, StorageError> {
        self.write(|writer| {
            writer.make_room(&self.tables, &self.files)?;
            let durable = batch.durable;
            let (applied, mutations) = {
                let tables = writer::read(&self.tables)?;
                machine::run(&self.view(&tables), batch)?
            };
            if !mutations.is_empty() {
                writer.commit(mutations, durable, &self.tables, &self.files)?;
            } else if durable {
                // The answers may rest on batches that are not durable yet.
                writer.sync(&self.tables, &self.files)?;
            }
            Ok(applied)
        })
    }

    fn may_block(&self) -> bool {
        self.writer.try_lock().map_or(true, |writer| writer.needs_room())
    }

    fn read(&self, name: &StreamName, from: ReadFrom, max_bytes: u64, now: Timestamp) -> Result<ReadResult, ReadError> {
        let tables = self.tables()?;
        machine::read(&self.view(&tables), name, from, max_bytes, now)
    }

    fn head(&self, name: &StreamName, now: Timestamp) -> Result<StreamMetadata, HeadError> {
        let tables = self.tables()?;
        machine::head(&self.view(&tables), name, now)
    }

    fn list_streams(&self, request: &ListRequest, now: Timestamp) -> Result<ListPage, ListError> {
        let tables = self.tables()?;
        machine::list(&self.view(&tables), request, now)
    }

    fn applied(&self) -> Result<Option<Bytes>, StorageError> {
        Ok(writer::read(&self.tables)?.meta.applied.clone())
    }

    fn checkpoint(&self) -> Result<(), StorageError> {
        self.write(|writer| writer.sync(&self.tables, &self.files))
    }

    fn has_due(&self, cutoff: Timestamp) -> Result<bool, StorageError> {
        Ok(!writer::read(&self.tables)?.meta.due(cutoff, 1).is_empty())
    }

    fn maintain(&self) -> Result<bool, StorageError> {
        self.maintain_piece()
    }
}
