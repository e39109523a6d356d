//! Nodes' connections over the simulated network.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use futures_util::stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};
use weir_cluster::{Connect, Connection, PeerListener};

use crate::trace;

/// Where nodes are reached by nodes and by clients.
pub const PEER_PORT: u16 = 4436;
/// See [`PEER_PORT`].
pub const CLIENT_PORT: u16 = 4437;

/// A host's name.
#[must_use]
pub fn node_name(node: usize) -> String {
    format!("n{node}")
}

/// Connects to other hosts.
pub struct SimNetwork;

impl Connect for SimNetwork {
    fn connect(&self, address: &str) -> BoxFuture<'static, io::Result<Box<dyn Connection>>> {
        let address = address.to_owned();
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            Ok(Box::new(Traced(stream)) as Box<dyn Connection>)
        })
    }
}

/// Listens for other nodes.
///
/// # Errors
/// When the port is in use.
pub async fn listen_for_peers() -> io::Result<PeerListener> {
    let listener = TcpListener::bind(("0.0.0.0", PEER_PORT)).await?;
    let incoming = stream::unfold(listener, |listener| async move {
        let accepted = listener.accept().await;
        let stream = accepted.map(|(stream, _)| Box::new(Traced(stream)) as Box<dyn Connection>);
        Some((stream, listener))
    });
    Ok(PeerListener::Other(Box::pin(incoming)))
}

/// A connection whose bytes are part of the trace.
pub struct Traced(pub TcpStream);

impl AsyncRead for Traced {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Traced {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.0).poll_write(cx, bytes);
        if let Poll::Ready(Ok(length)) = written {
            let port = self.0.local_addr().map_or(0, |address| address.port());
            trace::hash(200, bytes.get(..length).unwrap_or_default(), u64::from(port));
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
