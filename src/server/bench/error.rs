//! Why a run has no result.

use std::io;

use thiserror::Error;

use crate::exit::Exit;

/// Why a run has no result.
#[derive(Debug, Error)]
pub(crate) enum BenchError {
    /// `--url` is no address of a server.
    #[error("'{0}' is not a server's address such as http://127.0.0.1:4437")]
    Url(String),
    /// The options contradict each other.
    #[error("{0}")]
    Options(String),
    /// A server cannot be connected to.
    #[error("no answer from {address}: {cause}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// Why.
        cause: String,
    },
    /// What the measurement needs could not be made.
    #[error("{what}: the server answers {answer}")]
    Prepare {
        /// What was to be made.
        what: String,
        /// The status, or what went wrong.
        answer: String,
    },
    /// Not one operation succeeded.
    #[error("no operation succeeded")]
    NothingDone,
    /// A thread or its runtime could not be started.
    #[error("a thread cannot be started: {0}")]
    Thread(io::Error),
    /// A thread of the load generator ended by itself.
    #[error("a thread of the load generator failed")]
    ThreadFailed,
    /// Stdout cannot be written to.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl BenchError {
    /// The code to exit with.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Url(_) | Self::Options(_) => Exit::Usage,
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::Output(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Prepare { .. } | Self::NothingDone | Self::Thread(_) | Self::ThreadFailed | Self::Output(_) => {
                Exit::Failed
            }
        }
    }
}
