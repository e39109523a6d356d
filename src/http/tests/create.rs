//! PUT: streams and forks.

use std::sync::atomic::Ordering;

use weir_protocol::{Lifetime, Offset, StreamName, Timestamp};

use crate::support::{Front, offset, path};

const TEXT: (&str, &str) = ("content-type", "text/plain");
const CLOSED: (&str, &str) = ("stream-closed", "true");

#[tokio::test]
async fn a_new_stream_answers_201_with_its_place() {
    let front = Front::new();
    let answer = front.create("a/b", "text/plain; charset=utf-8", "hello").await;
    assert_eq!(answer.header("location"), "http://weir.test:4437/v1/stream/a/b");
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("stream-next-offset"), offset(5));
    assert_eq!(answer.header("stream-closed"), "");
    assert_eq!(answer.header("cache-control"), "no-store");

    let again = front.send("PUT", &path("a/b"), &[TEXT], "ignored").await;
    assert_eq!(again.status, 200);
    assert_eq!(again.header("location"), "");
    assert_eq!(again.header("stream-next-offset"), offset(5));
    let other = front
        .send("PUT", &path("a/b"), &[("content-type", "text/html")], "")
        .await;
    other.is_problem(409, "stream-exists");
    assert_eq!(front.get(&path("a/b")).await.text(), "hello");
}

#[tokio::test]
async fn the_location_is_the_url_as_the_client_sees_it() {
    let front = Front::new();
    let proxied = [("host", "weir.example"), ("x-forwarded-proto", "HTTPS")];
    let answer = front.send("PUT", &path("a%20%c3%a9%2Fb"), &proxied, "").await;
    assert_eq!(answer.header("location"), "https://weir.example/v1/stream/a%20%C3%A9/b");
    let answer = front.send("PUT", &path("odd"), &[("host", "a b")], "").await;
    assert_eq!(answer.header("location"), "/v1/stream/odd");
}

#[tokio::test]
async fn without_a_type_bytes_are_octets() {
    let front = Front::new();
    let answer = front.send("PUT", &path("s"), &[], "x").await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    let answer = front.send("PUT", &path("e"), &[("content-type", "")], "").await;
    assert_eq!(answer.header("content-type"), "application/octet-stream");
}

#[tokio::test]
async fn a_stream_can_be_created_closed() {
    let front = Front::new();
    let answer = front.send("PUT", &path("s"), &[TEXT, CLOSED], "all").await;
    assert_eq!((answer.status.as_u16(), answer.header("stream-closed")), (201, "true"));
    let again = front.send("PUT", &path("s"), &[TEXT, CLOSED], "").await;
    assert_eq!((again.status.as_u16(), again.header("stream-closed")), (200, "true"));
    front
        .send("PUT", &path("s"), &[TEXT], "")
        .await
        .is_problem(409, "stream-exists");
    let read = front.get(&path("s")).await;
    assert_eq!((read.text(), read.header("stream-closed")), ("all", "true"));
}

#[tokio::test]
async fn json_bodies_are_messages_and_may_be_none() {
    let front = Front::new();
    assert_eq!(
        front
            .create("none", "application/json", "[]")
            .await
            .header("stream-next-offset"),
        offset(0)
    );
    front.create("two", "application/json", "[1, 2]").await;
    assert_eq!(front.get(&path("two")).await.text(), "[1,2]");
    assert_eq!(front.fake.message_count(), 2);
}

#[tokio::test]
async fn lifetimes_reach_the_store_as_they_were_meant() {
    let front = Front::new();
    let noon = Timestamp::parse_rfc3339("2030-01-01T12:00:00Z").unwrap();
    let rows = [
        (None, Lifetime::Forever),
        (Some(("stream-ttl", "0")), Lifetime::Ttl(0)),
        (Some(("stream-ttl", "3600")), Lifetime::Ttl(3600)),
        (
            Some(("stream-expires-at", "2030-01-01T13:00:00+01:00")),
            Lifetime::ExpiresAt(noon),
        ),
    ];
    for (at, (header, lifetime)) in rows.into_iter().enumerate() {
        let answer = front.send("PUT", &path(&at.to_string()), header.as_slice(), "").await;
        assert_eq!(answer.status, 201);
        let create = front.fake.last_create.lock().unwrap().take().unwrap();
        assert_eq!(create.lifetime, lifetime);
    }
}

#[tokio::test]
async fn a_fork_asks_for_what_its_headers_say() {
    let front = Front::new();
    front.create("a%20b", "text/plain", "hello").await;
    let at = offset(2);
    let headers = [
        ("stream-forked-from", "/v1/stream/a%20b"),
        ("stream-fork-offset", &at),
        ("stream-fork-sub-offset", "3"),
        TEXT,
        ("stream-ttl", "9"),
    ];
    let answer = front.send("PUT", &path("fork"), &headers, "own").await;
    assert_eq!(answer.status, 201);
    let create = front.fake.last_create.lock().unwrap().take().unwrap();
    let fork = create.fork.unwrap();
    assert_eq!(fork.source, StreamName::new("a b").unwrap());
    assert_eq!(fork.offset, Offset::new(2));
    assert_eq!(fork.sub_offset, 3);
    assert_eq!(create.lifetime, Lifetime::Ttl(9));
    assert_eq!(&create.payload.bytes()[..], b"own");

    for (header, expected) in [(Some("-1"), Some(Offset::ZERO)), (None, None)] {
        let mut headers = vec![("stream-forked-from", "a%20b"), ("stream-fork-sub-offset", "0")];
        headers.extend(header.map(|offset| ("stream-fork-offset", offset)));
        front.send("PUT", &path("again"), &headers, "").await;
        let create = front.fake.last_create.lock().unwrap().take().unwrap();
        assert_eq!(create.fork.unwrap().offset, expected);
        assert_eq!(create.content_type, None);
    }
}

#[tokio::test]
async fn a_fork_without_a_type_reads_its_body_as_its_source_would() {
    let front = Front::new();
    front.create("source", "application/json", "[1]").await;
    let from = ("stream-forked-from", "/v1/stream/source");
    let answer = front.send("PUT", &path("fork"), &[from], "[2, 3]").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (201, "application/json")
    );
    assert_eq!(front.get(&path("fork")).await.text(), "[1,2,3]");
    front
        .send("PUT", &path("bad"), &[from], "{")
        .await
        .is_problem(400, "invalid-json");
    let missing = [("stream-forked-from", "/v1/stream/missing")];
    front
        .send("PUT", &path("lost"), &missing, "x")
        .await
        .is_problem(404, "fork-source-not-found");
    front
        .send("PUT", &path("lost"), &missing, "")
        .await
        .is_problem(404, "fork-source-not-found");

    front.send("DELETE", &path("source"), &[], "").await;
    front
        .send("PUT", &path("late"), &[from], "1")
        .await
        .is_problem(409, "fork-source-gone");
    let confirmed = front.send("PUT", &path("fork"), &[from], "[2, 3]").await;
    assert_eq!(confirmed.status, 200);
}

#[tokio::test]
async fn a_name_that_is_taken_comes_before_a_body_that_is_none() {
    let front = Front::new();
    let json = [("content-type", "application/json")];
    front.create("text", "text/plain", "").await;
    front.create("gone", "application/json", "").await;
    let from = ("stream-forked-from", "/v1/stream/gone");
    front.send("PUT", &path("fork"), &[from], "").await;
    front.send("DELETE", &path("gone"), &[], "").await;
    let put = async |name| front.send("PUT", &path(name), &json, "{").await;
    put("text").await.is_problem(409, "stream-exists");
    put("gone").await.is_problem(409, "name-held");
    put("fork").await.is_problem(400, "invalid-json");
    put("new").await.is_problem(400, "invalid-json");
    assert_eq!(front.send("HEAD", &path("new"), &[], "").await.status, 404);
}

#[tokio::test]
async fn what_is_not_understood_is_refused_and_stores_nothing() {
    let front = Front::new();
    front.create("source", "text/plain", "hello").await;
    let writes = front.fake.writes.load(Ordering::Relaxed);
    let from = ("stream-forked-from", "/v1/stream/source");
    let at = offset(0);
    let beyond = offset(6);
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, u16, &'a str);
    let rows: &[Row<'_>] = &[
        (&[("content-type", "nonsense")], "", 400, "invalid-content-type"),
        (&[("content-type", "application/json")], "{\"a\":", 400, "invalid-json"),
        (
            &[("content-encoding", "zstd")],
            "x",
            415,
            "unsupported-content-encoding",
        ),
        (&[("stream-ttl", "")], "", 400, "invalid-lifetime"),
        (&[("stream-ttl", "+1")], "", 400, "invalid-lifetime"),
        (&[("stream-ttl", "-1")], "", 400, "invalid-lifetime"),
        (&[("stream-ttl", "01")], "", 400, "invalid-lifetime"),
        (&[("stream-ttl", "1.5")], "", 400, "invalid-lifetime"),
        (&[("stream-ttl", "1e3")], "", 400, "invalid-lifetime"),
        (&[("stream-ttl", "99999999999999999999")], "", 400, "invalid-lifetime"),
        (&[("stream-expires-at", "tomorrow")], "", 400, "invalid-lifetime"),
        (
            &[("stream-ttl", "1"), ("stream-expires-at", "2030-01-01T00:00:00Z")],
            "",
            400,
            "invalid-lifetime",
        ),
        (&[("stream-ttl", "1"), ("stream-ttl", "1")], "", 400, "invalid-header"),
        (&[("stream-fork-offset", &at)], "", 400, "invalid-fork"),
        (&[("stream-fork-sub-offset", "0")], "", 400, "invalid-fork"),
        (&[from, ("stream-fork-sub-offset", "1")], "", 400, "invalid-fork"),
        (
            &[from, ("stream-fork-offset", &at), ("stream-fork-sub-offset", "-1")],
            "",
            400,
            "invalid-fork",
        ),
        (
            &[from, ("stream-fork-offset", &at), ("stream-fork-sub-offset", "01")],
            "",
            400,
            "invalid-fork",
        ),
        (
            &[from, ("stream-fork-offset", &at), ("stream-fork-sub-offset", "")],
            "",
            400,
            "invalid-fork",
        ),
        (&[from, ("stream-fork-offset", "now")], "", 400, "invalid-fork"),
        (&[from, ("stream-fork-offset", "5")], "", 400, "invalid-fork"),
        (
            &[from, ("stream-fork-offset", &beyond)],
            "",
            400,
            "fork-offset-beyond-tail",
        ),
        (
            &[from, ("content-type", "text/html")],
            "",
            409,
            "fork-content-type-mismatch",
        ),
        (&[("stream-forked-from", "/v1/stream/../x")], "", 400, "invalid-fork"),
        (&[("stream-forked-from", "/v1/stream/__ds/x")], "", 400, "invalid-fork"),
        (&[("stream-forked-from", "")], "", 400, "invalid-fork"),
    ];
    for (headers, body, status, code) in rows {
        let answer = front.send("PUT", &path("s"), headers, (*body).to_owned()).await;
        answer.is_problem(*status, code);
    }
    assert_eq!(front.fake.writes.load(Ordering::Relaxed), writes);
    assert_eq!(front.send("HEAD", &path("s"), &[], "").await.status, 404);
}
