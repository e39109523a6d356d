//! The `jepsen` binary.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use weir_jepsen::cli::{CheckOptions, CliError, ExportOptions};
use weir_jepsen::doctor;
use weir_jepsen::mutants::{self, MutantsOptions};
use weir_jepsen::profile::{self, TestAllOptions};
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
    /// Do many runs in a row
    TestAll(TestAllOptions),
    /// Plant bugs in Weir, one at a time, and say which run finds each
    Mutants(MutantsOptions),
    /// Say what this machine can do, and what will be skipped
    Doctor,
    /// Say what the checkers find in a history
    Check(CheckOptions),
    /// Write a history for other tools
    Export(ExportOptions),
}

/// The exit code when there is nothing to judge, or the harness itself failed: 1 and 2 are verdicts.
const NO_HISTORY: u8 = 3;

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    let ended = match command {
        Command::Run(options) => run::main(&options),
        Command::TestAll(options) => profile::main(&options),
        Command::Mutants(options) => mutants::main(&options),
        Command::Doctor => doctor::main(),
        Command::Check(options) => return history_command(options.run()),
        Command::Export(options) => return history_command(options.run()),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(NO_HISTORY)
    })
}

fn history_command(ended: Result<ExitCode, CliError>) -> ExitCode {
    ended.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(NO_HISTORY)
    })
}
