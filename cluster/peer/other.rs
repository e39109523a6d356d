//! Connections that are not TCP, as tonic takes them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::transport::server::Connected;

use crate::platform::{Connect, Connection};

/// Opens connections for one endpoint.
pub(super) struct Connector(pub(super) Arc<dyn Connect>);

impl Service<Uri> for Connector {
    type Response = TokioIo<Other>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TokioIo<Other>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let address = uri.authority().map_or("", |authority| authority.as_str());
        let connecting = self.0.connect(address);
        Box::pin(async move { Ok(TokioIo::new(Other(connecting.await?))) })
    }
}

/// A connection.
pub(super) struct Other(pub(super) Box<dyn Connection>);

impl Connected for Other {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Other {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Other {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}
