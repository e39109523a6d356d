//! A follower whose disk stands still owes an answer to every heartbeat, and must not let that fill the stream that they
//! share with votes and read indexes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use weir_journal::{Identity, Journal, MIN_SEGMENT_BYTES, Options, RealDisk, Stepper};
use weir_proto::peer::Frame;
use weir_proto::raft as pb;

use super::confirm::{CLUSTER, KEY, PATIENCE, open_calm};
use super::{Appends, Replica};
use crate::peer::{Address, Addresses, CallError, Dispatch, Incoming, Kind, Lane, Peers, Reply, Status, serve};
use crate::platform::Network;

/// A node with one replica.
struct Node(Arc<Replica>);

struct Stream {
    replica: Arc<Replica>,
    appends: Appends,
}

impl Dispatch for Node {
    fn accept(&self, _node: u64, lane: Lane) -> Box<dyn Incoming> {
        Box::new(Stream {
            replica: Arc::clone(&self.0),
            appends: Appends::by(lane),
        })
    }
}

impl Incoming for Stream {
    fn take(&mut self, kind: Kind, frame: Frame, reply: Reply) {
        match kind {
            Kind::Append => self.appends.take(&self.replica, frame, reply),
            _ => drop(tokio::spawn(reply.send(Status::Done, Bytes::new()))),
        }
    }
}

/// Has a journal written, but for the time that it is to stand still, as long as anybody has it.
pub(crate) fn write_unless(is_stalled: &Arc<AtomicBool>, journal: Journal, mut stepper: Stepper) -> Arc<Journal> {
    let (stalled, journal) = (Arc::clone(is_stalled), Arc::new(journal));
    let end = Arc::downgrade(&journal);
    std::thread::spawn(move || {
        while end.upgrade().is_some() {
            if !stalled.load(Ordering::SeqCst) {
                stepper.write();
                stepper.prepare();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    journal
}

/// What the leader, replica 2, sends.
fn append(entries: std::ops::Range<u64>) -> Bytes {
    let id = |term, replica, index| {
        Some(pb::LogId {
            leader: Some(pb::LeaderId { term, replica }),
            index,
        })
    };
    let before = match entries.start - 1 {
        0 => id(0, 1, 0),
        index => id(5, 2, index),
    };
    let entry = |index| pb::Entry {
        log_id: id(5, 2, index),
        // One of Raft's own.
        payload: Bytes::from_static(&[0]),
    };
    let request = pb::AppendRequest {
        vote: Some(pb::Vote {
            leader: Some(pb::LeaderId { term: 5, replica: 2 }),
            committed: true,
        }),
        prev_log_id: before,
        leader_commit: None,
        entries: entries.map(entry).collect(),
    };
    request.encode_to_vec().into()
}

/// Heartbeats when nothing but the founding entry is there have no entries.
const HEARTBEAT: std::ops::Range<u64> = 1..1;

#[tokio::test(flavor = "multi_thread")]
async fn unanswered_heartbeats_leave_room_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::new(Identity {
        cluster: [1; 16],
        node: [2; 16],
    });
    options.segment_bytes = MIN_SEGMENT_BYTES;
    let opened = Journal::open_stepped(&dir.path().join("journal"), options, Arc::new(RealDisk));
    let (journal, _, stepper) = opened.unwrap();
    let is_stalled = Arc::new(AtomicBool::new(false));
    let journal = write_unless(&is_stalled, journal, stepper);
    let replica = open_calm(journal, Addresses::default()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = Addresses::default();
    addresses.update([(1, listener.local_addr().unwrap().to_string())]);
    let (stop, stopped) = watch::channel(false);
    let ours = Arc::new(RwLock::new(CLUSTER.to_owned()));
    tokio::spawn(serve(
        listener.into(),
        ours,
        Arc::new(Node(Arc::clone(&replica))),
        stopped,
    ));

    let leader = Peers::new(CLUSTER.to_owned(), 2, Arc::new(addresses), Network::Tcp);
    let address = Address {
        node: 1,
        group: KEY.group,
        from: 2,
        to: KEY.replica,
    };
    let send = |lane, body| leader.start(address, lane, Kind::Append, body, PATIENCE * 3);
    assert!(send(Lane::Control, append(HEARTBEAT)).await.is_ok());
    is_stalled.store(true, Ordering::SeqCst);
    let mut entries = tokio::spawn(send(Lane::Bulk, append(1..4)));
    assert!(
        tokio::time::timeout(Duration::from_millis(200), &mut entries)
            .await
            .is_err()
    );
    let mut heartbeats = Vec::new();
    for _ in 0..500 {
        heartbeats.push(tokio::spawn(send(Lane::Control, append(HEARTBEAT))));
        // Each gets to openraft before the next one comes, as long as it takes any.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let began = Instant::now();
    let unanswered = || heartbeats.iter().filter(|heartbeat| !heartbeat.is_finished()).count();
    while unanswered() > 8 {
        assert!(began.elapsed() < PATIENCE, "{} are unanswered", unanswered());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Those are really waited for: nobody said that they arrived well.
    for heartbeat in heartbeats.into_iter().filter(|heartbeat| heartbeat.is_finished()) {
        let refused = heartbeat.await.unwrap();
        assert!(
            matches!(
                refused,
                Err(CallError::Refused {
                    status: Status::Unknown,
                    ..
                })
            ),
            "{refused:?}"
        );
    }
    is_stalled.store(false, Ordering::SeqCst);
    assert!(tokio::time::timeout(PATIENCE, entries).await.unwrap().unwrap().is_ok());
    assert!(send(Lane::Control, append(HEARTBEAT)).await.is_ok());
    stop.send(true).unwrap();
    replica.close().await.unwrap();
}
