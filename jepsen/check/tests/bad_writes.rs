//! Planted in writes: producers, batches, order, close, and what only the search sees.

use super::build::*;
use super::{Planted, all_are_found};
use crate::history::{Answer, Body, Op};

fn closing(messages: &[u64], tuple: (&str, u64, u64)) -> Op {
    Op::Append {
        stream: "s".to_owned(),
        messages: ms(messages),
        producer: producer(tuple.0, tuple.1, tuple.2),
        close: true,
    }
}

fn produced_closed(status: u16, next: u64) -> Body {
    Body::Ok(Answer {
        status,
        next: Some(next),
        closed: true,
        duplicate: status == 204,
        ..Answer::default()
    })
}

/// Two numbers of one producer, one message each.
fn two(b: &mut Build) {
    b.create("s", 1..2);
    b.produce(10..20, ("p", 0, 0), &[1], 200, 10);
    b.produce(30..40, ("p", 0, 1), &[2], 200, 20);
}

pub(super) const PLANTED: &[Planted] = &[
    ("a retry was stored again", "exactly-once", "duplicate", |b| {
        b.create("s", 1..2);
        b.op(10..20, 1, produced("s", ("p", 0, 0), &[1]), unknown());
        b.produce(30..40, ("p", 0, 0), &[1], 204, 20);
        b.finals("s", &[1, 1], 20);
    }),
    (
        "a failed-over append without producer is there twice",
        "exactly-once",
        "duplicate",
        |b| {
            b.create("s", 1..2);
            b.append("s", 10..20, &[1], 20);
            b.append("s", 30..40, &[2], 30);
            b.finals("s", &[1, 1, 2], 30);
        },
    ),
    (
        "two numbers lie the wrong way round",
        "exactly-once",
        "out-of-sequence",
        |b| {
            b.create("s", 1..2);
            b.produce(10..40, ("p", 0, 0), &[1], 200, 20);
            b.produce(10..40, ("p", 0, 1), &[2], 200, 10);
            b.finals("s", &[2, 1], 20);
        },
    ),
    ("a number is missing", "exactly-once", "out-of-sequence", |b| {
        b.create("s", 1..2);
        b.produce(10..20, ("p", 0, 0), &[1], 200, 10);
        b.op(21..25, 1, produced("s", ("p", 0, 1), &[2]), unknown());
        b.produce(30..40, ("p", 0, 2), &[3], 200, 20);
        b.finals("s", &[1, 3], 20);
    }),
    ("an epoch does not begin at 0", "exactly-once", "out-of-sequence", |b| {
        b.create("s", 1..2);
        b.produce(10..20, ("p", 0, 0), &[1], 200, 10);
        b.produce(30..40, ("p", 1, 1), &[2], 200, 20);
        b.finals("s", &[1, 2], 20);
    }),
    (
        "an old epoch writes after a new one",
        "exactly-once",
        "out-of-sequence",
        |b| {
            b.create("s", 1..2);
            b.produce(10..20, ("p", 0, 0), &[1], 200, 10);
            b.produce(21..35, ("p", 1, 0), &[2], 200, 20);
            b.produce(30..40, ("p", 0, 1), &[3], 200, 30);
            b.finals("s", &[1, 2, 3], 30);
        },
    ),
    (
        "a fenced producer is accepted",
        "exactly-once",
        "fenced-but-accepted",
        |b| {
            b.create("s", 1..2);
            b.produce(10..20, ("p", 1, 0), &[1], 200, 10);
            b.produce(30..40, ("p", 0, 0), &[2], 200, 20);
            b.finals("s", &[1, 2], 20);
        },
    ),
    ("an old number is answered as new", "exactly-once", "old-but-new", |b| {
        two(b);
        b.produce(50..60, ("p", 0, 0), &[3], 200, 30);
        b.finals("s", &[1, 2, 3], 30);
    }),
    (
        "one write is answered as new twice",
        "exactly-once",
        "accepted-twice",
        |b| {
            b.create("s", 1..2);
            b.produce(10..20, ("p", 0, 0), &[1], 200, 10);
            b.produce(15..25, ("p", 0, 0), &[1], 200, 20);
            b.finals("s", &[1, 1], 20);
        },
    ),
    (
        "the producer table is forgotten: everything is a gap",
        "exactly-once",
        "producer-forgotten",
        |b| {
            two(b);
            b.op(50..60, 1, produced("s", ("p", 0, 2), &[3]), refused_gap(0));
            b.finals("s", &[1, 2], 20);
        },
    ),
    (
        "the last number is forgotten",
        "exactly-once",
        "producer-forgotten",
        |b| {
            two(b);
            b.op(50..60, 1, produced("s", ("p", 0, 2), &[3]), refused_gap(1));
            b.finals("s", &[1, 2], 20);
        },
    ),
    ("the epoch is forgotten", "exactly-once", "producer-forgotten", |b| {
        b.create("s", 1..2);
        b.produce(10..20, ("p", 0, 0), &[1], 200, 10);
        b.produce(21..22, ("p", 1, 0), &[2], 200, 20);
        b.op(
            50..60,
            1,
            produced("s", ("p", 1, 1), &[3]),
            refused(400, "producer-epoch-start"),
        );
        b.finals("s", &[1, 2], 20);
    }),
    (
        "fenced by an epoch that nobody used",
        "exactly-once",
        "fenced-by-nobody",
        |b| {
            two(b);
            b.op(50..60, 1, produced("s", ("p", 0, 2), &[3]), refused_fenced(5));
            b.finals("s", &[1, 2], 20);
        },
    ),
    ("another message lies within a batch", "batch", "torn", |b| {
        b.create("s", 1..2);
        b.append("s", 10..20, &[1, 2], 30);
        b.append("s", 10..20, &[3], 20);
        b.finals("s", &[1, 3, 2], 30);
    }),
    ("the end of a batch is missing, others follow", "batch", "torn", |b| {
        b.create("s", 1..2);
        b.maybe("s", 10..20, &[1, 2]);
        b.append("s", 30..40, &[3], 20);
        b.finals("s", &[1, 3], 20);
    }),
    ("the beginning of a batch is missing", "batch", "torn", |b| {
        b.create("s", 1..2);
        b.maybe("s", 10..20, &[1, 2]);
        b.finals("s", &[2], 10);
    }),
    ("a batch lies the wrong way round", "batch", "torn", |b| {
        b.create("s", 1..2);
        b.append("s", 10..20, &[1, 2], 20);
        b.finals("s", &[2, 1], 20);
    }),
    (
        "the last entry of an unknown batch was cut off",
        "batch",
        "tail-in-a-batch",
        |b| {
            b.create("s", 1..2);
            b.maybe("s", 10..20, &[1, 2, 3]);
            b.finals("s", &[1, 2], 20);
        },
    ),
    (
        "a reader sees half a batch at the tail",
        "batch",
        "tail-in-a-batch",
        |b| {
            b.create("s", 1..2);
            b.append("s", 10..20, &[1, 2], 20);
            b.glance("s", 15..18, 2, &[1], 10);
            b.finals("s", &[1, 2], 20);
        },
    ),
    ("HEAD answers a tail within a batch", "batch", "tail-in-a-batch", |b| {
        b.create("s", 1..2);
        b.append("s", 10..20, &[1, 2], 20);
        b.head("s", 15..18, 2, 10);
        b.finals("s", &[1, 2], 20);
    }),
    (
        "an acknowledged append lies after a later one",
        "append-order",
        "out-of-order",
        |b| {
            b.create("s", 1..2);
            b.append("s", 10..20, &[1], 20);
            b.append("s", 30..40, &[2], 10);
            b.finals("s", &[2, 1], 20);
        },
    ),
    (
        "an unknown append lies before one that was over before it began",
        "append-order",
        "out-of-order",
        |b| {
            b.create("s", 1..2);
            b.append("s", 10..20, &[1], 20);
            b.maybe("s", 30..40, &[2]);
            b.finals("s", &[2, 1], 20);
        },
    ),
    (
        "a retried append lies after what began after its answer",
        "append-order",
        "out-of-order",
        |b| {
            b.create("s", 1..2);
            b.op(5..9, 1, produced("s", ("p", 0, 0), &[1]), unknown());
            b.produce(10..20, ("p", 0, 0), &[1], 204, 10);
            b.append("s", 30..40, &[2], 20);
            b.finals("s", &[2, 1], 20);
        },
    ),
    ("two final offsets", "close", "two-ends", |b| {
        b.create("s", 1..2);
        b.append("s", 5..7, &[1], 10);
        b.op(10..20, 1, close("s"), ok_closed(204, 10));
        b.op(30..40, 2, head("s"), ok_closed(200, 20));
        b.finals("s", &[1], 10);
    }),
    (
        "a write was accepted after the close",
        "close",
        "write-after-close",
        |b| {
            b.create("s", 1..2);
            b.op(10..20, 1, close("s"), ok_closed(204, 0));
            b.append("s", 30..40, &[1], 10);
            b.finals("s", &[1], 10);
        },
    ),
    ("HEAD finds it open after the close", "close", "open-again", |b| {
        b.create("s", 1..2);
        b.op(10..20, 1, close("s"), ok_closed(204, 0));
        b.head("s", 30..40, 2, 0);
        b.finals("s", &[], 0);
    }),
    (
        "HEAD finds it open after another HEAD has seen it closed",
        "close",
        "open-again",
        |b| {
            b.create("s", 1..2);
            b.op(10..20, 1, close("s"), unknown());
            b.op(30..40, 1, head("s"), ok_closed(200, 0));
            b.head("s", 50..60, 2, 0);
            b.finals("s", &[], 0);
        },
    ),
    ("a replica shows the end, then no end", "close", "open-again", |b| {
        b.create("s", 1..2);
        b.op(10..20, 1, close("s"), unknown());
        b.op(
            30..40,
            2,
            eventual("s"),
            page_with(0, &[], 0, |answer| answer.closed = true),
        );
        b.glance("s", 50..60, 2, &[], 0);
        b.finals("s", &[], 0);
    }),
    ("closed before anybody closed it", "close", "closed-by-nobody", |b| {
        b.create("s", 1..2);
        b.op(5..6, 1, head("s"), ok_closed(200, 0));
        b.op(10..20, 1, close("s"), ok_closed(204, 0));
    }),
    (
        "an append is refused as closed, and nobody ever closed it",
        "close",
        "closed-by-nobody",
        |b| {
            b.create("s", 1..2);
            b.op(5..6, 1, append("s", &[1]), refused_closed(0));
            b.finals("s", &[], 0);
        },
    ),
    ("something lies beyond the end", "close", "beyond-the-end", |b| {
        b.create("s", 1..2);
        b.op(10..20, 1, close("s"), ok_closed(204, 0));
        b.maybe("s", 10..25, &[1]);
        b.glance("s", 30..40, 2, &[1], 10);
    }),
    (
        "an acknowledged close leaves it open",
        "close",
        "close-without-effect",
        |b| {
            b.create("s", 1..2);
            b.op(10..20, 1, close("s"), ok(204, 0));
            b.finals("s", &[], 0);
        },
    ),
    (
        "append-and-close: the messages are there, the stream is open",
        "close",
        "append-without-its-close",
        |b| {
            b.create("s", 1..2);
            b.op(10..20, 1, append_close("s", &[1]), unknown());
            b.read("s", 30..40, 2, &[1], 10);
            b.finals("s", &[1], 10);
        },
    ),
    (
        "append-and-close: others come after it",
        "close",
        "append-without-its-close",
        |b| {
            b.create("s", 1..2);
            b.op(10..20, 1, closing(&[1], ("p", 0, 0)), produced_closed(200, 10));
            b.maybe("s", 12..22, &[2]);
            b.finals("s", &[1, 2], 20);
        },
    ),
    (
        "a delete that was acknowledged is not seen",
        "linearizable",
        "not-linearizable",
        |b| {
            b.create("s", 1..2);
            b.op(10..20, 1, delete("s"), ok(204, 0));
            b.head("s", 30..40, 2, 0);
        },
    ),
    (
        "a stream that is there is not found",
        "linearizable",
        "not-linearizable",
        |b| {
            b.create("s", 1..2);
            b.op(10..20, 2, head("s"), refused(404, "stream-not-found"));
        },
    ),
    (
        "a new life begins with an old one's message",
        "linearizable",
        "not-linearizable",
        |b| {
            b.create("s", 1..2);
            b.append("s", 3..4, &[1], 10);
            b.op(10..20, 1, delete("s"), ok(204, 0));
            b.create("s", 30..40);
            b.read("s", 50..60, 2, &[1], 10);
        },
    ),
    (
        "created anew although it is there",
        "linearizable",
        "not-linearizable",
        |b| {
            b.create("s", 1..2);
            b.create("s", 10..20);
        },
    ),
    (
        "deleted twice by two deletes that follow each other",
        "linearizable",
        "not-linearizable",
        |b| {
            b.create("s", 1..2);
            b.op(10..20, 1, delete("s"), ok(204, 0));
            b.op(30..40, 1, delete("s"), ok(204, 0));
        },
    ),
    (
        "a delete undoes an append that was acknowledged after it",
        "linearizable",
        "not-linearizable",
        |b| {
            b.create("s", 1..2);
            b.op(10..20, 1, delete("s"), unknown());
            b.append("s", 30..40, &[1], 10);
            b.create("s", 50..60);
            b.append("s", 70..80, &[2], 10);
            b.read("s", 90..95, 2, &[1, 2], 20);
        },
    ),
    (
        "a producer's number is a duplicate of nothing",
        "linearizable",
        "not-linearizable",
        |b| {
            b.create("s", 1..2);
            b.produce(10..20, ("p", 0, 0), &[1], 204, 10);
        },
    ),
    (
        "a new life remembers a producer",
        "linearizable",
        "not-linearizable",
        |b| {
            b.create("s", 1..2);
            b.produce(3..4, ("p", 0, 0), &[1], 200, 10);
            b.op(10..20, 1, delete("s"), ok(204, 0));
            b.create("s", 30..40);
            b.produce(50..60, ("p", 0, 0), &[2], 204, 0);
        },
    ),
    (
        "refused as closed in a life that nobody closed",
        "linearizable",
        "not-linearizable",
        |b| {
            b.create("s", 1..2);
            b.op(3..4, 1, close("s"), ok_closed(204, 0));
            b.op(10..20, 1, delete("s"), ok(204, 0));
            b.create("s", 30..40);
            b.op(50..60, 1, append("s", &[1]), refused_closed(0));
        },
    ),
];

#[test]
fn what_is_planted_in_writes_is_found() {
    all_are_found(PLANTED);
}
