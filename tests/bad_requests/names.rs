//! Paths and methods.

use super::case::{Case, Expect, TEXT, Talk, get, put, request, stream};
use crate::harness::wire::Step;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = invalid_names();
    cases.extend(long_and_reserved());
    cases.extend(methods());
    cases.extend(absent());
    cases
}

fn invalid_names() -> Vec<Case> {
    let paths = [
        ("no name and no slash", "/v1/stream"),
        ("no name", "/v1/stream/"),
        ("an empty first segment", "/v1/stream//a"),
        ("an empty middle segment", "/v1/stream/a//b"),
        ("a slash at the end", "/v1/stream/a/"),
        ("a parent segment", "/v1/stream/a/../b"),
        ("a parent segment that leaves the root", "/v1/stream/../../etc/passwd"),
        ("a current segment", "/v1/stream/a/./b"),
        ("an encoded parent segment", "/v1/stream/%2e%2e/a"),
        ("a half-encoded parent segment", "/v1/stream/a/.%2E"),
        ("an encoded slash that makes an empty segment", "/v1/stream/a%2F%2Fb"),
        ("an encoded slash that makes a parent segment", "/v1/stream/a%2f..%2fb"),
        ("an encoded NUL", "/v1/stream/a%00b"),
        ("an encoded line break", "/v1/stream/a%0Ab"),
        ("an encoded tab", "/v1/stream/a%09b"),
        ("an encoded DEL", "/v1/stream/a%7Fb"),
        ("a control character above ASCII", "/v1/stream/a%C2%85b"),
        ("percent-encoding with other letters", "/v1/stream/a%zz"),
        ("percent-encoding that ends after the sign", "/v1/stream/a%"),
        ("percent-encoding that ends after one digit", "/v1/stream/a%4"),
        ("a byte that is no UTF-8", "/v1/stream/a%FF"),
        ("an overlong NUL", "/v1/stream/a%C0%80"),
        ("an encoded surrogate", "/v1/stream/a%ED%A0%80"),
    ];
    paths
        .into_iter()
        .map(|(name, path)| Case::problem(format!("name: {name}"), put(path, &[TEXT]), 400, "invalid-name"))
        .collect()
}

fn long_and_reserved() -> Vec<Case> {
    let long =
        |name: &str, length: usize, code| Case::problem(name, put(&stream(&"n".repeat(length)), &[TEXT]), 414, code);
    let reserved = |name: &str, method: &str, path: &str| {
        let steps = vec![Step::Send(request(method, path, &[TEXT], "x"))];
        Case::new(name, Talk::Http1(steps), Expect::Reserved)
    };
    let encoded_name = stream(&"%6E".repeat(1025));
    let bare = |name: &str, request: Vec<u8>, status| {
        Case::new(name, Talk::Http1(vec![Step::Send(request)]), Expect::Bare(status))
    };
    vec![
        long("name: 1025 bytes", 1025, "name-too-long"),
        long("name: 4000 bytes", 4000, "name-too-long"),
        Case::problem(
            "name: 1025 bytes, encoded",
            put(&encoded_name, &[TEXT]),
            414,
            "name-too-long",
        ),
        long("target: 9000 bytes", 9000, "uri-too-long"),
        Case::problem(
            "target: a query of 9000 bytes",
            get(&format!("{}?offset=-1&x={}", stream("text"), "q".repeat(9000))),
            414,
            "uri-too-long",
        ),
        bare(
            "target: 65535 bytes, more than a head may have",
            get(&format!("/{}", "u".repeat(65_534))),
            431,
        ),
        reserved("reserved: __ds itself", "PUT", "/v1/stream/__ds"),
        reserved("reserved: below __ds", "PUT", "/v1/stream/__ds/subscriptions/a"),
        reserved("reserved: __ds encoded", "PUT", "/v1/stream/%5F%5Fds/subscriptions/a"),
        reserved("reserved: another method", "DELETE", "/v1/stream/__ds/jwks.json"),
        Case::problem(
            "path: another version",
            put("/v2/stream/a", &[TEXT]),
            404,
            "unknown-path",
        ),
        Case::problem("path: the root", get("/"), 404, "unknown-path"),
        Case::problem("path: below the list", get("/v1/streams/a"), 404, "unknown-path"),
        Case::problem("path: in capitals", put("/V1/Stream/a", &[TEXT]), 404, "unknown-path"),
        Case::problem(
            "path: metrics are not served here",
            get("/metrics"),
            404,
            "unknown-path",
        ),
    ]
}

fn methods() -> Vec<Case> {
    let wrong = |method: &str, target: &str| {
        let name = format!("method: {method} {target}");
        Case::problem(name, request(method, target, &[TEXT], "x"), 405, "method-not-allowed")
    };
    vec![
        wrong("PATCH", "/v1/stream/text"),
        wrong("TRACE", "/v1/stream/text"),
        wrong("get", "/v1/stream/text"),
        wrong("Put", "/v1/stream/new"),
        wrong("PROPFIND", "/v1/stream/text"),
        wrong("PUTT", "/v1/stream/new"),
        wrong("POST", "/v1/streams"),
        wrong("PUT", "/v1/streams"),
        wrong("DELETE", "/v1/streams"),
    ]
}

/// Well-formed, but there is nothing to do them to.
fn absent() -> Vec<Case> {
    let head = |name: &str, stream_name: &str, status| {
        let steps = vec![Step::Send(request("HEAD", &stream(stream_name), &[], ""))];
        Case::new(name, Talk::Http1(steps), Expect::HeadStatus(status))
    };
    let absent = stream("absent");
    let gone = stream("gone");
    vec![
        Case::problem("absent: GET", get(&absent), 404, "stream-not-found"),
        Case::problem(
            "absent: POST",
            request("POST", &absent, &[TEXT], "x"),
            404,
            "stream-not-found",
        ),
        Case::problem(
            "absent: DELETE",
            request("DELETE", &absent, &[], ""),
            404,
            "stream-not-found",
        ),
        Case::problem(
            "absent: long-poll",
            get(&format!("{absent}?offset=-1&live=long-poll")),
            404,
            "stream-not-found",
        ),
        Case::problem(
            "absent: SSE",
            get(&format!("{absent}?offset=-1&live=sse")),
            404,
            "stream-not-found",
        ),
        head("absent: HEAD", "absent", 404),
        Case::problem("gone: GET", get(&gone), 410, "stream-gone"),
        Case::problem("gone: POST", request("POST", &gone, &[TEXT], "x"), 410, "stream-gone"),
        Case::problem("gone: DELETE", request("DELETE", &gone, &[], ""), 410, "stream-gone"),
        Case::problem("gone: PUT", put(&gone, &[TEXT]), 409, "name-held"),
        head("gone: HEAD", "gone", 410),
    ]
}
