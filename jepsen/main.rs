//! The `jepsen` binary.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use weir_jepsen::run::{self, RunOptions};

/// Fault tests for Weir, in the manner of Jepsen (not Jepsen, and not by its authors).
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Break a cluster while clients use it, and record what they see
    Run(RunOptions),
}

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    let ended = match command {
        Command::Run(options) => run::main(&options),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}
