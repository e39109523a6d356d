//! `live=long-poll`.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use weir_http::Settings;

use crate::support::{Answer, Front, offset, path};

/// The interval in which the tests' clock stands.
const INTERVAL: u64 = 1000;

fn poll(name: &str, from: &str) -> String {
    format!("{}?offset={from}&live=long-poll", path(name))
}

/// A poll, and something that happens while it waits.
async fn poll_while<T>(front: &Front, target: &str, event: impl Future<Output = T>) -> Answer {
    let later = async {
        sleep(Duration::from_millis(20)).await;
        event.await
    };
    tokio::join!(front.get(target), later).0
}

#[tokio::test]
async fn what_is_there_comes_at_once() {
    let front = Front::new();
    front.create("s", "application/json", "[1,2]").await;
    let answer = front.get(&poll("s", "-1")).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "[1,2]"));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("stream-next-offset"), offset(4));
    assert_eq!(answer.header("stream-up-to-date"), "true");
    assert_eq!(answer.header("stream-cursor"), INTERVAL.to_string());
    assert_eq!(
        answer.header("cache-control"),
        "public, max-age=60, stale-while-revalidate=300"
    );
    assert_ne!(answer.header("etag"), "");
}

#[tokio::test(start_paused = true)]
async fn what_comes_later_ends_the_wait() {
    let front = Front::new();
    front.create("s", "text/plain", "old").await;
    for (from, body, caching) in [
        ("now", "new", "no-store"),
        (&offset(6), "er", "public, max-age=60, stale-while-revalidate=300"),
    ] {
        let began = Instant::now();
        let answer = poll_while(&front, &poll("s", from), front.append("s", "text/plain", body)).await;
        assert_eq!(began.elapsed(), Duration::from_millis(20));
        assert_eq!((answer.status.as_u16(), answer.text()), (200, body));
        assert_eq!(answer.header("cache-control"), caching);
        assert_eq!(answer.header("etag").is_empty(), from == "now");
        assert_eq!(answer.header("stream-cursor"), INTERVAL.to_string());
    }
    assert_eq!(front.get(&path("s")).await.text(), "oldnewer");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_204_after_the_time_limit() {
    let front = Front::with(Settings {
        long_poll_timeout: Duration::from_secs(7),
        ..Settings::default()
    });
    front.create("s", "text/plain", "old").await;
    for from in ["now", &offset(3)] {
        let began = Instant::now();
        let answer = front.get(&poll("s", from)).await;
        assert_eq!(began.elapsed(), Duration::from_secs(7));
        assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
        assert_eq!(answer.header("stream-next-offset"), offset(3));
        assert_eq!(answer.header("stream-up-to-date"), "true");
        assert_eq!(answer.header("stream-cursor"), INTERVAL.to_string());
        assert_eq!(answer.header("stream-closed"), "");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("etag"), "");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_at_once() {
    let front = Front::new();
    front.create("s", "text/plain", "all").await;
    let began = Instant::now();
    let waiting = poll_while(&front, &poll("s", "now"), front.close("s")).await;
    let late = front.get(&poll("s", &offset(3))).await;
    let now = front.get(&poll("s", "now")).await;
    assert_eq!(began.elapsed(), Duration::from_millis(20));
    for answer in [waiting, late, now] {
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("stream-closed"), "true");
        assert_eq!(answer.header("stream-up-to-date"), "true");
        assert_eq!(answer.header("stream-next-offset"), offset(3));
        assert_eq!(answer.header("stream-cursor"), "");
    }
    let data = front.get(&poll("s", "-1")).await;
    assert_eq!((data.status.as_u16(), data.header("stream-closed")), (200, "true"));
}

#[tokio::test(start_paused = true)]
async fn a_last_message_with_the_close_comes_with_the_end() {
    let front = Front::new();
    front.create("s", "text/plain", "").await;
    let close = [("content-type", "text/plain"), ("stream-closed", "true")];
    let answer = poll_while(&front, &poll("s", "now"), front.send("POST", &path("s"), &close, "bye")).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "bye"));
    assert_eq!(answer.header("stream-closed"), "true");
}

#[tokio::test]
async fn cursors_run_ahead_of_the_clients() {
    let front = Front::new();
    front.create("s", "text/plain", "x").await;
    // The jitter is up to 3600 s, so at most 180 intervals.
    for (cursor, least, most) in [
        ("", INTERVAL, INTERVAL),
        ("999", INTERVAL, INTERVAL),
        ("1000", 1001, 1180),
        ("5000", 5001, 5180),
        ("nonsense", INTERVAL, INTERVAL),
        ("-5", INTERVAL, INTERVAL),
        ("18446744073709551616", INTERVAL, INTERVAL),
    ] {
        let answer = front.get(&format!("{}&cursor={cursor}", poll("s", "-1"))).await;
        let told: u64 = answer.header("stream-cursor").parse().unwrap();
        assert!((least..=most).contains(&told), "{cursor}: {told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_deleted_meanwhile_is_not_found() {
    let front = Front::new();
    front.create("s", "text/plain", "x").await;
    let answer = poll_while(&front, &poll("s", "now"), front.send("DELETE", &path("s"), &[], "")).await;
    answer.is_problem(404, "stream-not-found");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_moves_meanwhile_loses_nothing() {
    let front = Front::new();
    front.create("s", "text/plain", "old").await;
    let moved = poll_while(&front, &poll("s", "now"), async { front.fake.move_away("s", "new") }).await;
    assert_eq!((moved.status.as_u16(), moved.text()), (200, "new"));
    assert_eq!(moved.header("stream-next-offset"), offset(6));

    front.create("quiet", "text/plain", "old").await;
    let quiet = poll_while(&front, &poll("quiet", "now"), async {
        front.fake.move_away("quiet", "")
    })
    .await;
    assert_eq!(
        (quiet.status.as_u16(), quiet.header("stream-next-offset")),
        (204, offset(3).as_str())
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_replaced_meanwhile_is_read_from_where_the_client_asked() {
    let front = Front::new();
    front.create("s", "text/plain", "").await;
    let replace = async {
        front.send("DELETE", &path("s"), &[], "").await;
        front.create("s", "text/plain", "another").await;
    };
    let answer = poll_while(&front, &poll("s", "-1"), replace).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "another"));
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_the_server() {
    let front = Front::new();
    front.create("s", "text/plain", "x").await;
    let began = Instant::now();
    let answer = poll_while(&front, &poll("s", "now"), async { front.trigger.fire() }).await;
    assert_eq!(began.elapsed(), Duration::from_millis(20));
    assert_eq!(
        (answer.status.as_u16(), answer.header("stream-next-offset")),
        (204, offset(1).as_str())
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_sooner_than_a_poll_is_renewed_while_it_lasts() {
    let front = Front::with(Settings {
        long_poll_timeout: Duration::from_secs(10),
        ..Settings::default()
    });
    // The clock stands still, so that half of the TTL is always left.
    for (ttl, expected) in [("2", 10), ("12", 2), ("20", 1), ("3600", 1)] {
        let headers = [("content-type", "text/plain"), ("stream-ttl", ttl)];
        front.send("PUT", &path(ttl), &headers, "").await;
        let before = front.fake.renewals.load(Ordering::Relaxed);
        assert_eq!(front.get(&poll(ttl, "now")).await.status, 204);
        let renewals = front.fake.renewals.load(Ordering::Relaxed) - before;
        assert_eq!(renewals, expected, "{ttl}");
        sleep(Duration::from_secs(30)).await;
        assert_eq!(
            front.fake.renewals.load(Ordering::Relaxed),
            before + renewals,
            "{ttl}: after it"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_renews_a_ttl_once() {
    let front = Front::new();
    front.create("s", "text/plain", "").await;
    poll_while(&front, &poll("s", "now"), front.append("s", "text/plain", "x")).await;
    assert_eq!(front.fake.reads.load(Ordering::Relaxed), 2);
    assert_eq!(front.fake.renewals.load(Ordering::Relaxed), 1);
}
