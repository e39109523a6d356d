//! The closed forms against the search: on small random histories of one stream they must agree.

use std::time::Instant;

use proptest::prelude::*;

use super::build::*;
use crate::check::{Verdict, check};
use crate::history::{From, History};

/// One operation of a random history.
#[derive(Debug, Clone)]
struct Step {
    start: u64,
    lasts: u64,
    /// When it takes effect, in per cent of its time; unknown ones may do so much later or never.
    effect: u64,
    /// 0..4 append, 4..6 read, 6..8 HEAD.
    what: u8,
    unknown: bool,
    /// Moves the effect of a read to another moment: a lie.
    shift: i64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (
        0u64..60,
        2u64..30,
        0u64..100,
        0u8..8,
        prop::bool::weighted(0.2),
        -20i64..20,
    )
        .prop_map(|(start, lasts, effect, what, unknown, shift)| Step {
            start,
            lasts,
            effect,
            what,
            unknown,
            shift: if shift.abs() < 8 { 0 } else { shift },
        });
    prop::collection::vec(step, 1..9)
}

/// Plays the steps: appends of one message of ten bytes each, and whole reads.
fn play(steps: &[Step]) -> History {
    let mut b = Build::new();
    b.create("s", 1..2);
    // (when it takes effect, which)
    let mut effects: Vec<(i64, usize)> = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        let from = 1_000 * (10 + step.start);
        let real = from + 10 * step.lasts * step.effect;
        let late = if step.unknown && step.effect > 70 { 40_000 } else { 0 };
        let at = i64::try_from(real + late).unwrap() + 1_000 * step.shift;
        if !(step.unknown && step.effect < 30) {
            effects.push((at, place));
        }
    }
    effects.sort_unstable();
    let mut messages = Vec::new();
    for (_, place) in effects {
        let step = &steps[place];
        if step.what < 4 {
            messages.push(place as u64);
        }
        if !step.unknown {
            lay(&mut b, place, step, &messages);
        }
    }
    for (place, step) in steps
        .iter()
        .enumerate()
        .filter(|(_, step)| step.unknown && step.what < 4)
    {
        let (start, end) = times(step);
        b.maybe("s", start..end, &[place as u64]);
    }
    b.finals("s", &messages, 10 * messages.len() as u64);
    // The search must see the end, too.
    b.read(
        "s",
        HEALED + 20_000..HEALED + 20_001,
        1,
        &messages,
        10 * messages.len() as u64,
    );
    b.history()
}

const fn times(step: &Step) -> (u64, u64) {
    // Fine enough that no two ends coincide with an effect.
    let start = 10_000 + 1_000 * step.start;
    (start, start + 1_000 * step.lasts + 7)
}

fn lay(b: &mut Build, place: usize, step: &Step, messages: &[u64]) {
    let (start, end) = times(step);
    let next = 10 * messages.len() as u64;
    match step.what {
        0..4 => b.append("s", start..end, &[place as u64], next),
        4 | 5 => b.op(start..end, 2, read("s", From::Start), page(0, messages, next, true)),
        _ => b.head("s", start..end, 3, next),
    }
}

fn verdicts(history: &History) -> (bool, bool) {
    let judgement = check(history);
    let invalid = |names: &[&str]| {
        let chosen = judgement.checks.iter().filter(|check| names.contains(&check.name));
        chosen.clone().any(|check| check.verdict == Verdict::Invalid)
    };
    let closed = invalid(&["order", "lost", "phantom", "append-order", "tail", "offsets"]);
    (closed, invalid(&["linearizable"]))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_closed_forms_agree_with_the_search(steps in steps()) {
        let (closed, searched) = verdicts(&play(&steps));
        prop_assert_eq!(closed, searched);
    }
}

#[test]
fn both_answers_are_common() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let trees = (0..300).map(|_| steps().new_tree(&mut runner).unwrap().current());
    let invalid = trees.filter(|steps| verdicts(&play(steps)).0).count();
    assert!((45..255).contains(&invalid), "{invalid} of 300 are invalid");
}

/// 200,000 events with long final reads are checked in seconds, even without optimisation.
#[test]
fn a_long_history_is_checked_quickly() {
    let mut b = Build::new();
    let streams = ["q0", "q1", "q2", "q3"];
    for stream in streams {
        b.create(stream, 1..2);
    }
    let mut written: Vec<Vec<u64>> = vec![Vec::new(); streams.len()];
    for n in 0..100_000u64 {
        let which = usize::try_from(n % 4).unwrap();
        let at = 10 + n / 2;
        let tail = 10 * written[which].len() as u64;
        match n % 12 {
            8..12 => b.op(
                at..at + 1,
                2,
                read(streams[which], From::At(tail)),
                page(tail, &[], tail, true),
            ),
            _ => {
                written[which].push(n);
                b.append(streams[which], at..at + 1, &[n], tail + 10);
            }
        }
    }
    for (stream, messages) in streams.iter().zip(&written) {
        b.finals(stream, messages, 10 * messages.len() as u64);
    }
    let history = b.history();
    assert!(history.events.len() > 200_000);
    let began = Instant::now();
    let judgement = check(&history);
    let took = began.elapsed();
    assert_eq!(judgement.verdict, Verdict::Valid, "{judgement:#?}");
    assert!(took.as_secs() < 20, "{took:?}");
}
