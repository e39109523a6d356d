//! Whose dialect is spoken.
//!
//! Weir and crate `durable-streams` speak the protocol under `/v1/stream/`. Ursula speaks it under `/BUCKET/STREAM` and
//! takes writes at the leader of the stream's group only, to which it redirects. etcd has puts instead of appends, over
//! gRPC.

use clap::ValueEnum;
use weir_protocol::headers;

use super::error::BenchError;

/// Whose dialect is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Target {
    /// Weir
    Weir,
    /// The Rust server of the Durable Streams project
    DurableStreams,
    /// Ursula, each stream at its leader
    Ursula,
    /// etcd: puts over gRPC
    Etcd,
}

impl Target {
    /// Its name in reports and on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Weir => "weir",
            Self::DurableStreams => "durable-streams",
            Self::Ursula => "ursula",
            Self::Etcd => "etcd",
        }
    }

    /// Refuses etcd, which has no streams.
    ///
    /// # Errors
    /// When it is etcd.
    pub(super) fn must_speak_the_protocol(self) -> Result<(), BenchError> {
        match self {
            Self::Weir | Self::DurableStreams | Self::Ursula => Ok(()),
            Self::Etcd => Err(BenchError::Options("etcd can only be appended to, as puts".to_owned())),
        }
    }

    /// The path of a run's stream, or its key.
    pub(super) fn path(self, prefix: &str, number: u64) -> String {
        match self {
            Self::Weir | Self::DurableStreams => format!("/v1/stream/{prefix}-{number}"),
            Self::Ursula => format!("/{prefix}/{number}"),
            Self::Etcd => format!("{prefix}-{number}"),
        }
    }
}

/// A request with a body, as it goes over the wire. `path` and `content_type` are ours and need no escape.
pub(super) fn request_with_body(method: &str, address: &str, path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// A read.
pub(super) fn get(address: &str, path: &str, query: &str) -> Vec<u8> {
    format!("GET {path}?{query} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes()
}

/// What the headers of an answer tell a reader.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Where to read on.
    pub(super) next_offset: Option<String>,
    /// What to send along, so that caches do not answer for ever.
    pub(super) cursor: Option<String>,
    /// Whether this was all.
    pub(super) up_to_date: bool,
}

impl Progress {
    /// Takes note of a header.
    pub(super) fn see(&mut self, name: &str, value: &[u8]) {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let text = || std::str::from_utf8(value).ok().map(ToOwned::to_owned);
        if is(headers::STREAM_NEXT_OFFSET) {
            self.next_offset = text();
        } else if is(headers::STREAM_CURSOR) {
            self.cursor = text();
        } else if is(headers::STREAM_UP_TO_DATE) {
            self.up_to_date = value.eq_ignore_ascii_case(b"true");
        }
    }
}
