//! When applying might have to wait.

use bytes::Bytes;
use weir_protocol::{Append, ContentType, Create, Lifetime, Payload, StreamName, Timestamp};

use super::{RedbOptions, RedbStorage};
use crate::command::{Batch, Command, Op};
use crate::contract::Storage as _;

const APPENDED_BYTES: usize = 1 << 20;

fn open(dir: &tempfile::TempDir) -> RedbStorage {
    let options = RedbOptions {
        path: dir.path().join("store.redb"),
        cache_bytes: 1 << 20,
        waits_for_space: true,
    };
    RedbStorage::open(&options).unwrap()
}

fn apply(storage: &RedbStorage, op: Op) {
    let batch = Batch {
        commands: vec![Command {
            at: Timestamp::from_millis(1),
            op,
        }],
        applied: None,
        durable: false,
    };
    storage.apply(batch).unwrap();
}

fn create(storage: &RedbStorage) {
    let create = Create {
        content_type: Some(ContentType::parse("text/plain").unwrap()),
        lifetime: Lifetime::Forever,
        payload: Payload::empty(),
        closed: false,
        fork: None,
    };
    apply(storage, Op::Create(StreamName::new("s").unwrap(), create));
}

fn append(storage: &RedbStorage) {
    let append = Append {
        content_type: Some(ContentType::parse("text/plain").unwrap()),
        payload: Payload::single(Bytes::from(vec![b'x'; APPENDED_BYTES])).unwrap(),
        close: false,
        stream_seq: None,
        producer: None,
    };
    apply(storage, Op::Append(StreamName::new("s").unwrap(), append));
}

#[test]
fn whoever_writes_to_the_file_or_sets_something_apart_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(&dir);
    create(&storage);
    assert!(!storage.may_block());
    storage
        .store
        .write(|_| {
            assert!(storage.may_block());
            Ok(())
        })
        .unwrap();
    assert!(!storage.may_block());
    let file = storage.store.file.lock().unwrap();
    assert!(storage.may_block());
    drop(file);
    assert!(!storage.may_block());
    // What is set apart and not yet being written holds up nobody.
    let pending = storage.begin_checkpoint(Bytes::new()).unwrap();
    assert!(!storage.may_block());
    pending().unwrap();
    assert!(!storage.may_block());
}

#[test]
fn the_batch_that_will_be_written_to_the_file_with_all_before_it_is_told_beforehand() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(&dir);
    create(&storage);
    let mut quick = 0;
    while !storage.may_block() {
        append(&storage);
        quick += 1;
        assert!(quick < 100);
    }
    assert!(quick > 16, "{quick} batches");
    let held = storage.held_bytes();
    while storage.held_bytes() >= held {
        assert!(storage.may_block());
        append(&storage);
    }
    assert!(!storage.may_block());
}
