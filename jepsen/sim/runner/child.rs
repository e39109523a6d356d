//! A seed in a process of its own: randomness and clocks are the process's, so it can run only one.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Report, RunnerError, command, elapsed};

/// How long a seed may take on the machine's clock. A simulation that does not get on is as bad as one that fails.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often it is looked whether a process has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The program that runs seeds.
#[derive(Debug, Clone)]
pub struct Child {
    program: PathBuf,
    lying_disks: bool,
}

impl Child {
    /// With this `sim`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            lying_disks: false,
        }
    }

    /// With the `sim` that this process is.
    ///
    /// # Errors
    /// When the operating system does not say which that is.
    pub fn this() -> Result<Self, RunnerError> {
        let program = std::env::current_exe();
        program.map(Self::new).map_err(RunnerError::file("the program itself"))
    }

    /// The same with a planted bug, or without.
    #[must_use]
    pub fn with_lying_disks(mut self, lying_disks: bool) -> Self {
        self.lying_disks = lying_disks;
        self
    }

    fn repeat(&self, seed: u64) -> String {
        command(seed, self.lying_disks)
    }

    /// Runs a seed. With files, its history and its trace go there.
    ///
    /// # Errors
    /// When there is no process for it. One that ends badly gives a report that says so.
    pub fn run(&self, seed: u64, files: Option<(&Path, &Path)>) -> Result<Report, RunnerError> {
        let mut command = Command::new(&self.program);
        command.args(["run", &seed.to_string(), "--json"]);
        if let Some((history, trace)) = files {
            command.arg("--history").arg(history).arg("--trace").arg(trace);
        }
        if self.lying_disks {
            command.arg("--lying-disks");
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let failed = |source| RunnerError::Process { seed, source };
        let mut process = command.spawn().map_err(failed)?;
        let began = elapsed();
        // What it prints is one line, which a pipe holds: it does not wait for being read.
        let status = loop {
            match process.try_wait().map_err(failed)? {
                Some(status) => break status,
                None if elapsed().saturating_sub(began) > PATIENCE => {
                    process.kill().map_err(failed)?;
                    process.wait().map_err(failed)?;
                    return Ok(Report::broken(
                        seed,
                        self.repeat(seed),
                        format!("it did not end within {PATIENCE:?}"),
                    ));
                }
                None => std::thread::sleep(POLL_INTERVAL),
            }
        };
        let mut text = String::new();
        if let Some(mut output) = process.stdout.take() {
            output.read_to_string(&mut text).map_err(failed)?;
        }
        Ok(serde_json::from_str(&text).unwrap_or_else(|_| {
            Report::broken(
                seed,
                self.repeat(seed),
                format!("its process ended with {status} and no report"),
            )
        }))
    }
}
