//! Opening and closing what one process keeps.

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::watch as signal;
use weir_protocol::{Clock, Streams};
use weir_storage::{FileOptions, FileStorage, MemoryStorage, RedbOptions, RedbStorage, Storage, StorageError};

use crate::group::Group;
use crate::router::Router;

/// Which backend keeps the streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKind {
    /// In memory; gone with the process.
    Memory,
    /// An append log per stream.
    File,
    /// redb.
    Redb,
}

/// How to open a node.
#[derive(Clone)]
pub struct NodeOptions {
    /// The backend.
    pub storage: StorageKind,
    /// Where it keeps its files. Made when it is not there; not used by [`StorageKind::Memory`].
    pub data_dir: PathBuf,
    /// How much memory the backend may use to keep pages, in bytes.
    pub cache_bytes: usize,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Why a node did not open.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The data directory cannot be made.
    #[error("the data directory {path} cannot be made: {source}")]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The store cannot be opened.
    #[error("the store in {path} cannot be opened: {source}")]
    Storage {
        /// The data directory.
        path: PathBuf,
        /// What the backend said.
        source: StorageError,
    },
    /// A thread could not be started.
    #[error("a thread cannot be started: {0}")]
    Thread(std::io::Error),
}

/// Why a node did not close as it should. What was acknowledged is durable all the same.
#[derive(Debug, Error)]
#[error("the store could not be closed: {0}")]
pub struct CloseError(#[from] StorageError);

/// All that one process keeps.
pub struct Node {
    group: Arc<Group>,
    streams: Arc<Router>,
    failed: signal::Receiver<Option<String>>,
}

impl Node {
    /// Opens the store, recovers it after a crash, and starts to serve. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(options: NodeOptions) -> Result<Self, OpenError> {
        let clock = Arc::clone(&options.clock);
        let blocking_reads = options.storage != StorageKind::Memory;
        let opened = tokio::task::spawn_blocking(move || open_storage(&options)).await;
        let storage = opened.map_err(|error| OpenError::Thread(std::io::Error::other(error)))??;
        let (fail, failed) = signal::channel(None);
        let group = Group::start(storage, clock, blocking_reads, fail).map_err(OpenError::Thread)?;
        Ok(Self {
            streams: Arc::new(Router::new(Arc::clone(&group))),
            group,
            failed,
        })
    }

    /// The streams, for the front end.
    #[must_use]
    pub fn streams(&self) -> Arc<dyn Streams> {
        Arc::clone(&self.streams) as Arc<dyn Streams>
    }

    /// Waits until the store fails, and says how. Then no write succeeds any more, and the process should end.
    pub async fn failed(&self) -> String {
        let mut failed = self.failed.clone();
        let failure = match failed.wait_for(Option::is_some).await {
            Ok(failure) => (*failure).clone(),
            Err(_) => None,
        };
        failure.unwrap_or_else(|| "the store's thread ended".to_owned())
    }

    /// Takes no further writes, answers those that wait, and makes everything durable.
    ///
    /// # Errors
    /// [`CloseError`].
    pub async fn close(&self) -> Result<(), CloseError> {
        Ok(self.group.close().await?)
    }
}

fn open_storage(options: &NodeOptions) -> Result<Arc<dyn Storage>, OpenError> {
    let path = &options.data_dir;
    let failed = |source: StorageError| OpenError::Storage {
        path: path.clone(),
        source,
    };
    if options.storage != StorageKind::Memory {
        std::fs::create_dir_all(path).map_err(|source| OpenError::DataDir {
            path: path.clone(),
            source,
        })?;
    }
    Ok(match options.storage {
        StorageKind::Memory => Arc::new(MemoryStorage::new()),
        StorageKind::File => {
            let dir = path.join("streams");
            Arc::new(FileStorage::open(&FileOptions { dir }).map_err(failed)?)
        }
        StorageKind::Redb => {
            let options = RedbOptions {
                path: path.join("streams.redb"),
                cache_bytes: options.cache_bytes,
            };
            Arc::new(RedbStorage::open(&options).map_err(failed)?)
        }
    })
}
