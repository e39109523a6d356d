//! `sim regressions`: the seeds that once failed.

use std::process::ExitCode;

use clap::Args;

use super::{Child, RunnerError, many};

/// One a line, and what it found. A seed is what it was only as long as plans are drawn as they were.
const LIST: &str = include_str!("../regressions.txt");

/// All of them.
#[derive(Debug, Clone, Args)]
pub struct RegressionsOptions {
    /// How many at a time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

impl RegressionsOptions {
    /// Runs them and says what became of them.
    ///
    /// # Errors
    /// When there is no process for a seed.
    pub fn run(&self) -> Result<ExitCode, RunnerError> {
        let tally = many(&Child::this()?, &seeds(), self.jobs, |_| {})?;
        println!("{tally}");
        Ok(ExitCode::from(u8::from(!tally.failed().is_empty())))
    }
}

/// The seeds of the list.
#[must_use]
pub fn seeds() -> Vec<u64> {
    let lines = LIST.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_seed_with_a_word_on_what_it_found() {
        let lines = LIST.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let mut count = 0;
        for line in lines {
            let (seed, found) = line.split_once(' ').unwrap();
            assert!(seed.parse::<u64>().is_ok(), "{line}");
            assert!(found.trim().len() > 10, "{line}");
            count += 1;
        }
        assert_eq!(seeds().len(), count);
        assert!(count > 0);
    }
}
