//! The `sim` binary.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use weir_sim::runner::{ManyOptions, RegressionsOptions, RunOptions, TwiceOptions};

/// Deterministic simulation of whole Weir clusters.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one seed
    Run(RunOptions),
    /// Run seed after seed, each in a process of its own
    Many(ManyOptions),
    /// Run seeds twice, each time in a process of its own, and compare histories and traces byte for byte
    Twice(TwiceOptions),
    /// Run the seeds that once failed
    Regressions(RegressionsOptions),
}

/// The exit code when the harness itself failed; 1 says that a seed did.
const NO_RUN: u8 = 3;

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    let ended = match command {
        Command::Run(options) => options.run(),
        Command::Many(options) => options.run(),
        Command::Twice(options) => options.run(),
        Command::Regressions(options) => options.run(),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(NO_RUN)
    })
}
