//! The files of a store, and those of them that are open.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::disk;
use crate::error::StorageError;

/// So many logs are open at once, at most.
const MAX_OPEN: usize = 256;

/// From so many logs on, one call that syncs the whole file system is cheaper than one per log.
#[cfg(target_os = "linux")]
const SYNC_ALL_FROM: usize = 16;

/// The directories `streams` (one log per stream) and `trash` (logs of removed streams).
#[derive(Debug)]
pub(super) struct Files {
    streams: PathBuf,
    trash: PathBuf,
    /// Held open so that a failed write-back of any file is reported to [`Files::sync`].
    streams_dir: File,
    trash_dir: File,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    files: HashMap<u64, (Arc<File>, u64)>,
    /// Counts uses, to find the file that was not used for longest.
    uses: u64,
}

impl Files {
    /// Opens the directories, and makes them in a new store.
    pub(super) fn open(dir: &Path) -> Result<Self, StorageError> {
        let (streams, trash) = (dir.join("streams"), dir.join("trash"));
        std::fs::create_dir_all(&streams)?;
        std::fs::create_dir_all(&trash)?;
        disk::sync(&File::open(dir)?)?;
        Ok(Self {
            streams_dir: File::open(&streams)?,
            trash_dir: File::open(&trash)?,
            streams,
            trash,
            open: Mutex::default(),
        })
    }

    fn path(&self, id: u64) -> PathBuf {
        self.streams.join(format!("{id}.log"))
    }

    /// Where a log's copy is made.
    pub(super) fn copy_path(&self, id: u64) -> PathBuf {
        self.streams.join(format!("{id}.new"))
    }

    /// The ids of all logs, in order. Unfinished copies are removed on the way.
    pub(super) fn logs(&self) -> Result<Vec<u64>, StorageError> {
        let mut ids = Vec::new();
        for entry in std::fs::read_dir(&self.streams)? {
            let path = entry?.path();
            let is = |extension: &str| path.extension().is_some_and(|found| found == extension);
            let id = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .and_then(|stem| stem.parse().ok());
            match id {
                Some(id) if is("log") && path == self.path(id) => ids.push(id),
                Some(_) if is("new") => std::fs::remove_file(&path)?,
                _ => {}
            }
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// The log of a stream, for reading and writing.
    ///
    /// # Errors
    /// [`StorageError`], also when it is not there, unless `create`.
    pub(super) fn log(&self, id: u64, create: bool) -> Result<Arc<File>, StorageError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.uses += 1;
        let now = open.uses;
        if let Some((file, used)) = open.files.get_mut(&id) {
            *used = now;
            return Ok(Arc::clone(file));
        }
        let path = self.path(id);
        let file = File::options()
            .read(true)
            .write(true)
            .create(create)
            .truncate(false)
            .open(path);
        let file = Arc::new(file.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => StorageError::Damaged(format!("streams/{id}.log is missing")),
            _ => error.into(),
        })?);
        if open.files.len() >= MAX_OPEN {
            let oldest = open.files.iter().min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id);
            oldest.map(|id| open.files.remove(&id));
        }
        open.files.insert(id, (Arc::clone(&file), now));
        Ok(file)
    }

    /// Closes a log as soon as nobody reads it any more.
    fn close(&self, id: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.files.remove(&id);
    }

    /// Takes a log out of sight; [`Files::empty_trash`] frees its space. It need not exist.
    pub(super) fn discard(&self, id: u64) -> Result<(), StorageError> {
        self.close(id);
        match std::fs::rename(self.path(id), self.trash.join(format!("{id}.log"))) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Puts a log's copy in its place. Durable after [`Files::sync`].
    pub(super) fn replace(&self, id: u64) -> Result<(), StorageError> {
        self.close(id);
        Ok(std::fs::rename(self.copy_path(id), self.path(id))?)
    }

    /// Frees the space of up to `limit` discarded logs. Returns whether there are more.
    pub(super) fn empty_trash(&self, limit: usize) -> Result<bool, StorageError> {
        let mut entries = std::fs::read_dir(&self.trash)?;
        for entry in entries.by_ref().take(limit) {
            std::fs::remove_file(entry?.path())?;
        }
        Ok(entries.next().is_some())
    }

    /// Makes durable what was written to the given logs, and which logs there are.
    ///
    /// # Errors
    /// Never [`StorageError::Full`]: what the disk holds is unknown after a failed sync, whatever its reason.
    pub(super) fn sync(&self, ids: impl ExactSizeIterator<Item = u64>) -> Result<(), StorageError> {
        #[cfg(target_os = "linux")]
        if ids.len() >= SYNC_ALL_FROM {
            return disk::sync_all(&self.streams_dir);
        }
        for id in ids {
            disk::sync(&*self.log(id, false)?)?;
        }
        disk::sync(&self.streams_dir)?;
        disk::sync(&self.trash_dir)
    }
}
