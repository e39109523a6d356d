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
//! | `etcd` | etcd's puts |
//! | `fan_out` | messages that tell when they were sent, their writer and their readers |
//! | `sse_text` | Server-Sent Events as they arrive |
//! | `append`, `catch_up`, `long_poll`, `sse`, `create` | one file per kind of work |
//!
//! Invariants:
//! - It shares the machine with the server, so an operation costs as little as it can: requests are built before the
//!   measurement, answers are parsed in place, one thread serves many connections.
//! - Every operation that began in the measured time is in the report, as a latency or as an error.
//! - At a rate, latency counts from the moment at which the operation should have begun, so a server that stalls cannot
//!   hide it by keeping the next operation waiting.

mod append;
mod catch_up;
mod chunked;
mod client;
mod connection;
mod create;
mod error;
mod etcd;
mod fan_out;
mod gate;
mod long_poll;
mod options;
mod pace;
mod prepare;
mod report;
mod sse;
mod sse_text;
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
    /// Read whole streams
    CatchUp(catch_up::CatchUpArgs),
    /// Deliver messages to readers by long-poll
    LongPoll(long_poll::LongPollArgs),
    /// Deliver messages to subscribers by Server-Sent Events
    Sse(sse::SseArgs),
    /// Create streams
    Create(create::CreateArgs),
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
            Work::CatchUp(args) => catch_up::run(args),
            Work::LongPoll(args) => long_poll::run(args),
            Work::Sse(args) => sse::run(args),
            Work::Create(args) => create::run(args),
        }
    }
}
