//! One connection to one node, one request at a time. No pool and no retry: every request is one attempt, and its
//! outcome is known or it is not.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout, timeout_at};

use super::connect::{Connect, Tcp};
use crate::history::Failure;

/// The most that one answer may have; nothing here is larger.
const MAX_BODY_BYTES: usize = 64 << 20;

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) head: http::response::Parts,
    pub(crate) body: Bytes,
}

/// A connection to one node, made when it is needed.
pub(crate) struct Http {
    network: Arc<dyn Connect>,
    node: u32,
    timeout: Duration,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Http {
    /// To `address`; no request may take longer than `timeout` in all.
    pub(crate) fn new(address: SocketAddr, timeout: Duration) -> Self {
        Self::to(Arc::new(Tcp(vec![address])), 1, timeout)
    }

    /// To a node in some network.
    pub(crate) fn to(network: Arc<dyn Connect>, node: u32, timeout: Duration) -> Self {
        Self {
            network,
            node,
            timeout,
            sender: None,
        }
    }

    /// Another node from now on.
    pub(crate) fn turn_to(&mut self, node: u32) {
        if self.node != node {
            self.node = node;
            self.sender = None;
        }
    }

    /// How long a request may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Another limit for the requests to come.
    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Sends a request and waits for the whole answer.
    ///
    /// # Errors
    /// `refused` when no connection came about, so that nothing was sent; else `timeout` or `reset`.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Whole, Failure> {
        let deadline = Instant::now() + self.timeout;
        let response = self.start(request, deadline).await?;
        let (head, mut body) = response.into_parts();
        let mut bytes = BytesMut::new();
        loop {
            match timeout_at(deadline, body.frame()).await {
                Err(_) => return Err(self.lost("timeout")),
                Ok(None) => break,
                Ok(Some(Err(_))) => return Err(self.lost("reset")),
                Ok(Some(Ok(frame))) => bytes.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new())),
            }
            if bytes.len() > MAX_BODY_BYTES {
                return Err(self.lost("endless"));
            }
        }
        Ok(Whole {
            head,
            body: bytes.freeze(),
        })
    }

    /// Sends a request and gives the answer with its body still to come. The connection is not used again.
    ///
    /// # Errors
    /// As [`Http::send`].
    pub(crate) async fn open(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        let deadline = Instant::now() + self.timeout;
        let response = self.start(request, deadline).await;
        self.sender = None;
        response
    }

    async fn start(&mut self, request: Request<Full<Bytes>>, deadline: Instant) -> Result<Response<Incoming>, Failure> {
        let mut sender = match self.sender.take() {
            Some(sender) if sender.is_ready() => sender,
            _ => self.connect(deadline).await?,
        };
        match timeout_at(deadline, sender.send_request(request)).await {
            Ok(Ok(response)) => {
                self.sender = Some(sender);
                Ok(response)
            }
            Ok(Err(_)) => Err(Failure::transport("reset")),
            Err(_) => Err(Failure::transport("timeout")),
        }
    }

    async fn connect(&self, deadline: Instant) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let stream = match timeout_at(deadline, self.network.connect(self.node)).await {
            Ok(Ok(stream)) => stream,
            // Nothing was sent, whatever the reason.
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return Err(Failure::transport("refused"));
            }
            Ok(Err(_)) => return Err(Failure::transport("unreachable")),
            Err(_) => return Err(Failure::transport("timeout")),
        };
        let shaken = timeout(self.timeout, http1::handshake(TokioIo::new(stream))).await;
        let Ok(Ok((sender, connection))) = shaken else {
            return Err(Failure::transport("reset"));
        };
        tokio::spawn(connection);
        Ok(sender)
    }

    fn lost(&mut self, code: &str) -> Failure {
        self.sender = None;
        Failure::transport(code)
    }
}
