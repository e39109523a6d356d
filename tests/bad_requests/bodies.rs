//! Bodies: their contents and their size.

use super::case::{Case, Expect, JSON, TEXT, Talk, append, request, stream};
use crate::harness::wire::Step;

const CLOSED: (&str, &str) = ("Stream-Closed", "true");

/// The default limit is 16 MiB.
const TOO_LARGE_BYTES: usize = 16 * 1024 * 1024 + 1;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = json();
    cases.extend(contents());
    cases.extend(sizes());
    cases
}

fn json() -> Vec<Case> {
    let texts: [(&str, &[u8]); 19] = [
        ("an open brace", b"{"),
        ("an open bracket", b"["),
        ("two values", br#"{"a":1}{"b":2}"#),
        ("two values in lines", b"1\n2\n"),
        ("a comma at the end", br#"[{"a":1},]"#),
        ("only a comma", b"[,]"),
        ("something after the array", b"[1] x"),
        ("white space alone", b" \n\t "),
        ("a word", b"hello"),
        ("NaN", b"NaN"),
        ("a number with a leading zero", b"[01]"),
        ("single quotes", b"{'a':1}"),
        ("a key without quotes", b"{a:1}"),
        ("a comment", b"[1] // one"),
        ("a line break in a string", b"\"a\nb\""),
        ("an unknown escape", br#""\x""#),
        ("a byte that is no UTF-8", b"\"\xff\""),
        ("a byte order mark", b"\xef\xbb\xbf[1]"),
        ("a NUL after the value", b"1\0"),
    ];
    let mut cases = Vec::new();
    for (name, body) in texts {
        let append = request("POST", &stream("json"), &[JSON], body);
        cases.push(Case::problem(
            format!("json append: {name}"),
            append,
            400,
            "invalid-json",
        ));
        let create = request("PUT", &stream("new"), &[JSON], body);
        cases.push(Case::problem(
            format!("json create: {name}"),
            create,
            400,
            "invalid-json",
        ));
    }
    cases
}

fn contents() -> Vec<Case> {
    let json_append = |headers: &[(&str, &str)], body: &str| request("POST", &stream("json"), headers, body);
    vec![
        Case::problem(
            "json append: an empty array",
            json_append(&[JSON], "[]"),
            400,
            "empty-json-array",
        ),
        Case::problem(
            "json append: an empty array with spaces",
            json_append(&[JSON], " [ \n ] "),
            400,
            "empty-json-array",
        ),
        Case::problem(
            "json append: an empty array that closes",
            json_append(&[JSON, ("Stream-Closed", "true")], "[]"),
            400,
            "empty-json-array",
        ),
        Case::problem("append: no body", append(&[TEXT], ""), 400, "empty-body"),
        Case::problem(
            "append: no body and a length of 0",
            append(&[TEXT, ("Content-Length", "0")], ""),
            400,
            "empty-body",
        ),
        Case::problem(
            "append: no body, Stream-Closed: false",
            append(&[TEXT, ("Stream-Closed", "false")], ""),
            400,
            "empty-body",
        ),
        Case::problem(
            "append: no body, Stream-Closed: 1",
            append(&[TEXT, ("Stream-Closed", "1")], ""),
            400,
            "empty-body",
        ),
        Case::problem(
            "append: no body, Stream-Closed twice",
            append(&[CLOSED, CLOSED], ""),
            400,
            "empty-body",
        ),
        Case::problem("append: no type", append(&[], "x"), 400, "missing-content-type"),
        Case::problem(
            "append: an empty type",
            append(&[("Content-Type", "")], "x"),
            400,
            "missing-content-type",
        ),
    ]
}

fn sizes() -> Vec<Case> {
    let length = TOO_LARGE_BYTES.to_string();
    let announced = |method: &str, name: &str| request(method, &stream(name), &[TEXT, ("Content-Length", &length)], "");
    let whole = |method: &str, name: &str| request(method, &stream(name), &[TEXT], vec![b'x'; TOO_LARGE_BYTES]);
    let mut chunked = request("POST", &stream("text"), &[TEXT, ("Transfer-Encoding", "chunked")], "");
    let piece = [b"100000\r\n".as_slice(), &vec![b'x'; 0x10_0000], b"\r\n"].concat();
    chunked.extend(piece.repeat(17));
    chunked.extend_from_slice(b"0\r\n\r\n");
    let asks_first = [TEXT, ("Content-Length", length.as_str()), ("Expect", "100-continue")];
    vec![
        Case::problem(
            "size: announced for an append",
            announced("POST", "text"),
            413,
            "body-too-large",
        ),
        Case::problem(
            "size: announced for a create",
            announced("PUT", "new"),
            413,
            "body-too-large",
        ),
        Case::problem("size: sent in an append", whole("POST", "text"), 413, "body-too-large"),
        Case::problem("size: sent in a create", whole("PUT", "new"), 413, "body-too-large"),
        Case::problem("size: sent in chunks", chunked, 413, "body-too-large"),
        Case::problem("size: asked for first", append(&asks_first, ""), 413, "body-too-large"),
        Case::new(
            "size: a length beyond 64 bits",
            Talk::Http1(vec![Step::Send(append(
                &[TEXT, ("Content-Length", "99999999999999999999999")],
                "",
            ))]),
            Expect::Bare(400),
        ),
    ]
}
