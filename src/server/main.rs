//! The `weir` binary.
//!
//! | file | what it holds |
//! |---|---|
//! | `cli` | the command line |
//! | `config/` | the configuration in its layers |
//! | `dev/` | `weir dev`: one node, or several as processes of their own |
//! | `serve` | `weir serve` |
//! | `run` | the wiring: ports, storage, front end, the graceful end |
//! | `admin/` | health, metrics and the admin API on the admin port |
//! | `cluster/` | `weir cluster`: the admin API's client |
//! | `telemetry` | logs and metrics |
//! | `data_dir` | one process per data directory |
//! | `open_files` | how many files and connections the process may have open |
//! | `signals` | what asks the process to end |
//! | `client/` | `weir stream`: one file per operation |
//! | `bench/` | `weir bench`: a load generator, one file per kind of work |
//! | `exit` | the exit codes |
//!
//! Invariants:
//! - stdout has only what a command answers; logs and complaints go to stderr.
//! - No process serves a data directory that another one has locked.
//! - Every end of the process has its documented exit code, and stderr's last line says why it is not 0.

mod admin;
mod bench;
mod cli;
mod client;
mod cluster;
mod config;
mod data_dir;
mod dev;
mod exit;
mod open_files;
mod run;
mod serve;
mod signals;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

/// The system's allocator took a seventh of the time under load, most of it to put freed pieces together again. This one
/// has threads of its own that give back what is free for some seconds; mimalloc, as quick, leaves that to the threads that
/// once used it, and they may have nothing to do for hours.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    #[cfg(feature = "mutants")]
    if let Err(name) = weir_mutant::chosen() {
        eprintln!("weir: {}: there is no planted bug {name}", weir_mutant::VARIABLE);
        return exit::Exit::Usage.into();
    }
    match cli::Cli::parse().run() {
        Ok(()) => exit::Exit::Done.into(),
        Err(failure) => failure.report(),
    }
}
