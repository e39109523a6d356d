//! Whether the run itself is worth a verdict: enough succeeded, and the nemesis did what it was to do.

use std::collections::BTreeMap;

use super::verdict::{Check, Findings};
use super::view::View;
use crate::history::{Mark, Op, Outcome};

/// An operation that was tried so often has to have succeeded.
const OFTEN: u64 = 20;

pub(crate) fn check(view: &View<'_>) -> Check {
    let mut findings = Findings::new("run");
    let history = view.history;
    let mut by_f: BTreeMap<&'static str, (u64, u64)> = BTreeMap::new();
    for operation in &history.operations {
        let (tried, succeeded) = by_f.entry(operation.op.f()).or_default();
        // That a stream is gone at last is an answer: all of them may have expired by then.
        let is_gone = matches!(
            (&operation.op, &operation.outcome),
            (Op::FinalRead { .. }, Outcome::Fail(_))
        );
        *tried += u64::from(!is_gone);
        match operation.outcome {
            Outcome::Ok(_) => {
                *succeeded += 1;
                findings.checked("ok", 1);
            }
            Outcome::Fail(_) => findings.checked("fail", 1),
            Outcome::Info(_) => findings.checked("info", 1),
        }
    }
    let succeeded: u64 = by_f.values().map(|(_, succeeded)| succeeded).sum();
    if succeeded < history.run.limits.min_ok {
        findings.undecided(format!(
            "only {succeeded} operations succeeded, {} are needed",
            history.run.limits.min_ok
        ));
    }
    for (f, (tried, _)) in by_f
        .iter()
        .filter(|(_, (tried, succeeded))| *tried >= OFTEN && *succeeded == 0)
    {
        findings.undecided(format!("none of {tried} operations {f} succeeded"));
    }
    if history.torn || history.marked(Mark::Ended).is_none() {
        findings.undecided("the history ends before the run did");
    }
    faults(view, &mut findings);
    findings.finish()
}

/// Each nemesis that was wanted did something.
fn faults(view: &View<'_>, findings: &mut Findings) {
    let faults = &view.history.faults;
    for nemesis in &view.history.run.nemeses {
        let of_it = |name: &str| {
            name.strip_prefix(nemesis.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let effective = faults
            .iter()
            .filter(|(_, _, fault)| of_it(&fault.name) && fault.effect == Some(true))
            .count();
        findings.figure("effective-faults", effective as u64);
        if effective == 0 {
            findings.undecided(format!("the nemesis {nemesis} did nothing"));
        }
    }
}
