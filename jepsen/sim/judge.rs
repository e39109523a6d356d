//! What the checkers of the fault tests say of a simulation's history.

use std::fmt::Write as _;

use weir_jepsen::check::{Verdict, check};
use weir_jepsen::history::{History, Outcome};

/// The judgement in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judged {
    /// The verdict.
    pub verdict: String,
    /// What is wrong, or why it cannot be told; lines.
    pub findings: String,
    /// What makes it invalid.
    pub violation: Option<String>,
    /// How many operations there are, and how many succeeded.
    pub operations: u64,
    /// See `operations`.
    pub succeeded: u64,
}

/// Judges a history.
#[must_use]
pub fn judge(bytes: &[u8]) -> Judged {
    let history = match History::read(bytes) {
        Ok(history) => history,
        Err(error) => {
            return Judged {
                verdict: "no history".to_owned(),
                violation: Some(error.to_string()),
                ..Judged::default()
            };
        }
    };
    let judgement = check(&history);
    let mut judged = Judged {
        verdict: judgement.verdict.to_string(),
        operations: history.operations.len() as u64,
        succeeded: history
            .operations
            .iter()
            .filter(|operation| matches!(operation.outcome, Outcome::Ok(_)))
            .count() as u64,
        ..Judged::default()
    };
    for check in &judgement.checks {
        if check.verdict == Verdict::Unknown {
            // Writing to a string does not fail.
            let _ = writeln!(judged.findings, "{}: {}", check.name, check.why);
        }
        for example in &check.examples {
            let text = format!(
                "{}: {}: {} (events {:?})",
                check.name, example.kind, example.text, example.events
            );
            let _ = writeln!(judged.findings, "{text}");
            judged.violation.get_or_insert(text);
        }
    }
    judged
}
