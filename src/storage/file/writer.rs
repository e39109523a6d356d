//! What only the one writer has: the redo log, and what still has to get from there into the logs.

use std::collections::{BTreeSet, VecDeque};
use std::sync::RwLock;

use bytes::Bytes;

use super::disk;
use super::files::Files;
use super::redo::Redo;
use super::tables::Tables;
use crate::error::StorageError;
use crate::rows::Mutations;

/// When the redo log has so many bytes, the logs are synced and it begins anew. What it holds is read when the store
/// is opened.
const RESET_BYTES: u64 = 64 << 20;

/// So many bytes may wait for a sync before they are written to the logs; they take memory.
const MAX_WAITING_BYTES: usize = 8 << 20;

/// A change of the logs that the redo log has.
#[derive(Debug)]
enum Work {
    Write { id: u64, position: u64, frames: Bytes },
    Discard { id: u64 },
}

#[derive(Debug)]
pub(super) struct Writer {
    redo: Redo,
    work: VecDeque<Work>,
    /// Bytes in `work`.
    waiting_bytes: usize,
    /// Logs that were written to since the redo log was begun.
    dirty: BTreeSet<u64>,
    /// Set by the first write that failed, unless for want of space.
    pub(super) failure: Option<StorageError>,
}

impl Writer {
    pub(super) fn new(redo: Redo) -> Self {
        Self {
            redo,
            work: VecDeque::new(),
            waiting_bytes: 0,
            dirty: BTreeSet::new(),
            failure: None,
        }
    }

    /// The sequence number of the last batch.
    pub(super) fn seq(&self) -> u64 {
        self.redo.seq()
    }

    /// Whether the next batch must wait for the logs.
    pub(super) fn needs_room(&self) -> bool {
        self.waiting_bytes > MAX_WAITING_BYTES
    }

    /// Room must be made before a batch is run while a full disk keeps too much waiting.
    pub(super) fn make_room(&mut self, tables: &RwLock<Tables>, files: &Files) -> Result<(), StorageError> {
        if self.needs_room() {
            self.redo.sync()?;
            self.flush(tables, files)?;
        }
        Ok(())
    }

    /// Commits a batch. It is visible only when it is as durable as it was asked for.
    ///
    /// # Errors
    /// [`StorageError`]; then it is not visible.
    pub(super) fn commit(
        &mut self,
        mutations: Mutations,
        durable: bool,
        tables: &RwLock<Tables>,
        files: &Files,
    ) -> Result<(), StorageError> {
        let (body, writes) = read(tables)?.encode(&mutations, self.redo.seq() + 1);
        let record = self.redo.append(body)?;
        if durable {
            self.redo.sync()?;
        }
        for write in &writes {
            let frames = write.frames(&record);
            self.waiting_bytes += frames.len();
            self.work.push_back(Work::Write {
                id: write.id,
                position: write.position,
                frames,
            });
        }
        let discards = mutations.discarded.iter().map(|id| Work::Discard { id: *id });
        self.work.extend(discards);
        write(tables)?.commit(mutations, writes, &record);
        if durable {
            self.settle(tables, files);
        }
        Ok(())
    }

    /// Makes durable what was applied.
    pub(super) fn sync(&mut self, tables: &RwLock<Tables>, files: &Files) -> Result<(), StorageError> {
        if self.redo.is_dirty() {
            self.redo.sync()?;
        }
        self.settle(tables, files);
        self.failure.clone().map_or(Ok(()), Err)
    }

    /// Moves what is durable in the redo log into the logs. The batches are applied whatever becomes of this: a full
    /// disk leaves the work for later, any other failure ends all writing.
    fn settle(&mut self, tables: &RwLock<Tables>, files: &Files) {
        let mut result = self.flush(tables, files);
        if result.is_ok() && self.redo.bytes() > RESET_BYTES {
            result = self.reset(tables, files);
        }
        match result {
            Err(StorageError::Full) => tracing::warn!("no space is left: the redo log keeps what the logs lack"),
            Err(error) => self.failure = Some(error),
            Ok(()) => {}
        }
    }

    /// Writes to the logs what waits for it. The redo log must be synced.
    fn flush(&mut self, tables: &RwLock<Tables>, files: &Files) -> Result<(), StorageError> {
        let mut written = Vec::new();
        let result = self.flush_files(tables, files, &mut written);
        let mut tables = write(tables)?;
        for id in written {
            if let Some(log) = tables.logs.get_mut(&id)
                && let Some(frames) = log.waiting.pop_front()
            {
                log.waiting_bytes -= frames.len() as u64;
            }
        }
        result
    }

    fn flush_files(
        &mut self,
        tables: &RwLock<Tables>,
        files: &Files,
        written: &mut Vec<u64>,
    ) -> Result<(), StorageError> {
        while let Some(work) = self.work.front() {
            match work {
                Work::Discard { id } => {
                    files.discard(*id)?;
                    self.dirty.remove(id);
                }
                // Of a stream that is discarded later on, nothing needs to be written any more.
                Work::Write { id, position, frames } if read(tables)?.logs.contains_key(id) => {
                    disk::write(&*files.log(*id, *position == 0)?, frames, *position)?;
                    self.dirty.insert(*id);
                    written.push(*id);
                }
                Work::Write { .. } => {}
            }
            if let Some(Work::Write { frames, .. }) = self.work.pop_front() {
                self.waiting_bytes -= frames.len();
            }
        }
        Ok(())
    }

    /// Makes the logs durable and begins the redo log anew, whatever its size.
    pub(super) fn reset(&mut self, tables: &RwLock<Tables>, files: &Files) -> Result<(), StorageError> {
        self.redo.sync()?;
        self.flush(tables, files)?;
        files.sync(self.dirty.iter().copied())?;
        let tables = read(tables)?;
        self.redo.reset(tables.meta.next_id(), tables.meta.applied.as_ref())?;
        self.dirty.clear();
        Ok(())
    }
}

/// # Errors
/// [`StorageError::Failed`] after a panic.
pub(super) fn read(tables: &RwLock<Tables>) -> Result<std::sync::RwLockReadGuard<'_, Tables>, StorageError> {
    tables.read().map_err(|_| StorageError::panicked())
}

/// # Errors
/// [`StorageError::Failed`] after a panic.
pub(super) fn write(tables: &RwLock<Tables>) -> Result<std::sync::RwLockWriteGuard<'_, Tables>, StorageError> {
    tables.write().map_err(|_| StorageError::panicked())
}
