//! `weir bench`: a load generator, for Weir and for the servers that it is compared with.
//!
//! | file | what it holds |
//! |---|---|
//! | `options` | the flags that every kind of work has |
//! | `target` | whose dialect is spoken: paths and headers |
//! | `connection` | a persistent HTTP/1.1 connection: bytes out, answers in |
//! | `chunked` | a chunked body as it arrives |
//! | `gate` | when the measurement begins and ends |
//! | `pace` | closed loop, or a rate that does not wait for the server |
//! | `client` | one client: its connection, one operation after the other |
//! | `threads` | all clients of a run on a few threads; the progress bar |
//! | `tally` | latencies, errors and counts |
//! | `prepare` | the streams, before anything is measured |
//! | `report` | what is printed |
//! | `append` | one file per kind of work |
//!
//! Invariants:
//! - It shares the machine with the server, so an operation costs as little as it can: requests are built before the
//!   measurement, answers are parsed in place, one thread serves many connections.
//! - Every operation that began in the measured time is in the report, as a latency or as an error.
//! - At a rate, latency counts from the moment at which the operation should have begun, so a server that stalls cannot
//!   hide it by keeping the next operation waiting.

mod append;
mod chunked;
mod client;
mod connection;
mod error;
mod gate;
mod options;
mod pace;
mod prepare;
mod report;
mod tally;
mod target;
mod threads;

use clap::{Args, Subcommand};

pub(crate) use error::BenchError;

/// `weir bench ...`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    work: Work,
}

#[derive(Debug, Subcommand)]
enum Work {
    /// Append messages
    Append(append::AppendArgs),
}

impl BenchArgs {
    /// Does it, and prints the report.
    ///
    /// # Errors
    /// See [`BenchError`].
    pub(crate) fn run(&self) -> Result<(), BenchError> {
        crate::open_files::raise_limit();
        match &self.work {
            Work::Append(args) => append::run(args),
        }
    }
}
