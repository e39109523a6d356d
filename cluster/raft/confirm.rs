//! A leader is confirmed only by what others answer to requests that it sent after it was asked (Raft thesis, section 6.4).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use weir_journal::{Journal, ReplicaKey};
use weir_proto::entry;
use weir_proto::peer::Frame;
use weir_proto::raft as pb;
use weir_storage::MemoryStorage;

use super::founders::open_journal;
use super::{RaftSettings, Replica, ReplicaOptions};
use crate::group::{StoreKind, StreamsMachine};
use crate::peer::{Addresses, Dispatch, Incoming, Kind, Lane, Peers, Reply, Status, serve};
use crate::platform::{Network, PeerListener};

pub(super) const CLUSTER: &str = "a cluster";

pub(super) const KEY: ReplicaKey = ReplicaKey { group: 1, replica: 1 };

/// Until then everything that should come has come, and nothing that happens at leisure.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// An append request that waits for its answer.
struct Asked {
    /// The index of its last entry, if it has any.
    last: Option<u64>,
    /// The index up to which the leader says that entries are committed.
    committed: u64,
    reply: Reply,
}

impl Asked {
    async fn answer(self) {
        let reply = Some(pb::append_reply::Reply::Success(pb::Blank {}));
        let answer = pb::AppendReply { reply };
        self.reply.send(Status::Done, answer.encode_to_vec().into()).await;
    }
}

/// Another node, whose replica grants every vote and says yes to everything; told to hold, it leaves that to the test.
#[derive(Clone)]
struct Other {
    is_holding: Arc<AtomicBool>,
    replication: mpsc::UnboundedSender<Asked>,
    heartbeats: mpsc::UnboundedSender<u64>,
}

/// One stream from the leader. On the one that had entries it replicates, on the other one it sends heartbeats.
struct Stream {
    other: Other,
    replicates: bool,
}

impl Dispatch for Other {
    fn accept(&self, _node: u64, _lane: Lane) -> Box<dyn Incoming> {
        Box::new(Stream {
            other: self.clone(),
            replicates: false,
        })
    }
}

impl Incoming for Stream {
    fn take(&mut self, kind: Kind, frame: Frame, reply: Reply) {
        if kind != Kind::Append {
            let asked = pb::VoteRequest::decode(frame.body).unwrap();
            let granted = pb::VoteReply {
                vote: asked.vote,
                granted: true,
                last_log_id: None,
            };
            tokio::spawn(reply.send(Status::Done, granted.encode_to_vec().into()));
            return;
        }
        let request = pb::AppendRequest::decode(frame.body).unwrap();
        let index = |log_id: &pb::LogId| log_id.index;
        let last = request.entries.last().and_then(|entry| entry.log_id.as_ref());
        let asked = Asked {
            last: last.map(index),
            committed: request.leader_commit.as_ref().map_or(0, index),
            reply,
        };
        self.replicates |= asked.last.is_some();
        if !self.other.is_holding.load(Ordering::SeqCst) {
            tokio::spawn(asked.answer());
        } else if self.replicates {
            let _ = self.other.replication.send(asked);
        } else {
            // A heartbeat that is never answered.
            let _ = self.other.heartbeats.send(asked.committed);
        }
    }
}

/// The test's end of an [`Other`].
struct Held {
    replication: mpsc::UnboundedReceiver<Asked>,
    heartbeats: mpsc::UnboundedReceiver<u64>,
    _stop: watch::Sender<bool>,
}

impl Held {
    /// The next append requests on the way where entries come, up to one that is `wanted`.
    async fn up_to(&mut self, wanted: impl Fn(&Asked) -> bool) -> Vec<Asked> {
        let mut all = Vec::new();
        while !all.last().is_some_and(&wanted) {
            all.push(timeout(PATIENCE, self.replication.recv()).await.unwrap().unwrap());
        }
        all
    }

    /// Answers what tells of less than `committed`, and holds the rest.
    async fn answer_below(&mut self, committed: u64) -> Infallible {
        loop {
            let asked = self.replication.recv().await.unwrap();
            if asked.committed < committed {
                asked.answer().await;
            }
        }
    }
}

/// Serves another node; where it is, and what it holds.
async fn start(is_holding: &Arc<AtomicBool>) -> (String, Held) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (replication, held) = mpsc::unbounded_channel();
    let (heartbeats, beats) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(false);
    let cluster = Arc::new(RwLock::new(CLUSTER.to_owned()));
    let other = Arc::new(Other {
        is_holding: Arc::clone(is_holding),
        replication,
        heartbeats,
    });
    tokio::spawn(serve(PeerListener::from(listener), cluster, other, stopped));
    let held = Held {
        replication: held,
        heartbeats: beats,
        _stop: stop,
    };
    (address, held)
}

/// The first replica of three, on a node that finds others at `addresses`. Heartbeats of its own accord, elections and the
/// deadline of a read are far away.
pub(super) async fn open_calm(journal: Arc<Journal>, addresses: Addresses) -> Arc<Replica> {
    let machine = StreamsMachine::open(Arc::new(MemoryStorage::new()), StoreKind::Fixed, Arc::default()).unwrap();
    let opened = Replica::open(ReplicaOptions {
        group: KEY.group,
        replica: KEY.replica,
        journal,
        peers: Arc::new(Peers::new(CLUSTER.to_owned(), 1, Arc::new(addresses), Network::Tcp)),
        machine: Arc::new(machine),
        settings: RaftSettings {
            heartbeat: PATIENCE,
            election_timeout: PATIENCE * 3,
        },
        keep_log_bytes: 1 << 20,
        founders: Some(BTreeMap::from([(1, 1), (2, 2), (3, 3)])),
    });
    opened.await.unwrap()
}

/// As it is after a pause: what the others answered before lies in the leader's sockets, they may follow another one by
/// now, and somebody asks this one for a read.
#[tokio::test(flavor = "multi_thread")]
async fn answers_to_what_was_sent_before_a_read_do_not_confirm_it() {
    let dir = tempfile::tempdir().unwrap();
    let is_holding = Arc::new(AtomicBool::new(false));
    let (second, mut on_second) = start(&is_holding).await;
    let (third, mut on_third) = start(&is_holding).await;
    let addresses = Addresses::default();
    addresses.update([(2, second), (3, third)]);
    let replica = open_calm(open_journal(&dir), addresses).await;
    replica.raft().trigger().elect(false).await.unwrap();
    let first = async {
        while replica.write(&entry::Batch::default()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, first).await.unwrap();
    // With nothing under way, a read is confirmed by heartbeats.
    let committed = timeout(PATIENCE, replica.read_index()).await.unwrap().unwrap();
    // Later heartbeats than those of that read tell of more.
    replica.write(&entry::Batch::default()).await.unwrap();
    let everywhere = async {
        while replica.status().matched.values().any(|index| *index <= committed) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, everywhere).await.unwrap();

    is_holding.store(true, Ordering::SeqCst);
    let writing = replica.propose(&entry::Batch::default()).await.unwrap();
    let index = committed + 2;
    let to_second = on_second.up_to(|asked| asked.last == Some(index)).await;
    let mut to_third = on_third.up_to(|asked| asked.last == Some(index)).await;

    let asked = Arc::clone(&replica);
    let mut read = tokio::spawn(async move { asked.read_index().await });
    while timeout(PATIENCE, on_second.heartbeats.recv()).await.unwrap().unwrap() <= committed {}

    answer(to_second).await;
    let written = async {
        tokio::select! {
            written = writing => written,
            never = on_second.answer_below(index) => match never {},
        }
    };
    timeout(PATIENCE, written).await.unwrap().unwrap();
    to_third.extend(on_third.up_to(|asked| asked.committed == index).await);
    let commit = to_third.pop().unwrap();
    assert_eq!(commit.last, None);
    answer(to_third).await;
    let told = timeout(Duration::from_millis(500), &mut read).await;
    assert!(told.is_err(), "confirmed by an answer from before the read: {told:?}");

    commit.answer().await;
    timeout(PATIENCE, read).await.unwrap().unwrap().unwrap();
    replica.close().await.unwrap();
}

async fn answer(all: Vec<Asked>) {
    for asked in all {
        asked.answer().await;
    }
}
