//! HTTP/2: requests that are whole and wrong, sent by a client library; and frames that none would send.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use reqwest::{Body, Client};

use super::case::{Case, Expect, JSON, TEXT, Talk};
use crate::harness::Weir;
use crate::harness::wire::{self, Reply, Step};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const PROTOCOL_ERROR: u32 = 1;
const FRAME_SIZE_ERROR: u32 = 6;
const CANCEL: u32 = 8;

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
    let mut cases = whole();
    cases.extend(heads());
    cases.extend(bodies());
    cases.extend(connections());
    cases
}

fn whole() -> Vec<Case> {
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

fn frame(kind: u8, flags: u8, stream_id: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream_id.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A header block of literal fields (RFC 7541 section 6.2.2), each name and value below 127 bytes.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

const APPEND: [(&str, &str); 5] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "weir.test"),
    (":path", "/v1/stream/text"),
    ("content-type", "text/plain"),
];

/// The whole of an append whose head has these fields besides those that are always there.
fn append_with(more: &[(&str, &str)]) -> Vec<u8> {
    let fields: Vec<_> = APPEND.iter().chain(more).copied().collect();
    append_of(&fields)
}

fn append_of(fields: &[(&str, &str)]) -> Vec<u8> {
    [
        frame(HEADERS, END_HEADERS, 1, &block(fields)),
        frame(DATA, END_STREAM, 1, b"hello"),
    ]
    .concat()
}

fn raw(name: &str, frames: Vec<u8>, expect: Expect) -> Case {
    let opening = [PREFACE, &frame(SETTINGS, 0, 0, b"")].concat();
    Case::new(
        format!("http2: {name}"),
        Talk::Frames(vec![Step::Send(opening), Step::Send(frames)]),
        expect,
    )
}

/// Malformed messages (RFC 9113 section 8.1.1) end the stream; the connection lives on.
fn heads() -> Vec<Case> {
    let reset = |name: &str, frames: Vec<u8>| raw(name, frames, Expect::Reset(PROTOCOL_ERROR));
    let without = |name: &str| {
        APPEND
            .iter()
            .filter(|(key, _)| *key != name)
            .copied()
            .collect::<Vec<_>>()
    };
    let late: Vec<_> = without(":path")
        .into_iter()
        .chain([(":path", "/v1/stream/text")])
        .collect();
    vec![
        reset("no method", append_of(&without(":method"))),
        reset("no path", append_of(&without(":path"))),
        reset("no scheme", append_of(&without(":scheme"))),
        reset("two paths", append_with(&[(":path", "/v1/stream/json")])),
        reset("a pseudo-header after a header", append_of(&late)),
        reset("a status in a request", append_with(&[(":status", "200")])),
        reset("a connection header", append_with(&[("connection", "close")])),
        reset("a transfer coding", append_with(&[("transfer-encoding", "chunked")])),
    ]
}

fn bodies() -> Vec<Case> {
    let head = |length| {
        frame(
            HEADERS,
            END_HEADERS,
            1,
            &block(&[APPEND.as_slice(), &[("content-length", length)]].concat()),
        )
    };
    let reset = |name: &str, frames: Vec<u8>| raw(name, frames, Expect::Reset(PROTOCOL_ERROR));
    let abandoned = |name: &str, frames: Vec<u8>| {
        let opening = [PREFACE, &frame(SETTINGS, 0, 0, b"")].concat();
        let steps = vec![Step::Send(opening), Step::Send(frames), Step::Abandon];
        Case::new(format!("http2: {name}"), Talk::Frames(steps), Expect::Closed)
    };
    let begun = [head("100"), frame(DATA, 0, 1, b"only the beginning")].concat();
    let cancelled = [begun.clone(), frame(RST_STREAM, 0, 1, &CANCEL.to_be_bytes())].concat();
    vec![
        reset(
            "less than its length",
            [head("100"), frame(DATA, END_STREAM, 1, b"hello")].concat(),
        ),
        reset(
            "more than its length",
            [head("2"), frame(DATA, END_STREAM, 1, b"hello")].concat(),
        ),
        reset(
            "a length that is no number",
            [head("five"), frame(DATA, END_STREAM, 1, b"hello")].concat(),
        ),
        abandoned("a body that is cancelled", cancelled),
        abandoned("a body that is left", begun),
    ]
}

/// Errors of the connection end all of it. The h2 library says PROTOCOL_ERROR where RFC 9113 has a finer code.
fn connections() -> Vec<Case> {
    let end = |name: &str, frames: Vec<u8>, code| raw(name, frames, Expect::GoAway(code));
    let zero = 0_u32.to_be_bytes();
    let huge = vec![b'x'; 16 * 1024 + 1];
    let open = frame(HEADERS, END_HEADERS, 1, &block(&APPEND));
    vec![
        end(
            "an unknown pseudo-header",
            append_with(&[(":stream", "text")]),
            PROTOCOL_ERROR,
        ),
        end(
            "a header name in capitals",
            append_with(&[("Stream-Seq", "z")]),
            PROTOCOL_ERROR,
        ),
        end(
            "a line break in a value",
            append_with(&[("stream-seq", "z\r\nstream-closed: true")]),
            PROTOCOL_ERROR,
        ),
        end("data on stream 0", frame(DATA, END_STREAM, 0, b"hello"), PROTOCOL_ERROR),
        end(
            "data on a stream that was not opened",
            frame(DATA, END_STREAM, 1, b"hello"),
            PROTOCOL_ERROR,
        ),
        end(
            "a stream of the server's",
            frame(HEADERS, END_HEADERS | END_STREAM, 2, &block(&APPEND)),
            PROTOCOL_ERROR,
        ),
        end(
            "a block that refers to nothing",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x80]),
            PROTOCOL_ERROR,
        ),
        end(
            "a continuation of nothing",
            frame(CONTINUATION, END_HEADERS, 1, &block(&APPEND)),
            PROTOCOL_ERROR,
        ),
        end(
            "a head that another frame cuts",
            [frame(HEADERS, 0, 1, &block(&APPEND)), frame(PING, 0, 0, &[0; 8])].concat(),
            PROTOCOL_ERROR,
        ),
        end(
            "a frame that is too large",
            [open.clone(), frame(DATA, END_STREAM, 1, &huge)].concat(),
            FRAME_SIZE_ERROR,
        ),
        end(
            "settings of a wrong size",
            frame(SETTINGS, 0, 0, &[0; 5]),
            PROTOCOL_ERROR,
        ),
        end("a ping of a wrong size", frame(PING, 0, 0, &[0; 4]), PROTOCOL_ERROR),
        end(
            "a window that grows by 0",
            frame(WINDOW_UPDATE, 0, 0, &zero),
            PROTOCOL_ERROR,
        ),
    ]
}

/// Sends frames and looks for the reset or the end that must come back.
pub(super) fn judge(weir: &Weir, steps: Vec<Step>, expect: Expect) -> Result<(), String> {
    let received = wire::converse(weir.address(), steps, |received| verdict(received).is_some());
    let fits = match (verdict(&received), expect) {
        (Some((RST_STREAM, found)), Expect::Reset(code)) | (Some((GOAWAY, found)), Expect::GoAway(code)) => {
            found == code
        }
        (None, Expect::Closed) => received.is_empty(),
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        Err(format!("got frames {:?} of {received:?}", verdict(&received)))
    }
}

/// The first frame that ends something, by its type and error code; type HEADERS means that there was an answer.
fn verdict(mut received: &[u8]) -> Option<(u8, u32)> {
    while let Some((&[a, b, c, kind, _, _, _, _, _], rest)) = received.split_first_chunk::<9>() {
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
        let payload = rest.get(..length)?;
        let code = |at: usize| {
            payload
                .get(at..at + 4)
                .map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()))
        };
        match kind {
            RST_STREAM => return Some((kind, code(0)?)),
            GOAWAY => return Some((kind, code(4)?)),
            HEADERS => return Some((kind, 0)),
            _ => received = &rest[length..],
        }
    }
    None
}
