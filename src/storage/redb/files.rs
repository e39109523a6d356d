//! The files of stores behind a trait, so that simulations can lose power and fail.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use ::redb::StorageBackend;
use ::redb::backends::FileBackend;

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
