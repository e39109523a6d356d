//! What a run's checkers say of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;

use crate::history::History;

/// How a run ended, and what is wrong with it.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// As [`crate::profile::Ended::verdict`] has it.
    pub(super) verdict: String,
    /// Errors by checker and kind.
    pub(super) errors: Vec<(String, BTreeMap<String, u64>)>,
    /// Why checkers could not tell.
    pub(super) why: String,
    /// One of the errors, in words.
    pub(super) example: String,
    /// When the earliest error of those that are told showed, in seconds from the beginning of the history.
    pub(super) shown_s: Option<f64>,
}

#[derive(Deserialize)]
struct Results {
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct Check {
    name: String,
    verdict: String,
    why: String,
    errors: BTreeMap<String, u64>,
    examples: Vec<Example>,
}

#[derive(Deserialize)]
struct Example {
    kind: String,
    text: String,
    events: Vec<u64>,
}

impl Seen {
    /// What is in the run's folder; a run that could not be done has left nothing there.
    pub(super) fn of(verdict: &str, folder: &Path) -> Self {
        let text = std::fs::read_to_string(folder.join("results.json")).unwrap_or_default();
        let results: Option<Results> = serde_json::from_str(&text).ok();
        let mut seen = results.map_or_else(Self::default, |results| Self::from(&results.checks, folder));
        seen.verdict = verdict.to_owned();
        seen
    }

    fn from(checks: &[Check], folder: &Path) -> Self {
        let wrong = || checks.iter().filter(|check| !check.errors.is_empty());
        let undecided = checks.iter().filter(|check| check.verdict == "unknown");
        let examples: Vec<&Example> = wrong().flat_map(|check| &check.examples).collect();
        let first = examples
            .first()
            .map(|example| format!("{}: {}", example.kind, example.text));
        Self {
            verdict: String::new(),
            errors: wrong()
                .map(|check| (check.name.clone(), check.errors.clone()))
                .collect(),
            why: undecided
                .map(|check| format!("{}: {}", check.name, check.why))
                .collect::<Vec<_>>()
                .join("; "),
            example: first.unwrap_or_default(),
            shown_s: shown_s(&examples, folder),
        }
    }

    /// `tail (stale 12), lost (lost-suffix 3)`
    pub(super) fn by(&self) -> String {
        let of = |(checker, kinds): &(String, BTreeMap<String, u64>)| {
            let kinds: Vec<String> = kinds.iter().map(|(kind, times)| format!("{kind} {times}")).collect();
            format!("{checker} ({})", kinds.join(", "))
        };
        self.errors.iter().map(of).collect::<Vec<_>>().join(", ")
    }
}

/// An error shows when the last of the events that show it is over.
fn shown_s(examples: &[&Example], folder: &Path) -> Option<f64> {
    let history = History::open(&folder.join("history.jsonl")).ok()?;
    let mut at: BTreeMap<u64, u64> = history
        .events
        .iter()
        .map(|event| (event.index, event.time_ns))
        .collect();
    for operation in &history.operations {
        at.insert(operation.index, operation.seen_ns);
    }
    let shown = examples.iter().filter_map(|example| {
        let times = example.events.iter().filter_map(|event| at.get(event));
        times.filter(|ns| **ns != u64::MAX).max()
    });
    shown.min().map(|ns| *ns as f64 / 1e9)
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verdict, why, .. } = self;
        match (self.errors.is_empty(), why.is_empty()) {
            (false, _) => write!(f, "{verdict}: {}", self.by()),
            (true, false) => write!(f, "{verdict}: {why}"),
            (true, true) => f.write_str(verdict),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_checkers_said_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let results = r#"{"verdict": "invalid", "checks": [
            {"name": "order", "verdict": "valid", "why": "", "errors": {}, "examples": [], "statistics": {}},
            {"name": "tail", "verdict": "invalid", "why": "", "errors": {"stale": 12, "from-nowhere": 1},
             "examples": [{"kind": "stale", "text": "s ends too early", "events": [3]}], "statistics": {}}]}"#;
        std::fs::write(folder.path().join("results.json"), results).unwrap();
        let seen = Seen::of("invalid", folder.path());
        assert_eq!(seen.by(), "tail (from-nowhere 1, stale 12)");
        assert_eq!(seen.example, "stale: s ends too early");
        assert_eq!(seen.to_string(), "invalid: tail (from-nowhere 1, stale 12)");
    }

    #[test]
    fn a_run_that_left_nothing_has_found_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let seen = Seen::of("failed", folder.path());
        assert!(seen.errors.is_empty() && seen.shown_s.is_none());
        assert_eq!(seen.to_string(), "failed");
    }
}
