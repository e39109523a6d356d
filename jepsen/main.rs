//! The `jepsen` binary.

use std::process::ExitCode;

use clap::Parser;

/// Fault tests for Weir, in the manner of Jepsen (not Jepsen, and not by its authors).
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {}

fn main() -> ExitCode {
    let Arguments {} = Arguments::parse();
    ExitCode::SUCCESS
}
