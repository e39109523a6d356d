//! Whether the disk has room for a batch.
//!
//! After a write that found no space, redb takes no further one until the file is opened again. So a batch that might
//! not fit is refused before redb sees it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::StoreFiles;
use crate::error::StorageError;
use crate::rows::Mutations;

/// What must stay free beside what is written: pages that are copied, and redb's own.
const MARGIN_BYTES: u64 = 8 << 20;

/// A page that is changed is written anew with all above it in its tree.
const BYTES_PER_BYTE: u64 = 4;

/// What housekeeping may take to make the file smaller in the long run.
const PACKING_BYTES: u64 = MARGIN_BYTES + super::maintain::PACKED_BYTES as u64 * BYTES_PER_BYTE;

/// How much housekeeping the disk has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// All of it.
    Plenty,
    /// What needs little.
    Little,
    None,
}

/// The space on the disk of one file.
#[derive(Debug)]
pub(super) struct Space {
    dir: PathBuf,
    files: Arc<dyn StoreFiles>,
}

impl Space {
    pub(super) fn of(file: &Path, files: Arc<dyn StoreFiles>) -> Self {
        let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty());
        Self {
            dir: dir.unwrap_or(Path::new(".")).to_owned(),
            files,
        }
    }

    /// Whether a batch fits beside `unsynced_bytes` of payload that may not have reached the disk yet. A batch without
    /// payload always may try: it might be the one that frees space.
    ///
    /// # Errors
    /// [`StorageError::Full`]; [`StorageError::Io`] when the disk does not tell.
    pub(super) fn check(&self, mutations: &Mutations, unsynced_bytes: u64) -> Result<(), StorageError> {
        let rows = mutations.rows.values().flatten();
        let bytes: u64 = rows.map(|row| row.payload.len() as u64).sum();
        if bytes > 0 && self.files.free_bytes(&self.dir)? < MARGIN_BYTES + (unsynced_bytes + bytes) * BYTES_PER_BYTE {
            return Err(StorageError::Full);
        }
        Ok(())
    }

    /// Whether so much payload that has not reached the disk fits, and a margin beside it: others write to this disk as
    /// well.
    ///
    /// # Errors
    /// [`StorageError::Io`] when the disk does not tell.
    pub(super) fn has_room(&self, unsynced_bytes: u64) -> Result<bool, StorageError> {
        Ok(self.files.free_bytes(&self.dir)? >= 2 * MARGIN_BYTES + unsynced_bytes * BYTES_PER_BYTE)
    }

    /// Which housekeeping fits.
    ///
    /// # Errors
    /// [`StorageError::Io`] when the disk does not tell.
    pub(super) fn room(&self) -> Result<Room, StorageError> {
        Ok(match self.files.free_bytes(&self.dir)? {
            PACKING_BYTES.. => Room::Plenty,
            bytes if bytes >= MARGIN_BYTES / 2 => Room::Little,
            _ => Room::None,
        })
    }
}

#[cfg(not(test))]
pub(super) fn free_bytes(dir: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(dir)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
pub(super) use tests::free_bytes;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use bytes::Bytes;
    use weir_protocol::{Append, AppendError, ContentType, Create, Fault, Lifetime, Payload, StreamName, Timestamp};

    use super::*;
    use crate::contract::Storage as _;
    use crate::redb::{RedbOptions, RedbStorage};

    thread_local! {
        static FREE_BYTES: Cell<u64> = const { Cell::new(u64::MAX) };
    }

    #[expect(clippy::unnecessary_wraps, reason = "the real one can fail")]
    pub(in crate::redb) fn free_bytes(_: &Path) -> io::Result<u64> {
        Ok(FREE_BYTES.get())
    }

    #[test]
    fn a_full_disk_refuses_payload_until_there_is_space() {
        let dir = tempfile::tempdir().unwrap();
        let options = RedbOptions {
            path: dir.path().join("store.redb"),
            cache_bytes: 1 << 20,
        };
        let storage = RedbStorage::open(&options).unwrap();
        let (name, now) = (StreamName::new("a").unwrap(), Timestamp::from_millis(1));
        let text = ContentType::parse("text/plain").unwrap();
        let create = || Create {
            content_type: Some(text.clone()),
            lifetime: Lifetime::Forever,
            payload: Payload::empty(),
            closed: false,
            fork: None,
        };
        let append = || Append {
            content_type: Some(text.clone()),
            payload: Payload::single(Bytes::from_static(&[b'x'; 1000])).unwrap(),
            close: false,
            stream_seq: None,
            producer: None,
        };
        storage.create_stream(&name, create(), now).unwrap();
        storage.append(&name, append(), now).unwrap();
        FREE_BYTES.set(MARGIN_BYTES + 1000 * BYTES_PER_BYTE - 1);
        let full = Err(AppendError::Fault(Fault::StorageFull));
        assert_eq!(storage.append(&name, append(), now), full);
        assert_eq!(storage.head(&name, now).unwrap().next_offset.position(), 1000);
        storage.delete(&name, now).unwrap();
        storage.create_stream(&name, create(), now).unwrap();
        FREE_BYTES.set(MARGIN_BYTES + 1000 * BYTES_PER_BYTE);
        storage.append(&name, append(), now).unwrap();
        storage.append(&name, append(), now).unwrap();
        assert_eq!(storage.head(&name, now).unwrap().next_offset.position(), 2000);
    }
}
