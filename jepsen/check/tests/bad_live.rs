//! Planted in what live readers and forks get.

use super::build::*;
use super::{Planted, all_are_found};
use crate::history::{From, LiveMode, Op};

/// Four acknowledged messages, ten bytes each.
fn four(b: &mut Build) {
    b.create("s", 1..2);
    for n in 1..=4 {
        b.append("s", n * 10..n * 10 + 5, &[n], n * 10);
    }
    b.finals("s", &[1, 2, 3, 4], 40);
}

/// A source of two messages, and a fork of it.
fn forked(b: &mut Build) {
    b.create("s", 1..2);
    b.append("s", 10..20, &[1], 10);
    b.append("s", 30..40, &[2], 20);
    b.op(50..60, 1, fork("f", "s", Some(20)), ok(201, 20));
}

pub(super) const PLANTED: &[Planted] = &[
    ("SSE leaves a message out", "live", "skipped", |b| {
        four(b);
        b.live(60..90, 1, LiveMode::Sse, 0, &[1, 2, 4], 40);
    }),
    ("SSE begins too late after a reconnect", "live", "skipped", |b| {
        four(b);
        b.live(60..70, 1, LiveMode::Sse, 0, &[1, 2], 20);
        b.live(71..90, 1, LiveMode::Sse, 20, &[4], 40);
    }),
    ("SSE begins too early after a reconnect", "live", "repeated", |b| {
        four(b);
        b.live(60..70, 1, LiveMode::Sse, 0, &[1, 2], 20);
        b.live(71..90, 1, LiveMode::Sse, 20, &[2, 3, 4], 40);
    }),
    ("one connection has a message twice", "live", "repeated", |b| {
        four(b);
        b.live(60..70, 1, LiveMode::Sse, 0, &[1, 2, 2], 20);
    }),
    ("the control event is ahead of its data", "live", "skipped", |b| {
        four(b);
        b.live(60..70, 1, LiveMode::Sse, 0, &[1, 2], 30);
    }),
    ("the control event is behind its data", "live", "control-behind", |b| {
        four(b);
        b.live(60..70, 1, LiveMode::Sse, 0, &[1, 2], 10);
    }),
    ("live messages lie the wrong way round", "live", "skipped", |b| {
        four(b);
        b.live(60..70, 1, LiveMode::Sse, 0, &[2, 1], 20);
    }),
    (
        "a live reader gets what no other reader has",
        "live",
        "unordered",
        |b| {
            four(b);
            b.maybe("s", 50..55, &[9]);
            b.live(60..70, 1, LiveMode::LongPoll, 10, &[9], 20);
        },
    ),
    (
        "a data event without control was never in the stream there",
        "live",
        "skipped",
        |b| {
            four(b);
            let op = live("s", 1, LiveMode::Sse, 10);
            b.op(
                60..70,
                2,
                op,
                page_with(10, &[2], 20, |answer| answer.unconfirmed = ms(&[4])),
            );
        },
    ),
    ("live: from `now`, a message is left out", "live", "skipped", |b| {
        four(b);
        let op = Op::Live {
            stream: "s".to_owned(),
            from: From::Now,
            mode: LiveMode::Sse,
            session: 1,
        };
        b.op(11..50, 2, op, page_with(0, &[2, 4], 40, |answer| answer.start = None));
    }),
    ("a long-poll leaves a message out", "live", "skipped", |b| {
        four(b);
        b.live(60..70, 1, LiveMode::LongPoll, 10, &[3, 4], 40);
    }),
    (
        "a fork lacks the beginning of its source",
        "fork",
        "prefix-differs",
        |b| {
            forked(b);
            b.finals("s", &[1, 2], 20);
            b.finals("f", &[2], 20);
        },
    ),
    (
        "a fork has its source's messages the wrong way round",
        "fork",
        "prefix-differs",
        |b| {
            forked(b);
            b.finals("s", &[1, 2], 20);
            b.finals("f", &[2, 1], 20);
        },
    ),
    (
        "an append to the source shows in the fork",
        "fork",
        "leak-into-fork",
        |b| {
            forked(b);
            b.append("f", 70..80, &[5], 30);
            b.append("s", 70..80, &[3], 30);
            b.finals("s", &[1, 2, 3], 30);
            b.finals("f", &[1, 2, 5, 3], 40);
        },
    ),
    (
        "an append to the fork shows in the source",
        "fork",
        "leak-into-source",
        |b| {
            forked(b);
            b.append("f", 70..80, &[5], 30);
            b.finals("s", &[1, 2, 5], 30);
            b.finals("f", &[1, 2, 5], 30);
        },
    ),
    ("a fork at another place than asked", "fork", "another-boundary", |b| {
        b.create("s", 1..2);
        b.append("s", 10..20, &[1], 10);
        b.append("s", 30..40, &[2], 20);
        b.op(50..60, 1, fork("f", "s", Some(10)), ok(201, 20));
        b.finals("s", &[1, 2], 20);
        b.finals("f", &[1, 2], 20);
    }),
    (
        "the source is deleted and takes the fork's messages along",
        "fork",
        "inherited-lost",
        |b| {
            forked(b);
            b.op(70..80, 1, delete("s"), ok(204, 0));
            b.finals("f", &[], 20);
        },
    ),
    (
        "a fork ends before its boundary",
        "fork",
        "shorter-than-its-boundary",
        |b| {
            forked(b);
            b.finals("s", &[1, 2], 20);
            b.finals("f", &[1], 10);
        },
    ),
    (
        "a fork counts its source's bytes otherwise",
        "fork",
        "inherited-offset-differs",
        |b| {
            forked(b);
            b.finals("s", &[1, 2], 20);
            b.op(70..75, 1, eventual("f"), page(0, &[1], 11, false));
            b.finals("f", &[1, 2], 20);
        },
    ),
    ("a fork of a fork leaks upwards", "fork", "leak-into-source", |b| {
        forked(b);
        b.op(61..65, 1, fork("g", "f", Some(20)), ok(201, 20));
        b.append("g", 70..80, &[5], 30);
        b.finals("s", &[1, 2], 20);
        b.finals("f", &[1, 2, 5], 30);
        b.finals("g", &[1, 2, 5], 30);
    }),
    ("an expiry a second too early", "ttl", "early", |b| {
        b.op(1_000..1_010, 1, create_ttl("s", 10_000), ok(201, 0));
        b.op(10_000..10_010, 2, head("s"), refused(404, "stream-not-found"));
    }),
    ("an append does not renew the TTL", "ttl", "early", |b| {
        b.op(1_000..1_010, 1, create_ttl("s", 10_000), ok(201, 0));
        b.append("s", 9_000..9_010, &[1], 10);
        b.op(12_000..12_010, 2, head("s"), refused(404, "stream-not-found"));
    }),
    ("a read does not renew the TTL", "ttl", "early", |b| {
        b.op(1_000..1_010, 1, create_ttl("s", 10_000), ok(201, 0));
        b.read("s", 9_000..9_010, 2, &[], 0);
        b.op(12_000..12_010, 2, head("s"), refused(404, "stream-not-found"));
    }),
    ("created anew while the first life has to last", "ttl", "early", |b| {
        b.op(1_000..1_010, 1, create_ttl("s", 10_000), ok(201, 0));
        b.op(5_000..5_010, 2, create_ttl("s", 10_000), ok(201, 0));
    }),
    ("it never expires", "ttl", "late", |b| {
        b.op(1_000..1_010, 1, create_ttl("s", 10_000), ok(201, 0));
        b.head("s", 60_000..60_010, 2, 0);
    }),
    ("HEAD renews the TTL", "ttl", "late", |b| {
        b.run.limits.expiry_lag_ms = 1_000;
        b.op(1_000..1_010, 1, create_ttl("s", 10_000), ok(201, 0));
        b.head("s", 9_000..9_010, 2, 0);
        b.head("s", 15_000..15_010, 2, 0);
    }),
];

#[test]
fn what_is_planted_in_live_reads_forks_and_expiries_is_found() {
    all_are_found(PLANTED);
}
