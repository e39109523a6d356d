//! Clients that take their time.

use std::time::Duration;

use super::case::{Case, Expect, TEXT, Talk, append, request, stream};
use super::http2::Whole;
use crate::harness::wire::Step;

/// Ten bytes a second: never silent, never done.
const DRIP: Duration = Duration::from_millis(100);

pub(super) fn cases() -> Vec<Case> {
    let send = |bytes: &[u8]| Step::Send(bytes.to_vec());
    let unanswered = |name: &str, steps: Vec<Step>| Case::new(name, Talk::Http1(steps), Expect::Closed);
    let timed_out =
        |name: &str, steps: Vec<Step>| Case::new(name, Talk::Http1(steps), Expect::Problem(408, "body-timeout"));
    let head = append(&[TEXT, ("Content-Length", "1000000")], "");
    let chunked_create = request("PUT", &stream("new"), &[TEXT, ("Transfer-Encoding", "chunked")], "");
    let begun = [chunked_create.as_slice(), b"4\r\nonly\r\n"].concat();
    let huge_chunk = [chunked_create.as_slice(), b"100000\r\n"].concat();
    vec![
        unanswered("slow: nothing at all", vec![]),
        unanswered("slow: half a request line", vec![send(b"POST /v1/str")]),
        unanswered(
            "slow: half a head",
            vec![send(b"POST /v1/stream/text HTTP/1.1\r\nHost: a\r\n")],
        ),
        unanswered(
            "slow: a head, byte by byte",
            vec![send(b"GET /v1/stream/"), Step::Drip(b'a', DRIP)],
        ),
        unanswered("slow: half of HTTP/2's preface", vec![send(b"PRI * HTTP/2.0\r\n")]),
        timed_out("slow: a body that does not begin", vec![send(&head)]),
        timed_out("slow: a body, byte by byte", vec![send(&head), Step::Drip(b'x', DRIP)]),
        timed_out("slow: chunks that do not go on", vec![send(&begun)]),
        timed_out(
            "slow: a chunk, byte by byte",
            vec![send(&huge_chunk), Step::Drip(b'x', DRIP)],
        ),
        Case::new(
            "slow: a body over HTTP/2 that does not go on",
            Talk::Http2(Whole::stalled_append()),
            Expect::Problem(408, "body-timeout"),
        ),
    ]
}
