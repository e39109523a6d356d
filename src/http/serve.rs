//! HTTP/1.1 and HTTP/2 without TLS on one port, and the graceful end.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use http::{Method, Request, Version};
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::Service;

use crate::guarded_io::GuardedIo;
use crate::limits::{
    ACCEPT_RETRY_PAUSE, H2_CONNECTION_WINDOW_BYTES, H2_PING_INTERVAL, H2_PING_TIMEOUT, H2_STREAM_WINDOW_BYTES,
    MAX_H2_HEADER_LIST_BYTES, MAX_H2_STREAMS, MAX_HEAD_BYTES, MAX_HEADER_FIELDS, MAX_REFUSALS, REFUSAL_TIMEOUT,
};
use crate::shutdown::ShutdownSignal;

/// How connections are bounded.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// How many may be open. Of some dozens of further ones the requests are marked, for the service to refuse, and they end
    /// after a moment; the others are cut at once.
    pub max_connections: usize,
    /// How long a request's head may take to arrive on HTTP/1.1, which is also how long a connection may be idle. Such a
    /// connection is closed without an answer.
    pub header_timeout: Duration,
    /// How long a client may take next to nothing of an answer before its connection is cut; up to twice as long where it
    /// takes a little.
    pub stall_timeout: Duration,
    /// How long what is in flight may take in the end.
    pub drain_timeout: Duration,
}

/// Marks a request of a connection that is one too many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Excess;

/// Serves `service` until `shutdown` fires; then accepts nothing more, lets what is in flight finish, cuts what is left
/// after a while, and returns.
///
/// # Errors
/// Never for a single connection's failure; only when the listener itself cannot be used.
pub async fn serve<S>(
    listener: TcpListener,
    service: S,
    shutdown: ShutdownSignal,
    limits: ConnectionLimits,
) -> io::Result<()>
where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    listener.local_addr()?;
    let builder = builder(limits.header_timeout);
    let room = Arc::new(Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS)));
    let refusals = Arc::new(Semaphore::new(MAX_REFUSALS));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_RETRY_PAUSE).await;
                    continue;
                }
            },
            // Ended tasks are taken out as they end, so that the set holds open connections only.
            Some(_) = connections.join_next() => continue,
            () = shutdown.fired() => break,
        };
        let (permit, is_excess) = match Arc::clone(&room).try_acquire_owned() {
            Ok(permit) => (permit, false),
            Err(_) => match Arc::clone(&refusals).try_acquire_owned() {
                Ok(permit) => (permit, true),
                Err(_) => continue,
            },
        };
        prepare(&stream);
        let io = GuardedIo::new(stream, limits.header_timeout, limits.stall_timeout);
        let (lane, outflow) = (io.lane(), io.outflow());
        let (client, service) = (Arc::clone(&outflow), TowerToHyperService::new(service.clone()));
        // Whoever answers a read may write past hyper, where the answer is the only one on its connection and goes out
        // in chunks. Appends are spared what that costs.
        let service = service_fn(move |mut request: Request<Incoming>| {
            if request.method() == Method::GET {
                request.extensions_mut().insert(Arc::clone(&client));
                if request.version() == Version::HTTP_11 {
                    request.extensions_mut().insert(Arc::clone(&lane));
                }
            }
            if is_excess {
                request.extensions_mut().insert(Excess);
            }
            service.call(request)
        });
        let io = TokioIo::new(io);
        let connection = graceful.watch(builder.serve_connection(io, service).into_owned());
        connections.spawn(async move {
            let _permit = permit;
            let broke = if is_excess {
                timeout(REFUSAL_TIMEOUT, connection).await.unwrap_or(Ok(())).err()
            } else {
                tokio::select! {
                    ended = connection => ended.err(),
                    () = outflow.stalled(limits.stall_timeout) => Some("its client takes nothing".into()),
                }
            };
            if let Some(error) = broke {
                tracing::debug!(%error, "a connection broke");
            }
        });
    }
    drop(listener);
    let open = connections.len();
    if timeout(limits.drain_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!(open, left = connections.len(), "requests still in flight were cut");
    }
    connections.shutdown().await;
    Ok(())
}

/// Answers are small and somebody waits for each of them, so none is held back to be sent with the next.
fn prepare(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
}

fn builder(header_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_headers(MAX_HEADER_FIELDS)
        .max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(H2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(H2_CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(MAX_H2_STREAMS)
        .max_header_list_size(MAX_H2_HEADER_LIST_BYTES)
        .keep_alive_interval(H2_PING_INTERVAL)
        .keep_alive_timeout(H2_PING_TIMEOUT);
    builder
}
