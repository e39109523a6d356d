//! Replicas of which a part was lost do not open.

use std::sync::Arc;

use prost::Message as _;
use tempfile::TempDir;
use weir_journal::{Entry, Identity, Journal, LogId, MIN_SEGMENT_BYTES, Options, RealDisk, ReplicaKey};
use weir_proto::raft as pb;
use weir_storage::{Batch, RealFiles, RedbOptions, RedbStorage, Storage as _};

use super::{Replica, ReplicaOptions, SnapshotMark};
use crate::group::{StoreKind, StreamsMachine};
use crate::peer::Peers;
use crate::platform::Network;
use crate::raft::RaftSettings;

const KEY: ReplicaKey = ReplicaKey { group: 1, replica: 1 };

fn id(index: u64) -> LogId {
    LogId::new(1, 1, index)
}

/// The streams of a replica whose state has come to entry `index`.
pub(crate) fn machine_at(options: RedbOptions, index: u64) -> StreamsMachine {
    let store = RedbStorage::open(&options).unwrap();
    let leader = Some(pb::LeaderId { term: 1, replica: 1 });
    let applied = pb::Applied {
        log_id: Some(pb::LogId { leader, index }),
        ..pb::Applied::default()
    };
    let batch = Batch {
        commands: Vec::new(),
        applied: Some(applied.encode_to_vec().into()),
        durable: true,
    };
    store.apply(batch).unwrap();
    let kind = StoreKind::Redb(options, Arc::new(RealFiles));
    StreamsMachine::open(Arc::new(store), kind, Arc::default()).unwrap()
}

/// A replica whose state has come to entry 5, and what is done to its log.
async fn open(dir: &TempDir, change: impl FnOnce(&Journal)) -> Result<Arc<Replica>, String> {
    let mut options = Options::new(Identity {
        cluster: [1; 16],
        node: [2; 16],
    });
    options.segment_bytes = MIN_SEGMENT_BYTES;
    let (journal, _) = Journal::open(&dir.path().join("journal"), options, Arc::new(RealDisk)).unwrap();
    change(&journal);
    let options = RedbOptions {
        path: dir.path().join("streams.redb"),
        cache_bytes: 1 << 20,
        waits_for_space: true,
    };
    let machine = machine_at(options, 5);
    let opened = Replica::open(ReplicaOptions {
        group: KEY.group,
        replica: KEY.replica,
        journal: Arc::new(journal),
        peers: Arc::new(Peers::new(String::new(), 1, Arc::default(), Network::Tcp)),
        machine: Arc::new(machine),
        settings: RaftSettings::default(),
        keep_log_bytes: 1 << 20,
        founders: None,
    });
    opened.await.map_err(|error| error.to_string())
}

fn append(journal: &Journal, last: u64) {
    let entry = |index| Entry {
        id: id(index),
        payload: bytes::Bytes::from_static(&[0]),
    };
    journal
        .append(KEY, (1..=last).map(entry).collect(), Box::new(|_| {}))
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_ahead_of_its_log_is_refused_unless_it_came_by_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let refused = open(&dir, |journal| append(journal, 4)).await;
    assert!(refused.is_err_and(|error| error.contains("its log ends with entry 4")));
    SnapshotMark::at(dir.path().join("streams.snapshot"))
        .unwrap()
        .set()
        .unwrap();
    let opened = open(&dir, |_| {}).await;
    assert!(opened.is_ok(), "{:?}", opened.err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_behind_its_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = open(&dir, |journal| {
        append(journal, 9);
        journal.purge(KEY, id(6), Box::new(|_| {})).unwrap();
    });
    assert!(
        refused
            .await
            .is_err_and(|error| error.contains("its log begins after entry 6"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_within_its_log_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(&dir, |journal| {
        append(journal, 9);
        journal.purge(KEY, id(5), Box::new(|_| {})).unwrap();
    });
    let opened = opened.await;
    assert!(opened.is_ok(), "{:?}", opened.err());
}
