//! The wiring: what a server process holds, in the order in which it comes up and goes down.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinError;
use tokio::time::{MissedTickBehavior, interval, timeout};
use weir_cluster::{Node, NodeOptions, OpenError, Platform, StorageKind, SystemClock};
use weir_http::{ConnectionLimits, FrontEnd, STALL_TIMEOUT, ShutdownSignal, Trigger};

use crate::admin::{self, Phase, Readiness};
use crate::config::{Advertised, Bound, Config, Mode, Storage, Unreachable};
use crate::data_dir::{self, DataDir, DataDirError};
use crate::exit::Exit;
use crate::open_files;
use crate::signals::{Parent, Signals};
use crate::telemetry::{self, Metrics};

/// What flushing the storage may take on shutdown, after the requests had their `drain_timeout`.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a scrape under way may still take when everything else is done.
const ADMIN_DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// Connections that operators, probes and scrapers may have.
const MAX_ADMIN_CONNECTIONS: usize = 64;

const METRICS_UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

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
    /// Nobody could connect to this node.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// No cluster takes this node.
    #[error("this node cannot take part in a cluster: {0}")]
    Cluster(String),
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
            Self::Unreachable(_) => Exit::Usage,
            Self::Cluster(_) => Exit::Cluster,
            Self::Open(_) => Exit::Open,
            Self::Storage(_) => Exit::Storage,
            Self::Close(_) | Self::TooSlow(_) => Exit::Shutdown,
        }
    }
}

impl From<OpenError> for RunError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Form(_) | OpenError::Address(..) | OpenError::NotReplicated => Self::Cluster(error.to_string()),
            _ => Self::Open(error.to_string()),
        }
    }
}

/// Serves until it is asked to end or the storage fails. `started` is called once, when this node belongs to a cluster,
/// has recovered and answers requests.
///
/// # Errors
/// See [`RunError`].
pub(crate) async fn serve(
    config: &Config,
    mode: Mode,
    parent: Parent,
    started: impl FnOnce(&Bound),
) -> Result<(), RunError> {
    telemetry::start_logs(config);
    #[cfg(feature = "mutants")]
    tracing::warn!(active = ?weir_mutant::chosen(), "this build has planted bugs");
    let max_connections = open_files::max_connections(open_files::raise_limit(), config.max_connections);
    let mut signals = Signals::install(parent).map_err(|cause| RunError::Setup(cause.to_string()))?;
    let metrics = Metrics::install().map_err(|cause| RunError::Setup(cause.to_string()))?;
    let _data_dir = take_data_dir(config)?;
    // Clients that connect while the storage recovers wait in the listener's queue.
    let (listener, client) = bind("listen", config.listen).await?;
    let (admin_listener, admin) = bind("admin_listen", config.admin_listen).await?;
    let (peer_listener, peer) = bind("peer_listen", config.peer_listen()).await?;
    let bound = Bound { peer, client, admin };
    let advertised = config.advertised(&bound, mode)?;
    let readiness = Readiness::default();
    let _admin = serve_admin(config, admin_listener, &readiness, metrics);

    tracing::info!(
        storage = config.storage.name(),
        data_dir = %config.data_dir.display(),
        peer_address = advertised.peer,
        "opening the node"
    );
    let options = node_options(config, mode, peer_listener, advertised);
    let node = tokio::select! {
        node = Node::open(options) => node?,
        (signal, _) = signals.next() => {
            tracing::info!(signal, "asked to end before the node was open");
            return Ok(());
        }
    };
    readiness.opened(node.admin());
    let (trigger, shutdown) = ShutdownSignal::new();
    let front_end = FrontEnd::new(node.streams(), Arc::new(SystemClock), config.http(), shutdown.clone());
    let limits = ConnectionLimits {
        max_connections,
        header_timeout: config.header_timeout,
        stall_timeout: STALL_TIMEOUT,
        drain_timeout: config.drain_timeout,
    };
    let mut server = tokio::spawn(weir_http::serve(listener, front_end, shutdown, limits));
    readiness.set(Phase::Ready);
    tracing::info!(listen = %client, admin_listen = %admin, peer_listen = %peer, version = env!("CARGO_PKG_VERSION"), "serving");
    started(&bound);

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
    let bound = config.drain_timeout + CLOSE_TIMEOUT;
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
    let limits = ConnectionLimits {
        max_connections: MAX_ADMIN_CONNECTIONS,
        header_timeout: config.header_timeout,
        stall_timeout: STALL_TIMEOUT,
        drain_timeout: ADMIN_DRAIN_TIMEOUT,
    };
    let serve = weir_http::serve(listener, router, shutdown, limits);
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

fn node_options(config: &Config, mode: Mode, peer_listener: TcpListener, advertised: Advertised) -> NodeOptions {
    let join = config.joins(&advertised.peer).to_vec();
    NodeOptions {
        storage: match config.storage {
            Storage::Memory => StorageKind::Memory,
            Storage::File => StorageKind::File,
            Storage::Redb => StorageKind::Redb,
        },
        data_dir: config.data_dir.clone(),
        cache_bytes: usize::try_from(config.cache_bytes).unwrap_or(usize::MAX),
        clock: Arc::new(SystemClock),
        peer_listener: peer_listener.into(),
        peer_address: advertised.peer,
        client_address: advertised.client,
        admin_address: advertised.admin,
        zone: config.zone.clone(),
        nodes: config.nodes.clone(),
        join,
        groups: config.groups(mode),
        replication_factor: config.replication_factor,
        heartbeat: config.heartbeat_interval,
        election_timeout: config.election_timeout,
        keep_log_bytes: config.keep_log_bytes,
        platform: Platform::default(),
    }
}

/// The first two lines on stdout. Programs read them, so they never change.
///
/// # Errors
/// When stdout cannot be written to.
pub(crate) fn announce(out: &mut impl Write, bound: &Bound) -> io::Result<()> {
    writeln!(out, "weir: listening on http://{}", bound.client)?;
    writeln!(out, "weir: admin on http://{}", bound.admin)?;
    out.flush()
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
