//! Planted after healing, and in the replicas' states.

use super::build::*;
use super::{Planted, all_are_found};
use crate::history::{CRASH, Mark, Stage};

fn one(b: &mut Build) {
    b.create("s", 1..2);
    b.append("s", 10..20, &[1], 10);
}

pub(super) const PLANTED: &[Planted] = &[
    ("two replicas differ at one index", "state-hash", "states-differ", |b| {
        b.hash(10, 1, 100, "aa");
        b.hash(11, 2, 100, "bb");
    }),
    ("one replica changes its mind", "state-hash", "states-differ", |b| {
        b.hash(10, 1, 100, "aa");
        b.hash(20, 1, 100, "ab");
        b.hash(30, 2, 100, "aa");
    }),
    (
        "a write is not answered long after healing",
        "liveness",
        "unanswered",
        |b| {
            one(b);
            b.maybe("s", HEALED + 40_000..HEALED + 50_000, &[2]);
            b.finals("s", &[1], 10);
        },
    ),
    ("a read hangs for ever after healing", "liveness", "unanswered", |b| {
        one(b);
        b.open(HEALED + 40_000, 2, head("s"));
        b.finals("s", &[1], 10);
    }),
    ("no write succeeds after healing", "liveness", "no-write", |b| {
        b.heals = false;
        one(b);
        b.mark(HEALED, Mark::Healed);
        b.maybe("s", HEALED + 10..HEALED + 20, &[2]);
        b.finals("s", &[1], 10);
    }),
    ("a node does not come back", "liveness", "silent-node", |b| {
        b.heals = false;
        one(b);
        b.mark(HEALED, Mark::Healed);
        b.append("s", HEALED + 10..HEALED + 20, &[2], 20);
        b.last("s", 1, &[1, 2], 20);
        b.last("s", 2, &[1, 2], 20);
        b.op(HEALED + 100..HEALED + 200, 3, last("s"), unknown());
    }),
    ("a node gives no final read", "liveness", "no-final-read", |b| {
        one(b);
        b.last("s", 1, &[1], 10);
        b.last("s", 2, &[1], 10);
        b.op(HEALED + 5_000..HEALED + 15_000, 3, last("s"), unknown());
    }),
    ("a replica stays behind", "liveness", "not-converged", |b| {
        one(b);
        b.last("s", 1, &[1], 10);
        b.last("s", 2, &[], 0);
        b.last("s", 3, &[1], 10);
    }),
    (
        "a replica has more than another one later, though nothing is unknown",
        "liveness",
        "not-converged",
        |b| {
            one(b);
            b.append("s", 30..40, &[2], 20);
            b.last("s", 1, &[1, 2], 20);
            b.last("s", 2, &[1], 10);
            b.last("s", 3, &[1, 2], 20);
        },
    ),
    (
        "one replica is closed for ever, one open",
        "liveness",
        "not-converged",
        |b| {
            one(b);
            b.op(30..40, 1, close("s"), ok_closed(204, 10));
            b.last("s", 1, &[1], 10);
            b.op(
                HEALED + 2_000..HEALED + 2_001,
                2,
                last("s"),
                page_with(0, &[1], 10, |answer| answer.closed = true),
            );
        },
    ),
    ("a replica does not have the stream", "liveness", "not-converged", |b| {
        one(b);
        b.last("s", 1, &[1], 10);
        b.last("s", 2, &[1], 10);
        b.op(
            HEALED + 5_000..HEALED + 5_010,
            3,
            last("s"),
            refused(404, "stream-not-found"),
        );
    }),
    (
        "the replicas agree only after minutes",
        "liveness",
        "slow-convergence",
        |b| {
            one(b);
            b.finals("s", &[1], 10);
            b.mark(HEALED + 120_000, Mark::Converged);
        },
    ),
    ("the replicas never agree", "liveness", "never-converged", |b| {
        one(b);
        b.finals("s", &[1], 10);
        b.mark(HEALED + 45_000, Mark::NotConverged);
    }),
    ("a process ends though nobody ended it", "liveness", "crash", |b| {
        one(b);
        b.fault(50, CRASH, Stage::Begin, "n2", Some(true));
        b.finals("s", &[1], 10);
    }),
];

#[test]
fn what_is_planted_after_healing_is_found() {
    all_are_found(PLANTED);
}
