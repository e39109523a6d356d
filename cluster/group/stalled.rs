//! A leader whose disk stands still has what it was told in its log, and is not told it again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::timeout;
use weir_journal::{Journal, RealDisk};
use weir_protocol::StreamName;
use weir_storage::{MemoryStorage, Op};

use super::elsewhere::{CLUSTER, PATIENCE, journal_options, shared};
use super::{Group, Hosted, StoreKind, StreamsMachine};
use crate::peer::{Addresses, Peers};
use crate::platform::Network;
use crate::raft::stalled::write_unless;
use crate::raft::{RaftSettings, Replica, ReplicaOptions};

/// A journal that writes nothing while it is told so.
fn open_journal(dir: &std::path::Path, is_stalled: &Arc<AtomicBool>) -> Arc<Journal> {
    let opened = Journal::open_stepped(&dir.join("journal"), journal_options(), Arc::new(RealDisk));
    let (journal, _, stepper) = opened.unwrap();
    write_unless(is_stalled, journal, stepper)
}

/// The only replica of group 1.
async fn open_replica(journal: Arc<Journal>) -> Hosted {
    let machine = StreamsMachine::open(Arc::new(MemoryStorage::new()), StoreKind::Fixed, Arc::default()).unwrap();
    let machine = Arc::new(machine);
    let peers = Peers::new(CLUSTER.to_owned(), 1, Arc::default(), Network::Tcp);
    let opened = Replica::open(ReplicaOptions {
        group: 1,
        replica: 1,
        journal,
        peers: Arc::new(peers),
        machine: Arc::clone(&machine) as Arc<_>,
        settings: RaftSettings {
            heartbeat: Duration::from_millis(300),
            election_timeout: Duration::from_millis(1500),
        },
        keep_log_bytes: 1 << 20,
        founders: Some(BTreeMap::from([(1, 1)])),
    });
    Hosted::new(opened.await.unwrap(), machine)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_in_the_log_once_however_long_that_takes() {
    let dir = tempfile::tempdir().unwrap();
    let is_stalled = Arc::new(AtomicBool::new(false));
    let journal = open_journal(dir.path(), &is_stalled);
    let hosted = Arc::new(open_replica(Arc::clone(&journal)).await);
    let group = Group::start(1, Arc::new(shared(journal, Addresses::default())));
    group.host(Some(Arc::clone(&hosted)));
    let touch = || {
        let group = Arc::clone(&group);
        tokio::spawn(async move { group.propose(Op::Touch(StreamName::new("s").unwrap())).await })
    };
    timeout(PATIENCE, touch()).await.unwrap().unwrap().unwrap();
    let before = hosted.replica.status().last_log;

    is_stalled.store(true, Ordering::SeqCst);
    let writing = touch();
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert!(!writing.is_finished());
    is_stalled.store(false, Ordering::SeqCst);
    timeout(PATIENCE, writing).await.unwrap().unwrap().unwrap();
    timeout(PATIENCE, touch()).await.unwrap().unwrap().unwrap();
    assert_eq!(hosted.replica.status().last_log, before + 2);
    group.host(None);
    hosted.replica.close().await.unwrap();
}
