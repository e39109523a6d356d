//! A disk that is full, and one that fails.

use weir_protocol::{
    Append, AppendError, ContentType, Create, CreateError, Fault, Lifetime, Payload, ReadFrom, StreamName, Timestamp,
};

use super::disk::faults::{set_space, set_sync_fails};
use super::{FileOptions, FileStorage};
use crate::command::{Batch, Command, Op};
use crate::contract::Storage as _;
use crate::error::StorageError;

const NOW: Timestamp = Timestamp::from_millis(1);

struct Store {
    dir: tempfile::TempDir,
    storage: FileStorage,
}

impl Store {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let storage = open(&dir).unwrap();
        let store = Self { dir, storage };
        store.create("a").unwrap();
        store
    }

    fn reopen(self) -> Self {
        let Self { dir, storage } = self;
        drop(storage);
        let storage = open(&dir).unwrap();
        Self { dir, storage }
    }

    fn create(&self, stream: &str) -> Result<weir_protocol::Created, CreateError> {
        let create = Create {
            content_type: Some(text_plain()),
            lifetime: Lifetime::Forever,
            payload: Payload::empty(),
            closed: false,
            fork: None,
        };
        self.storage.create_stream(&name(stream), create, NOW)
    }

    fn append(&self, stream: &str, bytes: usize) -> Result<weir_protocol::Appended, AppendError> {
        self.storage.append(&name(stream), append(bytes), NOW)
    }

    fn length(&self, stream: &str) -> u64 {
        let result = self
            .storage
            .read(&name(stream), ReadFrom::Start, u64::MAX, NOW)
            .unwrap();
        let read: usize = result.runs.iter().map(|run| run.payload.len()).sum();
        assert_eq!(result.next_offset.position(), read as u64);
        read as u64
    }
}

fn open(dir: &tempfile::TempDir) -> Result<FileStorage, StorageError> {
    FileStorage::open(&FileOptions {
        dir: dir.path().to_owned(),
    })
}

fn name(text: &str) -> StreamName {
    StreamName::new(text).unwrap()
}

fn text_plain() -> ContentType {
    ContentType::parse("text/plain").unwrap()
}

fn append(bytes: usize) -> Append {
    Append {
        content_type: Some(text_plain()),
        payload: Payload::single(vec![b'x'; bytes].into()).unwrap(),
        ..Append::close()
    }
    .open()
}

/// [`Append::close`] without the close.
trait Open {
    fn open(self) -> Self;
}

impl Open for Append {
    fn open(mut self) -> Self {
        self.close = false;
        self
    }
}

fn lazy(stream: &str, bytes: usize) -> Batch {
    Batch {
        commands: vec![Command {
            at: NOW,
            op: Op::Append(name(stream), append(bytes)),
        }],
        applied: None,
        durable: false,
    }
}

const FULL: Result<weir_protocol::Appended, AppendError> = Err(AppendError::Fault(Fault::StorageFull));

#[test]
fn a_full_disk_refuses_batches_until_there_is_space() {
    let store = Store::new();
    store.append("a", 10).unwrap();
    for space in [0, 1, 40, 500] {
        set_space(space);
        assert_eq!(store.append("a", 1000), FULL);
        assert_eq!(store.length("a"), 10);
    }
    set_space(usize::MAX);
    store.append("a", 1000).unwrap();
    assert_eq!(store.length("a"), 1010);
    let store = store.reopen();
    assert_eq!(store.length("a"), 1010);
}

#[test]
fn a_full_disk_between_the_redo_log_and_the_logs_loses_nothing() {
    // The redo log's record fits, the log's frames do not, or in part: the batch is durable and applied.
    let mut outcomes = [0, 0];
    for space in (1100..2400).step_by(37) {
        set_space(usize::MAX);
        let store = Store::new();
        set_space(space);
        let applied = match store.append("a", 1000) {
            Ok(_) => 1000,
            full => {
                assert_eq!(full, FULL);
                0
            }
        };
        outcomes[usize::from(applied > 0)] += 1;
        assert_eq!(store.length("a"), applied);
        assert_eq!(store.append("a", 5000), FULL);
        assert_eq!(store.length("a"), applied);
        set_space(usize::MAX);
        let store = if space % 2 == 0 { store.reopen() } else { store };
        store.create("b").unwrap();
        store.append("a", 7).unwrap();
        assert_eq!(store.length("a"), applied + 7);
        let store = store.reopen();
        assert_eq!(store.length("a"), applied + 7, "{space}");
        assert_eq!(store.length("b"), 0);
    }
    assert!(outcomes[0] > 0 && outcomes[1] > 10, "{outcomes:?}");
}

#[test]
fn a_full_disk_keeps_what_waits_within_bounds() {
    let store = Store::new();
    // Enough for a while of redo log, and never for what goes from there into the log.
    let mut written = 0;
    set_space(40 << 20);
    let full = loop {
        match store.append("a", 1 << 20) {
            Ok(_) => written += 1 << 20,
            full => break full,
        }
    };
    assert_eq!(full, FULL);
    assert_eq!(store.length("a"), written);
    set_space(usize::MAX);
    store.append("a", 1).unwrap();
    assert_eq!(store.length("a"), written + 1);
    assert_eq!(store.reopen().length("a"), written + 1);
}

#[test]
fn housekeeping_on_a_full_disk_leaves_everything_as_it_is() {
    let mut store = Store::new();
    for _ in 0..2000 {
        store.storage.apply(lazy("a", 1)).unwrap();
    }
    store.storage.checkpoint().unwrap();
    for space in [0, 30, 3000] {
        set_space(space);
        store.storage.maintain().unwrap();
        assert_eq!(store.length("a"), 2000);
        set_space(usize::MAX);
        store.append("a", 1).unwrap();
        store.storage.delete(&name("a"), NOW).unwrap();
        store.create("a").unwrap();
        store.append("a", 2000).unwrap();
        store = store.reopen();
        assert_eq!(store.length("a"), 2000);
    }
}

#[test]
fn a_failed_sync_is_final() {
    let store = Store::new();
    store.append("a", 10).unwrap();
    set_sync_fails(true);
    assert!(matches!(
        store.append("a", 5),
        Err(AppendError::Fault(Fault::Storage(_)))
    ));
    assert_eq!(store.length("a"), 10, "readers see nothing of it");
    set_sync_fails(false);
    let refused = store.append("a", 5);
    assert!(matches!(refused, Err(AppendError::Fault(Fault::Storage(text))) if text.contains("failed earlier")));
    assert!(matches!(store.storage.checkpoint(), Err(StorageError::Failed(_))));
    assert_eq!(store.length("a"), 10);
    // Whether the batch is there is not known. Nothing else is in doubt.
    let store = store.reopen();
    assert!([10, 15].contains(&store.length("a")));
    store.append("a", 1).unwrap();
}

#[test]
fn a_failed_checkpoint_is_final() {
    let store = Store::new();
    store.storage.apply(lazy("a", 10)).unwrap();
    set_sync_fails(true);
    assert!(store.storage.checkpoint().is_err());
    set_sync_fails(false);
    assert!(matches!(store.storage.checkpoint(), Err(StorageError::Failed(_))));
}

#[test]
fn what_is_not_durable_reaches_no_log_before_the_redo_log_is_synced() {
    let store = Store::new();
    let log = store.dir.path().join("streams/1.log");
    let before = std::fs::metadata(&log).unwrap().len();
    store.storage.apply(lazy("a", 10)).unwrap();
    assert_eq!(std::fs::metadata(&log).unwrap().len(), before);
    assert_eq!(store.length("a"), 10);
    store.storage.checkpoint().unwrap();
    assert!(std::fs::metadata(&log).unwrap().len() > before);
}

#[test]
fn the_redo_log_begins_anew_when_it_is_large() {
    let mut store = Store::new();
    for _ in 0..70 {
        store.storage.apply(lazy("a", 1 << 20)).unwrap();
    }
    store.storage.checkpoint().unwrap();
    assert!(std::fs::metadata(store.dir.path().join("redo.log")).unwrap().len() < 1000);
    store.append("a", 1).unwrap();
    for _ in 0..2 {
        store = store.reopen();
        assert_eq!(store.length("a"), (70 << 20) + 1);
    }
}

#[test]
fn impossible_numbers_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(super::redo::Redo::begin(dir.path(), 5, u64::MAX, None).unwrap());
    let store = Store {
        storage: open(&dir).unwrap(),
        dir,
    };
    let used_up = store.create("a");
    assert!(matches!(used_up, Err(CreateError::Fault(Fault::Storage(text))) if text.contains("used up")));
    let dir = tempfile::tempdir().unwrap();
    drop(super::redo::Redo::begin(dir.path(), u64::MAX, 1, None).unwrap());
    assert!(matches!(open(&dir), Err(StorageError::Damaged(_))));
}

#[test]
fn many_logs_are_written_and_synced_with_few_files_open() {
    let store = Store::new();
    let names: Vec<String> = (0..600).map(|number| format!("s/{number}")).collect();
    for name in &names {
        store.create(name).unwrap();
    }
    for number in 0..64 {
        let commands = names
            .iter()
            .map(|name| lazy(name, 2000 + number).commands.remove(0))
            .collect();
        let batch = Batch {
            commands,
            applied: None,
            durable: false,
        };
        store.storage.apply(batch).unwrap();
    }
    store.storage.checkpoint().unwrap();
    assert!(
        std::fs::metadata(store.dir.path().join("redo.log")).unwrap().len() < 1000,
        "it began anew"
    );
    let store = store.reopen();
    let expected = (0..64).map(|number| 2000 + number).sum::<u64>();
    for name in &names {
        assert_eq!(store.length(name), expected);
    }
}
