//! The files of stores behind a trait, so that simulations can lose power and fail.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::redb::backends::FileBackend;
use ::redb::{BackendError, StorageBackend};

/// What stores do with files.
pub trait StoreFiles: Debug + Send + Sync + 'static {
    /// Opens a file, or makes it. The name of a new file is durable when this returns: a store that is gone after a loss
    /// of power would be behind its own log, of which what it had is purged.
    ///
    /// # Errors
    /// The file system's.
    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageBackend>>;

    /// Removes a file.
    ///
    /// # Errors
    /// The file system's; [`io::ErrorKind::NotFound`] when there is none.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a closed file durable, its size included.
    ///
    /// # Errors
    /// The file system's.
    fn sync(&self, path: &Path) -> io::Result<()>;

    /// Puts a file in the place of another one in the same directory, durably.
    ///
    /// # Errors
    /// The file system's.
    fn replace(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// How many bytes more the file system of a directory takes.
    ///
    /// # Errors
    /// The file system's.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
}

/// Makes the names in a file's directory durable.
fn sync_dir_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => File::open(dir)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// The operating system's files.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFiles;

impl StoreFiles for RealFiles {
    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageBackend>> {
        let is_new = !path.try_exists()?;
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        if is_new {
            sync_dir_of(path)?;
        }
        Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        sync_dir_of(to)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        super::space::free_bytes(dir)
    }
}

/// A file that can be cut off from whoever writes to it.
#[derive(Debug)]
pub(super) struct Severable {
    backend: Box<dyn StorageBackend>,
    is_cut: Arc<AtomicBool>,
}

impl Severable {
    /// The file, and what cuts it off when it is set.
    pub(super) fn new(backend: Box<dyn StorageBackend>) -> (Self, Arc<AtomicBool>) {
        let is_cut = Arc::new(AtomicBool::new(false));
        let severable = Self {
            backend,
            is_cut: Arc::clone(&is_cut),
        };
        (severable, is_cut)
    }

    fn check(&self) -> io::Result<()> {
        match self.is_cut.load(Ordering::Relaxed) {
            true => Err(io::Error::other("the store was given up")),
            false => Ok(()),
        }
    }
}

impl StorageBackend for Severable {
    fn len(&self) -> io::Result<u64> {
        self.backend.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.backend.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.backend.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        self.backend.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.backend.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.backend.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.query_lock_range(start, end)
    }
}
