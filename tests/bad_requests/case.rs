//! One malformed request and what must come back.

use serde_json::Value;

use crate::harness::Weir;
use crate::harness::wire::{self, Reply, Step};

use super::frames;
use super::http2::Whole;

/// What must come back.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expect {
    /// A problem document of this type, with this status.
    Problem(u16, &'static str),
    /// As `Problem`, for HEAD: its status alone.
    HeadStatus(u16),
    /// The protocol's own envelope for control paths.
    Reserved,
    /// hyper's answer, which has no body: this was no HTTP request yet.
    Bare(u16),
    /// The connection ends without an answer.
    Closed,
    /// HTTP/2: the stream is reset with this error code.
    Reset(u32),
    /// HTTP/2: the connection is ended with this error code.
    GoAway(u32),
}

/// How it is sent.
#[derive(Debug, Clone)]
pub(super) enum Talk {
    /// These steps on a socket of their own, answered in HTTP/1.1.
    Http1(Vec<Step>),
    /// A whole request over HTTP/2.
    Http2(Whole),
    /// These steps on a socket of their own, answered in HTTP/2's frames.
    Frames(Vec<Step>),
}

/// A malformed request.
#[derive(Debug, Clone)]
pub(super) struct Case {
    name: String,
    talk: Talk,
    expect: Expect,
}

impl Case {
    pub(super) fn new(name: impl Into<String>, talk: Talk, expect: Expect) -> Self {
        Self {
            name: name.into(),
            talk,
            expect,
        }
    }

    /// A whole HTTP/1.1 request that is answered with a problem.
    pub(super) fn problem(name: impl Into<String>, request: Vec<u8>, status: u16, code: &'static str) -> Self {
        Self::new(
            name,
            Talk::Http1(vec![Step::Send(request)]),
            Expect::Problem(status, code),
        )
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Sends it; an error tells what came instead.
    pub(super) fn check(&self, weir: &Weir) -> Result<(), String> {
        let outcome = match &self.talk {
            Talk::Http1(steps) => {
                let is_head = matches!(self.expect, Expect::HeadStatus(_));
                judge(
                    wire::exchange(weir.address(), steps.clone(), is_head).as_ref(),
                    self.expect,
                )
            }
            Talk::Http2(request) => judge(Some(&request.exchange(weir)), self.expect),
            Talk::Frames(steps) => frames::judge(weir, steps.clone(), self.expect),
        };
        outcome.map_err(|found| format!("{}: expected {:?}, {found}", self.name, self.expect))
    }
}

/// Whether an answer is the expected one, to the letter of its type.
pub(super) fn judge(reply: Option<&Reply>, expect: Expect) -> Result<(), String> {
    let fits = match (reply, expect) {
        (None, Expect::Closed) => true,
        (Some(reply), Expect::Problem(status, code)) => reply.status == status && is_problem(reply, status, code),
        (Some(reply), Expect::HeadStatus(status)) => reply.status == status,
        (Some(reply), Expect::Bare(status)) => reply.status == status && reply.body.is_empty(),
        (Some(reply), Expect::Reserved) => {
            let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            reply.status == 501 && body["error"]["code"] == "SUBSCRIPTIONS_NOT_SUPPORTED"
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err(describe(reply)) }
}

fn is_problem(reply: &Reply, status: u16, code: &str) -> bool {
    let document: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let is_text = |key: &str| document[key].as_str().is_some_and(|text| !text.is_empty());
    reply.header("content-type") == Some("application/problem+json")
        && reply.header("cache-control") == Some("no-store")
        && reply.header("x-content-type-options") == Some("nosniff")
        && document["type"] == format!("urn:weir:problem:{code}")
        && document["status"] == status
        && is_text("title")
        && is_text("detail")
        && (status != 405 || reply.header("allow").is_some_and(|methods| methods.contains("GET")))
}

fn describe(reply: Option<&Reply>) -> String {
    match reply {
        None => "the connection ended".to_owned(),
        Some(reply) => format!("got {} {}", reply.status, String::from_utf8_lossy(&reply.body)),
    }
}

/// An HTTP/1.1 request with `Host`, and with `Content-Length` when there is a body.
pub(super) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: weir.test\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    let body = body.as_ref();
    if !body.is_empty() {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// A stream's target.
pub(super) fn stream(name: &str) -> String {
    format!("/v1/stream/{name}")
}

pub(super) const TEXT: (&str, &str) = ("Content-Type", "text/plain");
pub(super) const JSON: (&str, &str) = ("Content-Type", "application/json");

pub(super) fn get(target: &str) -> Vec<u8> {
    request("GET", target, &[], "")
}

/// A create of a stream that is not there, with a body that would be stored.
pub(super) fn put(target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    request("PUT", target, headers, "would be stored")
}

/// An append to the text stream that is there.
pub(super) fn append(headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    request("POST", &stream("text"), headers, body)
}
