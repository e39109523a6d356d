//! Why a backend fails.

use thiserror::Error;
use weir_protocol::Fault;

/// A backend failed. Whatever it was doing is not done, and except for [`StorageError::Full`] nothing more may be
/// written until the store is opened again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StorageError {
    /// No space is left; nothing was written, and once there is space the store goes on.
    #[error("no space is left on the device")]
    Full,
    /// Stored bytes are not what was written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// Reading or writing failed.
    #[error("the store cannot be read or written: {0}")]
    Io(String),
    /// An earlier failure made the store refuse all writes.
    #[error("the store failed earlier: {0}")]
    Failed(String),
}

impl StorageError {
    /// What a thread that panicked left behind cannot be relied on.
    pub(crate) fn panicked() -> Self {
        Self::Failed("a thread panicked while it wrote".to_owned())
    }
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Full => Self::StorageFull,
            other => Self::Storage(other.to_string()),
        }
    }
}

impl From<std::io::Error> for StorageError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io(error.to_string()),
        }
    }
}
