//! Requests that are understood and contradict what is stored.

use super::case::{Case, JSON, TEXT, append, put, request, stream};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = producers();
    cases.extend(streams());
    cases.extend(forks());
    cases
}

/// The stream has seen epoch 3 up to sequence number 1 from this producer.
fn producers() -> Vec<Case> {
    let wrong = |name: &str, epoch: &str, seq: &str, status, code| {
        let headers = [
            TEXT,
            ("Producer-Id", "p"),
            ("Producer-Epoch", epoch),
            ("Producer-Seq", seq),
        ];
        Case::problem(name, append(&headers, "x"), status, code)
    };
    vec![
        wrong("producer: an epoch of before", "2", "2", 403, "producer-fenced"),
        wrong("producer: epoch 0 again", "0", "0", 403, "producer-fenced"),
        wrong("producer: a gap", "3", "3", 409, "producer-gap"),
        wrong("producer: a large gap", "3", "9007199254740991", 409, "producer-gap"),
        wrong(
            "producer: a new epoch that begins at 1",
            "4",
            "1",
            400,
            "producer-epoch-start",
        ),
    ]
}

fn streams() -> Vec<Case> {
    let conflict = |name: &str, request: Vec<u8>, code| Case::problem(name, request, 409, code);
    let closing = [TEXT, ("Stream-Closed", "true")];
    let late_producer = [
        TEXT,
        ("Producer-Id", "late"),
        ("Producer-Epoch", "0"),
        ("Producer-Seq", "0"),
    ];
    vec![
        conflict("append: another type", append(&[JSON], "1"), "content-type-mismatch"),
        conflict(
            "append and close: another type",
            append(&[JSON, ("Stream-Closed", "true")], "1"),
            "content-type-mismatch",
        ),
        conflict(
            "append: a sequence value of before",
            append(&[TEXT, ("Stream-Seq", "a")], "x"),
            "stream-seq-regression",
        ),
        conflict(
            "append: the same sequence value",
            append(&[TEXT, ("Stream-Seq", "m")], "x"),
            "stream-seq-regression",
        ),
        conflict(
            "closed: append",
            request("POST", &stream("closed"), &[TEXT], "x"),
            "stream-closed",
        ),
        conflict(
            "closed: append and close",
            request("POST", &stream("closed"), &closing, "x"),
            "stream-closed",
        ),
        conflict(
            "closed: append of another type",
            request("POST", &stream("closed"), &[JSON], "1"),
            "stream-closed",
        ),
        conflict(
            "closed: a producer",
            request("POST", &stream("closed"), &late_producer, "x"),
            "stream-closed",
        ),
        conflict(
            "closed: create as open",
            put(&stream("closed"), &[TEXT]),
            "stream-exists",
        ),
        conflict(
            "create: another type",
            request("PUT", &stream("text"), &[JSON], "1"),
            "stream-exists",
        ),
        conflict(
            "create: another lifetime",
            put(&stream("text"), &[TEXT, ("Stream-TTL", "60")]),
            "stream-exists",
        ),
        conflict("create: as closed", put(&stream("text"), &closing), "stream-exists"),
        conflict(
            "create: as a fork",
            put(&stream("text"), &[("Stream-Forked-From", "/v1/stream/fork")]),
            "stream-exists",
        ),
    ]
}

fn forks() -> Vec<Case> {
    const START: (&str, &str) = ("Stream-Fork-Offset", "0000000000000000_0000000000000000");
    let fork = |name: &str, headers: &[(&str, &str)], status, code| {
        Case::problem(name, request("PUT", &stream("new"), headers, ""), status, code)
    };
    let from = |name: &'static str| ("Stream-Forked-From", name);
    let at = |text: &'static str| ("Stream-Fork-Offset", text);
    let (text, json, empty) = (
        from("/v1/stream/text"),
        from("/v1/stream/json"),
        from("/v1/stream/empty"),
    );
    let sub = |text: &'static str| ("Stream-Fork-Sub-Offset", text);
    let beyond = at("0000000000000000_0000000000000099");
    vec![
        fork(
            "fork: of nothing",
            &[from("/v1/stream/absent")],
            404,
            "fork-source-not-found",
        ),
        fork(
            "fork: of a deleted stream",
            &[from("/v1/stream/gone")],
            409,
            "fork-source-gone",
        ),
        fork(
            "fork: with another type",
            &[json, TEXT],
            409,
            "fork-content-type-mismatch",
        ),
        fork("fork: beyond the tail", &[text, beyond], 400, "fork-offset-beyond-tail"),
        fork(
            "fork: inside a message",
            &[json, at("0000000000000000_0000000000000003")],
            400,
            "fork-offset-invalid",
        ),
        fork(
            "fork: more messages than there are",
            &[json, START, sub("3")],
            400,
            "fork-sub-offset-overshoot",
        ),
        fork(
            "fork: more bytes than there are",
            &[text, START, sub("9999")],
            400,
            "fork-sub-offset-overshoot",
        ),
        fork(
            "fork: into an empty source",
            &[empty, START, sub("1")],
            400,
            "fork-sub-offset-overshoot",
        ),
    ]
}
