//! `sim many`: seed after seed, each in a process of its own.

use std::process::ExitCode;

use clap::Args;

use super::{Child, Report, RunnerError, Tally, elapsed, pool};

/// After so many seeds a line says how far it is.
const PROGRESS_SEEDS: u64 = 50;

/// Which seeds.
#[derive(Debug, Clone, Args)]
pub struct ManyOptions {
    /// The first seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many seeds
    #[arg(long, default_value_t = 100)]
    count: u64,
    /// How many at a time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Plant a bug: disks that do not sync, and say that they did
    #[arg(long)]
    lying_disks: bool,
}

impl ManyOptions {
    /// Runs them and says what became of them.
    ///
    /// # Errors
    /// When there is no process for a seed.
    pub fn run(&self) -> Result<ExitCode, RunnerError> {
        let began = elapsed();
        let mut done = 0;
        let child = Child::this()?.with_lying_disks(self.lying_disks);
        let seeds: Vec<u64> = (self.from..self.from.saturating_add(self.count)).collect();
        let tally = many(&child, &seeds, self.jobs, |report| {
            done += 1;
            if let Some(violation) = &report.violation {
                println!("seed {} failed: {violation}\n  repeat: {}", report.seed, report.repeat);
            } else if done % PROGRESS_SEEDS == 0 {
                println!(
                    "{done} of {} seeds after {} s",
                    self.count,
                    (elapsed() - began).as_secs()
                );
            }
        })?;
        println!("\n{tally}took {} s", (elapsed() - began).as_secs());
        Ok(ExitCode::from(u8::from(!tally.failed().is_empty())))
    }
}

/// Runs seeds, some at a time; each report is shown as it comes.
///
/// # Errors
/// When there is no process for a seed.
pub fn many(child: &Child, seeds: &[u64], jobs: usize, mut show: impl FnMut(&Report)) -> Result<Tally, RunnerError> {
    let mut tally = Tally::default();
    pool::each(
        seeds,
        jobs,
        |seed| child.run(seed, None),
        |report| {
            show(&report);
            tally.add(&report);
        },
    )?;
    Ok(tally)
}
