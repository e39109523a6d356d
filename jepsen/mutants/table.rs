//! The results: a table for a terminal, one for a page, and JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use weir_mutant::Mutant;

use super::plan::MutantPlan;
use super::seen::Seen;
use crate::cluster::Error;

/// What became of one bug.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    mutant: &'static str,
    workload: &'static str,
    nemeses: Vec<&'static str>,
    caught: bool,
    /// The seed of the last run: of the one that found it, if one did.
    seed: u64,
    command: String,
    /// Errors by checker and kind.
    errors: BTreeMap<String, BTreeMap<String, u64>>,
    /// One of them, in words.
    example: String,
    /// How long after the beginning of its run the first error showed.
    shown_s: Option<f64>,
    /// How long all runs took together, to the verdict.
    took_s: f64,
    attempts: Vec<Attempt>,
    /// The same run without the bug.
    pub(super) clean: Option<Clean>,
}

#[derive(Debug, Serialize)]
struct Attempt {
    seed: u64,
    verdict: String,
    /// What the checkers found, or why they could not tell.
    said: String,
    took_s: f64,
}

/// A run without a bug.
#[derive(Debug, Serialize)]
pub(super) struct Clean {
    verdict: String,
    said: String,
    took_s: f64,
}

impl Clean {
    pub(super) fn new(seen: &Seen, took: Duration) -> Self {
        Self {
            verdict: seen.verdict.clone(),
            said: seen.to_string(),
            took_s: took.as_secs_f64(),
        }
    }
}

impl Row {
    pub(super) fn new(mutant: Mutant, plan: &MutantPlan) -> Self {
        Self {
            mutant: mutant.name(),
            workload: plan.run.workload.name(),
            nemeses: plan.run.nemeses.iter().map(|kind| kind.name()).collect(),
            caught: false,
            seed: plan.run.seed,
            command: String::new(),
            errors: BTreeMap::new(),
            example: String::new(),
            shown_s: None,
            took_s: 0.0,
            attempts: Vec::new(),
            clean: None,
        }
    }

    /// Takes note of a run.
    pub(super) fn tried(&mut self, plan: &MutantPlan, seen: &Seen, took: Duration) {
        // Only what checkers found counts: a run that the harness could not do says nothing.
        self.caught = seen.verdict == "invalid";
        self.seed = plan.run.seed;
        let arguments = [plan.run.arguments(), plan.settings()].concat().join(" ");
        self.command = format!("jepsen run {arguments} --mutant {}", self.mutant);
        self.errors = seen.errors.iter().cloned().collect();
        self.example.clone_from(&seen.example);
        self.shown_s = seen.shown_s.filter(|_| self.caught);
        self.took_s += took.as_secs_f64();
        self.attempts.push(Attempt {
            seed: plan.run.seed,
            verdict: seen.verdict.clone(),
            said: seen.to_string(),
            took_s: took.as_secs_f64(),
        });
    }

    pub(super) const fn is_caught(&self) -> bool {
        self.caught
    }

    pub(super) const fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether it was found, and nothing is found without it.
    pub(super) fn is_well(&self) -> bool {
        self.caught && self.clean.as_ref().is_none_or(|clean| clean.verdict == "valid")
    }

    fn cells(&self) -> [String; 7] {
        let of = |(checker, kinds): (&String, &BTreeMap<String, u64>)| {
            let kinds: Vec<String> = kinds.iter().map(|(kind, times)| format!("{kind} {times}")).collect();
            format!("{checker}: {}", kinds.join(", "))
        };
        let by: Vec<String> = self.errors.iter().map(of).collect();
        let tries = match self.attempts.len() {
            1 => String::new(),
            many => format!(" (run {many})"),
        };
        let shown = self
            .shown_s
            .map_or(String::new(), |shown_s| format!("{shown_s:.0} s; verdict "));
        [
            self.mutant.to_owned(),
            format!("{} × {}", self.workload, self.nemeses.join(", ")),
            format!("{}{tries}", self.seed),
            if self.caught { "yes" } else { "NO" }.to_owned(),
            by.join("; "),
            format!("{shown}{:.0} s", self.took_s),
            self.clean
                .as_ref()
                .map_or("-".to_owned(), |clean| clean.verdict.clone()),
        ]
    }
}

const HEAD: [&str; 7] = [
    "Planted bug",
    "Run",
    "Seed",
    "Found",
    "By (checker: error, times)",
    "After",
    "Without it",
];

/// For a page.
pub(super) fn markdown(rows: &[Row]) -> String {
    let mut text = format!("| {} |\n|{}\n", HEAD.join(" | "), "---|".repeat(HEAD.len()));
    for row in rows {
        // Writing to a string does not fail.
        let _ = writeln!(text, "| {} |", row.cells().join(" | "));
    }
    text
}

/// For a terminal.
pub(super) fn text(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let [mutant, run, seed, found, by, after, clean] = row.cells();
        let _ = writeln!(
            text,
            "{mutant:<29} {run:<26} seed {seed:<10} found: {found:<4} without it: {clean:<8} after {after}"
        );
        if !by.is_empty() {
            let _ = writeln!(text, "    {by}");
        }
    }
    let found = rows.iter().filter(|row| row.caught).count();
    let _ = writeln!(text, "{found} of {} found", rows.len());
    text
}

/// Writes both into the folder.
///
/// # Errors
/// When they cannot be written.
pub(super) fn write(folder: &Path, rows: &[Row]) -> Result<(), Error> {
    let json = serde_json::to_string_pretty(rows).map_err(Error::state)?;
    for (name, text) in [("mutants.json", json + "\n"), ("mutants.md", markdown(rows))] {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(Error::io(path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::plan;

    fn seen(verdict: &str, errors: &[(&str, &str, u64)]) -> Seen {
        let one = |(checker, kind, times): &(&str, &str, u64)| {
            (checker.to_string(), BTreeMap::from([(kind.to_string(), *times)]))
        };
        Seen {
            verdict: verdict.to_owned(),
            errors: errors.iter().map(one).collect(),
            ..Seen::default()
        }
    }

    fn row(verdict: &str, clean: &str) -> Row {
        let plan = plan::of(Mutant::ReadWithoutBarrier);
        let mut row = Row::new(Mutant::ReadWithoutBarrier, &plan);
        row.tried(&plan, &seen("valid", &[]), Duration::from_secs(40));
        row.tried(
            &plan.with_seed(2),
            &seen(verdict, &[("tail", "stale", 3)]),
            Duration::from_secs(41),
        );
        row.clean = Some(Clean::new(&seen(clean, &[]), Duration::from_secs(42)));
        row
    }

    #[test]
    fn only_an_invalid_run_finds_and_only_a_valid_one_without_the_bug_confirms() {
        assert!(row("invalid", "valid").is_well());
        for (verdict, clean) in [
            ("valid", "valid"),
            ("unknown", "valid"),
            ("failed", "valid"),
            ("invalid", "invalid"),
            ("invalid", "unknown"),
        ] {
            assert!(!row(verdict, clean).is_well(), "{verdict} {clean}");
        }
    }

    #[test]
    fn the_tables_tell_what_found_it_and_how_to_repeat_it() {
        let folder = tempfile::tempdir().unwrap();
        let rows = [row("invalid", "valid")];
        write(folder.path(), &rows).unwrap();
        let page = std::fs::read_to_string(folder.path().join("mutants.md")).unwrap();
        let line = "| read-without-barrier | tail × partition | 2 (run 2) | yes | tail: stale 3 | 81 s | valid |";
        assert!(page.ends_with(&format!("{line}\n")), "{page}");
        let json = std::fs::read_to_string(folder.path().join("mutants.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let command = json[0]["command"].as_str().unwrap();
        assert!(
            command.contains("--workload tail") && command.contains("--seed 2"),
            "{command}"
        );
        assert!(command.ends_with("--mutant read-without-barrier"), "{command}");
        assert!(text(&rows).ends_with("1 of 1 found\n"));
    }
}
