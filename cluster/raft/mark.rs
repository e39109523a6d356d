//! A note beside a state that it came by snapshot.
//!
//! Such a state is ahead of its own log until the log was told; in every other case that means that the log was lost. The
//! note is made before the state is put in place, and goes with the next checkpoint.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// The note, which is an empty file.
#[derive(Debug)]
pub(crate) struct SnapshotMark {
    path: PathBuf,
    is_set: AtomicBool,
}

impl SnapshotMark {
    /// The note at `path`, as it was left.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let is_set = AtomicBool::new(path.try_exists()?);
        Ok(Self { path, is_set })
    }

    pub(crate) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    /// Makes the note, durably.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn set(&self) -> io::Result<()> {
        File::create(&self.path)?.sync_all()?;
        self.sync_dir()?;
        self.is_set.store(true, Ordering::Release);
        Ok(())
    }

    /// Removes the note, if there is one. It may come back with a crash, which does no harm.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(crate) fn clear(&self) -> io::Result<()> {
        if self.is_set() {
            fs::remove_file(&self.path)?;
            self.is_set.store(false, Ordering::Release);
        }
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        match self.path.parent() {
            Some(dir) => File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    }
}
