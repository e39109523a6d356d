//! A group begins in the log of each of its founders.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver as _;
use prost::Message as _;
use tempfile::TempDir;
use weir_journal::{Identity, Journal, LogId, MIN_SEGMENT_BYTES, Options, RealDisk, ReplicaKey};
use weir_proto::raft as pb;
use weir_storage::MemoryStorage;

use super::{RaftSettings, Replica, ReplicaOptions, ReplicaStatus};
use crate::group::{StoreKind, StreamsMachine};
use crate::peer::Peers;
use crate::platform::Network;

const KEY: ReplicaKey = ReplicaKey { group: 1, replica: 5 };

pub(super) fn open_journal(dir: &TempDir) -> Arc<Journal> {
    let mut options = Options::new(Identity {
        cluster: [1; 16],
        node: [2; 16],
    });
    options.segment_bytes = MIN_SEGMENT_BYTES;
    let (journal, _) = Journal::open(&dir.path().join("journal"), options, Arc::new(RealDisk)).unwrap();
    Arc::new(journal)
}

/// Opens the second of three founders, or a replica that is none.
async fn open(journal: &Arc<Journal>, is_founder: bool) -> Arc<Replica> {
    let machine = StreamsMachine::open(Arc::new(MemoryStorage::new()), StoreKind::Fixed, Arc::default()).unwrap();
    let opened = Replica::open(ReplicaOptions {
        group: KEY.group,
        replica: KEY.replica,
        journal: Arc::clone(journal),
        peers: Arc::new(Peers::new(String::new(), 2, Arc::default(), Network::Tcp)),
        machine: Arc::new(machine),
        settings: RaftSettings::default(),
        keep_log_bytes: 1 << 20,
        founders: is_founder.then(|| BTreeMap::from([(4, 1), (5, 2), (6, 3)])),
    });
    opened.await.unwrap()
}

/// How a replica is once openraft has had time to tell it; before the time for an election.
async fn told(replica: &Replica) -> ReplicaStatus {
    let mut metrics = replica.raft().metrics();
    let _ = tokio::time::timeout(Duration::from_millis(500), metrics.changed()).await;
    replica.status()
}

/// As it is when the only one that had begun was gone before it told anybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_founder_that_has_voted_for_another_one_begins_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open_journal(&dir);
    let leader = Some(pb::LeaderId { term: 1, replica: 4 });
    let vote = pb::Vote {
        leader,
        committed: false,
    };
    let voted = journal.save_vote(KEY, vote.encode_to_vec().into(), Box::new(|_| {}));
    voted.unwrap();
    for _ in 0..2 {
        let replica = open(&journal, true).await;
        let status = told(&replica).await;
        assert_eq!(status.voters, [[4, 5, 6].into()]);
        assert_eq!(status.members, BTreeMap::from([(4, 1), (5, 2), (6, 3)]));
        assert_eq!((status.term, status.last_log), (1, 0));
        replica.close().await.unwrap();
        let state = journal.state(KEY);
        assert_eq!((state.last_purged, state.last), (None, Some(LogId::new(0, 4, 0))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_begins_a_group() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open_journal(&dir);
    let replica = open(&journal, false).await;
    assert_eq!(told(&replica).await.members, BTreeMap::new());
    replica.close().await.unwrap();
    assert_eq!(journal.state(KEY).last, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_purged_has_begun() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open_journal(&dir);
    let purged = LogId::new(1, 4, 3);
    journal.purge(KEY, purged, Box::new(|_| {})).unwrap();
    let store = super::log_store::LogStore::new(Arc::clone(&journal), KEY);
    store.begin(&BTreeMap::from([(4, 1), (5, 2)])).await.unwrap();
    let state = journal.state(KEY);
    assert_eq!((state.last_purged, state.last), (Some(purged), Some(purged)));
}
