//! `sim run`: one seed in this process.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::{Report, RunnerError, command};
use crate::seed::{Keep, run};

/// How much of the nodes' logs a trace has.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    Info,
    Debug,
    Trace,
}

/// One seed.
#[derive(Debug, Clone, Args)]
pub struct RunOptions {
    /// What everything is drawn from
    seed: u64,
    /// Write what happened to this file
    #[arg(long)]
    trace: Option<PathBuf>,
    /// Write the history to this file; `jepsen check FILE` judges it, and `--report` makes a page of it
    #[arg(long)]
    history: Option<PathBuf>,
    /// Print what happens while it does
    #[arg(long)]
    echo: bool,
    /// How much the nodes log
    #[arg(long, value_enum, default_value = "info")]
    level: Level,
    /// Plant a bug: disks that do not sync, and say that they did
    #[arg(long)]
    lying_disks: bool,
    /// Print one line of JSON and nothing else
    #[arg(long, hide = true)]
    json: bool,
}

impl RunOptions {
    /// Runs it, and says how it went.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn run(&self) -> Result<ExitCode, RunnerError> {
        let keep = Keep {
            trace: self.trace.is_some(),
            echo: self.echo,
            lying_disks: self.lying_disks,
            level: match self.level {
                Level::Info => tracing::Level::INFO,
                Level::Debug => tracing::Level::DEBUG,
                Level::Trace => tracing::Level::TRACE,
            },
        };
        let ran = run(self.seed, keep);
        if let Some(path) = &self.trace {
            std::fs::write(path, &ran.trace).map_err(RunnerError::file(path))?;
        }
        if let Some(path) = &self.history {
            std::fs::write(path, &ran.outcome.history).map_err(RunnerError::file(path))?;
        }
        let report = Report::of(self.seed, command(self.seed, self.lying_disks), &ran);
        let failed = report.violation.is_some();
        if self.json {
            let line = serde_json::to_string(&report).map_err(|error| RunnerError::file("the report")(error.into()))?;
            println!("{line}");
        } else {
            print!("{}", describe(&report));
            print!("{}", ran.outcome.findings);
            if failed {
                println!("repeat: {}", report.repeat);
            }
        }
        Ok(ExitCode::from(u8::from(failed)))
    }
}

fn describe(report: &Report) -> String {
    let faults: Vec<String> = report
        .faults
        .iter()
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    let counts = report.counts;
    format!(
        "seed {}: {}\n\
         history: {}, {} operations, {} of them succeeded\n\
         simulated: {} ms; process ends: {}; sectors lost: {}; faults: {}\n\
         checked: {counts:?}\n\
         trace {}, history {}\n",
        report.seed,
        report.violation.as_deref().unwrap_or("all invariants hold"),
        report.verdict,
        report.operations,
        report.succeeded,
        report.elapsed_ms,
        report.ends,
        report.lost_sectors,
        if faults.is_empty() {
            "none".to_owned()
        } else {
            faults.join(", ")
        },
        report.trace_hash,
        report.history_hash,
    )
}
