//! Groups that have no replica on this node, and one node elsewhere that answers nothing of its own accord.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch as signal};
use tokio::time::timeout;
use weir_journal::{Identity, Journal, MIN_SEGMENT_BYTES, Options, RealDisk};
use weir_proto::peer::Frame;
use weir_protocol::{Consistency, Fault, HeadError, StreamName};
use weir_storage::Op;

use super::{Group, Shared};
use crate::SystemClock;
use crate::disk_space::DiskSpace;
use crate::limits::{LEADER_CHECK_INTERVAL, MAX_GROUP_READS_ELSEWHERE};
use crate::peer::{Addresses, Dispatch, Incoming, Kind, Lane, Peers, Reply, Status, serve};
use crate::platform::Network;
use crate::view::{View, Views};

pub(super) const CLUSTER: &str = "a cluster";

pub(super) const PATIENCE: Duration = Duration::from_secs(20);

type Asked = Arc<Mutex<Vec<(Kind, u64, Reply)>>>;

/// Keeps what it is asked.
#[derive(Clone, Default)]
struct Silent(Asked);

impl Dispatch for Silent {
    fn accept(&self, _node: u64, _lane: Lane) -> Box<dyn Incoming> {
        Box::new(self.clone())
    }
}

impl Incoming for Silent {
    fn take(&mut self, kind: Kind, frame: Frame, reply: Reply) {
        self.0.lock().unwrap().push((kind, frame.group, reply));
    }
}

/// A node whose groups 1 and 2 have all their replicas on the silent one.
struct World {
    groups: [Arc<Group>; 2],
    asked: Asked,
    _dir: TempDir,
    _stop: signal::Sender<bool>,
}

impl World {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = Addresses::default();
        addresses.update([(2, listener.local_addr().unwrap().to_string())]);
        let (stop, stopped) = signal::channel(false);
        let ours = Arc::new(RwLock::new(CLUSTER.to_owned()));
        let silent = Silent::default();
        tokio::spawn(serve(listener.into(), ours, Arc::new(silent.clone()), stopped));
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(&dir.path().join("journal"), journal_options(), Arc::new(RealDisk)).unwrap();
        let shared = Arc::new(shared(Arc::new(journal), addresses));
        Self {
            groups: [1, 2].map(|id| Group::start(id, Arc::clone(&shared))),
            asked: silent.0,
            _dir: dir,
            _stop: stop,
        }
    }

    fn count(&self, kind: Kind) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(asked, ..)| *asked == kind).count()
    }

    fn take(&self, kind: Kind) -> Reply {
        let mut asked = self.asked.lock().unwrap();
        let at = asked.iter().position(|(asked, ..)| *asked == kind).unwrap();
        asked.remove(at).2
    }

    async fn until_asked(&self, kind: Kind, count: usize) {
        let come = async {
            while self.count(kind) < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, come).await.unwrap();
    }
}

pub(super) fn journal_options() -> Options {
    let mut options = Options::new(Identity {
        cluster: [1; 16],
        node: [2; 16],
    });
    options.segment_bytes = MIN_SEGMENT_BYTES;
    options
}

/// What groups of node 1 share.
pub(super) fn shared(journal: Arc<Journal>, addresses: Addresses) -> Shared {
    Shared {
        clock: Arc::new(SystemClock),
        peers: Arc::new(Peers::new(CLUSTER.to_owned(), 1, Arc::new(addresses), Network::Tcp)),
        views: Views::new(View {
            groups: BTreeMap::from([(1, vec![(11, 2), (13, 2)]), (2, vec![(12, 2)])]),
            ..View::default()
        }),
        journal,
        disk: Arc::new(DiskSpace::default()),
        node: 1,
        origin: 7,
        blocking_reads: false,
        reads: Arc::new(Semaphore::new(1)),
        failed: signal::channel(None).0,
    }
}

fn name() -> StreamName {
    StreamName::new("s").unwrap()
}

/// As a leader whose disk stands still, or whose followers' do.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_takes_its_time_gets_a_write_once() {
    let world = World::new().await;
    let group = Arc::clone(&world.groups[0]);
    let writing = tokio::spawn(async move { group.propose(Op::Touch(name())).await });
    world.until_asked(Kind::Propose, 1).await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(world.count(Kind::Propose), 1);
    assert!(!writing.is_finished());
    // What was sent once only, and was not done there, was not done.
    let (_, _, reply) = world.asked.lock().unwrap().pop().unwrap();
    reply.send(Status::StorageFull, Bytes::new()).await;
    let answer = timeout(PATIENCE, writing).await.unwrap().unwrap();
    assert_eq!(answer, Err(Fault::StorageFull));
}

/// It may have too much to do, and leads all the same.
#[tokio::test(flavor = "multi_thread")]
async fn who_refuses_reads_is_not_sent_its_writes_again() {
    let world = World::new().await;
    let group = Arc::clone(&world.groups[0]);
    let writing = tokio::spawn(async move { group.propose(Op::Touch(name())).await });
    world.until_asked(Kind::Propose, 1).await;
    let group = Arc::clone(&world.groups[0]);
    let reading = tokio::spawn(async move { group.head(&name(), Consistency::Linearizable).await });
    for _ in 0..20 {
        world.until_asked(Kind::Head, 1).await;
        let refused = world.take(Kind::Head);
        refused.send(Status::Unavailable, Bytes::new()).await;
    }
    tokio::time::sleep(LEADER_CHECK_INTERVAL * 2).await;
    assert_eq!(world.count(Kind::Propose), 1);
    reading.abort();
    writing.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_of_one_group_leave_room_for_those_of_others() {
    let world = World::new().await;
    let head = |group: usize| {
        let group = Arc::clone(&world.groups[group]);
        tokio::spawn(async move { group.head(&name(), Consistency::Linearizable).await })
    };
    let mut waiting = Vec::new();
    for _ in 0..MAX_GROUP_READS_ELSEWHERE {
        waiting.push(head(0));
    }
    world.until_asked(Kind::Head, MAX_GROUP_READS_ELSEWHERE).await;
    let refused = timeout(PATIENCE / 10, head(0)).await.unwrap().unwrap();
    assert_eq!(refused, Err(HeadError::Fault(Fault::Overloaded)));
    // Neither the other group nor who waits for a change is refused.
    waiting.push(head(1));
    world.until_asked(Kind::Head, MAX_GROUP_READS_ELSEWHERE + 1).await;
    let mut watch = world.groups[0].watch(&name());
    let watching = tokio::spawn(async move { watch.changed().await });
    world.until_asked(Kind::Wait, 1).await;
    watching.abort();
    // One that ends makes room for one.
    let answered = world.asked.lock().unwrap().swap_remove(0);
    answered.2.send(Status::Done, Bytes::new()).await;
    world.until_asked(Kind::Head, MAX_GROUP_READS_ELSEWHERE).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    waiting.push(head(0));
    world.until_asked(Kind::Head, MAX_GROUP_READS_ELSEWHERE + 1).await;
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}
