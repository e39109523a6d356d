//! Requests that are under way for long hold up none that come behind them.

use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use weir_proto::peer::Frame;

use super::kind::{CallError, Kind, Lane, Status};
use super::link::{Introduction, Link};
use super::server::{Dispatch, Incoming, Reply, serve};
use crate::limits::{MAX_FRAMES_UNDER_WAY, MAX_READS_UNDER_WAY, RULES_VERSION};
use crate::platform::Network;

const PATIENCE: Duration = Duration::from_secs(20);

type Parked = Arc<Mutex<Vec<Reply>>>;
type Answered = oneshot::Receiver<Result<Bytes, CallError>>;

/// Answers no request but those for a description.
#[derive(Clone, Default)]
struct Parking(Parked);

impl Dispatch for Parking {
    fn accept(&self, _node: u64, _lane: Lane) -> Box<dyn Incoming> {
        Box::new(self.clone())
    }
}

impl Incoming for Parking {
    fn take(&mut self, kind: Kind, _frame: Frame, reply: Reply) {
        match kind {
            Kind::Head => drop(tokio::spawn(reply.send(Status::Done, Bytes::new()))),
            _ => self.0.lock().unwrap().push(reply),
        }
    }
}

struct World {
    link: Link,
    parked: Parked,
    _stop: watch::Sender<bool>,
}

impl World {
    async fn on(lane: Lane) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let location = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = watch::channel(false);
        let ours = Arc::new(RwLock::new("ours".to_owned()));
        let parking = Parking::default();
        tokio::spawn(serve(listener.into(), ours, Arc::new(parking.clone()), stopped));
        let introduction = Introduction {
            cluster: "ours".to_owned(),
            node: 2,
            rules: RULES_VERSION,
            network: Network::Tcp,
        };
        Self {
            link: Link::open(&location, lane, introduction),
            parked: parking.0,
            _stop: stop,
        }
    }

    fn ask(&self, kind: Kind) -> Answered {
        let frame = Frame {
            kind: kind as u32,
            ..Frame::default()
        };
        self.link.start(frame).unwrap()
    }

    /// Has so many requests parked.
    async fn park(&self, kind: Kind, count: usize) -> Vec<Answered> {
        let before = self.parked.lock().unwrap().len();
        let mut asked = Vec::new();
        while asked.len() < count {
            for _ in 0..(count - asked.len()).min(1000) {
                asked.push(self.ask(kind));
            }
            let arrived = async {
                while self.parked.lock().unwrap().len() < before + asked.len() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            timeout(PATIENCE, arrived).await.unwrap();
        }
        asked
    }

    /// Answers none of what is parked: all who asked learn that nobody knows.
    async fn drop_all(&self, asked: Vec<Answered>) {
        self.parked.lock().unwrap().clear();
        for asked in asked {
            let answer = timeout(PATIENCE, asked).await.unwrap().unwrap();
            assert!(is_status(&answer, Status::Unknown), "{answer:?}");
        }
    }
}

fn is_status(answer: &Result<Bytes, CallError>, wanted: Status) -> bool {
    matches!(answer, Err(CallError::Refused { status, .. }) if *status == wanted)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_on_which_nothing_ends_refuses_what_comes_then() {
    for (lane, slots) in [(Lane::Client, MAX_FRAMES_UNDER_WAY), (Lane::Read, MAX_READS_UNDER_WAY)] {
        let world = World::on(lane).await;
        let mut asked = world.park(Kind::Read, slots).await;
        for _ in 0..2000 {
            let refused = timeout(PATIENCE, world.ask(Kind::Head)).await.unwrap().unwrap();
            assert!(is_status(&refused, Status::Unavailable), "{refused:?}");
        }
        // One that ends makes room for one.
        let one = world.parked.lock().unwrap().swap_remove(0);
        one.send(Status::Done, Bytes::new()).await;
        timeout(PATIENCE, asked.swap_remove(0)).await.unwrap().unwrap().unwrap();
        assert_eq!(
            timeout(PATIENCE, world.ask(Kind::Head)).await.unwrap().unwrap(),
            Ok(Bytes::new())
        );
        // There is a place for all answers at once.
        world.drop_all(asked).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_watches_are_under_way_at_a_time() {
    let world = World::on(Lane::Watch).await;
    let given_up = world.park(Kind::Wait, 30_000).await;
    drop(given_up);
    let asked = world.park(Kind::Wait, 30_000).await;
    assert_eq!(
        timeout(PATIENCE, world.ask(Kind::Head)).await.unwrap().unwrap(),
        Ok(Bytes::new())
    );
    world.drop_all(asked).await;
}
