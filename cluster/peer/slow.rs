//! A node that takes its answers slowly does not fill the memory of the one that answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use weir_proto::peer::peer_client::PeerClient;
use weir_proto::peer::{Frame, Frames};

use super::kind::{Kind, Lane, Status};
use super::link::{CLUSTER_HEADER, LANE_HEADER, RULES_HEADER};
use super::room::{Budgets, Room};
use super::server::{Dispatch, Incoming, Reply, serve};
use crate::limits::{MAX_ANSWER_BYTES, RULES_VERSION};

const PATIENCE: Duration = Duration::from_secs(20);

const ANSWER_BYTES: usize = 4 << 20;

/// Answers every request with a large answer, as soon as it has room for it.
#[derive(Clone, Default)]
struct Generous {
    made: Arc<AtomicUsize>,
}

impl Dispatch for Generous {
    fn accept(&self, _node: u64, _lane: Lane) -> Box<dyn Incoming> {
        Box::new(self.clone())
    }
}

impl Incoming for Generous {
    fn take(&mut self, _kind: Kind, _frame: Frame, mut reply: Reply) {
        let made = Arc::clone(&self.made);
        tokio::spawn(async move {
            reply.room().claim(ANSWER_BYTES as u64).await.unwrap();
            made.fetch_add(1, Ordering::SeqCst);
            let answer = Bytes::from(vec![0; ANSWER_BYTES]);
            assert!(reply.room().fits(answer.len() as u64));
            reply.send(Status::Done, answer).await;
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_not_taken_are_not_made_without_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = listener.local_addr().unwrap();
    let (_stop, stopped) = watch::channel(false);
    let ours = Arc::new(RwLock::new("ours".to_owned()));
    let generous = Generous::default();
    tokio::spawn(serve(listener.into(), ours, Arc::new(generous.clone()), stopped));

    let client = PeerClient::connect(format!("http://{location}")).await.unwrap();
    let mut client = client.max_decoding_message_size(usize::MAX);
    let (frames, sent) = mpsc::channel(1);
    let mut request = Request::new(ReceiverStream::new(sent));
    for (header, value) in [
        (CLUSTER_HEADER, "ours".to_owned()),
        (LANE_HEADER, Lane::Read.name().to_owned()),
        (RULES_HEADER, RULES_VERSION.to_string()),
    ] {
        request.metadata_mut().insert(header, value.parse().unwrap());
    }
    let mut answers = client.exchange(request).await.unwrap().into_inner();
    let count = 100;
    let read = |id| Frame {
        id,
        kind: Kind::Read as u32,
        ..Frame::default()
    };
    let all = Frames {
        frames: (1..=count).map(read).collect(),
    };
    frames.send(all).await.unwrap();

    let made = || generous.made.load(Ordering::SeqCst);
    // What is under way in the connection has left the memory that this is about.
    let fit = MAX_ANSWER_BYTES as usize / ANSWER_BYTES + 3;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!((2..=fit).contains(&made()), "{} were made", made());
    let mut taken = 0;
    while taken < count {
        let message = timeout(PATIENCE, answers.message()).await.unwrap().unwrap().unwrap();
        taken += message.frames.len() as u64;
    }
    assert_eq!(made(), 100);
}

/// Whether it does not end in a moment.
async fn is_waiting<T>(future: impl Future<Output = T>) -> bool {
    timeout(Duration::from_millis(50), future).await.is_err()
}

#[tokio::test]
async fn room_is_waited_for_and_given_back() {
    let budgets = Budgets::new();
    let most = u64::from(MAX_ANSWER_BYTES);
    let (mut first, mut second) = (budgets.room(Kind::Read), budgets.room(Kind::Read));
    first.claim(most / 2).await.unwrap();
    assert!(is_waiting(second.claim(most)).await);
    assert!(!second.is_taken());
    // Fetches do not wait for reads, and whoever asks for something small for nobody.
    budgets.room(Kind::Fetch).claim(most).await.unwrap();
    budgets.room(Kind::Head).claim(most).await.unwrap();
    assert!(first.fits(1000));
    assert!(second.claim(most / 2).await.is_ok());
    // It turns out to be more than there is, until the other one is gone.
    assert!(!second.fits(most));
    drop(first);
    assert!(second.fits(2 * most));
    assert!(is_waiting(budgets.room(Kind::List).claim(1)).await);
    drop(second);
    assert!(budgets.room(Kind::List).claim(1).await.is_ok());
    assert!(Room::default().claim(u64::MAX / 2).await.is_ok());
}
