//! Headers of creates and appends that cannot be understood.

use super::case::{Case, TEXT, append, put, stream};

/// 2^53, one more than the largest integer that JavaScript holds.
const TOO_LARGE: &str = "9007199254740992";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = lifetimes();
    cases.extend(types());
    cases.extend(forks());
    cases.extend(producers());
    cases.extend(sequences());
    cases.extend(twice());
    cases
}

fn create(name: String, headers: &[(&str, &str)], code: &'static str) -> Case {
    Case::problem(name, put(&stream("new"), headers), 400, code)
}

fn lifetimes() -> Vec<Case> {
    let ttls = [
        "",
        "-1",
        "+1",
        "1.5",
        "1e3",
        "01",
        "0x10",
        "1 2",
        "ten",
        "99999999999999999999",
        "3600s",
    ];
    let instants = [
        "",
        "tomorrow",
        "2030-01-01",
        "2030-13-01T00:00:00Z",
        "2030-01-01T00:00:00",
        "1767225600",
    ];
    let ttl = |text: &str| {
        create(
            format!("ttl: '{text}'"),
            &[TEXT, ("Stream-TTL", text)],
            "invalid-lifetime",
        )
    };
    let instant = |text: &str| {
        create(
            format!("expires at: '{text}'"),
            &[TEXT, ("Stream-Expires-At", text)],
            "invalid-lifetime",
        )
    };
    let both = [
        TEXT,
        ("Stream-TTL", "60"),
        ("Stream-Expires-At", "2030-01-01T00:00:00Z"),
    ];
    let mut cases: Vec<_> = ttls
        .into_iter()
        .map(ttl)
        .chain(instants.into_iter().map(instant))
        .collect();
    cases.push(create("ttl and expires at".to_owned(), &both, "invalid-lifetime"));
    cases
}

fn types() -> Vec<Case> {
    let long = format!("text/{}", "x".repeat(300));
    let texts = [
        "text",
        "text/",
        "/plain",
        "te xt/plain",
        "text/pl ain",
        "text/plain/x",
        "(text)/plain",
        ";charset=utf-8",
        &long,
    ];
    let of_create = |text: &&str| {
        let name = format!("content type of a create: {}", &text[..text.len().min(20)]);
        create(name, &[("Content-Type", text)], "invalid-content-type")
    };
    let of_append = |text: &&str| {
        let name = format!("content type of an append: {}", &text[..text.len().min(20)]);
        Case::problem(
            name,
            append(&[("Content-Type", text)], "x"),
            400,
            "invalid-content-type",
        )
    };
    let mut cases: Vec<_> = texts.iter().map(of_create).chain(texts.iter().map(of_append)).collect();
    for coding in ["gzip", "br", "gzip, identity"] {
        let headers = [TEXT, ("Content-Encoding", coding)];
        let code = "unsupported-content-encoding";
        cases.push(Case::problem(
            format!("content encoding of a create: {coding}"),
            put(&stream("new"), &headers),
            415,
            code,
        ));
        cases.push(Case::problem(
            format!("content encoding of an append: {coding}"),
            append(&headers, "x"),
            415,
            code,
        ));
    }
    cases
}

fn forks() -> Vec<Case> {
    const FROM: (&str, &str) = ("Stream-Forked-From", "/v1/stream/text");
    const START: &str = "0000000000000000_0000000000000000";
    let rows: [(&str, &[(&str, &str)]); 13] = [
        ("an offset without a source", &[("Stream-Fork-Offset", START)]),
        ("a sub-offset without a source", &[("Stream-Fork-Sub-Offset", "1")]),
        ("a sub-offset of 0 without a source", &[("Stream-Fork-Sub-Offset", "0")]),
        (
            "a sub-offset without an offset",
            &[FROM, ("Stream-Fork-Sub-Offset", "1")],
        ),
        (
            "a negative sub-offset",
            &[FROM, ("Stream-Fork-Offset", START), ("Stream-Fork-Sub-Offset", "-1")],
        ),
        (
            "a sub-offset with a leading zero",
            &[FROM, ("Stream-Fork-Offset", START), ("Stream-Fork-Sub-Offset", "01")],
        ),
        (
            "a sub-offset that is no number",
            &[FROM, ("Stream-Fork-Offset", START), ("Stream-Fork-Sub-Offset", "two")],
        ),
        ("an offset 'now'", &[FROM, ("Stream-Fork-Offset", "now")]),
        ("an offset that is none", &[FROM, ("Stream-Fork-Offset", "12")]),
        ("an empty offset", &[FROM, ("Stream-Fork-Offset", "")]),
        ("an empty source", &[("Stream-Forked-From", "")]),
        (
            "a source with a parent segment",
            &[("Stream-Forked-From", "/v1/stream/a/../text")],
        ),
        ("a reserved source", &[("Stream-Forked-From", "/v1/stream/__ds/a")]),
    ];
    rows.into_iter()
        .map(|(name, headers)| create(format!("fork: {name}"), headers, "invalid-fork"))
        .collect()
}

fn producers() -> Vec<Case> {
    let long = "p".repeat(257);
    let rows: [(&str, &[(&str, &str)]); 15] = [
        ("an id alone", &[("Producer-Id", "q")]),
        ("no seq", &[("Producer-Id", "q"), ("Producer-Epoch", "0")]),
        ("no epoch", &[("Producer-Id", "q"), ("Producer-Seq", "0")]),
        ("no id", &[("Producer-Epoch", "0"), ("Producer-Seq", "0")]),
        (
            "an empty id",
            &[("Producer-Id", ""), ("Producer-Epoch", "0"), ("Producer-Seq", "0")],
        ),
        (
            "an id of 257 bytes",
            &[("Producer-Id", &long), ("Producer-Epoch", "0"), ("Producer-Seq", "0")],
        ),
        (
            "an empty epoch",
            &[("Producer-Id", "q"), ("Producer-Epoch", ""), ("Producer-Seq", "0")],
        ),
        (
            "a negative epoch",
            &[("Producer-Id", "q"), ("Producer-Epoch", "-1"), ("Producer-Seq", "0")],
        ),
        (
            "a broken epoch",
            &[("Producer-Id", "q"), ("Producer-Epoch", "1.0"), ("Producer-Seq", "0")],
        ),
        (
            "an epoch of 2^53",
            &[
                ("Producer-Id", "q"),
                ("Producer-Epoch", TOO_LARGE),
                ("Producer-Seq", "0"),
            ],
        ),
        (
            "an empty seq",
            &[("Producer-Id", "q"), ("Producer-Epoch", "0"), ("Producer-Seq", "")],
        ),
        (
            "a negative seq",
            &[("Producer-Id", "q"), ("Producer-Epoch", "0"), ("Producer-Seq", "-1")],
        ),
        (
            "a seq with a sign",
            &[("Producer-Id", "q"), ("Producer-Epoch", "0"), ("Producer-Seq", "+0")],
        ),
        (
            "a seq in words",
            &[("Producer-Id", "q"), ("Producer-Epoch", "0"), ("Producer-Seq", "zero")],
        ),
        (
            "a seq of 2^53",
            &[
                ("Producer-Id", "q"),
                ("Producer-Epoch", "0"),
                ("Producer-Seq", TOO_LARGE),
            ],
        ),
    ];
    rows.into_iter()
        .map(|(name, headers)| {
            let headers: Vec<_> = headers.iter().copied().chain([TEXT]).collect();
            Case::problem(
                format!("producer: {name}"),
                append(&headers, "x"),
                400,
                "invalid-producer",
            )
        })
        .collect()
}

fn sequences() -> Vec<Case> {
    let long = "z".repeat(257);
    let wrong = |name: &str, text: &str| {
        Case::problem(
            name,
            append(&[TEXT, ("Stream-Seq", text)], "x"),
            400,
            "invalid-stream-seq",
        )
    };
    vec![wrong("stream seq: empty", ""), wrong("stream seq: 257 bytes", &long)]
}

/// A header that decides something must not come in two versions, nor in bytes that have no agreed meaning.
fn twice() -> Vec<Case> {
    let of_create = [
        ("Content-Type", "text/plain"),
        ("Stream-TTL", "60"),
        ("Stream-Expires-At", "2030-01-01T00:00:00Z"),
        ("Stream-Forked-From", "/v1/stream/text"),
        ("Content-Encoding", "identity"),
    ];
    let of_append = [
        ("Stream-Seq", "z"),
        ("Producer-Id", "q"),
        ("Producer-Epoch", "0"),
        ("Producer-Seq", "0"),
    ];
    let in_create = |(key, value): (&'static str, &'static str)| {
        create(format!("twice: {key}"), &[(key, value), (key, value)], "invalid-header")
    };
    let in_append = |(key, value): (&'static str, &'static str)| {
        let headers = [TEXT, (key, value), (key, value)];
        Case::problem(format!("twice: {key}"), append(&headers, "x"), 400, "invalid-header")
    };
    let mut cases: Vec<_> = of_create
        .into_iter()
        .map(in_create)
        .chain(of_append.into_iter().map(in_append))
        .collect();
    for (key, value) in [
        ("Content-Type", "text/plàin"),
        ("Stream-TTL", "６０"),
        ("Stream-Forked-From", "/v1/stream/tëxt"),
    ] {
        cases.push(create(format!("not ASCII: {key}"), &[(key, value)], "invalid-header"));
    }
    for (key, value) in [("Producer-Id", "prödücer"), ("Stream-Seq", "ž")] {
        let request = append(&[TEXT, (key, value)], "x");
        cases.push(Case::problem(
            format!("not ASCII: {key}"),
            request,
            400,
            "invalid-header",
        ));
    }
    cases
}
