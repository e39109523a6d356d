//! HEAD and DELETE.

use std::sync::atomic::Ordering;

use weir_protocol::Consistency;

use crate::support::{Front, offset, path};

#[tokio::test]
async fn head_tells_what_the_stream_is() {
    let front = Front::new();
    front.create("s", "text/plain", "hello").await;
    let answer = front.send("HEAD", &path("s"), &[], "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/plain");
    assert_eq!(answer.header("stream-next-offset"), offset(5));
    assert_eq!(answer.header("cache-control"), "no-store");
    for absent in [
        "stream-closed",
        "stream-ttl",
        "stream-expires-at",
        "etag",
        "stream-up-to-date",
    ] {
        assert_eq!(answer.header(absent), "", "{absent}");
    }
    front.close("s").await;
    let answer = front.send("HEAD", &path("s"), &[], "").await;
    assert_eq!(answer.header("stream-closed"), "true");
}

#[tokio::test]
async fn head_tells_the_configured_lifetime_and_renews_nothing() {
    let front = Front::new();
    let until = "2031-02-03T04:05:06.000Z";
    front.send("PUT", &path("ttl"), &[("stream-ttl", "3600")], "").await;
    front
        .send("PUT", &path("until"), &[("stream-expires-at", until)], "")
        .await;
    let ttl = front.send("HEAD", &path("ttl"), &[], "").await;
    assert_eq!(
        (ttl.header("stream-ttl"), ttl.header("stream-expires-at")),
        ("3600", "")
    );
    let fixed = front.send("HEAD", &path("until"), &[], "").await;
    assert_eq!(
        (fixed.header("stream-ttl"), fixed.header("stream-expires-at")),
        ("", until)
    );
    assert_eq!(front.fake.renewals.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn freshness_is_asked_for_by_header_or_query() {
    let front = Front::new();
    front.create("s", "text/plain", "").await;
    let eventual = ("weir-consistency", "Eventual");
    let strict = ("weir-consistency", "linearizable");
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], Consistency);
    let rows: [Row<'_>; 5] = [
        ("", &[], Consistency::Linearizable),
        ("", &[eventual], Consistency::Eventual),
        ("?consistency=eventual", &[], Consistency::Eventual),
        ("?consistency=eventual", &[strict], Consistency::Eventual),
        ("?consistency=linearizable", &[eventual], Consistency::Linearizable),
    ];
    for method in ["HEAD", "GET"] {
        for (query, headers, expected) in rows {
            let answer = front.send(method, &(path("s") + query), headers, "").await;
            assert_eq!(answer.status, 200);
            assert_eq!(front.fake.last_consistency.lock().unwrap().take(), Some(expected));
        }
    }
    let odd = front
        .send("GET", &path("s"), &[("weir-consistency", "strong")], "")
        .await;
    odd.is_problem(400, "invalid-header");
    front
        .get(&(path("s") + "?consistency="))
        .await
        .is_problem(400, "invalid-query");
}

#[tokio::test]
async fn a_deleted_stream_is_not_found_and_one_with_forks_is_gone() {
    let front = Front::new();
    front.create("plain", "text/plain", "x").await;
    front.create("source", "text/plain", "x").await;
    let from = [("stream-forked-from", "/v1/stream/source")];
    front.send("PUT", &path("fork"), &from, "").await;
    for name in ["plain", "source"] {
        let answer = front.send("DELETE", &path(name), &[], "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("cache-control")),
            (204, "no-store")
        );
    }
    for method in ["GET", "DELETE", "POST"] {
        let text = [("content-type", "text/plain")];
        front
            .send(method, &path("plain"), &text, "x")
            .await
            .is_problem(404, "stream-not-found");
        front
            .send(method, &path("source"), &text, "x")
            .await
            .is_problem(410, "stream-gone");
    }
    for live in ["long-poll", "sse"] {
        let query = format!("?offset=now&live={live}");
        front
            .get(&(path("plain") + &query))
            .await
            .is_problem(404, "stream-not-found");
        front
            .get(&(path("source") + &query))
            .await
            .is_problem(410, "stream-gone");
    }
    assert_eq!(front.send("HEAD", &path("plain"), &[], "").await.status, 404);
    assert_eq!(front.send("HEAD", &path("source"), &[], "").await.status, 410);
    let put = front
        .send("PUT", &path("source"), &[("content-type", "text/plain")], "")
        .await;
    put.is_problem(409, "name-held");
    assert_eq!(front.get(&path("fork")).await.text(), "x");
}
