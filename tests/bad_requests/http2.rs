//! HTTP/2: requests that are whole and wrong, sent by a client library.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use reqwest::{Body, Client};

use super::case::{Case, Expect, JSON, TEXT, Talk};
use crate::harness::Weir;
use crate::harness::wire::Reply;

/// A body of a whole request.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// As long as it says.
    Whole(Vec<u8>),
    /// So many pieces, without a length.
    Pieces(Vec<u8>, usize),
    /// It begins and does not go on.
    Stalled(Vec<u8>),
}

/// A request that a client library sends.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    method: &'static str,
    target: String,
    headers: Vec<(&'static str, String)>,
    content: Content,
}

impl Whole {
    fn new(
        method: &'static str,
        target: impl Into<String>,
        headers: &[(&'static str, &str)],
        content: Content,
    ) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        Self {
            method,
            target: target.into(),
            headers,
            content,
        }
    }

    /// An append to the text stream whose body begins and does not go on.
    pub(super) fn stalled_append() -> Self {
        Self::new(
            "POST",
            "/v1/stream/text",
            &[TEXT],
            Content::Stalled(b"only the beginning".to_vec()),
        )
    }

    /// The answer to it.
    pub(super) fn exchange(&self, weir: &Weir) -> Reply {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let client = Client::builder()
                .http2_prior_knowledge()
                .timeout(Duration::from_secs(20))
                .build()
                .unwrap();
            let url = format!("{}{}", weir.url(), self.target);
            let mut request = client.request(self.method.parse().unwrap(), url);
            for (name, value) in &self.headers {
                request = request.header(*name, value);
            }
            let response = request.body(self.content.body()).send().await.unwrap();
            let status = response.status().as_u16();
            let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
            let headers = response
                .headers()
                .iter()
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect();
            Reply::new(status, headers, response.bytes().await.unwrap().to_vec())
        })
    }
}

impl Content {
    fn body(&self) -> Body {
        match self {
            Self::Whole(bytes) => bytes.clone().into(),
            Self::Pieces(bytes, count) => Body::wrap_stream(stream::iter(
                vec![bytes.clone(); *count].into_iter().map(Ok::<_, Infallible>),
            )),
            Self::Stalled(bytes) => {
                Body::wrap_stream(stream::iter([Ok::<_, Infallible>(bytes.clone())]).chain(stream::pending()))
            }
        }
    }
}

pub(super) fn cases() -> Vec<Case> {
    let none = || Content::Whole(Vec::new());
    let some = || Content::Whole(b"x".to_vec());
    let large = Content::Whole(vec![b'x'; 16 * 1024 * 1024 + 1]);
    let pieces = Content::Pieces(vec![b'x'; 0x10_0000], 17);
    let long_target = format!("/v1/stream/{}", "n".repeat(9000));
    let rows: [(&str, Whole, Expect); 11] = [
        (
            "an empty segment",
            Whole::new("PUT", "/v1/stream/a//b", &[TEXT], some()),
            Expect::Problem(400, "invalid-name"),
        ),
        (
            "an encoded NUL",
            Whole::new("PUT", "/v1/stream/a%00b", &[TEXT], some()),
            Expect::Problem(400, "invalid-name"),
        ),
        (
            "a long target",
            Whole::new("PUT", long_target, &[TEXT], some()),
            Expect::Problem(414, "uri-too-long"),
        ),
        (
            "an offset",
            Whole::new("GET", "/v1/stream/text?offset=7", &[], none()),
            Expect::Problem(400, "invalid-offset"),
        ),
        (
            "a method",
            Whole::new("PATCH", "/v1/stream/text", &[TEXT], some()),
            Expect::Problem(405, "method-not-allowed"),
        ),
        (
            "a reserved name",
            Whole::new("PUT", "/v1/stream/__ds/a", &[TEXT], some()),
            Expect::Reserved,
        ),
        (
            "no type",
            Whole::new("POST", "/v1/stream/text", &[], some()),
            Expect::Problem(400, "missing-content-type"),
        ),
        (
            "broken JSON",
            Whole::new("POST", "/v1/stream/json", &[JSON], some()),
            Expect::Problem(400, "invalid-json"),
        ),
        (
            "a body too large",
            Whole::new("POST", "/v1/stream/text", &[TEXT], large),
            Expect::Problem(413, "body-too-large"),
        ),
        (
            "pieces too large",
            Whole::new("PUT", "/v1/stream/new", &[TEXT], pieces),
            Expect::Problem(413, "body-too-large"),
        ),
        (
            "40 KB of headers",
            Whole::new(
                "POST",
                "/v1/stream/text",
                &[TEXT, ("X-Long", &"x".repeat(40_000))],
                some(),
            ),
            Expect::Bare(431),
        ),
    ];
    rows.into_iter()
        .map(|(name, request, expect)| Case::new(format!("http2: {name}"), Talk::Http2(request), expect))
        .collect()
}
