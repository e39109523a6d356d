//! Many wait on one stream: an event is read once and encoded once.

use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use metrics_util::debugging::{DebuggingRecorder, Snapshotter};

use crate::support::{Events, Front, counted, offset, path};

const SUBSCRIBERS: usize = 500;

fn encoded(snapshotter: &Snapshotter) -> u64 {
    counted(snapshotter, "weir_http_sse_events_encoded_total")
}

#[tokio::test]
async fn an_event_is_read_and_encoded_once_for_all_subscribers() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let front = Front::new();
    front.create("s", "application/json", "[0]").await;
    front.create("other", "application/json", "[0]").await;
    let target = path("s") + "?offset=now&live=sse";
    let mut subscribers = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let mut events = Events::of(front.start("GET", &target, &[], "").await);
        events.control().await;
        subscribers.push(events);
    }
    // A snapshot takes the counters with it, so each tells what came since the one before.
    assert_eq!(encoded(&snapshotter), 0);
    for round in 1..=5_u64 {
        let before = front.fake.reads.load(Ordering::Relaxed);
        front.append("s", "application/json", &round.to_string()).await;
        let received = join_all(subscribers.iter_mut().map(async |events| {
            let data = events.data().await;
            (data, events.control().await["streamNextOffset"].clone())
        }))
        .await;
        for (data, next_offset) in received {
            assert_eq!(
                (data, next_offset),
                (format!("[{round}]"), offset(2 + round * 2).into())
            );
        }
        assert_eq!(front.fake.reads.load(Ordering::Relaxed), before + 1);
        assert_eq!(encoded(&snapshotter), 1);
    }
}

#[tokio::test]
async fn clients_ahead_of_the_clock_share_the_data_and_have_their_own_cursor() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let front = Front::new();
    front.create("s", "text/plain", "").await;
    let mut subscribers = Vec::new();
    for cursor in [0_u64, 2000, 0, 3000] {
        let target = format!("{}?offset=now&live=sse&cursor={cursor}", path("s"));
        let mut events = Events::of(front.start("GET", &target, &[], "").await);
        events.control().await;
        subscribers.push((cursor, events));
    }
    front.append("s", "text/plain", "x").await;
    for (cursor, events) in &mut subscribers {
        assert_eq!(events.data().await, "x");
        let told: u64 = events.control().await["streamCursor"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!(told > *cursor && told >= 1000, "{told} after {cursor}");
    }
    assert_eq!(encoded(&snapshotter), 1);
}

#[tokio::test]
async fn a_character_in_pieces_is_told_once_for_all() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let front = Front::new();
    front.create("s", "text/plain", "").await;
    let target = path("s") + "?offset=now&live=sse";
    let mut subscribers = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let mut events = Events::of(front.start("GET", &target, &[], "").await);
        events.control().await;
        subscribers.push(events);
    }
    let before = front.fake.reads.load(Ordering::Relaxed);
    let received = join_all(subscribers.iter_mut().map(Events::data));
    let writer = async {
        for (written, piece) in (1..).zip([b"\xe2", b"\x82", b"\xac"]) {
            let text = [("content-type", "text/plain")];
            front.send("POST", &path("s"), &text, &piece[..]).await;
            while front.fake.reads.load(Ordering::Relaxed) < before + written {
                tokio::task::yield_now().await;
            }
            // All are awake and have seen the piece.
            for _ in 0..SUBSCRIBERS {
                tokio::task::yield_now().await;
            }
        }
    };
    let (received, ()) = tokio::join!(received, writer);
    assert!(received.iter().all(|data| data == "€"));
    assert_eq!(front.fake.reads.load(Ordering::Relaxed), before + 3);
    assert_eq!(encoded(&snapshotter), 1);
}

#[tokio::test]
async fn a_message_is_read_once_for_all_long_polls() {
    let front = Front::new();
    front.create("s", "text/plain", "").await;
    let target = format!("{}?offset={}&live=long-poll", path("s"), offset(0));
    let polls = join_all((0..SUBSCRIBERS).map(|_| front.get(&target)));
    let append = async {
        // Every poll has read and found nothing, and waits.
        while front.fake.reads.load(Ordering::Relaxed) < SUBSCRIBERS as u64 {
            tokio::task::yield_now().await;
        }
        front.append("s", "text/plain", "news").await;
    };
    let (answers, ()) = tokio::join!(polls, append);
    for answer in answers {
        assert_eq!((answer.status.as_u16(), answer.text()), (200, "news"));
    }
    assert_eq!(front.fake.reads.load(Ordering::Relaxed), SUBSCRIBERS as u64 + 1);
}
