//! The commands that work on a recorded history.
//!
//! | file | what it does |
//! |---|---|
//! | `check` | prints the verdicts; after a run also writes the report |
//! | `export` | writes the history as EDN |

mod check;
mod export;

pub use check::{CheckOptions, conclude, exit_code};
pub use export::ExportOptions;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::history::HistoryError;

/// The exit code of a run of which nothing can be done on this machine. Verdicts are 0 to 2, and 3 is an error.
pub const SKIPPED: u8 = 4;

/// Why a command cannot do its work.
#[derive(Debug, Error)]
pub enum CliError {
    /// The history is none.
    #[error("{path}: {source}")]
    History {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: HistoryError,
    },
    /// A file cannot be written.
    #[error("{path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl CliError {
    fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Write { path, source }
    }
}

/// The history at `path`, or in the run's folder `path`.
fn open(path: &std::path::Path) -> Result<(PathBuf, crate::history::History), CliError> {
    let path = if path.is_dir() {
        path.join("history.jsonl")
    } else {
        path.to_owned()
    };
    match crate::history::History::open(&path) {
        Ok(history) => Ok((path, history)),
        Err(source) => Err(CliError::History { path, source }),
    }
}
