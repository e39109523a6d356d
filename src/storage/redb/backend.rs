//! The file under redb, with two ways of its own.
//!
//! - A store that is dropped forgets what was not made durable. redb would make it durable when it is closed; but it may be
//!   ahead of its owner's log, and lack what its owner writes with checkpoints only.
//! - Where the owner says so, a write that finds no space waits until there is some. After a write that failed, redb takes
//!   no further one until the file is opened again.

use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ::redb::{BackendError, Builder, Database, StorageBackend};

use super::fault;
use crate::error::StorageError;

/// How long a write waits before it looks for space again.
const SPACE_PAUSE: Duration = Duration::from_millis(100);

/// What the store tells its file.
#[derive(Debug, Default)]
pub(super) struct Control {
    is_abandoned: AtomicBool,
    waits_for_space: AtomicBool,
}

impl Control {
    /// Nothing reaches the file any more.
    pub(super) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Release);
    }

    /// Whether a write that finds no space waits for it.
    pub(super) fn waits(&self) -> bool {
        self.waits_for_space.load(Ordering::Acquire)
    }

    /// From now on a write that finds no space waits for it.
    pub(super) fn wait_for_space(&self) {
        self.waits_for_space.store(true, Ordering::Release);
    }
}

/// Opens a store in `file`.
pub(super) fn open(
    builder: &Builder,
    file: Box<dyn StorageBackend>,
    control: &Arc<Control>,
) -> Result<Database, StorageError> {
    let control = Arc::clone(control);
    builder.create_with_backend(Backend { file, control }).map_err(fault)
}

#[derive(Debug)]
struct Backend {
    file: Box<dyn StorageBackend>,
    control: Arc<Control>,
}

impl Backend {
    fn write_with(&self, write: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let mut is_told = false;
        loop {
            if self.control.is_abandoned.load(Ordering::Acquire) {
                return Err(io::Error::other("the store was dropped before this was durable"));
            }
            match write() {
                Err(error) if is_space(&error) && self.control.waits_for_space.load(Ordering::Acquire) => {
                    if !is_told {
                        tracing::warn!(%error, "a store waits for space on its disk");
                        is_told = true;
                    }
                    thread::sleep(SPACE_PAUSE);
                }
                result => return result,
            }
        }
    }
}

fn is_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.write_with(|| self.file.set_len(len))
    }

    /// Never repeated: what a failed one left in the page cache may look clean without being on the disk.
    fn sync_data(&self) -> io::Result<()> {
        if self.control.is_abandoned.load(Ordering::Acquire) {
            return Err(io::Error::other("the store was dropped before this was durable"));
        }
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.write_with(|| self.file.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use weir_protocol::{ContentType, Create, Lifetime, Payload, StreamName, Timestamp};

    use crate::command::{Batch, Command, Op};
    use crate::contract::Storage as _;
    use crate::redb::{RedbOptions, RedbStorage};

    fn create(storage: &RedbStorage, name: &str, durable: bool) {
        let create = Create {
            content_type: Some(ContentType::parse("text/plain").unwrap()),
            lifetime: Lifetime::Forever,
            payload: Payload::empty(),
            closed: false,
            fork: None,
        };
        let op = Op::Create(StreamName::new(name).unwrap(), create);
        let batch = Batch {
            commands: vec![Command {
                at: Timestamp::from_millis(1),
                op,
            }],
            applied: Some(name.to_owned().into()),
            durable,
        };
        storage.apply(batch).unwrap();
    }

    #[test]
    fn a_dropped_store_forgets_what_is_not_durable() {
        let dir = tempfile::tempdir().unwrap();
        let options = RedbOptions {
            path: dir.path().join("store.redb"),
            cache_bytes: 1 << 20,
            waits_for_space: true,
        };
        let applied = || RedbStorage::open(&options).unwrap().applied().unwrap();
        let storage = RedbStorage::open(&options).unwrap();
        create(&storage, "kept", true);
        drop(storage);
        assert_eq!(applied().as_deref(), Some(&b"kept"[..]));
        let storage = RedbStorage::open(&options).unwrap();
        create(&storage, "forgotten", false);
        assert_eq!(storage.applied().unwrap().as_deref(), Some(&b"forgotten"[..]));
        drop(storage);
        assert_eq!(applied().as_deref(), Some(&b"kept"[..]));
        let storage = RedbStorage::open(&options).unwrap();
        create(&storage, "kept as well", false);
        storage.checkpoint().unwrap();
        drop(storage);
        assert_eq!(applied().as_deref(), Some(&b"kept as well"[..]));
    }
}
