//! HTTP/1.1 itself: heads that are none, and bodies whose framing breaks.

use super::case::{Case, Expect, TEXT, Talk, append, request, stream};
use crate::harness::wire::Step;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = heads();
    cases.extend(hosts());
    cases.extend(lengths());
    cases.extend(cut_short());
    cases.extend(chunks());
    cases
}

fn sent(bytes: impl Into<Vec<u8>>) -> Talk {
    Talk::Http1(vec![Step::Send(bytes.into())])
}

fn heads() -> Vec<Case> {
    let bare = |name: &str, bytes: Vec<u8>, status| Case::new(name, sent(bytes), Expect::Bare(status));
    let with = |line: &str| format!("GET /v1/stream/text HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n").into_bytes();
    let many = (0..120).map(|n| format!("X-{n}: 1\r\n")).collect::<String>();
    vec![
        bare(
            "head: a TLS hello",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
            400,
        ),
        bare("head: a word", b"HELLO\r\n\r\n".to_vec(), 400),
        bare("head: no target", b"GET\r\nHost: a\r\n\r\n".to_vec(), 400),
        bare(
            "head: a space in the target",
            b"GET /v1/stream/a b HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            400,
        ),
        bare(
            "head: another protocol",
            b"GET /v1/stream/text GOPHER/1.0\r\n\r\n".to_vec(),
            400,
        ),
        bare(
            "head: a later version",
            b"GET /v1/stream/text HTTP/1.2\r\nHost: a\r\n\r\n".to_vec(),
            400,
        ),
        bare("head: a header without a colon", with("Stream-TTL 60"), 400),
        bare("head: a space before the colon", with("Stream-TTL : 60"), 400),
        bare("head: an empty header name", with(": 60"), 400),
        bare("head: a header name that is no token", with("Stream(TTL): 60"), 400),
        bare("head: a folded line", with("Stream-TTL: 6\r\n 0"), 400),
        bare("head: a NUL in a value", with("Stream-TTL: 6\x000"), 400),
        bare("head: a carriage return in a value", with("Stream-TTL: 6\r0"), 400),
        bare("head: 120 headers", with(many.trim_end()), 431),
        bare(
            "head: a header of 70 KB",
            with(&format!("X: {}", "x".repeat(70_000))),
            431,
        ),
    ]
}

fn hosts() -> Vec<Case> {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let no_host = bytes("GET /v1/stream/text HTTP/1.1\r\n\r\n");
    let two_hosts = bytes("GET /v1/stream/text HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    vec![
        Case::problem("host: none", no_host, 400, "invalid-host"),
        Case::problem("host: two", two_hosts, 400, "invalid-host"),
        Case::problem(
            "host: none, with a body",
            bytes("POST /v1/stream/text HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\nx"),
            400,
            "invalid-host",
        ),
    ]
}

fn lengths() -> Vec<Case> {
    let bare = |name: &str, headers: &[(&str, &str)]| {
        let headers: Vec<_> = headers.iter().copied().chain([TEXT]).collect();
        let mut bytes = request("POST", &stream("text"), &headers, "");
        bytes.extend_from_slice(b"5\r\nhello\r\n0\r\n\r\n");
        Case::new(name, sent(bytes), Expect::Bare(400))
    };
    vec![
        bare("length: a word", &[("Content-Length", "five")]),
        bare("length: negative", &[("Content-Length", "-5")]),
        bare("length: with a sign", &[("Content-Length", "+5")]),
        bare(
            "length: two that differ",
            &[("Content-Length", "5"), ("Content-Length", "6")],
        ),
        bare("length: a list that differs", &[("Content-Length", "5, 6")]),
        bare("length: an unknown transfer coding", &[("Transfer-Encoding", "gzip")]),
        bare(
            "length: chunked is not the last coding",
            &[("Transfer-Encoding", "chunked, gzip")],
        ),
    ]
}

/// The client goes away, or only stops sending, before the body is whole.
fn cut_short() -> Vec<Case> {
    let head = append(&[TEXT, ("Content-Length", "100")], "");
    let create_head = request("PUT", &stream("new"), &[TEXT, ("Content-Length", "100")], "");
    let chunked_head = append(&[TEXT, ("Transfer-Encoding", "chunked")], "");
    let chunked_create = request("PUT", &stream("new"), &[TEXT, ("Transfer-Encoding", "chunked")], "");
    let part = |head: &[u8], body: &[u8]| Step::Send([head, body].concat());
    let rows: [(&str, Step); 8] = [
        ("half of an append", part(&head, b"only the beginning")),
        ("none of an append", part(&head, b"")),
        ("half of a create", part(&create_head, b"only the beginning")),
        ("a chunk without its end", part(&chunked_head, b"10\r\nonly")),
        ("a chunk without its line break", part(&chunked_head, b"4\r\nonly")),
        ("no last chunk", part(&chunked_head, b"4\r\nonly\r\n")),
        (
            "a last chunk without its end",
            part(&chunked_head, b"4\r\nonly\r\n0\r\n"),
        ),
        ("no last chunk in a create", part(&chunked_create, b"4\r\nonly\r\n")),
    ];
    let mut cases = Vec::new();
    for (name, step) in rows {
        let halved = Talk::Http1(vec![step.clone(), Step::HalfClose]);
        cases.push(Case::new(
            format!("cut short: {name}"),
            halved,
            Expect::Problem(400, "body-incomplete"),
        ));
        let abandoned = Talk::Http1(vec![step, Step::Abandon]);
        cases.push(Case::new(format!("abandoned: {name}"), abandoned, Expect::Closed));
    }
    cases
}

fn chunks() -> Vec<Case> {
    let head = append(&[TEXT, ("Transfer-Encoding", "chunked")], "");
    let wrong = |name: &str, body: &str| {
        let bytes = [head.as_slice(), body.as_bytes()].concat();
        Case::new(
            format!("chunk: {name}"),
            sent(bytes),
            Expect::Problem(400, "body-incomplete"),
        )
    };
    vec![
        wrong("a size that is no number", "zz\r\nhello\r\n0\r\n\r\n"),
        wrong("a negative size", "-5\r\nhello\r\n0\r\n\r\n"),
        wrong("a size with a prefix", "0x5\r\nhello\r\n0\r\n\r\n"),
        wrong("an empty size", "\r\nhello\r\n0\r\n\r\n"),
        wrong("a size beyond 64 bits", "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
        wrong("more than its size", "3\r\nhello\r\n0\r\n\r\n"),
        wrong(
            "less than its size, then another",
            "7\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        ),
    ]
}
