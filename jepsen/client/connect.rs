//! How clients reach nodes: over TCP, or as a simulation has it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A connection to a node.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Connection for T {}

/// A connection to be.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Connection>>> + Send>>;

/// Opens connections.
pub trait Connect: Send + Sync + 'static {
    /// Connects to a node; they count from 1.
    fn connect(&self, node: u32) -> Connecting;
}

/// Nodes at these addresses.
pub(crate) struct Tcp(pub(crate) Vec<SocketAddr>);

impl Connect for Tcp {
    fn connect(&self, node: u32) -> Connecting {
        let address = self.0.get(node as usize - 1).copied();
        Box::pin(async move {
            let stream = TcpStream::connect(address.ok_or(io::ErrorKind::NotFound)?).await?;
            // It costs time only.
            let _ = stream.set_nodelay(true);
            Ok(Box::new(stream) as Box<dyn Connection>)
        })
    }
}
