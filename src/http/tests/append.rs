//! POST: append, close, both; producers; what is refused, and that nothing is stored then.

use std::convert::Infallible;
use std::sync::atomic::Ordering;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use weir_http::Settings;
use weir_protocol::Fault;

use crate::support::{Front, fed, offset, path};

const TEXT: (&str, &str) = ("content-type", "text/plain");
const JSON: (&str, &str) = ("content-type", "application/json");
const CLOSE: (&str, &str) = ("stream-closed", "true");

fn producer<'a>(epoch: &'a str, seq: &'a str) -> [(&'static str, &'a str); 4] {
    [
        TEXT,
        ("producer-id", "p"),
        ("producer-epoch", epoch),
        ("producer-seq", seq),
    ]
}

#[tokio::test]
async fn an_append_answers_204_with_the_tail() {
    let front = Front::new();
    front.create("s", "text/plain", "").await;
    let answer = front.append("s", "text/plain", "hello").await;
    assert_eq!(answer.header("stream-next-offset"), offset(5));
    assert_eq!(answer.header("stream-closed"), "");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("producer-epoch"), "");
    assert!(answer.body.is_empty());
    let charset = [("content-type", "Text/Plain; charset=utf-8")];
    let answer = front.send("POST", &path("s"), &charset, " you").await;
    assert_eq!(answer.status, 204);
    assert_eq!(front.get(&path("s")).await.text(), "hello you");
}

#[tokio::test]
async fn a_stream_closes_with_and_without_a_last_message() {
    let front = Front::new();
    for name in ["alone", "with"] {
        front.create(name, "text/plain", "a").await;
    }
    for _ in 0..2 {
        let odd_type = [CLOSE, ("content-type", "image/png")];
        let answer = front.send("POST", &path("alone"), &odd_type, "").await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("stream-closed"), "true");
        assert_eq!(answer.header("stream-next-offset"), offset(1));
    }
    let answer = front
        .send("POST", &path("with"), &[TEXT, ("stream-closed", "TRUE")], "b")
        .await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("stream-closed"), "true");
    assert_eq!(answer.header("stream-next-offset"), offset(2));
    let refused = front.send("POST", &path("with"), &[TEXT, CLOSE], "b").await;
    refused.is_problem(409, "stream-closed");
    assert_eq!(refused.header("stream-closed"), "true");
    assert_eq!(refused.header("stream-next-offset"), offset(2));
}

#[tokio::test]
async fn only_true_closes() {
    let front = Front::new();
    front.create("s", "text/plain", "").await;
    for value in ["false", "yes", "1", "", "true, true", "\u{e9}"] {
        let answer = front
            .send("POST", &path("s"), &[TEXT, ("stream-closed", value)], "x")
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("stream-closed")),
            (204, ""),
            "{value}"
        );
    }
    let answer = front.send("POST", &path("s"), &[TEXT, CLOSE, CLOSE], "x").await;
    assert_eq!((answer.status.as_u16(), answer.header("stream-closed")), (204, ""));
}

#[tokio::test]
async fn a_json_body_is_split_into_messages_byte_for_byte() {
    let front = Front::new();
    front.create("s", "application/json", "").await;
    for body in [r#"{"a": 1.0}"#, "[1 , [2, 3]]", " \"x\" ", "null"] {
        front.append("s", "application/json", body).await;
    }
    assert_eq!(front.fake.message_count(), 5);
    let large = format!("[{}]", vec!["\"0123456789\""; 30_000].join(","));
    front.append("s", "application/json; charset=utf-8", &large).await;
    assert_eq!(front.fake.message_count(), 30_005);
    let answer = front.get(&path("s")).await;
    assert!(
        answer
            .text()
            .starts_with(r#"[{"a": 1.0},1,[2, 3],"x",null,"0123456789","#)
    );
}

#[tokio::test]
async fn producers_learn_where_they_are() {
    let front = Front::new();
    front.create("s", "text/plain", "").await;
    let fresh = front.send("POST", &path("s"), &producer("4", "0"), "a").await;
    assert_eq!(fresh.status, 200);
    assert_eq!(
        (fresh.header("producer-epoch"), fresh.header("producer-seq")),
        ("4", "0")
    );
    front.send("POST", &path("s"), &producer("4", "1"), "b").await;
    let duplicate = front.send("POST", &path("s"), &producer("4", "0"), "a").await;
    assert_eq!(duplicate.status, 204);
    assert_eq!(
        (duplicate.header("producer-epoch"), duplicate.header("producer-seq")),
        ("4", "1")
    );
    assert_eq!(duplicate.header("stream-next-offset"), offset(2));

    let fenced = front.send("POST", &path("s"), &producer("3", "9"), "c").await;
    fenced.is_problem(403, "producer-fenced");
    assert_eq!(fenced.header("producer-epoch"), "4");
    let gap = front.send("POST", &path("s"), &producer("4", "5"), "c").await;
    gap.is_problem(409, "producer-gap");
    assert_eq!(
        (gap.header("producer-expected-seq"), gap.header("producer-received-seq")),
        ("2", "5")
    );
    let start = front.send("POST", &path("s"), &producer("5", "1"), "c").await;
    start.is_problem(400, "producer-epoch-start");
    assert_eq!(front.get(&path("s")).await.text(), "ab");
}

#[tokio::test]
async fn a_producer_closes_once() {
    let front = Front::new();
    front.create("s", "text/plain", "").await;
    let mut closing = producer("0", "0").to_vec();
    closing.push(CLOSE);
    let close = front.send("POST", &path("s"), &closing, "end").await;
    assert_eq!((close.status.as_u16(), close.header("stream-closed")), (200, "true"));
    let again = front.send("POST", &path("s"), &closing, "end").await;
    assert_eq!((again.status.as_u16(), again.header("stream-closed")), (204, "true"));
    let other = front.send("POST", &path("s"), &producer("0", "1"), "x").await;
    other.is_problem(409, "stream-closed");

    front.create("empty", "text/plain", "").await;
    let close = front.send("POST", &path("empty"), &closing[1..], "").await;
    assert_eq!((close.status.as_u16(), close.header("stream-closed")), (204, "true"));
    assert_eq!(
        (close.header("producer-epoch"), close.header("producer-seq")),
        ("0", "0")
    );
}

#[tokio::test]
async fn what_is_not_understood_is_refused_and_stores_nothing() {
    let front = Front::with(Settings {
        max_body_bytes: 100,
        ..Settings::default()
    });
    front.create("t", "text/plain", "").await;
    front.create("j", "application/json", "").await;
    let writes = front.fake.writes.load(Ordering::Relaxed);
    let too_long = "x".repeat(257);
    let too_large = "x".repeat(101);
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, u16, &'a str);
    let rows: &[Row<'_>] = &[
        ("t", &[TEXT], "", 400, "empty-body"),
        ("t", &[TEXT, ("stream-closed", "no")], "", 400, "empty-body"),
        ("t", &[], "x", 400, "missing-content-type"),
        ("t", &[("content-type", "")], "x", 400, "missing-content-type"),
        ("t", &[("content-type", "text")], "x", 400, "invalid-content-type"),
        ("t", &[TEXT, TEXT], "x", 400, "invalid-header"),
        ("t", &[JSON], "1", 409, "content-type-mismatch"),
        ("t", &[TEXT], &too_large, 413, "body-too-large"),
        (
            "t",
            &[TEXT, ("content-encoding", "gzip")],
            "x",
            415,
            "unsupported-content-encoding",
        ),
        ("t", &[TEXT, ("stream-seq", "")], "x", 400, "invalid-stream-seq"),
        ("t", &[TEXT, ("stream-seq", &too_long)], "x", 400, "invalid-stream-seq"),
        (
            "t",
            &[TEXT, ("stream-seq", "a"), ("stream-seq", "b")],
            "x",
            400,
            "invalid-header",
        ),
        ("t", &[TEXT, ("producer-id", "p")], "x", 400, "invalid-producer"),
        (
            "t",
            &[TEXT, ("producer-epoch", "0"), ("producer-seq", "0")],
            "x",
            400,
            "invalid-producer",
        ),
        ("t", &producer("-1", "0"), "x", 400, "invalid-producer"),
        ("t", &producer("0", "1.5"), "x", 400, "invalid-producer"),
        ("t", &producer("0", ""), "x", 400, "invalid-producer"),
        ("t", &producer("9007199254740992", "0"), "x", 400, "invalid-producer"),
        (
            "t",
            &[
                TEXT,
                ("producer-id", ""),
                ("producer-epoch", "0"),
                ("producer-seq", "0"),
            ],
            "x",
            400,
            "invalid-producer",
        ),
        ("t", &[TEXT, ("producer-id", "\u{e9}")], "x", 400, "invalid-header"),
        ("j", &[JSON], "{", 400, "invalid-json"),
        ("j", &[JSON], "1 2", 400, "invalid-json"),
        ("j", &[JSON], " ", 400, "invalid-json"),
        ("j", &[JSON], "[1,]", 400, "invalid-json"),
        ("j", &[JSON], "[]", 400, "empty-json-array"),
        ("j", &[JSON, CLOSE], " [ ] ", 400, "empty-json-array"),
        ("j", &[TEXT], "1", 409, "content-type-mismatch"),
        ("missing", &[TEXT], "x", 404, "stream-not-found"),
    ];
    for (name, headers, body, status, code) in rows {
        let answer = front.send("POST", &path(name), headers, (*body).to_owned()).await;
        answer.is_problem(*status, code);
    }
    assert_eq!(front.fake.writes.load(Ordering::Relaxed), writes);
    assert_eq!(front.fake.message_count(), 0);
}

#[tokio::test]
async fn a_stream_that_takes_no_such_append_comes_before_a_body_that_is_none() {
    let front = Front::new();
    front.create("t", "text/plain", "").await;
    front.create("closed", "application/json", "[1]").await;
    front.close("closed").await;
    front.create("gone", "application/json", "").await;
    let from = ("stream-forked-from", "/v1/stream/gone");
    front.send("PUT", &path("fork"), &[from], "").await;
    front.send("DELETE", &path("gone"), &[], "").await;
    for body in ["{", "[]"] {
        let post = async |name| front.send("POST", &path(name), &[JSON], body).await;
        post("t").await.is_problem(409, "content-type-mismatch");
        let closed = post("closed").await;
        closed.is_problem(409, "stream-closed");
        assert_eq!(closed.header("stream-closed"), "true");
        assert_eq!(closed.header("stream-next-offset"), offset(2));
        post("gone").await.is_problem(410, "stream-gone");
        post("missing").await.is_problem(404, "stream-not-found");
    }
    let untyped = front.send("POST", &path("closed"), &[], "1").await;
    untyped.is_problem(409, "stream-closed");
    *front.fake.next_head.lock().unwrap() = Some(Fault::Unavailable("x").into());
    let asked = front.send("POST", &path("t"), &[JSON], "{").await;
    asked.is_problem(503, "unavailable");
}

#[tokio::test]
async fn stream_seq_must_rise() {
    let front = Front::new();
    front.create("s", "text/plain", "").await;
    for (seq, status) in [("b", 204), ("b", 409), ("a", 409), ("ba", 204)] {
        let answer = front.send("POST", &path("s"), &[TEXT, ("stream-seq", seq)], "x").await;
        assert_eq!(answer.status, status, "{seq}");
    }
}

#[tokio::test]
async fn a_body_without_a_length_is_measured_as_it_comes() {
    let front = Front::with(Settings {
        max_body_bytes: 10,
        ..Settings::default()
    });
    front.create("s", "text/plain", "").await;
    let pieces = |count| {
        Body::from_stream(stream::iter(vec![
            Ok::<_, Infallible>(Bytes::from_static(b"abcd"));
            count
        ]))
    };
    let fits = front.send("POST", &path("s"), &[TEXT], pieces(2)).await;
    assert_eq!(fits.header("stream-next-offset"), offset(8));
    let too_large = front.send("POST", &path("s"), &[TEXT], pieces(3)).await;
    too_large.is_problem(413, "body-too-large");
    assert_eq!(front.get(&path("s")).await.text(), "abcdabcd");
}

#[tokio::test]
async fn bodies_share_a_budget_and_give_it_back() {
    let front = Front::with(Settings {
        max_body_bytes: 8,
        max_inflight_body_bytes: 8,
        ..Settings::default()
    });
    front.create("s", "text/plain", "").await;
    let (sender, body) = fed();
    let target = path("s");
    let slow = front.send("POST", &target, &[TEXT], body);
    let meanwhile = async {
        sender.send(Bytes::from_static(b"12345")).await.unwrap();
        // There is room in the channel again, so the piece was taken, and counts.
        let _ = sender.reserve().await.unwrap();
        let full = front.send("POST", &path("s"), &[TEXT], "6789").await;
        full.is_problem(429, "overloaded");
        assert_eq!(full.header("retry-after"), "1");
        front.append("s", "text/plain", "678").await;
        drop(sender);
    };
    let (slow, ()) = tokio::join!(slow, meanwhile);
    assert_eq!(slow.status, 204);
    front.append("s", "text/plain", "87654321").await;
    assert_eq!(front.get(&path("s")).await.text(), "6781234587654321");
}

#[tokio::test]
async fn what_is_kept_of_a_body_counts_after_its_answer() {
    let front = Front::with(Settings {
        max_body_bytes: 1000,
        max_inflight_body_bytes: 1000,
        ..Settings::default()
    });
    front.create("s", "application/json", "").await;
    *front.fake.kept_appends.lock().unwrap() = Some(Vec::new());
    // 100 messages, which take 2 bytes and a length each.
    let body = format!("[{}1]", "1,".repeat(99));
    front.append("s", "application/json", &body).await;
    let large = format!("[{}]", "1".repeat(700));
    let json = [("content-type", "application/json")];
    let refused = front.send("POST", &path("s"), &json, large.clone()).await;
    refused.is_problem(429, "overloaded");
    *front.fake.kept_appends.lock().unwrap() = None;
    front.append("s", "application/json", &large).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let front = Front::new();
    front.create("s", "text/plain", "").await;
    let (sender, body) = fed();
    sender.send(Bytes::from_static(b"beginning")).await.unwrap();
    let answer = front.send("POST", &path("s"), &[TEXT], body).await;
    answer.is_problem(408, "body-timeout");
    assert_eq!(front.fake.message_count(), 0);
}
