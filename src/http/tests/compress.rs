//! Which answers are compressed.

use http_body_util::BodyExt as _;
use tower::{ServiceBuilder, ServiceExt as _};
use tower_http::decompression::DecompressionLayer;

use crate::support::{Front, path};

const ANY: (&str, &str) = ("accept-encoding", "gzip, zstd;q=0.5");

fn long_text() -> String {
    "the same words again and again ".repeat(100)
}

#[tokio::test]
async fn text_that_is_worth_it_is_compressed_on_request() {
    let front = Front::new();
    front.create("s", "text/plain", &long_text()).await;
    for (accepted, coding) in [
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, zstd;q=0.5", "gzip"),
        ("br", ""),
    ] {
        let answer = front
            .send("GET", &path("s"), &[("accept-encoding", accepted)], "")
            .await;
        assert_eq!(answer.header("content-encoding"), coding);
        assert_eq!(answer.body.len() < 1000, !coding.is_empty());
        assert_eq!(answer.header("vary"), "accept-encoding");
    }
    let plain = front.get(&path("s")).await;
    assert_eq!(
        (plain.header("content-encoding"), plain.text()),
        ("", long_text().as_str())
    );
    assert_eq!(plain.header("vary"), "accept-encoding");
}

#[tokio::test]
async fn a_compressed_answer_is_what_a_plain_one_would_have_been() {
    let front = Front::new();
    let messages = format!("[{}]", vec![r#"{"key":"value"}"#; 300].join(","));
    front.create("s", "application/json", &messages).await;
    for coding in ["gzip", "zstd"] {
        let client = ServiceBuilder::new()
            .layer(DecompressionLayer::new())
            .service(front.front_end.clone());
        let request = http::Request::get(path("s"))
            .header("host", "h")
            .header("accept-encoding", coding)
            .body(axum::body::Body::empty())
            .unwrap();
        let response = client.oneshot(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, messages);
    }
}

#[tokio::test]
async fn one_weak_tag_holds_for_every_coding() {
    let front = Front::new();
    front.create("s", "text/plain", &long_text()).await;
    let plain = front.get(&path("s")).await.header("etag").to_owned();
    assert!(plain.starts_with("W/\""), "{plain}");
    let packed = front.send("GET", &path("s"), &[ANY], "").await;
    assert_eq!(packed.header("etag"), plain);
    let again = front
        .send("GET", &path("s"), &[ANY, ("if-none-match", &plain)], "")
        .await;
    assert_eq!((again.status.as_u16(), again.header("content-encoding")), (304, ""));
    assert_eq!(
        (again.header("etag"), again.header("vary")),
        (plain.as_str(), "accept-encoding")
    );
}

#[tokio::test]
async fn small_binary_and_live_answers_go_as_they_are() {
    let front = Front::new();
    front.create("small", "text/plain", "few words").await;
    front.create("binary", "application/octet-stream", &long_text()).await;
    front.create("text", "text/plain", &long_text()).await;
    front.close("text").await;
    let long_poll = path("text") + "?offset=-1&live=long-poll";
    let sse = path("text") + "?offset=-1&live=sse";
    for target in [&path("small"), &path("binary"), &long_poll, &sse] {
        let answer = front.send("GET", target, &[ANY], "").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-encoding"), "", "{target}");
    }
    let head = front.send("HEAD", &path("text"), &[ANY], "").await;
    assert_eq!(head.header("content-encoding"), "");
    let error = front.send("GET", &path("missing"), &[ANY], "").await;
    assert_eq!(error.header("content-encoding"), "");
}

#[tokio::test]
async fn the_list_is_compressed_too() {
    let front = Front::new();
    for at in 0..20 {
        front.create(&format!("stream-{at}"), "text/plain", "").await;
    }
    let answer = front.send("GET", "/v1/streams", &[ANY], "").await;
    assert_eq!(
        (answer.header("content-encoding"), answer.header("vary")),
        ("gzip", "accept-encoding")
    );
}
