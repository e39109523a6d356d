//! How a node is opened, and why it did not open or close.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use weir_protocol::Clock;

use crate::control::{FormError, IdentityError};
use crate::platform::{PeerListener, Platform};

/// Which backend keeps the streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKind {
    /// In memory; gone with the process. A cluster of one node only.
    Memory,
    /// An append log per stream. A cluster of one node only.
    File,
    /// redb.
    Redb,
}

/// How much of each group's log stays for replicas that lag, unless told otherwise: a minute or so of a busy group.
pub const DEFAULT_KEEP_LOG_BYTES: u64 = 64 * 1024 * 1024;

/// How to open a node.
pub struct NodeOptions {
    /// The backend.
    pub storage: StorageKind,
    /// Where it keeps its files. Made when it is not there; not used by [`StorageKind::Memory`].
    pub data_dir: PathBuf,
    /// How much memory the backend may use to keep pages, in bytes.
    pub cache_bytes: usize,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where other nodes connect.
    pub peer_listener: PeerListener,
    /// Where this node is reached, as `host:port`: by other nodes, by clients, by operators.
    pub peer_address: String,
    /// See `peer_address`.
    pub client_address: String,
    /// See `peer_address`.
    pub admin_address: String,
    /// The part of the installation that fails as one; may be empty.
    pub zone: String,
    /// The peer addresses of the nodes that form a new cluster together, the same list on each; empty for a cluster of
    /// one.
    pub nodes: Vec<String>,
    /// Peer addresses of a cluster to join; with them the node never forms a new one.
    pub join: Vec<String>,
    /// How many groups a new cluster has.
    pub groups: u64,
    /// How many replicas a group should have.
    pub replication_factor: u32,
    /// How often a leader tells that it is there.
    pub heartbeat: Duration,
    /// After how long without a leader another one is elected, at the earliest.
    pub election_timeout: Duration,
    /// How many payload bytes of each group's log stay for replicas that lag; one that lacks more gets a snapshot.
    pub keep_log_bytes: u64,
    /// What the node takes from its machine.
    pub platform: Platform,
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
    /// The node's identity cannot be read or written.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// An address or the zone is none.
    #[error("{0:?} cannot be used: {1}")]
    Address(String, weir_meta::AddressError),
    /// The backend cannot be replicated.
    #[error("only redb can be replicated: a cluster of several nodes needs it")]
    NotReplicated,
    /// No cluster takes this node.
    #[error(transparent)]
    Form(#[from] FormError),
    /// The journal cannot be opened.
    #[error("the journal cannot be opened: {0}")]
    Journal(#[from] weir_journal::OpenError),
    /// The journal is gone, though the node had one.
    #[error("the journal in {0} is gone: restore it, or empty the data directory and let this node join as a new one")]
    JournalLost(PathBuf),
    /// A store or a replica cannot be opened.
    #[error("{0}")]
    Replica(String),
    /// A thread could not be started.
    #[error("a thread cannot be started: {0}")]
    Thread(std::io::Error),
}

/// Why a node did not close as it should. What was acknowledged is durable all the same.
#[derive(Debug, Error)]
#[error("the node could not be closed: {0}")]
pub struct CloseError(pub(super) String);
