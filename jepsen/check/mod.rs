//! The checkers: each a pure function from a history to a verdict.
//!
//! Messages are unique, so that almost everything has a closed form: `view` puts the one order of each stream's
//! messages together from what was read, and a checker compares. Only `linearizable` searches.
//!
//! [`promise`] says what each one holds the server to.
//!
//! # Verdicts
//! A broken promise is `invalid`, whatever else is the case. Where too little happened to tell, it is `unknown`; so is
//! the whole run if `run` or any other checker is, and if a checker that the workload is for found nothing to check.
//! Errors in the history itself are no verdict at all: it is refused when it is read.

mod append_order;
mod batch;
mod close;
mod etag;
mod eventual;
mod exactly_once;
mod fork;
mod linear;
mod live;
mod liveness;
mod lost;
mod observe;
mod offsets;
mod order;
mod phantom;
mod run;
mod state_hash;
mod tail;
#[cfg(test)]
mod tests;
mod ttl;
mod verdict;
mod view;

use serde::Serialize;

use crate::history::History;
pub use verdict::{Became, Check, Example, Verdict, WriteFate};
use view::View;

type Checker = fn(&View<'_>) -> Check;

/// Every checker: its name, its module's function, and what must hold.
const CHECKERS: [(&str, Checker, &str); 18] = [
    ("order", order::check, "any two reads agree wherever they overlap"),
    (
        "lost",
        lost::check,
        "what was acknowledged, or read, is there on every node at last",
    ),
    (
        "phantom",
        phantom::check,
        "what is read was written, there, before, and not refused",
    ),
    (
        "exactly-once",
        exactly_once::check,
        "a producer's tuple is stored once, in sequence; fenced epochs stay out",
    ),
    (
        "batch",
        batch::check,
        "a write's messages are adjacent, and no tail lies within them",
    ),
    ("append-order", append_order::check, "writes lie in real-time order"),
    ("tail", tail::check, "appends, strong reads and HEADs are linearizable"),
    (
        "eventual",
        eventual::check,
        "eventual reads of one replica never go backwards",
    ),
    (
        "offsets",
        offsets::check,
        "an offset is one place for all time, and grows along the stream",
    ),
    (
        "etag",
        etag::check,
        "an entity tag is one answer, a range has one tag, a 304 is true",
    ),
    (
        "close",
        close::check,
        "one last offset, nothing after it, nobody sees it open again",
    ),
    (
        "fork",
        fork::check,
        "a fork begins with its source's messages, and they are apart from then on",
    ),
    (
        "live",
        live::check,
        "live readers get everything once, in order, across reconnects",
    ),
    ("ttl", ttl::check, "nothing expires early, or much too late"),
    (
        "linearizable",
        linear::check,
        "there is a linearization: create, delete, recreate, refusals, producers",
    ),
    (
        "liveness",
        liveness::check,
        "after healing everything works and agrees within the limit",
    ),
    ("state-hash", state_hash::check, "replicas at one index have one state"),
    (
        "run",
        run::check,
        "the run is worth a verdict: enough succeeded, the nemesis did something",
    ),
];

/// The judgement on a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// The whole run's.
    pub verdict: Verdict,
    /// Each checker's.
    pub checks: Vec<Check>,
}

/// The checkers' names, in the order of the table.
pub fn names() -> impl Iterator<Item = &'static str> {
    CHECKERS.iter().map(|(name, ..)| *name)
}

/// What must hold, in words, by the checker's name.
#[must_use]
pub fn promise(checker: &str) -> &'static str {
    let known = CHECKERS.iter().find(|(name, ..)| *name == checker);
    known.map_or("", |(_, _, promise)| promise)
}

/// The checkers that a workload is for: they must find something to check. For [`crate::history::Run::expects`].
#[must_use]
pub fn expected(workload: &str) -> &'static [&'static str] {
    match workload {
        "queue" => &[
            "order",
            "lost",
            "phantom",
            "batch",
            "append-order",
            "tail",
            "eventual",
            "offsets",
            "etag",
        ],
        "producer" => &["order", "lost", "exactly-once", "batch", "append-order"],
        "tail" => &["order", "lost", "append-order", "tail"],
        "live" => &["order", "lost", "live"],
        "close" => &["order", "lost", "close"],
        "fork" => &["order", "lost", "fork"],
        "ttl" => &["ttl"],
        "churn" => &["linearizable"],
        _ => &[],
    }
}

/// What became of every write.
#[must_use]
pub fn fates(history: &History) -> Vec<WriteFate> {
    lost::fates(&View::new(history))
}

/// Judges a history by all checkers.
#[must_use]
pub fn check(history: &History) -> Judgement {
    let view = View::new(history);
    let mut checks: Vec<Check> = CHECKERS.iter().map(|(_, check, _)| check(&view)).collect();
    for check in &mut checks {
        let expected = history.run.expects.iter().any(|name| name == check.name);
        if expected && check.verdict == Verdict::NotApplicable {
            check.verdict = Verdict::Unknown;
            "the workload is for this checker, and there was nothing to check".clone_into(&mut check.why);
        }
    }
    for name in &history.run.expects {
        // A name that no checker has must not pass for checked.
        if !names().any(|known| known == name)
            && let Some(run) = checks.last_mut()
        {
            run.verdict = run.verdict.max(Verdict::Unknown);
            run.why = format!("the workload expects a checker {name}, which does not exist");
        }
    }
    let verdict = checks
        .iter()
        .map(|check| check.verdict)
        .max()
        .unwrap_or(Verdict::Unknown);
    Judgement { verdict, checks }
}
