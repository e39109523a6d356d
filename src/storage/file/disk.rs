//! Writing and syncing, in one place, so that tests can make both fail.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use crate::error::StorageError;

/// Writes all of `bytes` at `position`. After an error, a part may be written.
pub(super) fn write(file: &File, bytes: &[u8], position: u64) -> io::Result<()> {
    #[cfg(test)]
    faults::before_write(file, bytes, position)?;
    file.write_all_at(bytes, position)
}

/// Makes durable what a file holds.
///
/// # Errors
/// Never [`StorageError::Full`]: what the disk holds is unknown after a failed sync, whatever its reason.
pub(super) fn sync(file: &File) -> Result<(), StorageError> {
    settled(before_sync().and_then(|()| file.sync_all()))
}

/// Makes durable what a file holds, but not everything that is known of it, such as its times.
///
/// # Errors
/// As [`sync`].
pub(super) fn sync_data(file: &File) -> Result<(), StorageError> {
    settled(before_sync().and_then(|()| file.sync_data()))
}

/// Makes durable what a whole file system holds.
///
/// # Errors
/// As [`sync`].
#[cfg(target_os = "linux")]
pub(super) fn sync_all(any_file: &File) -> Result<(), StorageError> {
    settled(before_sync().and_then(|()| Ok(rustix::fs::syncfs(any_file)?)))
}

fn settled(result: io::Result<()>) -> Result<(), StorageError> {
    result.map_err(|error| StorageError::Io(format!("written bytes cannot be synced: {error}")))
}

#[cfg(not(test))]
fn before_sync() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
use faults::before_sync;

/// Failures of this thread's disk.
#[cfg(test)]
pub(super) mod faults {
    use std::cell::Cell;
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::FileExt as _;

    thread_local! {
        /// How many bytes can still be written.
        static SPACE_BYTES: Cell<usize> = const { Cell::new(usize::MAX) };
        static SYNC_FAILS: Cell<bool> = const { Cell::new(false) };
    }

    pub(in crate::file) fn set_space(bytes: usize) {
        SPACE_BYTES.set(bytes);
    }

    pub(in crate::file) fn set_sync_fails(fails: bool) {
        SYNC_FAILS.set(fails);
    }

    /// Like a disk: what still fits is written.
    pub(super) fn before_write(file: &File, bytes: &[u8], position: u64) -> io::Result<()> {
        let space = SPACE_BYTES.get();
        if space == usize::MAX {
            return Ok(());
        }
        let fitting = bytes.len().min(space);
        SPACE_BYTES.set(space - fitting);
        if fitting < bytes.len() {
            file.write_all_at(&bytes[..fitting], position)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    pub(super) fn before_sync() -> io::Result<()> {
        if SYNC_FAILS.get() {
            Err(io::Error::other("a test made it fail"))
        } else {
            Ok(())
        }
    }
}
