//! Whose dialect is spoken.
//!
//! Weir and crate `durable-streams` speak the protocol under `/v1/stream/`. Ursula speaks it under `/BUCKET/STREAM` and
//! takes writes at the leader of the stream's group only, to which it redirects.

use clap::ValueEnum;

/// Whose dialect is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Target {
    /// Weir
    Weir,
    /// The Rust server of the Durable Streams project
    DurableStreams,
    /// Ursula
    Ursula,
}

impl Target {
    /// Its name in reports and on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Weir => "weir",
            Self::DurableStreams => "durable-streams",
            Self::Ursula => "ursula",
        }
    }

    /// The path of a run's stream.
    pub(super) fn path(self, prefix: &str, number: u64) -> String {
        match self {
            Self::Weir | Self::DurableStreams => format!("/v1/stream/{prefix}-{number}"),
            Self::Ursula => format!("/{prefix}/{number}"),
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
