//! What goes wrong in the harness itself. Nothing here says anything about the system under test.

use std::fmt::Display;
use std::io;

use thiserror::Error;

/// Why the harness could not do something.
#[derive(Debug, Error)]
pub enum Error {
    /// A call to the system failed.
    #[error("{what}: {cause}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        cause: io::Error,
    },
    /// A program that does something for us failed.
    #[error("`{command}` failed: {said}")]
    Command {
        /// The command line.
        command: String,
        /// What it printed, or how it ended.
        said: String,
    },
    /// Something is not as it must be.
    #[error("{0}")]
    State(String),
    /// Somebody asked the run to stop.
    #[error("stopped before the end")]
    Stopped,
}

impl Error {
    /// For `map_err`: says what was tried.
    pub(crate) fn io(what: impl Display) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io {
            what: what.to_string(),
            cause,
        }
    }

    /// Something is not as it must be.
    pub(crate) fn state(what: impl Display) -> Self {
        Self::State(what.to_string())
    }
}
