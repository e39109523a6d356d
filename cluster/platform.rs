//! What a node takes from the machine that it runs on. Simulations bring their own.

use std::io;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use weir_journal::{Disk, Journal, Options, RealDisk, Stepper};
use weir_storage::{RealFiles, StoreFiles};

/// The surroundings of a node. The default is the operating system's.
#[derive(Clone)]
pub struct Platform {
    /// Where the journal, the identity and the meta group's state are.
    pub disk: Arc<dyn Disk>,
    /// Where the streams are: the same disk, as redb uses it.
    pub files: Arc<dyn StoreFiles>,
    /// How other nodes are reached.
    pub network: Network,
    /// Who runs what may block.
    pub threads: Threads,
}

impl Default for Platform {
    fn default() -> Self {
        Self {
            disk: Arc::new(RealDisk),
            files: Arc::new(RealFiles),
            network: Network::Tcp,
            threads: Threads::Many,
        }
    }
}

/// How other nodes are reached.
#[derive(Clone)]
pub enum Network {
    /// Over TCP.
    Tcp,
    /// As a simulation wants it.
    Other(Arc<dyn Connect>),
}

/// Opens connections.
pub trait Connect: Send + Sync + 'static {
    /// Connects to an address, `host:port`.
    fn connect(&self, address: &str) -> BoxFuture<'static, io::Result<Box<dyn Connection>>>;
}

/// A connection between two nodes.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Connection for T {}

/// Where connections of other nodes come in.
pub enum PeerListener {
    /// Over TCP.
    Tcp(TcpListener),
    /// As a simulation wants it.
    Other(BoxStream<'static, io::Result<Box<dyn Connection>>>),
}

impl From<TcpListener> for PeerListener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

/// Who runs what may block.
#[derive(Clone)]
pub enum Threads {
    /// Threads of their own.
    Many,
    /// Whoever comes to it. The journal does nothing by itself: it is handed over to be stepped.
    None(Arc<dyn StepJournal>),
}

/// Takes a journal that has no threads.
pub trait StepJournal: Send + Sync + 'static {
    /// The settings for it.
    fn options(&self, options: Options) -> Options;

    /// Takes it over.
    fn take(&self, journal: &Arc<Journal>, stepper: Stepper);
}
