//! `live=sse`: events and their order, and how the answer ends.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};
use weir_http::Settings;
use weir_protocol::Fault;

use crate::support::{Events, Front, offset, path};

async fn subscribe(front: &Front, name: &str, from: &str) -> Events {
    let target = format!("{}?offset={from}&live=sse", path(name));
    Events::of(front.start("GET", &target, &[], "").await)
}

#[tokio::test]
async fn the_answers_head() {
    let front = Front::new();
    front.create("t", "text/plain", "").await;
    front.create("j", "application/json", "").await;
    front.create("b", "application/octet-stream", "").await;
    for (name, encoding) in [("t", ""), ("j", ""), ("b", "base64")] {
        let target = path(name) + "?offset=-1&live=sse";
        let response = front.start("GET", &target, &[("accept-encoding", "gzip")], "").await;
        let header = |name| response.headers().get(name).map_or("", |value| value.to_str().unwrap());
        assert_eq!(response.status(), 200);
        assert_eq!(header("content-type"), "text/event-stream");
        assert_eq!(header("cache-control"), "no-cache");
        assert_eq!(header("stream-sse-data-encoding"), encoding);
        for absent in ["content-length", "content-encoding", "etag"] {
            assert_eq!(header(absent), "", "{absent}");
        }
    }
}

#[tokio::test]
async fn every_data_event_is_followed_by_where_it_ends() {
    let front = Front::new();
    front.create("s", "application/json", r#"[{"a":1},2]"#).await;
    let mut events = subscribe(&front, "s", "-1").await;
    assert_eq!(events.data().await, r#"[{"a":1},2]"#);
    let control = json!({"streamNextOffset": offset(10), "streamCursor": "1000", "upToDate": true});
    assert_eq!(events.control().await, control);
    front.append("s", "application/json", "3").await;
    assert_eq!(events.data().await, "[3]");
    let control = json!({"streamNextOffset": offset(12), "streamCursor": "1000", "upToDate": true});
    assert_eq!(events.control().await, control);
    front.close("s").await;
    let end = json!({"streamNextOffset": offset(12), "upToDate": true, "streamClosed": true});
    assert_eq!(events.control().await, end);
    assert_eq!(events.next().await, None);
    assert_eq!(front.fake.renewals.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_a_short_ttl_is_renewed_as_long_as_somebody_listens() {
    let front = Front::new();
    let headers = [("content-type", "text/plain"), ("stream-ttl", "2")];
    front.send("PUT", &path("s"), &headers, "").await;
    let listening = [subscribe(&front, "s", "now").await, subscribe(&front, "s", "now").await];
    let renewals = || front.fake.renewals.load(Ordering::Relaxed);
    assert_eq!(renewals(), 2);
    // Whether anybody takes what is sent or not: the connection is there. An error is none of the client's business.
    *front.fake.next_read.lock().unwrap() = Some(Fault::Unavailable("x").into());
    sleep(Duration::from_millis(5500)).await;
    assert!((11..=13).contains(&renewals()), "{}", renewals());
    drop(listening);
    let last = renewals();
    sleep(Duration::from_secs(30)).await;
    assert_eq!(renewals(), last);
}

#[tokio::test]
async fn who_asks_a_closed_stream_for_what_comes_is_told_in_the_head() {
    let front = Front::new();
    front.create("s", "text/plain", "old").await;
    let head = async |from: &str| {
        let target = format!("{}?offset={from}&live=sse", path("s"));
        let response = front.start("GET", &target, &[], "").await;
        ["stream-closed", "stream-up-to-date", "stream-next-offset"].map(|name| {
            let value = response.headers().get(name);
            value.map_or("", |value| value.to_str().unwrap()).to_owned()
        })
    };
    assert_eq!(head("now").await, ["", "", ""]);
    front.close("s").await;
    assert_eq!(head("now").await, ["true", "true", &offset(3)]);
    assert_eq!(head("-1").await, ["", "", ""], "there are messages before the end");
}

#[tokio::test]
async fn a_subscriber_learns_at_once_where_it_is() {
    let front = Front::new();
    front.create("s", "text/plain", "old").await;
    let mut events = subscribe(&front, "s", "now").await;
    let control = json!({"streamNextOffset": offset(3), "streamCursor": "1000", "upToDate": true});
    assert_eq!(events.control().await, control);
    front.append("s", "text/plain", "new").await;
    assert_eq!(events.data().await, "new");
    let target = format!("{}?offset={}&live=sse&cursor=1000", path("s"), offset(6));
    let mut again = Events::of(front.start("GET", &target, &[], "").await);
    let control = again.control().await;
    assert_eq!(control["streamNextOffset"], offset(6));
    let cursor: u64 = control["streamCursor"].as_str().unwrap().parse().unwrap();
    assert!((1001..=1180).contains(&cursor), "{cursor}");
    front.append("s", "text/plain", "!").await;
    assert_eq!(again.data().await, "!");
    // Within one answer cursors do not fall back.
    assert_eq!(again.control().await["streamCursor"], cursor.to_string());
    assert_eq!(events.control().await["streamCursor"], "1000");
}

#[tokio::test]
async fn a_closed_stream_ends_the_answer() {
    let front = Front::new();
    front.create("s", "text/plain", "all").await;
    front.close("s").await;
    let end = json!({"streamNextOffset": offset(3), "upToDate": true, "streamClosed": true});
    for from in ["now", &offset(3)] {
        let mut events = subscribe(&front, "s", from).await;
        assert_eq!(events.control().await, end);
        assert_eq!(events.next().await, None);
    }
    let mut events = subscribe(&front, "s", "-1").await;
    assert_eq!(events.data().await, "all");
    assert_eq!(events.control().await, end);
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_last_message_with_the_close_is_one_pair() {
    let front = Front::new();
    front.create("s", "text/plain", "").await;
    let mut events = subscribe(&front, "s", "now").await;
    events.control().await;
    let close = [("content-type", "text/plain"), ("stream-closed", "true")];
    front.send("POST", &path("s"), &close, "bye").await;
    assert_eq!(events.data().await, "bye");
    assert_eq!(events.control().await["streamClosed"], true);
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn binary_streams_are_base64() {
    let front = Front::new();
    front.send("PUT", &path("s"), &[], vec![0, 255, 10, 13]).await;
    let mut events = subscribe(&front, "s", "-1").await;
    assert_eq!(events.data().await, "AP8KDQ==");
    assert_eq!(events.control().await["streamNextOffset"], offset(4));
}

#[tokio::test]
async fn a_reader_far_behind_gets_bounded_events_each_with_its_offset() {
    let front = Front::new();
    front.create("s", "text/plain", "").await;
    let block = "x".repeat(100_000);
    for _ in 0..7 {
        front.append("s", "text/plain", &block).await;
    }
    front.close("s").await;
    let mut events = subscribe(&front, "s", "-1").await;
    for (length, end, is_last) in [
        (200_000, 200_000, false),
        (200_000, 400_000, false),
        (200_000, 600_000, false),
        (100_000, 700_000, true),
    ] {
        assert_eq!(events.data().await.len(), length);
        let control = events.control().await;
        assert_eq!(control["streamNextOffset"], offset(end));
        assert_eq!(control.get("upToDate").is_some(), is_last);
        assert_eq!(control.get("streamClosed").is_some(), is_last);
        assert_eq!(control.get("streamCursor").is_some(), !is_last);
    }
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_deleted_or_moved_stream_ends_the_answer() {
    let front = Front::new();
    for name in ["deleted", "moved"] {
        front.create(name, "text/plain", "x").await;
    }
    let mut deleted = subscribe(&front, "deleted", "now").await;
    let mut moved = subscribe(&front, "moved", "now").await;
    deleted.control().await;
    moved.control().await;
    front.send("DELETE", &path("deleted"), &[], "").await;
    front.fake.move_away("moved", "");
    assert_eq!(deleted.next().await, None);
    assert_eq!(moved.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn silence_is_broken_by_comments_and_the_answer_ends_in_time() {
    let front = Front::with(Settings {
        sse_max_duration: Duration::from_secs(60),
        sse_keep_alive: Duration::from_secs(15),
        ..Settings::default()
    });
    front.create("s", "text/plain", "x").await;
    let began = Instant::now();
    let mut events = subscribe(&front, "s", "now").await;
    events.control().await;
    for seconds in [15, 30, 45] {
        assert_eq!(events.next().await.unwrap().kind, "comment");
        assert_eq!(began.elapsed().as_secs(), seconds);
    }
    assert_eq!(events.next().await, None);
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_busy_answer_ends_in_time_too() {
    let front = Front::with(Settings {
        sse_max_duration: Duration::from_secs(2),
        ..Settings::default()
    });
    front.create("s", "text/plain", "").await;
    let began = Instant::now();
    let mut events = subscribe(&front, "s", "now").await;
    events.control().await;
    let mut last = String::new();
    loop {
        sleep(Duration::from_millis(150)).await;
        front.append("s", "text/plain", "x").await;
        let Some(data) = events.next().await else { break };
        assert_eq!(data.kind, "data");
        last = events.control().await["streamNextOffset"].to_string();
    }
    assert_eq!(began.elapsed().as_millis() / 1000, 2);
    assert_eq!(last, json!(offset(13)).to_string());
}

#[tokio::test]
async fn the_answer_ends_with_the_server() {
    let front = Front::new();
    front.create("s", "text/plain", "x").await;
    let mut events = subscribe(&front, "s", "now").await;
    events.control().await;
    let end = async {
        sleep(Duration::from_millis(10)).await;
        front.trigger.fire();
    };
    assert_eq!(tokio::join!(events.next(), end).0, None);
}
