//! Good histories that every checker must accept: above all such as look wrong at first.

use super::build::*;
use super::{judge, said};
use crate::check::Verdict;
use crate::history::{Answer, Body, Failure, From, LiveMode, Mark, Op, Stage};

/// What is fine about it, and which checkers must have had something to check.
type Good = (&'static str, &'static [&'static str], fn(&mut Build));

fn tag(life: u64) -> fn(&mut crate::history::Answer) {
    match life {
        1 => |answer| answer.etag = Some("\"1.a:0:10\"".to_owned()),
        _ => |answer| answer.etag = Some("\"2.b:0:10\"".to_owned()),
    }
}

const GOOD: &[Good] = &[
    (
        "appends, reads, HEADs one after the other",
        &["order", "lost", "tail", "append-order", "offsets"],
        |b| {
            b.create("s", 1..2);
            b.append("s", 10..20, &[1], 10);
            b.read("s", 21..22, 2, &[1], 10);
            b.append("s", 30..40, &[2, 3], 30);
            b.head("s", 41..42, 3, 30);
            b.op(43..44, 3, read("s", From::At(10)), page(10, &[2, 3], 30, true));
            b.op(45..46, 3, read("s", From::Now), page(30, &[], 30, true));
            b.finals("s", &[1, 2, 3], 30);
        },
    ),
    (
        "a stream is not there where a replica lags, where it may have expired, and before its create is over",
        &["lost"],
        |b| {
            b.op(1..5, 1, create("s"), ok(201, 0));
            b.op(2..3, 2, head("s"), refused(404, "none"));
            b.op(6..7, 2, eventual("s"), refused(404, "stream-not-found"));
            b.append("s", 10..20, &[1], 10);
            b.op(
                HEALED + 500..HEALED + 510,
                3,
                last("s"),
                refused(404, "stream-not-found"),
            );
            b.finals("s", &[1], 10);
            b.op(1..2, 1, create_ttl("t", 100), ok(201, 0));
            b.op(3..4, 1, fork("u", "t", None), ok(201, 0));
            b.op(3_000..3_001, 1, head("t"), refused(404, "none"));
            b.op(3_000..3_001, 1, head("u"), refused(404, "none"));
        },
    ),
    ("an unknown append took effect", &["lost"], |b| {
        b.create("s", 1..2);
        b.maybe("s", 10..20, &[1]);
        b.append("s", 30..40, &[2], 20);
        b.finals("s", &[1, 2], 20);
    }),
    ("an unknown append did not take effect", &["lost"], |b| {
        b.create("s", 1..2);
        b.maybe("s", 10..20, &[1]);
        b.append("s", 30..40, &[2], 10);
        b.finals("s", &[2], 10);
    }),
    (
        "an unknown append took effect after others that began later",
        &["append-order", "tail"],
        |b| {
            b.create("s", 1..2);
            b.maybe("s", 10..20, &[1]);
            b.append("s", 30..40, &[2], 10);
            b.head("s", 41..42, 2, 10);
            b.append("s", 50..60, &[3], 20);
            b.read("s", 61..62, 3, &[2, 3], 20);
            b.read("s", 80..81, 3, &[2, 3, 1], 30);
            b.finals("s", &[2, 3, 1], 30);
        },
    ),
    (
        "an append that never completed took effect at the very end",
        &["tail"],
        |b| {
            b.create("s", 1..2);
            b.open(10, 1, append("s", &[1]));
            b.append("s", 30..40, &[2], 10);
            b.read("s", 50..60, 2, &[2], 10);
            b.finals("s", &[2, 1], 20);
        },
    ),
    (
        "concurrent appends lie in either order",
        &["append-order", "tail"],
        |b| {
            b.create("s", 1..2);
            b.append("s", 10..50, &[1], 20);
            b.append("s", 20..30, &[2], 10);
            b.finals("s", &[2, 1], 20);
        },
    ),
    ("reads at the same time as an append see it or not", &["tail"], |b| {
        b.create("s", 1..2);
        b.append("s", 10..50, &[1], 10);
        b.head("s", 20..25, 2, 0);
        b.head("s", 26..40, 2, 10);
        b.head("s", 27..30, 3, 0);
        b.finals("s", &[1], 10);
    }),
    ("a page that is not the tail is behind it", &["tail"], |b| {
        b.create("s", 1..2);
        b.append("s", 10..20, &[1, 2, 3], 30);
        b.op(30..40, 2, read("s", From::Start), page(0, &[1, 2], 20, false));
        b.finals("s", &[1, 2, 3], 30);
    }),
    (
        "a replica that lags refuses an offset to an eventual read",
        &["offsets"],
        |b| {
            b.create("s", 1..2);
            b.append("s", 10..20, &[1], 10);
            let op = Op::Read {
                stream: "s".to_owned(),
                from: From::At(10),
                consistency: crate::history::Consistency::Eventual,
                max: None,
                if_none_match: None,
            };
            b.op(30..31, 2, op, refused(400, "offset-beyond-tail"));
            b.op(32..33, 2, read("s", From::At(77)), refused(400, "offset-beyond-tail"));
            b.finals("s", &[1], 10);
        },
    ),
    ("eventual reads lag, each node by itself", &["eventual"], |b| {
        b.create("s", 1..2);
        b.append("s", 10..20, &[1], 10);
        b.append("s", 30..40, &[2], 20);
        b.glance("s", 50..51, 1, &[1, 2], 20);
        b.glance("s", 52..53, 2, &[], 0);
        b.glance("s", 54..55, 3, &[1], 10);
        b.glance("s", 56..57, 2, &[1], 10);
        b.finals("s", &[1, 2], 20);
    }),
    (
        "an eventual read that began before another one ended shows less",
        &["eventual"],
        |b| {
            b.create("s", 1..2);
            b.append("s", 10..20, &[1], 10);
            b.glance("s", 30..60, 2, &[], 0);
            b.glance("s", 35..40, 2, &[1], 10);
            b.finals("s", &[1], 10);
        },
    ),
    (
        "a node that lost its disk shows what its new replica has",
        &["tail"],
        |b| {
            b.create("s", 1..2);
            b.append("s", 10..20, &[1], 10);
            b.glance("s", 30..31, 3, &[1], 10);
            b.fault(40, "wipe", Stage::Begin, "n3", None);
            b.glance("s", 42..43, 3, &[], 0);
            b.fault(50, "wipe", Stage::End, "n3", Some(true));
            b.glance("s", 60..61, 3, &[1], 10);
            b.finals("s", &[1], 10);
        },
    ),
    (
        "with fewer replicas than nodes, a node's eventual reads come from several",
        &["tail"],
        |b| {
            b.run.replication = 2;
            b.create("s", 1..2);
            b.append("s", 10..20, &[1], 10);
            b.glance("s", 30..31, 3, &[1], 10);
            b.glance("s", 32..33, 3, &[], 0);
            b.finals("s", &[1], 10);
        },
    ),
    (
        "a producer's retry after an unknown outcome is a duplicate",
        &["exactly-once"],
        |b| {
            b.create("s", 1..2);
            b.op(10..20, 1, produced("s", ("p", 0, 0), &[1]), unknown());
            b.produce(30..40, ("p", 0, 0), &[1], 204, 10);
            b.produce(50..60, ("p", 0, 1), &[2], 200, 20);
            b.finals("s", &[1, 2], 20);
        },
    ),
    (
        "a producer's retry after an unknown outcome is new",
        &["exactly-once"],
        |b| {
            b.create("s", 1..2);
            b.op(10..20, 1, produced("s", ("p", 0, 0), &[1]), unknown());
            b.produce(30..40, ("p", 0, 0), &[1], 200, 10);
            b.finals("s", &[1], 10);
        },
    ),
    (
        "a refused attempt, then a retry that is stored",
        &["phantom", "exactly-once"],
        |b| {
            b.create("s", 1..2);
            b.op(10..20, 1, produced("s", ("p", 0, 0), &[1]), refused(429, "overloaded"));
            b.produce(30..40, ("p", 0, 0), &[1], 200, 10);
            b.finals("s", &[1], 10);
        },
    ),
    (
        "a new epoch fences the old one; its unknown write came before",
        &["exactly-once"],
        |b| {
            b.create("s", 1..2);
            b.produce(10..20, ("p", 0, 0), &[1], 200, 10);
            b.op(21..25, 1, produced("s", ("p", 0, 1), &[2]), unknown());
            b.produce(30..40, ("p", 1, 0), &[3], 200, 30);
            b.op(50..60, 1, produced("s", ("p", 0, 2), &[4]), refused_fenced(1));
            b.finals("s", &[1, 2, 3], 30);
        },
    ),
    (
        "a gap is refused, as the number before was lost",
        &["exactly-once"],
        |b| {
            b.create("s", 1..2);
            b.produce(10..20, ("p", 0, 0), &[1], 200, 10);
            b.op(21..25, 1, produced("s", ("p", 0, 1), &[2]), unknown());
            b.op(30..40, 1, produced("s", ("p", 0, 2), &[3]), refused_gap(1));
            b.produce(50..60, ("p", 0, 1), &[2], 200, 20);
            b.produce(70..80, ("p", 0, 2), &[3], 200, 30);
            b.finals("s", &[1, 2, 3], 30);
        },
    ),
    (
        "the first number of a producer that closes without a body",
        &["exactly-once", "close"],
        |b| {
            b.create("s", 1..2);
            b.produce(10..20, ("p", 0, 0), &[1], 200, 10);
            let op = Op::Close {
                stream: "s".to_owned(),
                producer: producer("p", 0, 1),
            };
            b.op(30..40, 1, op.clone(), ok_closed(204, 10));
            b.op(50..60, 2, op, ok_closed(204, 10));
            b.finals_closed("s", &[1], 10);
        },
    ),
    ("a whole unknown batch, and none of another", &["batch"], |b| {
        b.create("s", 1..2);
        b.maybe("s", 10..20, &[1, 2]);
        b.maybe("s", 10..20, &[3, 4]);
        b.append("s", 30..40, &[5, 6], 40);
        b.finals("s", &[1, 2, 5, 6], 40);
    }),
    ("pages cut through batches", &["batch"], |b| {
        b.create("s", 1..2);
        b.append("s", 10..20, &[1, 2, 3, 4], 40);
        b.op(30..31, 2, read("s", From::Start), page(0, &[1, 2, 3], 30, false));
        b.op(32..33, 2, read("s", From::At(30)), page(30, &[4], 40, true));
        b.finals("s", &[1, 2, 3, 4], 40);
    }),
    ("a close, appends refused before and after it", &["close"], |b| {
        b.create("s", 1..2);
        b.append("s", 10..20, &[1], 10);
        b.op(30..60, 1, close("s"), ok_closed(204, 10));
        b.op(35..50, 2, append("s", &[2]), refused_closed(10));
        b.op(36..41, 2, head("s"), ok_closed(200, 10));
        b.op(31..37, 3, head("s"), ok(200, 10));
        b.op(70..80, 2, append("s", &[3]), refused_closed(10));
        b.op(
            90..95,
            3,
            read("s", From::Start),
            page_with(0, &[1], 10, |answer| answer.closed = true),
        );
    }),
    ("an unknown close took effect much later", &["close"], |b| {
        b.create("s", 1..2);
        b.op(10..20, 1, close("s"), unknown());
        b.append("s", 30..40, &[1], 10);
        b.append("s", 50..60, &[2], 20);
        b.op(70..80, 1, append("s", &[3]), refused_closed(20));
        b.finals_closed("s", &[1, 2], 20);
    }),
    ("an append-and-close of unknown outcome, whole", &["close"], |b| {
        b.create("s", 1..2);
        b.op(10..20, 1, append_close("s", &[1]), unknown());
        b.head("s", 30..40, 1, 0);
        b.op(50..60, 2, head("s"), ok_closed(200, 10));
        b.finals_closed("s", &[1], 10);
    }),
    ("a replica does not know of the close yet", &["close"], |b| {
        b.create("s", 1..2);
        b.op(10..20, 1, close("s"), ok_closed(204, 0));
        b.op(30..40, 1, head("s"), ok_closed(200, 0));
        b.glance("s", 50..60, 3, &[], 0);
    }),
    ("one tag on every node, a true 304, none on `now`", &["etag"], |b| {
        b.create("s", 1..2);
        b.append("s", 10..20, &[1], 10);
        b.op(21..22, 1, eventual("s"), page_with(0, &[1], 10, tag(1)));
        b.op(
            23..24,
            2,
            eventual("s"),
            page_with(0, &[1], 10, |answer| {
                answer.etag = Some("W/\"1.a:0:10\"".to_owned());
            }),
        );
        let op = Op::Read {
            stream: "s".to_owned(),
            from: From::Start,
            consistency: crate::history::Consistency::Strong,
            max: None,
            if_none_match: Some("\"1.a:0:10\"".to_owned()),
        };
        b.op(
            25..26,
            3,
            op,
            page_with(0, &[], 10, |answer| {
                answer.status = 304;
                answer.etag = Some("\"1.a:0:10\"".to_owned());
            }),
        );
        b.finals("s", &[1], 10);
    }),
    ("a fork at an offset, later appends on both sides", &["fork"], |b| {
        b.create("s", 1..2);
        b.append("s", 10..20, &[1], 10);
        b.append("s", 30..40, &[2], 20);
        b.op(50..60, 1, fork("f", "s", Some(10)), ok(201, 10));
        b.append("f", 70..80, &[3], 20);
        b.append("s", 70..80, &[4], 30);
        b.op(90..95, 1, fork("g", "f", None), ok(201, 20));
        b.finals("s", &[1, 2, 4], 30);
        b.finals("f", &[1, 3], 20);
        b.finals("g", &[1, 3], 20);
    }),
    ("a fork outlives its source", &["fork"], |b| {
        b.create("s", 1..2);
        b.append("s", 10..20, &[1], 10);
        b.op(30..40, 1, fork("f", "s", None), ok(201, 10));
        b.op(50..60, 1, delete("s"), ok(204, 0));
        b.op(61..62, 2, head("s"), refused(410, "stream-gone"));
        b.append("f", 70..80, &[2], 20);
        b.finals("f", &[1, 2], 20);
    }),
    (
        "a fork at a boundary within its source's batch",
        &["fork", "batch"],
        |b| {
            b.create("s", 1..2);
            b.append("s", 10..20, &[1, 2], 20);
            b.op(30..40, 1, fork("f", "s", Some(10)), ok(201, 10));
            b.append("f", 50..60, &[3], 20);
            b.finals("s", &[1, 2], 20);
            b.finals("f", &[1, 3], 20);
        },
    ),
    ("live: cut within an event, the rest comes again", &["live"], |b| {
        b.create("s", 1..2);
        for n in 1..=3 {
            b.append("s", n * 10..n * 10 + 5, &[n], n * 10);
        }
        let op = live("s", 1, LiveMode::Sse, 0);
        b.op(
            40..50,
            2,
            op,
            page_with(0, &[1], 10, |answer| {
                answer.up_to_date = false;
                answer.unconfirmed = ms(&[2, 3]);
            }),
        );
        b.live(51..60, 1, LiveMode::Sse, 10, &[2, 3], 30);
        b.live(61..70, 1, LiveMode::LongPoll, 30, &[], 30);
        b.finals("s", &[1, 2, 3], 30);
    }),
    ("live: what comes began before its write ended", &["live"], |b| {
        b.create("s", 1..2);
        b.op(3..40, 2, live("s", 1, LiveMode::Sse, 0), page(0, &[1, 2], 20, true));
        b.append("s", 10..45, &[1], 10);
        b.append("s", 10..45, &[2], 20);
        b.finals("s", &[1, 2], 20);
    }),
    ("live: only live readers saw the end, and they agree", &["live"], |b| {
        b.create("s", 1..2);
        b.append("s", 10..20, &[1], 10);
        b.maybe("s", 11..21, &[2]);
        b.glance("s", 22..23, 2, &[1], 10);
        b.live(30..40, 1, LiveMode::Sse, 0, &[1, 2], 20);
        b.live(30..40, 2, LiveMode::LongPoll, 10, &[2], 20);
        b.finals("s", &[1, 2], 20);
    }),
    ("an expiry in time, and a new life", &["ttl"], |b| {
        b.op(1_000..1_010, 1, create_ttl("s", 10_000), ok(201, 0));
        b.append("s", 5_000..5_010, &[1], 10);
        b.read("s", 9_000..9_010, 2, &[1], 10);
        b.head("s", 18_500..18_510, 2, 10);
        b.op(20_000..20_010, 2, head("s"), refused(404, "stream-not-found"));
        b.op(21_000..21_010, 1, create_ttl("s", 10_000), ok(201, 0));
    }),
    ("all have expired by the final reads", &["ttl", "run"], |b| {
        for name in ["a", "b", "c", "d", "e", "f", "g"] {
            b.op(1_000..1_010, 1, create_ttl(name, 10_000), ok(201, 0));
            b.head(name, 2_000..2_010, 2, 0);
            b.op(20_000..20_010, 2, head(name), refused(404, "stream-not-found"));
            for node in 1..=3 {
                let at = HEALED + 1_000 * u64::from(node);
                b.op(at..at + 10, node, last(name), refused(404, "stream-not-found"));
            }
        }
    }),
    (
        "a read's renewal comes a moment late; a clock is known to be wrong",
        &["ttl"],
        |b| {
            b.run.limits.clock_error_ms = 3_000;
            b.op(1_000..1_010, 1, create_ttl("s", 10_000), ok(201, 0));
            b.op(8_100..8_110, 2, head("s"), refused(404, "stream-not-found"));
            b.op(21_000..21_010, 1, create_ttl("t", 10_000), ok(201, 0));
            b.read("t", 25_000..25_010, 2, &[], 0);
            b.op(31_200..31_210, 3, head("t"), refused(404, "stream-not-found"));
        },
    ),
    ("an append of unknown outcome may keep a stream alive", &["ttl"], |b| {
        b.op(1_000..1_010, 1, create_ttl("s", 10_000), ok(201, 0));
        b.maybe("s", 9_000..9_500, &[1]);
        b.head("s", 60_000..60_010, 2, 10);
        b.op(61_000..61_010, 1, create_ttl("t", 10_000), ok(201, 0));
        b.op(75_000..75_010, 2, head("t"), refused(404, "stream-not-found"));
    }),
    (
        "created, deleted, created; each life has its own messages",
        &["linearizable", "order"],
        |b| {
            b.create("s", 1..2);
            b.append("s", 3..4, &[1], 10);
            b.op(5..6, 1, eventual("s"), page_with(0, &[1], 10, tag(1)));
            b.op(10..20, 1, delete("s"), ok(204, 0));
            b.op(21..22, 2, head("s"), refused(404, "stream-not-found"));
            b.create("s", 30..40);
            b.append("s", 41..42, &[2], 10);
            b.op(50..60, 2, read("s", From::Start), page_with(0, &[2], 10, tag(2)));
            for node in 1..=3 {
                let at = HEALED + 1_000 + u64::from(node);
                b.op(at..at + 1, node, last("s"), page_with(0, &[2], 10, tag(2)));
            }
        },
    ),
    (
        "an unknown delete took effect late, an unknown create as well",
        &["linearizable"],
        |b| {
            b.create("s", 1..2);
            b.op(10..20, 1, delete("s"), unknown());
            b.append("s", 30..40, &[1], 10);
            b.op(50..60, 2, head("s"), refused(404, "stream-not-found"));
            b.op(61..62, 1, create("s"), unknown());
            b.op(63..64, 2, head("s"), refused(404, "stream-not-found"));
            b.head("s", 70..80, 2, 0);
            b.op(81..82, 2, create("s"), ok(200, 0));
        },
    ),
    (
        "two concurrent creates, one finds the other's stream",
        &["linearizable"],
        |b| {
            b.op(1..20, 1, create("s"), ok(200, 0));
            b.op(5..30, 2, create("s"), ok(201, 0));
            b.finals("s", &[], 0);
        },
    ),
    ("a create of another closed state is refused", &["linearizable"], |b| {
        b.create("s", 1..2);
        b.op(3..4, 1, close("s"), ok_closed(204, 0));
        b.op(5..6, 1, create("s"), refused(409, "stream-exists"));
    }),
    (
        "a producer's number is used for another write: its duplicate says nothing of that one",
        &["close"],
        |b| {
            b.create("s", 1..2);
            let close = Op::Close {
                stream: "s".to_owned(),
                producer: producer("p", 0, 0),
            };
            b.op(10..20, 1, close, ok_closed(204, 0));
            let again = Op::Append {
                stream: "s".to_owned(),
                messages: ms(&[1]),
                producer: producer("p", 0, 0),
                close: true,
            };
            b.op(
                30..40,
                1,
                again,
                Body::Ok(Answer {
                    closed: true,
                    duplicate: true,
                    status: 204,
                    next: Some(0),
                    ..Answer::default()
                }),
            );
            b.finals_closed("s", &[], 0);
        },
    ),
    ("a plain close of what a producer has closed", &["linearizable"], |b| {
        b.create("s", 1..2);
        let op = Op::Close {
            stream: "s".to_owned(),
            producer: producer("p", 0, 0),
        };
        b.op(10..20, 1, op, ok_closed(204, 0));
        b.op(30..40, 1, close("s"), ok_closed(204, 0));
    }),
    ("HEAD's refusals have no code", &["linearizable"], |b| {
        b.op(1..2, 2, head("s"), refused(404, "none"));
        b.create("s", 3..4);
        b.op(5..6, 1, delete("s"), ok(204, 0));
        b.op(7..8, 2, head("s"), refused(404, "none"));
    }),
    ("live: from `now` with messages, the place unknown", &["live"], |b| {
        b.create("s", 1..2);
        b.append("s", 10..20, &[1], 10);
        let op = Op::Live {
            stream: "s".to_owned(),
            from: From::Now,
            mode: LiveMode::Sse,
            session: 1,
        };
        b.op(21..60, 2, op, page_with(0, &[2, 3], 30, |answer| answer.start = None));
        b.append("s", 30..40, &[2], 20);
        b.append("s", 41..42, &[3], 30);
        b.finals("s", &[1, 2, 3], 30);
    }),
    (
        "a fork's source is not found, which says nothing of the fork's name",
        &["ttl"],
        |b| {
            b.op(1_000..1_010, 1, create_ttl("s", 10_000), ok(201, 0));
            b.op(
                2_000..2_010,
                1,
                fork("s", "x", None),
                refused(404, "fork-source-not-found"),
            );
            b.op(15_000..15_010, 2, head("s"), refused(404, "none"));
        },
    ),
    ("the nemesis did something", &["run"], |b| {
        b.run.nemeses = vec!["kill".to_owned(), "partition".to_owned()];
        b.fault(30, "kill", Stage::Begin, "n1", Some(true));
        b.fault(50, "partition-ring", Stage::End, "n1>n2", Some(true));
        b.create("s", 1..2);
    }),
    ("equal states at equal indices", &["state-hash"], |b| {
        b.hash(10, 1, 100, "aa");
        b.hash(11, 2, 100, "aa");
        b.hash(12, 3, 101, "ab");
    }),
    (
        "an append of unknown outcome takes effect between two final reads",
        &["liveness"],
        |b| {
            b.create("s", 1..2);
            b.append("s", 10..20, &[1], 10);
            b.maybe("s", 30..40, &[2]);
            b.last("s", 1, &[1], 10);
            b.last("s", 2, &[1, 2], 20);
            b.last("s", 3, &[1, 2], 20);
        },
    ),
    (
        "a close of unknown outcome takes effect between two final reads",
        &["liveness"],
        |b| {
            b.create("s", 1..2);
            b.append("s", 10..20, &[1], 10);
            b.op(30..40, 1, close("s"), unknown());
            b.last("s", 1, &[1], 10);
            for node in 2..=3 {
                let at = HEALED + 1_000 * u64::from(node);
                b.op(
                    at..at + 1,
                    node,
                    last("s"),
                    page_with(0, &[1], 10, |answer| answer.closed = true),
                );
            }
        },
    ),
    ("a stream expires between two final reads", &["liveness"], |b| {
        b.op(HEALED - 9_000..HEALED - 8_990, 1, create_ttl("s", 10_000), ok(201, 0));
        b.last("s", 1, &[], 0);
        b.op(
            HEALED + 9_000..HEALED + 9_001,
            2,
            last("s"),
            refused(404, "stream-not-found"),
        );
    }),
    (
        "a final read fails and is repeated, a write is slow after healing",
        &["liveness"],
        |b| {
            b.create("s", 1..2);
            b.append("s", 10..20, &[1], 10);
            b.op(HEALED + 1..HEALED + 900, 2, last("s"), unknown());
            b.op(
                HEALED + 2..HEALED + 800,
                2,
                head("s"),
                Body::Info(Failure::refusal(503, "unavailable")),
            );
            b.finals("s", &[1], 10);
            b.mark(HEALED + 9_000, Mark::Converged);
        },
    ),
];

#[test]
fn good_histories_are_valid() {
    let mut refused = String::new();
    for (what, checkers, plan) in GOOD {
        let (_, judgement) = judge(*plan);
        if judgement.verdict != Verdict::Valid {
            refused.push_str(&format!("{what}: {}", said(&judgement)));
        }
        for name in *checkers {
            let found = judgement.checks.iter().find(|check| check.name == *name).unwrap();
            assert_ne!(
                found.verdict,
                Verdict::NotApplicable,
                "{what}: {name} had nothing to check"
            );
        }
    }
    assert!(refused.is_empty(), "{refused}");
}

#[test]
fn figures_tell_what_happened() {
    let (_, judgement) = judge(|b| {
        b.create("s", 1..2);
        b.maybe("s", 10..20, &[1]);
        b.maybe("s", 10..20, &[2]);
        b.append("s", 30..40, &[3], 20);
        b.glance("s", 50..60, 2, &[1], 10);
        b.finals("s", &[1, 3], 20);
    });
    let figure = |checker: &str, what: &str| {
        let check = judgement.checks.iter().find(|check| check.name == checker).unwrap();
        check.statistics.get(what).copied()
    };
    assert_eq!(figure("lost", "unknown-writes"), Some(2));
    assert_eq!(figure("lost", "unknown-writes-found"), Some(1));
    assert_eq!(figure("eventual", "largest-lag-bytes"), Some(10));
    assert_eq!(figure("run", "info"), Some(2));
}
