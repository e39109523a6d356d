//! Errors, one enum per kind of call.

use std::{io, path::PathBuf, sync::Arc};

use rustix::io::Errno;

/// Why the journal stopped for good. After it nothing is written any more: a sync that failed once may have lost
/// data that a second one would report as safe.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the journal stopped: {reason}")]
pub struct Failure {
    reason: Arc<str>,
    closed: bool,
}

impl Failure {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Failure {
            reason: reason.into().into(),
            closed: false,
        }
    }

    pub(crate) fn closed() -> Self {
        Failure {
            reason: "it was closed".into(),
            closed: true,
        }
    }

    /// What happened, with the file it happened to.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether the journal was closed on request rather than by an error.
    pub fn is_close(&self) -> bool {
        self.closed
    }
}

/// Why a submission was refused. Nothing of it was or will be written and its callback is not called.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SubmitError {
    /// No segment can be made for the entries. Reads go on; submissions work again once space is free.
    #[error("the journal's disk is full")]
    StorageFull,
    /// The journal stopped.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// More bytes than one submission may hold; split it, or refuse the entry.
    #[error("{bytes} bytes in one submission, at most {max} are possible")]
    TooLarge {
        /// Bytes submitted, overhead included.
        bytes: u64,
        /// Most bytes possible.
        max: u64,
    },
    /// The entries do not continue the log, or a purge would leave a hole in it.
    #[error("index {found} does not continue the log, expected {expected}")]
    NotContiguous {
        /// The index that would continue the log.
        expected: u64,
        /// The index submitted.
        found: u64,
    },
    /// The replica is being removed.
    #[error("the replica was removed")]
    Removed,
    /// The queue is full, in a journal whose callers must not wait, or that is driven step by step.
    #[error("the journal's queue is full")]
    Busy,
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The journal stopped.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The segment could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The segment.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The stored entry is not what was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
}

/// Bytes on disk that are not what was written there.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{} is damaged at byte {offset}: expected {expected}, found {found}", path.display())]
pub struct Damage {
    /// The damaged file.
    pub path: PathBuf,
    /// Where in the file.
    pub offset: u64,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// Why a journal was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// An operation on a file failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The disk has no room for the first segment of a new journal.
    #[error("no space for the first segment {}", path.display())]
    StorageFull {
        /// The segment that could not be made.
        path: PathBuf,
    },
    /// Stored bytes are damaged in a way that a crash cannot cause.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// A segment belongs to another cluster or node.
    #[error("{} belongs to {found}, this journal to {expected}", path.display())]
    Foreign {
        /// The foreign file.
        path: PathBuf,
        /// The owner named in the options.
        expected: String,
        /// The owner named in the file.
        found: String,
    },
    /// A segment was written by a version this one does not know.
    #[error("{} has format version {found}, this program reads {expected}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version this program reads.
        expected: u32,
        /// The version in the file.
        found: u32,
    },
}

impl OpenError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> OpenError {
        let path = path.into();
        move |source| OpenError::Io { action, path, source }
    }
}

/// Whether an error means that as many files are open as may be, in this process or in the system.
pub(crate) fn is_open_files(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// Whether an error means that the disk or a quota is full.
pub(crate) fn is_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
