//! A note beside a state that it came by snapshot.
//!
//! Such a state is ahead of its own log until the log was told; in every other case that means that the log was lost. The
//! note is made before the state is put in place, and goes with the next checkpoint.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::blocking::has_threads;

/// The note, which is an empty file.
#[derive(Debug)]
pub(crate) struct SnapshotMark {
    /// `None` where that is not known, and nothing is noted.
    path: Option<PathBuf>,
    /// Whether it is there, and how often it was made.
    state: Mutex<(bool, u64)>,
}

impl SnapshotMark {
    /// The note at `path`, as it was left. In a simulation, whose files are not the operating system's, nothing is noted:
    /// a state may always have come by snapshot.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub(crate) fn at(path: PathBuf) -> io::Result<Self> {
        let path = has_threads().then_some(path);
        let is_set = path.as_ref().map_or(Ok(true), |path| path.try_exists())?;
        Ok(Self {
            path,
            state: Mutex::new((is_set, 0)),
        })
    }

    fn state(&self) -> MutexGuard<'_, (bool, u64)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_set(&self) -> bool {
        self.state().0
    }

    /// How often it was made: tells [`SnapshotMark::clear`] which one is meant.
    pub(crate) fn times_set(&self) -> u64 {
        self.state().1
    }

    /// Makes the note, durably.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn set(&self) -> io::Result<()> {
        let mut state = self.state();
        if let Some(path) = &self.path {
            File::create(path)?.sync_all()?;
            if let Some(dir) = path.parent() {
                File::open(dir)?.sync_all()?;
            }
        }
        *state = (true, state.1 + 1);
        Ok(())
    }

    /// Removes the note, unless there is none or it was made anew meanwhile. It may come back with a crash, which does no
    /// harm.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(crate) fn clear(&self, times_set: u64) -> io::Result<()> {
        let mut state = self.state();
        if let (Some(path), true) = (&self.path, *state == (true, times_set)) {
            fs::remove_file(path)?;
            state.0 = false;
        }
        Ok(())
    }
}
