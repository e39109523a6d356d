//! GET without `live`: positions, caching, entity tags.

use std::sync::atomic::Ordering;

use http_body_util::BodyExt as _;
use weir_http::Settings;

use crate::support::{Answer, Front, offset, path};

const PUBLIC: &str = "public, max-age=60, stale-while-revalidate=300";

fn at(name: &str, position: u64) -> String {
    format!("{}?offset={}", path(name), offset(position))
}

async fn get_if_none_match(front: &Front, target: &str, tag: &str) -> Answer {
    front.send("GET", target, &[("if-none-match", tag)], "").await
}

#[tokio::test]
async fn a_read_tells_where_it_ends() {
    let front = Front::new();
    front.create("s", "text/plain", "hello").await;
    for query in ["", "?offset=-1", "?unknown=1&offset=-1&cursor=7"] {
        let answer = front.get(&(path("s") + query)).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, "hello"), "{query}");
        assert_eq!(answer.header("content-type"), "text/plain");
        assert_eq!(answer.header("content-length"), "5");
        assert_eq!(answer.header("stream-next-offset"), offset(5));
        assert_eq!(answer.header("stream-up-to-date"), "true");
        assert_eq!(answer.header("stream-closed"), "");
        assert_eq!(answer.header("cache-control"), PUBLIC);
    }
    let rest = front.get(&at("s", 2)).await;
    assert_eq!(
        (rest.text(), rest.header("stream-next-offset")),
        ("llo", offset(5).as_str())
    );
}

#[tokio::test]
async fn the_tail_of_an_open_stream_is_empty_and_asked_for_again() {
    let front = Front::new();
    front.create("t", "text/plain", "ab").await;
    front.create("j", "application/json", "[1]").await;
    for (name, body) in [("t", ""), ("j", "[]")] {
        let answer = front.get(&at(name, 2)).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, body));
        assert_eq!(answer.header("stream-next-offset"), offset(2));
        assert_eq!(answer.header("stream-up-to-date"), "true");
        assert_eq!(answer.header("cache-control"), "no-cache");
        assert_ne!(answer.header("etag"), "");
    }
}

#[tokio::test]
async fn the_end_of_a_closed_stream_is_final() {
    let front = Front::new();
    front.create("s", "text/plain", "ab").await;
    front.close("s").await;
    for (position, body) in [(0, "ab"), (2, "")] {
        let answer = front.get(&at("s", position)).await;
        assert_eq!(answer.text(), body);
        assert_eq!(answer.header("stream-closed"), "true");
        assert_eq!(answer.header("stream-up-to-date"), "true");
        assert_eq!(answer.header("cache-control"), PUBLIC);
    }
}

#[tokio::test]
async fn now_is_the_tail_and_is_never_kept() {
    let front = Front::new();
    front.create("t", "text/plain", "ab").await;
    front.create("j", "application/json", "[1]").await;
    front.create("c", "text/plain", "ab").await;
    front.close("c").await;
    for (name, body, closed) in [("t", "", ""), ("j", "[]", ""), ("c", "", "true")] {
        let target = path(name) + "?offset=now";
        let answer = get_if_none_match(&front, &target, "*").await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, body));
        assert_eq!(answer.header("stream-next-offset"), offset(2));
        assert_eq!(answer.header("stream-up-to-date"), "true");
        assert_eq!(answer.header("stream-closed"), closed);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("etag"), "");
    }
}

#[tokio::test]
async fn a_read_has_a_limit_and_only_its_last_page_is_up_to_date() {
    let front = Front::with(Settings {
        max_read_bytes: 10,
        ..Settings::default()
    });
    front.create("s", "application/json", "").await;
    for value in 100..106 {
        front.append("s", "application/json", &value.to_string()).await;
    }
    front.close("s").await;
    let mut target = path("s");
    for (body, at_end) in [("[100,101]", ""), ("[102,103]", ""), ("[104,105]", "true")] {
        let page = front.get(&target).await;
        assert_eq!(page.text(), body);
        assert_eq!(page.header("stream-up-to-date"), at_end);
        assert_eq!(page.header("stream-closed"), at_end);
        assert_eq!(page.header("cache-control"), PUBLIC);
        target = format!("{}?offset={}", path("s"), page.header("stream-next-offset"));
    }
}

#[tokio::test]
async fn stored_bytes_are_sent_from_where_they_lie() {
    let front = Front::new();
    front.create("b", "application/octet-stream", "hello").await;
    front.append("b", "application/octet-stream", "world").await;
    front.create("j", "application/json", r#"["hello","world"]"#).await;
    for (name, live) in [("b", ""), ("j", ""), ("b", "&live=long-poll"), ("j", "&live=long-poll")] {
        let stored = front.fake.messages(name);
        let target = format!("{}?offset=-1{live}", path(name));
        let mut body = front.start("GET", &target, &[], "").await.into_body();
        let mut sent = Vec::new();
        while let Some(frame) = body.frame().await {
            sent.push(frame.unwrap().into_data().unwrap().as_ptr());
        }
        for message in stored {
            assert!(sent.contains(&message.as_ptr()), "{name}{live}: a message was copied");
        }
    }
}

#[tokio::test]
async fn who_has_the_answer_gets_304() {
    let front = Front::new();
    front.create("s", "application/octet-stream", "ab").await;
    let tag = front.get(&path("s")).await.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    for list in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
        let answer = get_if_none_match(&front, &path("s"), &list).await;
        assert_eq!(answer.status, 304, "{list}");
        assert!(answer.body.is_empty());
        assert_eq!(answer.header("etag"), tag);
        assert_eq!(answer.header("cache-control"), PUBLIC);
        assert_eq!(answer.header("stream-next-offset"), offset(2));
        assert_eq!(answer.header("stream-up-to-date"), "true");
        assert_eq!(answer.header("content-length"), "");
    }
    assert_eq!(get_if_none_match(&front, &path("s"), "\"other\"").await.status, 200);
    let two_headers = [("if-none-match", "\"x\""), ("if-none-match", tag.as_str())];
    assert_eq!(front.send("GET", &path("s"), &two_headers, "").await.status, 304);
}

#[tokio::test]
async fn the_tag_changes_with_the_data_the_end_the_range_and_the_life() {
    let front = Front::new();
    let mut seen: Vec<String> = Vec::new();
    let mut must_be_new = async |target: String| {
        for tag in &seen {
            let answer = get_if_none_match(&front, &target, tag).await;
            assert_eq!(answer.status, 200, "{target} matches {tag}");
        }
        seen.push(front.get(&target).await.header("etag").to_owned());
    };
    front.create("s", "text/plain", "ab").await;
    must_be_new(path("s")).await;
    must_be_new(at("s", 1)).await;
    must_be_new(at("s", 2)).await;
    front.append("s", "text/plain", "c").await;
    must_be_new(path("s")).await;
    front.close("s").await;
    must_be_new(path("s")).await;
    must_be_new(at("s", 3)).await;
    front.send("DELETE", &path("s"), &[], "").await;
    front.create("s", "text/plain", "xyz").await;
    must_be_new(path("s")).await;
    front.close("s").await;
    must_be_new(path("s")).await;
}

#[tokio::test]
async fn a_full_page_has_another_tag_once_there_is_more() {
    let front = Front::with(Settings {
        max_read_bytes: 4,
        ..Settings::default()
    });
    front.create("s", "text/plain", "page").await;
    let last = front.get(&path("s")).await;
    assert_eq!(last.header("stream-up-to-date"), "true");
    front.append("s", "text/plain", "more").await;
    let page = get_if_none_match(&front, &path("s"), last.header("etag")).await;
    assert_eq!((page.status.as_u16(), page.text()), (200, "page"));
    assert_eq!(page.header("stream-up-to-date"), "");
    let again = get_if_none_match(&front, &path("s"), page.header("etag")).await;
    assert_eq!(again.status, 304);
    front.close("s").await;
    let again = get_if_none_match(&front, &path("s"), page.header("etag")).await;
    assert_eq!(again.status, 304, "the page is not the last");
}

#[tokio::test]
async fn reads_renew_a_ttl_once() {
    let front = Front::new();
    front.create("s", "text/plain", "ab").await;
    for query in ["", "?offset=-1", "?offset=now"] {
        let before = front.fake.renewals.load(Ordering::Relaxed);
        front.get(&(path("s") + query)).await;
        assert_eq!(front.fake.renewals.load(Ordering::Relaxed), before + 1, "{query}");
    }
}

#[tokio::test]
async fn what_is_not_understood_is_refused() {
    let front = Front::new();
    front.create("t", "text/plain", "hello").await;
    front.create("j", "application/json", "[100]").await;
    let beyond = format!("?offset={}", offset(6));
    let inside = format!("?offset={}", offset(1));
    for (name, query, code) in [
        ("t", "?offset=", "invalid-offset"),
        ("t", "?offset=-2", "invalid-offset"),
        ("t", "?offset=NOW", "invalid-offset"),
        ("t", "?offset=0", "invalid-offset"),
        ("t", "?offset=0000000000000000_000000000000000a", "invalid-offset"),
        ("t", "?offset=0000000000000001_0000000000000000", "invalid-offset"),
        ("t", "?offset=0000000000000000_0000000000000000%0A", "invalid-offset"),
        ("t", "?offset=%00", "invalid-offset"),
        ("t", "?offset=%ff", "invalid-offset"),
        ("t", "?offset=-1&offset=-1", "invalid-query"),
        ("t", "?live=", "invalid-query"),
        ("t", "?live=websocket&offset=-1", "invalid-query"),
        ("t", "?live=sse&live=sse&offset=-1", "invalid-query"),
        ("t", "?live=sse", "offset-required"),
        ("t", "?live=long-poll", "offset-required"),
        ("t", "?cursor=1&cursor=2&offset=-1", "invalid-query"),
        ("t", beyond.as_str(), "offset-beyond-tail"),
        ("j", inside.as_str(), "invalid-offset"),
    ] {
        front.get(&(path(name) + query)).await.is_problem(400, code);
    }
}
