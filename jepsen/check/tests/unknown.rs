//! Runs that are worth no verdict, and that a broken promise counts for more.

use super::build::*;
use super::{judge, said};
use crate::check::{Verdict, check};
use crate::history::{From, LiveMode, Mark, Stage};

fn one(b: &mut Build) {
    b.create("s", 1..2);
    b.append("s", 10..20, &[1], 10);
    b.finals("s", &[1], 10);
}

/// What makes the run unknown, who says so, and a word of why.
type Case = (&'static str, &'static str, &'static str, fn(&mut Build));

const CASES: &[Case] = &[
    ("too little succeeded", "run", "operations succeeded", |b| {
        one(b);
        b.run.limits.min_ok = 1_000;
    }),
    ("the nemesis was never heard of", "run", "kill did nothing", |b| {
        one(b);
        b.run.nemeses = vec!["kill".to_owned()];
    }),
    ("the nemesis says that it did nothing", "run", "kill did nothing", |b| {
        one(b);
        b.run.nemeses = vec!["kill".to_owned()];
        b.fault(30, "kill", Stage::Begin, "n1", Some(false));
        b.fault(40, "kill", Stage::End, "n1", None);
    }),
    ("one of two nemeses did nothing", "run", "pause did nothing", |b| {
        one(b);
        b.run.nemeses = vec!["kill".to_owned(), "pause".to_owned()];
        b.fault(30, "kill-leader", Stage::Begin, "n1", Some(true));
    }),
    (
        "one kind of operation never succeeded",
        "run",
        "operations head succeeded",
        |b| {
            one(b);
            for n in 0..20 {
                b.op(30 + n..40 + n, 1, head("s"), unknown());
            }
        },
    ),
    ("nobody healed", "liveness", "never healed", |b| {
        b.heals = false;
        one(b);
    }),
    ("a node was not asked after healing", "liveness", "not asked", |b| {
        b.run.nodes = 4;
        one(b);
    }),
    ("nothing was read after the writes", "lost", "never read", |b| {
        b.create("s", 1..2);
        b.append("s", 10..20, &[1], 10);
    }),
    (
        "the workload is for live readers, and there were none",
        "live",
        "nothing to check",
        |b| {
            one(b);
            b.run.expects = vec!["live".to_owned()];
        },
    ),
    (
        "the workload expects a checker that does not exist",
        "run",
        "does not exist",
        |b| {
            one(b);
            b.run.expects = vec!["beauty".to_owned()];
        },
    ),
    (
        "no two replicas were seen at one index",
        "state-hash",
        "same index",
        |b| {
            one(b);
            b.hash(30, 1, 100, "aa");
            b.hash(40, 2, 101, "bb");
        },
    ),
    (
        "the harness resumed a live reader at the wrong place",
        "live",
        "another offset",
        |b| {
            b.create("s", 1..2);
            b.append("s", 10..20, &[1], 10);
            b.live(21..25, 1, LiveMode::Sse, 0, &[1], 10);
            b.append("s", 30..40, &[2], 20);
            b.live(70..80, 1, LiveMode::Sse, 20, &[], 20);
            b.finals("s", &[1, 2], 20);
        },
    ),
    (
        "a stream with two lives has too many operations for the search",
        "linearizable",
        "too many",
        |b| {
            b.create("s", 1..2);
            b.op(3..4, 1, delete("s"), ok(204, 0));
            b.create("s", 5..6);
            for n in 0..500 {
                b.op(10 + n..11 + n, 1, read("s", From::Start), page(0, &[], 0, true));
            }
        },
    ),
];

#[test]
fn runs_that_show_nothing_are_unknown() {
    for (what, checker, why, plan) in CASES {
        let (_, judgement) = judge(*plan);
        assert_eq!(judgement.verdict, Verdict::Unknown, "{what}: {}", said(&judgement));
        let found = judgement.checks.iter().find(|check| check.name == *checker).unwrap();
        assert_eq!(found.verdict, Verdict::Unknown, "{what}");
        assert!(found.why.contains(why), "{what}: {}", found.why);
    }
}

#[test]
fn a_broken_promise_is_invalid_even_if_the_run_shows_nothing_else() {
    let (_, judgement) = judge(|b| {
        one(b);
        b.run.limits.min_ok = 1_000;
        b.head("s", 30..40, 2, 0);
    });
    assert_eq!(judgement.verdict, Verdict::Invalid);
}

#[test]
fn a_history_that_was_cut_off_is_unknown() {
    let mut build = Build::new();
    one(&mut build);
    let mut history = build.history();
    history.marks.retain(|(_, _, mark)| *mark != Mark::Ended);
    let judgement = check(&history);
    assert_eq!(judgement.verdict, Verdict::Unknown);
}

#[test]
fn an_empty_history_is_unknown() {
    let history = crate::history::History::from_events(crate::history::Run::default(), Vec::new()).unwrap();
    assert_eq!(check(&history).verdict, Verdict::Unknown);
}
