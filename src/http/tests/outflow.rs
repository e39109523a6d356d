//! Clients that do not take their answers.

use std::time::Duration;

use http_body_util::BodyExt as _;
use tokio::time::{Instant, sleep, timeout};
use weir_http::Settings;

use crate::socket::{HURRIED, PATIENCE, Server};
use crate::support::{Events, Front, path};
use crate::wire::H2;

const MIB: usize = 1024 * 1024;

/// Not compressible, so that nothing but the bytes themselves leaves.
const BINARY: (&str, &str) = ("content-type", "application/octet-stream");

fn tight() -> Settings {
    Settings {
        max_body_bytes: 2 * MIB as u64,
        max_read_bytes: MIB as u64,
        max_inflight_answer_bytes: MIB as u64,
        ..Settings::default()
    }
}

async fn length(response: axum::response::Response) -> usize {
    response.into_body().collect().await.unwrap().to_bytes().len()
}

#[tokio::test]
async fn answers_become_smaller_while_others_are_not_taken() {
    let front = Front::with(tight());
    front.send("PUT", &path("s"), &[BINARY], "").await;
    for _ in 0..1024 {
        front.send("POST", &path("s"), &[BINARY], vec![b'x'; 1024]).await;
    }
    let first = front.start("GET", &path("s"), &[], "").await;
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(front.start("GET", &path("s"), &[], "").await);
    }
    let small = front.start("GET", &path("s"), &[], "").await;
    assert_eq!(small.headers()["stream-next-offset"], crate::support::offset(16 * 1024));
    assert!(!small.headers().contains_key("stream-up-to-date"));
    assert_eq!(length(small).await, 16 * 1024);
    assert_eq!(length(first).await, 16 * 1024, "a 64th of the budget is as much");
    drop(held);
    // Nothing is left of what was held, or the large message would not find room.
    front.send("PUT", &path("l"), &[BINARY], vec![b'y'; MIB]).await;
    assert_eq!(length(front.start("GET", &path("l"), &[], "").await).await, MIB);
}

#[tokio::test]
async fn one_large_message_finds_room_or_is_refused() {
    let front = Front::with(tight());
    front.send("PUT", &path("l"), &[BINARY], vec![b'y'; MIB * 3 / 4]).await;
    for suffix in ["", "?offset=-1&live=long-poll", "?offset=-1&live=sse"] {
        let target = path("l") + suffix;
        let held = front.start("GET", &path("l"), &[], "").await;
        assert_eq!(held.status(), 200);
        let refused = front.send("GET", &target, &[], "").await;
        refused.is_problem(429, "overloaded");
        assert_eq!(refused.header("retry-after"), "1");
        drop(held);
        if suffix.ends_with("sse") {
            let mut events = Events::of(front.start("GET", &target, &[], "").await);
            assert_eq!(events.data().await.len(), MIB, "in base64");
        } else {
            let answer = front.start("GET", &target, &[], "").await;
            assert_eq!(length(answer).await, MIB * 3 / 4, "{suffix}");
        }
    }
}

#[tokio::test]
async fn who_takes_nothing_on_http_2_is_cut_off_and_who_waits_is_not() {
    let server = Server::impatient(Settings::default()).await;
    let front = &server.front;
    front.send("PUT", &path("l"), &[BINARY], vec![b'y'; 8 * MIB]).await;
    front.send("PUT", &path("s"), &[BINARY], "").await;
    let mut waiting = H2::connect(&server).await;
    let mut taking = H2::connect(&server).await;
    let sse = waiting.send("GET", &(path("s") + "?offset=-1&live=sse"), "").await;
    let mut idle = H2::connect(&server).await;
    let answer = idle.send("GET", &path("l"), "").await;
    let mut body = answer.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.len() < MIB);
    // What it takes is as slow, but it takes something.
    let mut slow = taking.send("GET", &path("l"), "").await.into_body();
    let began = Instant::now();
    while began.elapsed() < HURRIED * 5 {
        for _ in 0..10 {
            slow.frame().await.unwrap().unwrap();
        }
        sleep(Duration::from_millis(50)).await;
    }
    let end = async {
        loop {
            match body.frame().await {
                Some(Ok(_)) => {}
                Some(Err(_)) => break,
                None => panic!("the answer was all there"),
            }
        }
    };
    timeout(PATIENCE, end).await.unwrap();
    slow.collect().await.unwrap();
    front.send("POST", &path("s"), &[BINARY], "z").await;
    let mut sse = sse.into_body();
    let mut text = Vec::new();
    while !text.ends_with(b"data:eg==\n\n") && !String::from_utf8_lossy(&text).contains("eg==") {
        let frame = timeout(PATIENCE, sse.frame()).await.unwrap().unwrap().unwrap();
        text.extend_from_slice(&frame.into_data().unwrap());
    }
}
