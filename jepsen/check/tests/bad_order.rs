//! Planted in what is read: order, losses, phantoms, offsets, tags, tails.

use super::build::*;
use super::{Planted, all_are_found};
use crate::history::{Answer, Body, Failure, From, LiveMode, Op, Stage};

/// Three acknowledged appends of one message, ten bytes each.
fn three(b: &mut Build) {
    b.create("s", 1..2);
    b.append("s", 10..20, &[1], 10);
    b.append("s", 30..40, &[2], 20);
    b.append("s", 50..60, &[3], 30);
}

fn tagged(answer: &mut Answer) {
    answer.etag = Some("\"5.c0ffee:0:10\"".to_owned());
}

fn tagged_other_life(answer: &mut Answer) {
    answer.etag = Some("\"6.c0ffee:0:20\"".to_owned());
}

fn if_none_match(tag: &str) -> Op {
    Op::Read {
        stream: "s".to_owned(),
        from: From::Start,
        consistency: crate::history::Consistency::Strong,
        max: None,
        if_none_match: Some(tag.to_owned()),
    }
}

pub(super) const PLANTED: &[Planted] = &[
    ("two readers see two messages swapped", "order", "diverged", |b| {
        three(b);
        b.read("s", 70..80, 1, &[1, 2, 3], 30);
        b.read("s", 70..80, 2, &[1, 3, 2], 30);
        b.finals("s", &[1, 2, 3], 30);
    }),
    (
        "split brain: two nodes end in different messages",
        "order",
        "diverged",
        |b| {
            three(b);
            b.maybe("s", 50..65, &[4]);
            b.last("s", 1, &[1, 2, 3], 30);
            b.last("s", 2, &[1, 2, 4], 30);
            b.last("s", 3, &[1, 2, 3], 30);
        },
    ),
    (
        "a read from the middle shows what no whole read has there",
        "order",
        "unordered",
        |b| {
            three(b);
            b.maybe("s", 50..65, &[4]);
            b.op(70..75, 2, read("s", From::At(15)), page(15, &[4], 25, false));
            b.finals("s", &[1, 2, 3], 30);
        },
    ),
    ("a read from an offset skips a message", "order", "diverged", |b| {
        three(b);
        b.op(70..75, 2, read("s", From::At(10)), page(10, &[3], 30, true));
        b.finals("s", &[1, 2, 3], 30);
    }),
    (
        "the first acknowledged message is gone from all nodes",
        "lost",
        "lost-prefix",
        |b| {
            three(b);
            b.finals("s", &[2, 3], 30);
        },
    ),
    ("one in the middle is gone from all nodes", "lost", "lost-middle", |b| {
        three(b);
        b.finals("s", &[1, 3], 20);
    }),
    ("the last is gone from all nodes", "lost", "lost-suffix", |b| {
        three(b);
        b.finals("s", &[1, 2], 20);
    }),
    (
        "the stream itself is gone though nobody deleted it",
        "lost",
        "stream-lost",
        |b| {
            b.create("s", 1..2);
            b.append("s", 10..20, &[1], 10);
            b.op(30..40, 2, head("s"), refused(404, "none"));
            for node in 1..=3 {
                let at = HEALED + 1_000 * u64::from(node);
                b.op(at..at + 10, node, last("s"), refused(404, "stream-not-found"));
            }
        },
    ),
    ("one replica has lost the stream", "lost", "stream-lost", |b| {
        b.create("s", 1..2);
        b.append("s", 10..20, &[1], 10);
        b.last("s", 1, &[1], 10);
        b.last("s", 2, &[1], 10);
        b.op(
            HEALED + 5_000..HEALED + 5_010,
            3,
            last("s"),
            refused(404, "stream-not-found"),
        );
    }),
    ("everything is gone", "lost", "lost-all", |b| {
        three(b);
        b.finals("s", &[], 0);
    }),
    (
        "one replica lacks the last message for ever",
        "lost",
        "lost-suffix",
        |b| {
            three(b);
            b.last("s", 1, &[1, 2, 3], 30);
            b.last("s", 2, &[1, 2], 20);
            b.last("s", 3, &[1, 2, 3], 30);
        },
    ),
    (
        "a write acknowledged as a duplicate is not there",
        "lost",
        "lost-all",
        |b| {
            b.create("s", 1..2);
            b.op(10..20, 1, produced("s", ("p", 0, 0), &[1]), unknown());
            b.produce(30..40, ("p", 0, 0), &[1], 204, 10);
            b.finals("s", &[], 0);
        },
    ),
    ("half of an acknowledged batch is gone", "lost", "lost-all", |b| {
        b.create("s", 1..2);
        b.append("s", 10..20, &[1, 2], 20);
        b.finals("s", &[1], 10);
    }),
    (
        "a strong read after the acknowledgement lacks it",
        "lost",
        "lost-all",
        |b| {
            b.create("s", 1..2);
            b.append("s", 10..20, &[1], 10);
            b.read("s", 30..40, 2, &[], 0);
            b.finals("s", &[1], 10);
        },
    ),
    (
        "a write of unknown outcome was read, and is gone later",
        "lost",
        "read-then-lost",
        |b| {
            b.create("s", 1..2);
            b.maybe("s", 10..20, &[1]);
            b.glance("s", 30..40, 2, &[1], 10);
            b.finals("s", &[], 0);
        },
    ),
    (
        "written after the delete was over, and not there at last",
        "lost",
        "lost-all",
        |b| {
            b.create("s", 1..2);
            b.op(5..6, 1, delete("s"), ok(204, 0));
            b.create("s", 7..8);
            b.append("s", 10..20, &[1], 10);
            for node in 1..=3 {
                let at = HEALED + 1_000 + u64::from(node);
                b.op(at..at + 1, node, last("s"), page_with(0, &[], 0, tagged));
            }
        },
    ),
    ("a message that nobody wrote", "phantom", "never-written", |b| {
        three(b);
        b.finals("s", &[1, 2, 3, 99], 40);
    }),
    (
        "a message whose write was refused",
        "phantom",
        "refused-but-read",
        |b| {
            b.create("s", 1..2);
            b.op(10..20, 1, append("s", &[1]), refused(409, "content-type-mismatch"));
            b.finals("s", &[1], 10);
        },
    ),
    (
        "a message whose connection was refused",
        "phantom",
        "refused-but-read",
        |b| {
            b.create("s", 1..2);
            b.op(10..20, 1, append("s", &[1]), Body::Fail(Failure::transport("refused")));
            b.finals("s", &[1], 10);
        },
    ),
    (
        "the body of a create that found the stream there",
        "phantom",
        "refused-but-read",
        |b| {
            b.create("s", 1..2);
            let op = Op::Create {
                stream: "s".to_owned(),
                messages: ms(&[1]),
                ttl_ms: None,
                close: false,
            };
            b.op(10..20, 1, op, ok(200, 0));
            b.finals("s", &[1], 10);
        },
    ),
    ("a message of another stream", "phantom", "foreign", |b| {
        b.create("s", 1..2);
        b.append("t", 10..20, &[1], 10);
        b.finals("s", &[1], 10);
        b.finals("t", &[1], 10);
    }),
    (
        "a message read before it was written",
        "phantom",
        "from-the-future",
        |b| {
            b.create("s", 1..2);
            b.glance("s", 5..8, 2, &[1], 10);
            b.append("s", 10..20, &[1], 10);
            b.finals("s", &[1], 10);
        },
    ),
    ("a torn message", "phantom", "garbage", |b| {
        three(b);
        b.op(
            70..75,
            2,
            eventual("s"),
            page_with(0, &[1], 15, |answer| answer.garbage = 1),
        );
        b.finals("s", &[1, 2, 3], 30);
    }),
    (
        "one offset after two numbers of messages",
        "offsets",
        "offset-names-two-places",
        |b| {
            three(b);
            b.glance("s", 70..80, 2, &[1], 20);
            b.finals("s", &[1, 2, 3], 30);
        },
    ),
    (
        "a node counts bytes otherwise",
        "offsets",
        "place-has-two-offsets",
        |b| {
            three(b);
            b.last("s", 1, &[1, 2, 3], 30);
            b.last("s", 2, &[1, 2, 3], 31);
            b.last("s", 3, &[1, 2, 3], 30);
        },
    ),
    (
        "an acknowledgement gave another offset than reads do",
        "offsets",
        "offset-names-two-places",
        |b| {
            b.create("s", 1..2);
            b.append("s", 10..20, &[1], 20);
            b.append("s", 10..25, &[2], 21);
            b.glance("s", 30..31, 1, &[1], 10);
            b.finals("s", &[1, 2], 20);
        },
    ),
    (
        "two writes were told the same end",
        "offsets",
        "two-writes-one-offset",
        |b| {
            b.create("s", 1..2);
            b.append("s", 10..20, &[1], 10);
            b.append("s", 12..22, &[2], 10);
            b.finals("s", &[1, 2], 20);
        },
    ),
    (
        "an answer without messages goes on",
        "offsets",
        "moves-otherwise-than-its-messages",
        |b| {
            three(b);
            b.op(70..75, 2, read("s", From::At(25)), page(25, &[], 30, true));
            b.finals("s", &[1, 2, 3], 30);
        },
    ),
    (
        "an answer with messages does not go on",
        "offsets",
        "moves-otherwise-than-its-messages",
        |b| {
            three(b);
            b.op(70..75, 2, read("s", From::At(20)), page(20, &[3], 20, true));
            b.finals("s", &[1, 2, 3], 30);
        },
    ),
    (
        "a read from an acknowledged offset is refused",
        "offsets",
        "given-and-refused",
        |b| {
            three(b);
            b.op(70..75, 2, read("s", From::At(20)), refused(400, "offset-beyond-tail"));
            b.finals("s", &[1, 2, 3], 30);
        },
    ),
    (
        "a fork at an acknowledged offset is refused",
        "offsets",
        "given-and-refused",
        |b| {
            three(b);
            b.op(70..75, 2, fork("f", "s", Some(20)), refused(400, "fork-offset-invalid"));
            b.finals("s", &[1, 2, 3], 30);
        },
    ),
    ("offsets fall along the stream", "offsets", "does-not-grow", |b| {
        three(b);
        b.glance("s", 70..80, 2, &[1, 2], 8);
        b.finals("s", &[1, 2, 3], 30);
    }),
    ("one tag, two bodies", "etag", "tag-names-two-answers", |b| {
        three(b);
        b.op(70..71, 1, eventual("s"), page_with(0, &[1], 10, tagged));
        b.op(72..73, 2, eventual("s"), page_with(0, &[2], 10, tagged));
        b.finals("s", &[1, 2, 3], 30);
    }),
    ("one tag, open and closed", "etag", "tag-names-two-answers", |b| {
        three(b);
        b.op(61..62, 1, close("s"), ok_closed(204, 30));
        b.op(70..71, 1, eventual("s"), page_with(0, &[1], 10, tagged));
        b.op(
            72..73,
            2,
            eventual("s"),
            page_with(0, &[1], 10, |answer| {
                tagged(answer);
                answer.closed = true;
            }),
        );
        b.finals("s", &[1, 2, 3], 30);
    }),
    ("two nodes tag one range otherwise", "etag", "range-has-two-tags", |b| {
        three(b);
        b.op(70..71, 1, eventual("s"), page_with(0, &[1], 10, tagged));
        b.op(
            72..73,
            2,
            eventual("s"),
            page_with(0, &[1], 10, |answer| {
                answer.etag = Some("\"5.c0ffee:0:10:x\"".to_owned());
            }),
        );
        b.finals("s", &[1, 2, 3], 30);
    }),
    (
        "a stream that nobody deleted begins another life",
        "etag",
        "another-life",
        |b| {
            three(b);
            b.op(70..71, 1, eventual("s"), page_with(0, &[1], 10, tagged));
            b.op(72..73, 2, eventual("s"), page_with(0, &[1, 2], 20, tagged_other_life));
            b.finals("s", &[1, 2, 3], 30);
        },
    ),
    ("a 304 though the stream has grown", "etag", "false-304", |b| {
        b.create("s", 1..2);
        b.append("s", 10..20, &[1], 10);
        b.op(21..22, 1, read("s", From::Start), page_with(0, &[1], 10, tagged));
        b.append("s", 30..40, &[2], 20);
        b.op(50..55, 2, if_none_match("\"5.c0ffee:0:10\""), ok(304, 20));
        b.finals("s", &[1, 2], 20);
    }),
    ("a 304 with another tag", "etag", "another-tag-in-304", |b| {
        three(b);
        b.op(
            70..75,
            2,
            if_none_match("\"5.c0ffee:0:10\""),
            page_with(0, &[], 30, |answer| {
                answer.status = 304;
                tagged_other_life(answer);
            }),
        );
        b.op(80..81, 1, eventual("s"), page_with(0, &[1], 10, tagged));
        b.finals("s", &[1, 2, 3], 30);
    }),
    ("HEAD does not know an acknowledged append", "tail", "stale", |b| {
        three(b);
        b.head("s", 70..80, 2, 20);
        b.finals("s", &[1, 2, 3], 30);
    }),
    (
        "a strong read does not know an acknowledged append",
        "tail",
        "stale",
        |b| {
            three(b);
            b.read("s", 70..80, 2, &[1, 2], 20);
            b.finals("s", &[1, 2, 3], 30);
        },
    ),
    (
        "HEADs go back, the write between is of unknown outcome",
        "tail",
        "stale",
        |b| {
            b.create("s", 1..2);
            b.maybe("s", 10..20, &[1]);
            b.head("s", 30..40, 1, 10);
            b.head("s", 50..60, 2, 0);
            b.finals("s", &[1], 10);
        },
    ),
    (
        "a strong read does not see what an eventual one has seen",
        "tail",
        "stale",
        |b| {
            b.create("s", 1..2);
            b.maybe("s", 10..20, &[1]);
            b.glance("s", 30..40, 1, &[1], 10);
            b.read("s", 50..60, 2, &[], 0);
            b.finals("s", &[1], 10);
        },
    ),
    (
        "an append is told to end where an earlier one ended",
        "tail",
        "stale",
        |b| {
            b.create("s", 1..2);
            b.append("s", 10..20, &[1], 10);
            b.append("s", 30..40, &[2], 10);
            b.finals("s", &[1, 2], 20);
        },
    ),
    ("`now` begins before an acknowledged append", "tail", "stale", |b| {
        three(b);
        b.op(70..75, 2, read("s", From::Now), page(20, &[], 20, true));
        b.finals("s", &[1, 2, 3], 30);
    }),
    (
        "a long-poll times out before an acknowledged append",
        "tail",
        "stale",
        |b| {
            three(b);
            b.live(70..90, 1, LiveMode::LongPoll, 20, &[], 20);
            b.finals("s", &[1, 2, 3], 30);
        },
    ),
    ("a duplicate is answered with an old tail", "tail", "stale", |b| {
        b.create("s", 1..2);
        b.produce(10..20, ("p", 0, 0), &[1], 200, 10);
        b.append("s", 30..40, &[2], 20);
        b.produce(50..60, ("p", 0, 0), &[1], 204, 10);
        b.finals("s", &[1, 2], 20);
    }),
    (
        "a fork at the tail lacks an acknowledged append",
        "tail",
        "stale",
        |b| {
            three(b);
            b.op(70..80, 1, fork("f", "s", None), ok(201, 20));
            b.finals("s", &[1, 2, 3], 30);
            b.finals("f", &[1, 2], 20);
        },
    ),
    (
        "HEAD counts a write that has not begun",
        "tail",
        "from-the-future",
        |b| {
            b.create("s", 1..2);
            b.head("s", 5..8, 2, 10);
            b.append("s", 10..20, &[1], 10);
            b.finals("s", &[1], 10);
        },
    ),
    (
        "an append's end counts a write that has not begun",
        "tail",
        "from-the-future",
        |b| {
            b.create("s", 1..2);
            b.append("s", 5..8, &[2], 20);
            b.append("s", 10..20, &[1], 10);
            b.finals("s", &[1, 2], 20);
        },
    ),
    ("HEAD saw more than there is at last", "tail", "beyond-the-end", |b| {
        b.create("s", 1..2);
        b.append("s", 10..20, &[1], 10);
        b.head("s", 30..40, 1, 20);
        b.finals("s", &[1], 10);
    }),
    ("a replica goes back", "eventual", "backwards", |b| {
        three(b);
        b.glance("s", 70..75, 2, &[1, 2, 3], 30);
        b.glance("s", 80..85, 2, &[1], 10);
        b.finals("s", &[1, 2, 3], 30);
    }),
    (
        "a replica goes back after replicas were moved",
        "eventual",
        "backwards",
        |b| {
            three(b);
            b.fault(65, "member-add", Stage::Begin, "n4", None);
            b.fault(68, "member-add", Stage::End, "n4", Some(true));
            b.glance("s", 70..75, 2, &[1, 2, 3], 30);
            b.glance("s", 80..85, 2, &[1], 10);
            b.finals("s", &[1, 2, 3], 30);
        },
    ),
    (
        "a replica goes back when it is killed",
        "eventual",
        "backwards-after-restart",
        |b| {
            three(b);
            b.glance("s", 70..75, 2, &[1, 2, 3], 30);
            b.fault(76, "kill", Stage::Begin, "n2", Some(true));
            b.glance("s", 80..85, 2, &[1], 10);
            b.finals("s", &[1, 2, 3], 30);
        },
    ),
    (
        "an eventual read does not know a strong one of its node",
        "eventual",
        "backwards",
        |b| {
            three(b);
            b.read("s", 70..75, 2, &[1, 2, 3], 30);
            b.glance("s", 80..85, 2, &[1, 2], 20);
            b.finals("s", &[1, 2, 3], 30);
        },
    ),
];

#[test]
fn what_is_planted_in_reads_is_found() {
    all_are_found(PLANTED);
}
