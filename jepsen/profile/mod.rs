//! Many runs in a row: the few that guard every change, and the many that fill a night.

pub(crate) mod plan;

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use crate::cluster::{Error, binary};
use plan::Plan;

/// Which runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Five runs, at most five minutes
    Ci,
    /// Every workload with every fault, pairs of faults, and all faults at once, for as long as there is time
    Night,
}

/// Many runs.
#[derive(Debug, Args)]
pub struct TestAllOptions {
    /// Which runs
    #[arg(long, value_enum, default_value = "ci")]
    profile: Profile,
    /// What the seeds of all runs are made from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Leave out so many runs of the profile: those that are done already
    #[arg(long, default_value_t = 0)]
    from: usize,
    /// No further run begins after so many seconds; a night goes on with new seeds until then
    #[arg(long)]
    limit: Option<u64>,
    /// The program to test; the variable JEPSEN_BINARY does the same; cargo builds one when both are absent
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Where the folders of the runs go
    #[arg(long)]
    store: Option<PathBuf>,
}

/// How one run ended.
pub(crate) struct Ended {
    pub(crate) name: String,
    pub(crate) code: Option<i32>,
    pub(crate) took: Duration,
    pub(crate) store: PathBuf,
}

impl Ended {
    /// The verdict, as its exit code says it.
    pub(crate) const fn verdict(&self) -> &'static str {
        match self.code {
            Some(0) => "valid",
            Some(2) => "unknown",
            Some(4) => "skipped",
            Some(1) if self.has_verdict() => "invalid",
            _ => "failed",
        }
    }

    /// A run that the harness could not do ends with 3.
    const fn has_verdict(&self) -> bool {
        matches!(self.code, Some(0..=2))
    }
}

/// Does them one after the other, and says how each ended. The code is 0 when all are valid, 1 when one is invalid or could
/// not be done, and 2 when one is unknown.
///
/// # Errors
/// When runs cannot be started at all.
pub fn main(options: &TestAllOptions) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Error::io("the runtime"))?.block_on(all(options))
}

async fn all(options: &TestAllOptions) -> Result<ExitCode, Error> {
    let binary = binary::find(options.binary.as_deref())?;
    let store = options.store.clone().unwrap_or_else(|| {
        let now = chrono::Utc::now().format("%Y%m%dT%H%M%S");
        PathBuf::from(format!("jepsen-store/{now}-{:?}", options.profile).to_lowercase())
    });
    let began = Instant::now();
    let is_over = || options.limit.is_some_and(|limit| began.elapsed().as_secs() >= limit);
    let mut ended = Vec::new();
    for (number, plan) in plan::plans(options.profile, options.seed)
        .enumerate()
        .skip(options.from)
    {
        if is_over() {
            break;
        }
        let folder = store.join(format!("{number:03}-{}", plan.name()));
        ended.push(run(&plan, &binary, &folder, &[]).await?);
        if let Some(last) = ended.last() {
            println!("jepsen: {} {} in {:.0?}", last.name, last.verdict(), last.took);
        }
    }
    println!("\n{} runs in {:.0?}", ended.len(), began.elapsed());
    for run in &ended {
        println!(
            "{:<8} {:<40} {:>4.0?}  {}",
            run.verdict(),
            run.name,
            run.took,
            run.store.display()
        );
    }
    let any = |verdict: &str| ended.iter().any(|run| run.verdict() == verdict);
    Ok(match (any("invalid") || any("failed"), any("unknown")) {
        (true, _) => ExitCode::from(1),
        (false, true) => ExitCode::from(2),
        (false, false) => ExitCode::SUCCESS,
    })
}

/// Does one run in a process of its own.
///
/// # Errors
/// When it cannot be started, or somebody asks to stop.
pub(crate) async fn run(plan: &Plan, binary: &Path, store: &Path, more: &[String]) -> Result<Ended, Error> {
    let program = std::env::current_exe().map_err(Error::io("the path of this program"))?;
    let mut command = Command::new(program);
    command.arg("run").args(plan.arguments()).args(more);
    command.arg("--binary").arg(binary).arg("--store").arg(store);
    command.stdin(Stdio::null()).process_group(0);
    let began = Instant::now();
    let mut child = command.spawn().map_err(Error::io("a run"))?;
    let handler = |kind| signal(kind).map_err(Error::io("a signal handler"));
    let (mut interrupt, mut terminate) = (handler(SignalKind::interrupt())?, handler(SignalKind::terminate())?);
    let mut stopped = false;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.map_err(Error::io("a run"))?,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stopped = true;
        // The run puts everything back before it ends.
        if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
            let _ = kill_process(pid, Signal::TERM);
        }
    };
    if stopped {
        return Err(Error::Stopped);
    }
    Ok(Ended {
        name: plan.name(),
        code: status.code(),
        took: began.elapsed(),
        store: store.to_owned(),
    })
}
