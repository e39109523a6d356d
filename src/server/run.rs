//! The wiring: what a server process holds, in the order in which it comes up and goes down.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinError;
use tokio::time::{MissedTickBehavior, interval, timeout};
use weir_cluster::{Node, NodeOptions, StorageKind, SystemClock};
use weir_http::{ShutdownSignal, Trigger};

use crate::admin::{self, Phase, Readiness};
use crate::config::{Config, Storage};
use crate::data_dir::{self, DataDir, DataDirError};
use crate::exit::Exit;
use crate::open_files;
use crate::signals::Signals;
use crate::telemetry::{self, Metrics};

/// What flushing the storage may take on shutdown, after the requests had their `drain_timeout`.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a scrape under way may still take when everything else is done.
const ADMIN_DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

const METRICS_UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The addresses that are served, with the ports that the system chose where 0 was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    pub(crate) listen: SocketAddr,
    pub(crate) admin_listen: SocketAddr,
}

/// Why a server process ended other than as it was asked to.
#[derive(Debug, Error)]
pub(crate) enum RunError {
    /// The signal handlers or the metrics could not be installed.
    #[error("the process could not be set up: {0}")]
    Setup(String),
    /// See [`DataDirError`].
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// Another process has the port, or the address is none of this machine.
    #[error("{key}: {address} cannot be listened on: {}", listen_advice(cause))]
    Listen {
        /// The key that asked for it.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// The storage was refused or could not be read.
    #[error("the storage could not be opened: {0}")]
    Open(String),
    /// The listener failed.
    #[error("the server failed: {0}")]
    Serve(String),
    /// The storage failed, so nothing more can be promised.
    #[error("the storage failed, and the process stopped: {0}")]
    Storage(String),
    /// What was still in memory could not be written out.
    #[error("the storage could not be closed: {0}")]
    Close(String),
    /// The end took too long.
    #[error("the graceful end took longer than {0:?} and was cut short")]
    TooSlow(Duration),
}

fn listen_advice(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::AddrInUse => "the port is in use; end the process that has it or choose another".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        _ => cause.to_string(),
    }
}

impl RunError {
    /// The code to exit with.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Setup(_) | Self::Serve(_) => Exit::Failed,
            Self::DataDir(_) => Exit::DataDir,
            Self::Listen { .. } => Exit::Address,
            Self::Open(_) => Exit::Open,
            Self::Storage(_) => Exit::Storage,
            Self::Close(_) | Self::TooSlow(_) => Exit::Shutdown,
        }
    }
}

/// Serves until a signal comes or the storage fails. `started` is called once, when requests are answered.
///
/// # Errors
/// See [`RunError`].
pub(crate) async fn serve(config: &Config, started: impl FnOnce(&Bound)) -> Result<(), RunError> {
    telemetry::start_logs(config);
    open_files::raise_limit();
    let mut signals = Signals::install().map_err(|cause| RunError::Setup(cause.to_string()))?;
    let metrics = Metrics::install().map_err(|cause| RunError::Setup(cause.to_string()))?;
    let _data_dir = take_data_dir(config)?;
    // Clients that connect while the storage recovers wait in the listener's queue.
    let (listener, listen) = bind("listen", config.listen).await?;
    let (admin_listener, admin_listen) = bind("admin_listen", config.admin_listen).await?;
    let readiness = Readiness::default();
    let _admin = serve_admin(config, admin_listener, &readiness, metrics);

    tracing::info!(storage = config.storage.name(), data_dir = %config.data_dir.display(), "opening the storage");
    let node = tokio::select! {
        node = open(config) => node?,
        (signal, _) = signals.next() => {
            tracing::info!(signal, "asked to end before the storage was open");
            return Ok(());
        }
    };
    let (trigger, shutdown) = ShutdownSignal::new();
    let router = weir_http::router(node.streams(), Arc::new(SystemClock), config.http(), shutdown.clone());
    let (drain_timeout, header_timeout) = (config.drain_timeout, config.header_timeout);
    let mut server = tokio::spawn(weir_http::serve(
        listener,
        router,
        shutdown,
        drain_timeout,
        header_timeout,
    ));
    readiness.set(Phase::Ready);
    tracing::info!(%listen, %admin_listen, version = env!("CARGO_PKG_VERSION"), "serving");
    started(&Bound { listen, admin_listen });

    let signal = tokio::select! {
        (signal, _) = signals.next() => signal,
        cause = node.failed() => return Err(storage_failed(cause)),
        ended = &mut server => {
            served(ended)?;
            return Err(RunError::Serve("it ended without being asked to".to_owned()));
        }
    };
    tracing::info!(signal, "draining");
    readiness.set(Phase::Draining);
    signals.end_at_once_on_the_next();
    trigger.fire();
    let bound = drain_timeout + CLOSE_TIMEOUT;
    let end = async {
        tokio::select! {
            ended = server => served(ended)?,
            cause = node.failed() => return Err(storage_failed(cause)),
        }
        node.close().await.map_err(|cause| RunError::Close(cause.to_string()))
    };
    timeout(bound, end).await.map_err(|_| RunError::TooSlow(bound))??;
    tracing::info!("ended");
    Ok(())
}

/// Memory has nothing that two processes could spoil.
fn take_data_dir(config: &Config) -> Result<Option<DataDir>, DataDirError> {
    match config.storage {
        Storage::Memory => Ok(None),
        Storage::File | Storage::Redb => data_dir::take(&config.data_dir, config.storage).map(Some),
    }
}

async fn bind(key: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), RunError> {
    let refused = |cause| RunError::Listen { key, address, cause };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener, bound))
}

/// Serves the admin port until what it returns is dropped.
fn serve_admin(config: &Config, listener: TcpListener, readiness: &Readiness, metrics: Metrics) -> Trigger {
    let (trigger, shutdown) = ShutdownSignal::new();
    let router = admin::router(readiness.clone(), metrics.clone());
    let serve = weir_http::serve(listener, router, shutdown, ADMIN_DRAIN_TIMEOUT, config.header_timeout);
    tokio::spawn(async move {
        if let Err(cause) = serve.await {
            tracing::error!(%cause, "the admin port is not served any more");
        }
    });
    tokio::spawn(async move {
        let mut ticks = interval(METRICS_UPKEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            metrics.upkeep();
        }
    });
    trigger
}

async fn open(config: &Config) -> Result<Node, RunError> {
    let options = NodeOptions {
        storage: match config.storage {
            Storage::Memory => StorageKind::Memory,
            Storage::File => StorageKind::File,
            Storage::Redb => StorageKind::Redb,
        },
        data_dir: config.data_dir.clone(),
        cache_bytes: usize::try_from(config.cache_bytes).unwrap_or(usize::MAX),
        clock: Arc::new(SystemClock),
    };
    Node::open(options)
        .await
        .map_err(|cause| RunError::Open(cause.to_string()))
}

/// The process must not go on: what it would answer might not be what is stored.
fn storage_failed(cause: String) -> RunError {
    tracing::error!(%cause, "the storage failed");
    RunError::Storage(cause)
}

fn served(ended: Result<io::Result<()>, JoinError>) -> Result<(), RunError> {
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(cause)) => Err(RunError::Serve(cause.to_string())),
        Err(cause) => Err(RunError::Serve(cause.to_string())),
    }
}
