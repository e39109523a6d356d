//! `jepsen check`: what the checkers say of a history.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{CliError, open};
use crate::check::{Check, Judgement, Verdict, check};
use crate::history::History;
use crate::report;

/// What to check.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Exit code: 0 valid, 1 invalid, 2 unknown, 3 no history")]
pub struct CheckOptions {
    /// A history, or a run's folder
    history: PathBuf,
    /// Write index.html and results.json beside the history
    #[arg(long)]
    report: bool,
}

impl CheckOptions {
    /// Prints the verdicts.
    ///
    /// # Errors
    /// See [`CliError`].
    pub fn run(&self) -> Result<ExitCode, CliError> {
        let (path, history) = open(&self.history)?;
        let judgement = check(&history);
        print!("{}", table(&history, &judgement));
        if self.report {
            write_report(&path, &history, &judgement)?;
        }
        Ok(exit_code(judgement.verdict))
    }
}

/// Ends a run: judges the history in `folder`, prints the verdicts, and writes `index.html` and `results.json`.
///
/// # Errors
/// See [`CliError`].
pub fn conclude(folder: &Path) -> Result<Verdict, CliError> {
    let (path, history) = open(folder)?;
    let judgement = check(&history);
    print!("{}", table(&history, &judgement));
    write_report(&path, &history, &judgement)?;
    Ok(judgement.verdict)
}

fn write_report(history_path: &Path, history: &History, judgement: &Judgement) -> Result<(), CliError> {
    let folder = history_path.parent().unwrap_or(Path::new("."));
    let page = folder.join("index.html");
    let html = report::html(history, judgement).map_err(std::io::Error::other);
    html.and_then(|html| std::fs::write(&page, html))
        .map_err(CliError::write(&page))?;
    let results = folder.join("results.json");
    let text = serde_json::to_string_pretty(judgement).map_err(|error| CliError::write(&results)(error.into()))?;
    std::fs::write(&results, text + "\n").map_err(CliError::write(&results))?;
    println!("report: {}", page.display());
    Ok(())
}

/// A verdict as an exit code.
#[must_use]
pub fn exit_code(verdict: Verdict) -> ExitCode {
    ExitCode::from(match verdict {
        Verdict::Valid => 0,
        Verdict::Invalid => 1,
        Verdict::Unknown | Verdict::NotApplicable => 2,
    })
}

/// The verdicts for a terminal: one line each, then what is wrong.
fn table(history: &History, judgement: &Judgement) -> String {
    let mut text = String::new();
    for check in &judgement.checks {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{:<13} {:<15} {}", check.name, check.verdict, remark(check));
    }
    for check in judgement
        .checks
        .iter()
        .filter(|check| check.verdict == Verdict::Invalid)
    {
        let _ = writeln!(text, "\n{}:", check.name);
        for example in &check.examples {
            let _ = writeln!(
                text,
                "  {}: {} (events {:?})",
                example.kind, example.text, example.events
            );
        }
    }
    let _ = writeln!(
        text,
        "\n{}: {}, {} operations, seed {}",
        judgement.verdict.to_string().to_uppercase(),
        history.run.workload,
        history.operations.len(),
        history.run.seed
    );
    text
}

fn remark(check: &Check) -> String {
    let pairs = |map: &std::collections::BTreeMap<&'static str, u64>| {
        map.iter()
            .map(|(name, n)| format!("{name} {n}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match check.verdict {
        Verdict::Invalid => pairs(&check.errors),
        Verdict::Unknown => check.why.clone(),
        Verdict::Valid | Verdict::NotApplicable => pairs(&check.statistics),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Answer, Mark, Op, Recorder, Run};

    fn folder(tail: u64) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut run = Run {
            workload: "queue".to_owned(),
            ..Run::default()
        };
        run.limits.min_ok = 1;
        let recorder = Recorder::create(&folder.path().join("history.jsonl"), &run).unwrap();
        let mut client = recorder.client();
        let stream = "s".to_owned();
        let answer = |next| Answer {
            status: 200,
            next: Some(next),
            ..Answer::default()
        };
        recorder.mark(Mark::Healed);
        let create = Op::Create {
            stream: stream.clone(),
            messages: Vec::new(),
            ttl_ms: None,
            close: false,
        };
        client.invoke(Some(1), create).ok(Answer {
            status: 201,
            ..answer(0)
        });
        let op = Op::Append {
            stream: stream.clone(),
            messages: vec![client.message()],
            producer: None,
            close: false,
        };
        client.invoke(Some(1), op).ok(answer(10));
        client
            .invoke(Some(1), Op::Head { stream: stream.clone() })
            .ok(answer(tail));
        client.invoke(Some(1), Op::FinalRead { stream }).ok(Answer {
            messages: vec![crate::history::MessageId(0, 0)],
            up_to_date: true,
            ..answer(10)
        });
        recorder.finish().unwrap();
        folder
    }

    #[test]
    fn a_good_run_is_valid_and_gets_a_report() {
        let folder = folder(10);
        assert_eq!(conclude(folder.path()).unwrap(), Verdict::Valid);
        let page = std::fs::read_to_string(folder.path().join("index.html")).unwrap();
        assert!(page.contains("<svg") && page.contains("append-order"));
        let results = std::fs::read_to_string(folder.path().join("results.json")).unwrap();
        let results: serde_json::Value = serde_json::from_str(&results).unwrap();
        assert_eq!(results["verdict"], "valid");
    }

    #[test]
    fn the_table_names_what_is_wrong() {
        let folder = folder(0);
        let (_, history) = open(folder.path()).unwrap();
        let judgement = check(&history);
        assert_eq!(exit_code(judgement.verdict), ExitCode::from(1));
        let text = table(&history, &judgement);
        assert!(text.contains("tail          invalid         stale 1"), "{text}");
        assert!(text.contains("INVALID: queue"), "{text}");
    }
}
