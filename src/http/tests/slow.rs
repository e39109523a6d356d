//! Clients that are slow, stop in the middle, or send what is not HTTP.

use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio::time::{Instant, sleep};

use crate::socket::{HURRIED, PATIENCE, Server};
use crate::support::path;

const POST: &str = "POST /v1/stream/s HTTP/1.1\r\nhost: h\r\ncontent-type: text/plain\r\n";

#[tokio::test]
async fn bodies_cut_short_are_refused_and_nothing_is_stored() {
    let server = Server::start().await;
    server.front.create("s", "text/plain", "").await;
    for (headers, body) in [
        ("transfer-encoding: chunked\r\n", "5\r\nhello\r\n"),
        ("transfer-encoding: chunked\r\n", "5\r\nhel"),
        ("transfer-encoding: chunked\r\n", "5\r\nhello\r\n0\r\n"),
        ("transfer-encoding: chunked\r\n", "5"),
        ("content-length: 10\r\n", "hello"),
        ("content-length: 10\r\n", ""),
    ] {
        let mut client = server.connect().await;
        client.write(format!("{POST}{headers}\r\n{body}")).await;
        client.finish().await;
        let answer = client.rest().await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    assert_eq!(server.front.fake.message_count(), 0);
}

#[tokio::test]
async fn chunks_that_are_none_are_refused() {
    let server = Server::start().await;
    server.front.create("s", "text/plain", "").await;
    for body in [
        "zz\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloworld\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
    ] {
        let mut client = server.connect().await;
        client
            .write(format!("{POST}transfer-encoding: chunked\r\n\r\n{body}"))
            .await;
        client.answer().await.is_problem(400, "body-incomplete");
    }
    assert_eq!(server.front.fake.message_count(), 0);
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    let server = Server::start().await;
    let many = "x: y\r\n".repeat(101);
    let long = format!("x: {}\r\n", "y".repeat(70_000));
    for (request, status) in [
        ("HELLO\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nbad header\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), "400"),
        (format!("{POST}content-length: 1\r\ncontent-length: 2\r\n\r\nx"), "400"),
        (format!("{POST}content-length: x\r\n\r\nx"), "400"),
        (format!("{POST}transfer-encoding: gzip\r\n\r\nx"), "400"),
        (format!("GET / HTTP/1.1\r\nhost: h\r\n{many}\r\n"), "431"),
        (format!("GET / HTTP/1.1\r\nhost: h\r\n{long}\r\n"), "431"),
    ] {
        let mut client = server.connect().await;
        client.write(&request).await;
        let answer = client.rest().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn a_slow_sender_is_told_and_let_go() {
    let server = Server::hurried().await;
    server.front.create("s", "text/plain", "").await;
    let mut client = server.connect().await;
    client.write(format!("{POST}content-length: 1000\r\n\r\nhello")).await;
    let began = Instant::now();
    client.answer().await.is_problem(408, "body-timeout");
    assert!(began.elapsed() >= HURRIED - Duration::from_millis(50));
    assert_eq!(client.rest().await, "");
    assert_eq!(server.front.fake.message_count(), 0);
}

#[tokio::test]
async fn a_slow_head_ends_the_connection() {
    let server = Server::hurried().await;
    for beginning in [
        "",
        "G",
        "GET /v1/stream/s HTT",
        "GET / HTTP/1.1\r\nhost: h\r\n",
        "PRI * HTTP/2.0\r\n",
    ] {
        let mut client = server.connect().await;
        let began = Instant::now();
        client.write(beginning).await;
        assert_eq!(client.rest().await, "", "{beginning}");
        let waited = began.elapsed();
        assert!(waited >= HURRIED - Duration::from_millis(50), "{beginning} {waited:?}");
    }
}

#[tokio::test]
async fn connections_beyond_the_most_are_told_and_closed() {
    let server = Server::crowded(2).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut client = server.connect().await;
        client.request("GET", "/v1/streams", "", "").await;
        assert_eq!(client.answer().await.status, 200);
        held.push(client);
    }
    let mut silent = Vec::new();
    for _ in 0..3 {
        let mut client = server.connect().await;
        client.request("GET", "/v1/streams", "", "").await;
        let answer = client.answer().await;
        answer.is_problem(503, "unavailable");
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(client.rest().await, "");
        silent.push(server.connect().await);
    }
    // Whoever says nothing is not waited for, although the server has all the patience for those that it took.
    for mut client in silent {
        let began = Instant::now();
        assert_eq!(client.rest().await, "");
        assert!(began.elapsed() < PATIENCE / 2);
    }
    held.pop();
    let began = Instant::now();
    loop {
        let mut client = server.connect().await;
        client.request("GET", "/v1/streams", "", "").await;
        if client.answer().await.status == 200 {
            break;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "the room of one that left is not given to another"
        );
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = Server::hurried().await;
    let mut client = server.connect().await;
    client.request("GET", "/v1/streams", "", "").await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_subscriber_that_goes_away_is_forgotten() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let server = Server::start().await;
    server.front.create("s", "text/plain", "").await;
    let waiting = || {
        let all = snapshotter.snapshot().into_vec();
        all.iter()
            .filter(|(key, ..)| key.key().name() == "weir_http_live_subscribers")
            .map(|(.., value)| match value {
                DebugValue::Gauge(count) => count.into_inner(),
                other => panic!("{other:?}"),
            })
            .sum::<f64>()
    };
    let mut sse = server.connect().await;
    sse.request("GET", &(path("s") + "?offset=now&live=sse"), "", "").await;
    sse.head().await;
    assert!((waiting() - 1.0).abs() < f64::EPSILON);
    drop(sse);
    let began = Instant::now();
    while waiting() > 0.5 {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "long before the answer would end by itself"
        );
        sleep(Duration::from_millis(5)).await;
    }
}
