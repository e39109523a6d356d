//! One process per data directory, and one kind of storage for its whole life.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::config::Storage;

const LOCK_FILE: &str = "LOCK";

/// Names the kind of storage that the directory was made for.
const STORAGE_FILE: &str = "STORAGE";

/// Holds the lock until it is dropped, or the process ends in whatever way.
#[derive(Debug)]
pub(crate) struct DataDir {
    _file: File,
}

/// Why a data directory cannot be used.
#[derive(Debug, Error)]
pub(crate) enum DataDirError {
    /// Another process has it.
    #[error("the data directory {} is in use by another process{}", dir.display(), of(owner))]
    Held {
        /// The directory.
        dir: PathBuf,
        /// The other process's id, when it could be read.
        owner: String,
    },
    /// Its streams are kept in another way. Served regardless, it would look empty.
    #[error("the data directory {} holds streams with storage '{found}', not '{wanted}'", dir.display())]
    OtherStorage {
        /// The directory.
        dir: PathBuf,
        /// What it was made for.
        found: String,
        /// What was asked for.
        wanted: &'static str,
    },
    /// It cannot be made, read or written.
    #[error("the data directory {} cannot be used: {cause}", dir.display())]
    Unusable {
        /// The directory.
        dir: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

fn of(owner: &str) -> String {
    if owner.is_empty() {
        String::new()
    } else {
        format!(" (process {owner})")
    }
}

/// Makes the directory where it is missing, and takes it for this process.
///
/// # Errors
/// See [`DataDirError`].
pub(crate) fn take(dir: &Path, storage: Storage) -> Result<DataDir, DataDirError> {
    let unusable = |cause| DataDirError::Unusable {
        dir: dir.to_owned(),
        cause,
    };
    fs::create_dir_all(dir).map_err(unusable)?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(dir.join(LOCK_FILE))
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(DataDirError::Held {
                dir: dir.to_owned(),
                owner: owner(&mut file),
            });
        }
        Err(TryLockError::Error(cause)) => return Err(unusable(cause)),
    }
    match sign(&mut file) {
        // On a full disk too, what is there can be served.
        Err(cause) if cause.kind() == io::ErrorKind::StorageFull => {}
        signed => signed.map_err(unusable)?,
    }
    match made_for(dir, storage).map_err(unusable)? {
        found if found == storage.name() => {}
        found => {
            return Err(DataDirError::OtherStorage {
                dir: dir.to_owned(),
                found,
                wanted: storage.name(),
            });
        }
    }
    Ok(DataDir { _file: file })
}

/// Writes who has the lock. Only a message ever reads it; the lock itself is the kernel's.
fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// The kind of storage that the directory was made for; from now on `storage` when nobody has written one down. A
/// process that died over it left an empty file, and nothing else.
fn made_for(dir: &Path, storage: Storage) -> io::Result<String> {
    let path = dir.join(STORAGE_FILE);
    let found = match fs::read_to_string(&path) {
        Ok(text) => text.trim().to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    if !found.is_empty() {
        return Ok(found);
    }
    let mut file = File::create(&path)?;
    writeln!(file, "{}", storage.name())?;
    file.sync_all()?;
    Ok(storage.name().to_owned())
}

fn owner(file: &mut File) -> String {
    let mut text = String::new();
    match file.read_to_string(&mut text) {
        Ok(_) if text.trim().bytes().all(|byte| byte.is_ascii_digit()) => text.trim().to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_locked_once_and_free_again_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let lock = take(&path, Storage::Redb).unwrap();
        let error = take(&path, Storage::Redb).expect_err("locked twice");
        let expected = format!(
            "the data directory {} is in use by another process (process {})",
            path.display(),
            std::process::id()
        );
        assert_eq!(error.to_string(), expected);
        drop(lock);
        take(&path, Storage::Redb).unwrap();
    }

    #[test]
    fn a_file_in_its_place_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        let error = take(&path, Storage::Redb).expect_err("locked a file").to_string();
        assert!(error.contains("cannot be used"), "{error}");
    }

    #[test]
    fn a_directory_keeps_its_kind_of_storage() {
        let dir = tempfile::tempdir().unwrap();
        // A process that died before it had written anything down.
        fs::write(dir.path().join(STORAGE_FILE), "").unwrap();
        drop(take(dir.path(), Storage::File).unwrap());
        drop(take(dir.path(), Storage::File).unwrap());
        let error = take(dir.path(), Storage::Redb)
            .expect_err("opened with another storage")
            .to_string();
        assert!(
            error.ends_with("holds streams with storage 'file', not 'redb'"),
            "{error}"
        );
    }
}
