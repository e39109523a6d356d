//! Planted histories: bad ones that a named checker must reject, good ones that all must accept.

mod bad_live;
mod bad_order;
mod bad_state;
mod bad_writes;
mod build;
mod good;
mod mutate;
mod random;
mod unknown;

use crate::check::{Judgement, Verdict, check, names};
use crate::history::History;
use build::Build;

/// A history with something planted in it: what it is, who must find it, as what.
type Planted = (&'static str, &'static str, &'static str, fn(&mut Build));

fn judge(plan: fn(&mut Build)) -> (History, Judgement) {
    let mut build = Build::new();
    plan(&mut build);
    let history = build.history();
    let judgement = check(&history);
    (history, judgement)
}

/// What the checkers had to say, in short.
fn said(judgement: &Judgement) -> String {
    let of_note = judgement
        .checks
        .iter()
        .filter(|check| check.verdict >= Verdict::Unknown);
    let lines = of_note.map(|check| {
        let text = check
            .examples
            .first()
            .map_or(check.why.as_str(), |example| example.text.as_str());
        format!("  {} {}: {:?} {text}\n", check.name, check.verdict, check.errors)
    });
    format!("{}\n{}", judgement.verdict, lines.collect::<String>())
}

/// Each planted error is found by its checker, under its name, with events that exist.
fn all_are_found(planted: &[Planted]) {
    let mut missed = String::new();
    for (what, checker, kind, plan) in planted {
        let (history, judgement) = judge(*plan);
        let found = judgement.checks.iter().find(|check| check.name == *checker).unwrap();
        let named = found.errors.contains_key(kind) && judgement.verdict == Verdict::Invalid;
        let shown = found.examples.iter().all(|example| {
            !example.text.is_empty() && example.events.iter().all(|index| *index < history.events.len() as u64)
        });
        if !named || !shown {
            missed.push_str(&format!("{what} ({checker}, {kind}): {}", said(&judgement)));
        }
    }
    assert!(missed.is_empty(), "{missed}");
}

/// The checkers that something is planted for: all but `run`, which never says invalid.
#[test]
fn every_checker_has_planted_histories() {
    let tables = [
        bad_order::PLANTED,
        bad_writes::PLANTED,
        bad_live::PLANTED,
        bad_state::PLANTED,
    ];
    for name in names().filter(|name| *name != "run") {
        let planted = tables
            .iter()
            .copied()
            .flatten()
            .filter(|(_, checker, ..)| *checker == name)
            .count();
        assert!(planted >= 2, "{name}: {planted}");
    }
}
