//! The files of stores behind a trait, so that simulations can lose power and fail.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use ::redb::StorageBackend;
use ::redb::backends::FileBackend;

/// What stores do with files.
pub trait StoreFiles: Debug + Send + Sync + 'static {
    /// Whether there is a file.
    ///
    /// # Errors
    /// The file system's.
    fn exists(&self, path: &Path) -> io::Result<bool>;

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

/// Removes a file if it is there.
pub(super) fn remove_any(files: &dyn StoreFiles, path: &Path) -> io::Result<()> {
    match files.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
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
    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::PathBuf;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::contract::Storage as _;
    use crate::redb::{RedbOptions, RedbStorage};

    /// What of a file's unsynced changes a loss of power leaves.
    #[derive(Debug, Clone, Copy)]
    enum Left {
        Nothing,
        Length,
        Everything,
    }

    #[derive(Debug, Clone, Default)]
    struct Content {
        now: Vec<u8>,
        synced: Vec<u8>,
    }

    /// Files on a disk whose power fails after a number of operations.
    #[derive(Debug, Clone, Default)]
    struct Failing(Arc<Mutex<State>>);

    #[derive(Debug, Default)]
    struct State {
        files: HashMap<PathBuf, Content>,
        left: usize,
    }

    impl Failing {
        fn change<T>(&self, change: impl FnOnce(&mut HashMap<PathBuf, Content>) -> T) -> io::Result<T> {
            let mut state = self.0.lock().unwrap();
            state.left = state.left.checked_sub(1).ok_or_else(|| io::Error::other("no power"))?;
            Ok(change(&mut state.files))
        }

        fn restart(&self, left: Left) {
            let mut state = self.0.lock().unwrap();
            state.left = usize::MAX;
            for content in state.files.values_mut() {
                let length = content.now.len();
                match left {
                    Left::Everything => content.synced.clone_from(&content.now),
                    Left::Length => content.synced.resize(length, 0),
                    Left::Nothing => {}
                }
                content.now.clone_from(&content.synced);
            }
        }
    }

    impl StoreFiles for Failing {
        fn exists(&self, path: &Path) -> io::Result<bool> {
            self.change(|files| files.contains_key(path))
        }

        fn open(&self, path: &Path) -> io::Result<Box<dyn StorageBackend>> {
            self.change(|files| {
                files.entry(path.to_owned()).or_default();
            })?;
            Ok(Box::new(Opened(self.clone(), path.to_owned())))
        }

        fn remove(&self, path: &Path) -> io::Result<()> {
            self.change(|files| files.remove(path).map(|_| ()))?
                .ok_or_else(|| io::ErrorKind::NotFound.into())
        }

        fn sync(&self, path: &Path) -> io::Result<()> {
            Opened(self.clone(), path.to_owned()).sync_data()
        }

        fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.change(|files| {
                let content = files.remove(from).unwrap();
                files.insert(to.to_owned(), content);
            })
        }

        fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
            Ok(1 << 40)
        }
    }

    #[derive(Debug)]
    struct Opened(Failing, PathBuf);

    impl Opened {
        fn change<T>(&self, change: impl FnOnce(&mut Content) -> T) -> io::Result<T> {
            self.0.change(|files| change(files.get_mut(&self.1).unwrap()))
        }
    }

    impl StorageBackend for Opened {
        fn len(&self) -> io::Result<u64> {
            self.change(|content| content.now.len() as u64)
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            let offset = usize::try_from(offset).unwrap();
            self.change(|content| out.copy_from_slice(&content.now[offset..offset + out.len()]))
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.change(|content| content.now.resize(usize::try_from(len).unwrap(), 0))
        }

        fn sync_data(&self) -> io::Result<()> {
            self.change(|content| content.synced.clone_from(&content.now))
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            let offset = usize::try_from(offset).unwrap();
            self.change(|content| content.now[offset..offset + data.len()].copy_from_slice(data))
        }
    }

    #[test]
    fn a_store_opens_after_power_failed_while_it_was_made() {
        let options = RedbOptions {
            path: PathBuf::from("/streams.redb"),
            cache_bytes: 1 << 20,
            waits_for_space: false,
        };
        for left in [Left::Nothing, Left::Length, Left::Everything] {
            let mut failures = 0;
            for operations in 0.. {
                let files = Failing::default();
                files.0.lock().unwrap().left = operations;
                let opened = RedbStorage::open_in(&options, Arc::new(files.clone()));
                let is_made = opened.is_ok();
                drop(opened);
                files.restart(left);
                let store = RedbStorage::open_in(&options, Arc::new(files)).unwrap();
                assert_eq!(store.applied(), Ok(None), "{left:?} after {operations}");
                if is_made {
                    break;
                }
                failures += 1;
            }
            assert!(failures > 10, "{failures}");
        }
    }
}
