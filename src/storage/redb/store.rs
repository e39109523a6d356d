//! What is in the file, what is being written to it, and what is held for later.
//!
//! A batch changes what is held in memory and nothing else; the file gets the sum of many batches in one transaction.
//! That costs a fraction of a transaction each, and while one is written, others go on applying and reading.
//!
//! Locks are taken in this order: `writer`, `file`, `layers`. Only `layers` is ever waited for by readers, and nobody
//! does more under it than take a view.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use ::redb::Database;

use super::backend::Control;
use super::commit::{self, End};
use super::held::Held;
use super::latched;
use super::layered::Layered;
use super::loose::Loose;
use super::space::{Room, Space};
use super::view::View;
use crate::error::StorageError;
use crate::rows::Mutations;

/// When this much is held, whoever applies writes it to the file before going on.
const MAX_HELD_BYTES: u64 = 32 << 20;

/// What a small batch adds to that at most: two thousand renewals, or as many short appends of producers, add less than 3 MiB.
const SMALL_BATCH_BYTES: u64 = 4 << 20;

/// How much is held while the disk has no room. A start on a full disk applies again what the log has and the file has
/// not, and that needs no space but memory; it is more than what comes between two checkpoints.
const MAX_HELD_WITHOUT_ROOM: u64 = 256 << 20;

/// All that is applied.
pub(super) type Snapshot = Layered<Layered<View>>;

/// One redb file, and what belongs over it.
pub(super) struct Store {
    pub(super) database: Database,
    control: Arc<Control>,
    pub(super) space: Space,
    /// Held by whoever applies.
    writer: Mutex<Writer>,
    /// Held by whoever writes to the file.
    pub(super) file: Mutex<File>,
    layers: Mutex<Layers>,
    /// What `layers.active` takes, for those who must not wait for it.
    active_bytes: AtomicU64,
    /// Set by the first write that failed, unless for want of space.
    failure: OnceLock<StorageError>,
}

/// What only those need who apply.
#[derive(Default)]
pub(super) struct Writer {
    /// Whether anything was applied since the last batch that had to be durable.
    pub(super) is_dirty: bool,
}

/// What only those need who write to the file.
#[derive(Default)]
pub(super) struct File {
    pub(super) loose: Loose,
    /// Whether it has a commit that is not durable. What [`crate::Batch::applied`] says there may lack what its author
    /// keeps for checkpoints, so only a checkpoint may make it durable.
    pub(super) is_dirty: bool,
}

#[derive(Default)]
struct Layers {
    active: Held,
    frozen: Option<Frozen>,
    /// Payload in the file that is not durable.
    lazy_bytes: u64,
}

/// On its way into the file.
#[derive(Clone)]
struct Frozen {
    held: Held,
    end: End,
}

impl Store {
    pub(super) fn new(database: Database, space: Space, control: Arc<Control>) -> Self {
        Self {
            database,
            control,
            space,
            writer: Mutex::default(),
            file: Mutex::default(),
            layers: Mutex::default(),
            active_bytes: AtomicU64::new(0),
            failure: OnceLock::new(),
        }
    }

    fn layers(&self) -> MutexGuard<'_, Layers> {
        // Nothing under this lock can panic halfway.
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A coherent view of all that is applied.
    pub(super) fn snapshot(&self) -> Result<Snapshot, StorageError> {
        let layers = self.layers();
        // Begun under the lock: what is no longer frozen is in the file.
        let under = View::begin(&self.database)?;
        Ok(Layered {
            held: layers.active.clone(),
            under: Layered {
                held: layers
                    .frozen
                    .as_ref()
                    .map(|frozen| frozen.held.clone())
                    .unwrap_or_default(),
                under,
            },
        })
    }

    /// Runs `write` as the only one that applies, unless a write failed before.
    pub(super) fn write<T>(
        &self,
        write: impl FnOnce(&mut Writer) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut writer = self.writer.lock().map_err(|_| StorageError::panicked())?;
        self.latch(|| write(&mut writer))
    }

    /// Remembers a failure, and does nothing after one.
    pub(super) fn latch<T>(&self, work: impl FnOnce() -> Result<T, StorageError>) -> Result<T, StorageError> {
        if let Some(failure) = self.failure.get() {
            return Err(StorageError::Failed(failure.to_string()));
        }
        let result = work();
        match &result {
            Err(error) if *error != StorageError::Full => {
                let _ = self.failure.set(error.clone());
            }
            _ => {}
        }
        result
    }

    /// Payload that may not have reached the disk.
    fn unsynced_bytes(&self) -> u64 {
        let layers = self.layers();
        let frozen = layers.frozen.as_ref().map_or(0, |frozen| frozen.held.payload_bytes());
        layers.lazy_bytes + frozen + layers.active.payload_bytes()
    }

    /// See [`crate::Storage::has_room`].
    pub(super) fn has_room(&self, payload_bytes: u64) -> Result<bool, StorageError> {
        if self.control.waits() && self.held_bytes() + payload_bytes <= MAX_HELD_WITHOUT_ROOM {
            return Ok(true);
        }
        self.space.has_room(self.unsynced_bytes() + payload_bytes)
    }

    /// A checkpoint that redb finds no space for would be the store's end; one that comes later is none.
    ///
    /// # Errors
    /// [`StorageError::Full`] when it should come later; [`StorageError::Io`] when the disk does not tell.
    pub(super) fn check_room(&self) -> Result<(), StorageError> {
        match self.space.room()? {
            Room::Plenty | Room::Little => Ok(()),
            Room::None => Err(StorageError::Full),
        }
    }

    /// Adds a batch's changes, if they fit on the disk. Whoever calls this is the one that applies.
    ///
    /// # Errors
    /// [`StorageError::Full`], and those of the file.
    pub(super) fn hold(&self, writer: &mut Writer, mutations: Mutations) -> Result<(), StorageError> {
        if !self.control.waits() {
            self.space.check(&mutations, self.unsynced_bytes())?;
        }
        writer.is_dirty = true;
        let held_bytes = {
            let mut layers = self.layers();
            layers.active.merge(mutations);
            layers.active.bytes()
        };
        self.active_bytes.store(held_bytes, Ordering::Relaxed);
        // A write that waits for space would stop those who apply, and with them all who read.
        if held_bytes >= MAX_HELD_BYTES && (!self.control.waits() || self.space.has_room(self.unsynced_bytes())?) {
            self.flush()?;
        }
        Ok(())
    }

    /// Whether applying a small batch might have to wait now: for whoever applies or sets apart, for the file because much
    /// is held, or for whoever writes to it. While that makes the file grow, redb syncs it, and begins no read until that is
    /// done.
    pub(super) fn may_block(&self) -> bool {
        self.active_bytes.load(Ordering::Relaxed) + SMALL_BATCH_BYTES >= MAX_HELD_BYTES
            || self.writer.try_lock().is_err()
            || self.file.try_lock().is_err()
    }

    /// Brings all that is applied into the file, not durably. Whoever calls this is the one that applies.
    pub(super) fn flush(&self) -> Result<(), StorageError> {
        self.freeze(End::Lazy)?;
        self.write_frozen()
    }

    /// See [`crate::Storage::held_bytes`].
    pub(super) fn held_bytes(&self) -> u64 {
        let layers = self.layers();
        layers.active.bytes() + layers.frozen.as_ref().map_or(0, |frozen| frozen.held.bytes())
    }

    /// Sets apart what is held, to be written with this `end`. Whoever calls this is the one that applies.
    pub(super) fn freeze(&self, end: End) -> Result<(), StorageError> {
        let mut file = self.file.lock().map_err(|_| StorageError::panicked())?;
        // Whoever set something apart before may not have come to write it.
        self.write_to(&mut file)?;
        let mut layers = self.layers();
        let held = std::mem::take(&mut layers.active);
        self.active_bytes.store(0, Ordering::Relaxed);
        if end != End::Lazy || !held.is_empty() {
            layers.frozen = Some(Frozen { held, end });
        }
        Ok(())
    }

    /// Writes to the file what was set apart, unless somebody else did.
    pub(super) fn write_frozen(&self) -> Result<(), StorageError> {
        let mut file = self.file.lock().map_err(|_| StorageError::panicked())?;
        self.write_to(&mut file)
    }

    fn write_to(&self, file: &mut File) -> Result<(), StorageError> {
        let Some(Frozen { held, end }) = self.layers().frozen.clone() else {
            return Ok(());
        };
        commit::commit(&self.database, &held, end).map_err(latched)?;
        file.loose.note(&held);
        file.is_dirty = end == End::Lazy;
        let mut layers = self.layers();
        layers.frozen = None;
        layers.lazy_bytes = match end {
            End::Lazy => layers.lazy_bytes + held.payload_bytes(),
            End::Durable | End::Checkpoint => 0,
        };
        Ok(())
    }
}

impl Drop for Store {
    /// redb would make durable whatever was committed before. But what was not checkpointed is not complete without
    /// what the checkpoint would have said ([`crate::Batch::applied`]), and may be ahead of the log: the store goes back
    /// to its last checkpoint, as after a crash.
    fn drop(&mut self) {
        if self.failure.get().is_none() && self.file.get_mut().is_ok_and(|file| !file.is_dirty) {
            return;
        }
        self.control.abandon();
    }
}
