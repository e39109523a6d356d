//! Proposals that come twice, on each kind of store.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use weir_proto::{entry as pb, raft};
use weir_protocol::{Append, ContentType, Create, Lifetime, Payload, ReadFrom, StreamName, Timestamp};
use weir_storage::{FileOptions, FileStorage, Op, RealFiles, RedbOptions, RedbStorage, Storage};

use super::{StoreKind, StreamsMachine};
use crate::codec::op_to_pb;
use crate::raft::{Answer, LogEntry, Machine as _, Position};

const ORIGIN: u64 = 7;

fn name() -> StreamName {
    StreamName::new("s").unwrap()
}

/// An entry that writes `text`, as proposal `id`.
fn entry(id: u64, text: &'static str) -> LogEntry {
    let payload = Payload::single(Bytes::from_static(text.as_bytes())).unwrap();
    let content_type = Some(ContentType::parse("text/plain").unwrap());
    let op = match id {
        0 => Op::Create(
            name(),
            Create {
                content_type,
                lifetime: Lifetime::Forever,
                payload,
                closed: false,
                fork: None,
            },
        ),
        _ => Op::Append(
            name(),
            Append {
                content_type,
                payload,
                close: false,
                stream_seq: None,
                producer: None,
            },
        ),
    };
    let batch = pb::Batch {
        origin: ORIGIN,
        at: 1000,
        proposals: vec![pb::Proposal {
            id,
            op: Some(op_to_pb(&op)),
            ..pb::Proposal::default()
        }],
        ..pb::Batch::default()
    };
    LogEntry {
        command: Some(batch.encode_to_vec().into()),
    }
}

fn position(index: u64) -> Position {
    let leader = Some(raft::LeaderId { term: 1, replica: 1 });
    Position {
        log_id: Some(raft::LogId { leader, index }),
        ..Position::default()
    }
}

fn text(machine: &StreamsMachine) -> String {
    let read = machine
        .store()
        .read(&name(), ReadFrom::Start, 1000, Timestamp::from_millis(2000));
    let runs = read.unwrap().runs;
    runs.iter()
        .map(|run| String::from_utf8_lossy(&run.payload).into_owned())
        .collect()
}

fn redb(dir: &std::path::Path) -> StreamsMachine {
    let options = RedbOptions {
        path: dir.join("streams.redb"),
        cache_bytes: 1 << 20,
        waits_for_space: true,
    };
    let store: Arc<dyn Storage> = Arc::new(RedbStorage::open(&options).unwrap());
    StreamsMachine::open(store, StoreKind::Redb(options, Arc::new(RealFiles)), Arc::default()).unwrap()
}

fn file(dir: &std::path::Path) -> StreamsMachine {
    let options = FileOptions {
        dir: dir.join("streams"),
    };
    let store: Arc<dyn Storage> = Arc::new(FileStorage::open(&options).unwrap());
    StreamsMachine::open(store, StoreKind::Fixed, Arc::default()).unwrap()
}

#[test]
fn a_proposal_that_comes_twice_in_one_piece_is_applied_once() {
    for open in [redb, file] {
        let dir = tempfile::tempdir().unwrap();
        let machine = open(dir.path());
        let piece = vec![entry(0, ""), entry(1, "a"), entry(2, "b"), entry(1, "a"), entry(1, "a")];
        let answers = machine.apply(piece, position(5)).unwrap();
        assert_eq!(text(&machine), "ab");
        assert!(matches!(&answers[1], Answer::Streams(outcomes) if outcomes[0].is_some()));
        assert_eq!(answers[3], answers[1]);
        assert_eq!(answers[4], answers[1]);
        let answers = machine.apply(vec![entry(2, "b")], position(6)).unwrap();
        assert_eq!(text(&machine), "ab");
        assert!(matches!(&answers[0], Answer::Streams(outcomes) if outcomes[0].is_some()));
    }
}

/// The file backend's own log makes each batch durable with what is remembered, also of the batch itself.
#[test]
fn a_proposal_that_comes_again_after_a_crash_is_not_applied_again() {
    let dir = tempfile::tempdir().unwrap();
    let machine = file(dir.path());
    machine.apply(vec![entry(0, "")], position(1)).unwrap();
    machine.apply(vec![entry(1, "a"), entry(2, "b")], position(3)).unwrap();
    machine.store().checkpoint().unwrap();
    drop(machine);
    let machine = file(dir.path());
    assert_eq!(machine.position().unwrap(), position(3));
    let answers = machine.apply(vec![entry(2, "b"), entry(3, "c")], position(5)).unwrap();
    assert_eq!(text(&machine), "abc");
    assert_eq!(answers[0], Answer::Streams(vec![None]));
}
