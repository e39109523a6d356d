//! Two deadlines that hyper does not have, kept where the bytes pass.
//!
//! A client that connects and sends nothing, or the beginning of HTTP/2's preface, would be waited for for ever: the
//! protocol is not known yet, so no protocol's own timeout runs. And a client that takes nothing of its answer would
//! hold on to that for ever.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{Sleep, sleep};

use crate::live::lane::Lane;
use crate::outflow::Outflow;

const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Answers up to this length are written in one piece.
const SHORT_BYTES: usize = 1024;

/// A client's connection.
#[derive(Debug)]
pub(crate) struct GuardedIo {
    reading: OwnedReadHalf,
    writing: Arc<Lane>,
    outflow: Arc<Outflow>,
    /// Until it is known which protocol the client speaks.
    opening: Option<Opening>,
    /// While the client takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
    stall_timeout: Duration,
}

#[derive(Debug)]
struct Opening {
    deadline: Pin<Box<Sleep>>,
    /// How much of HTTP/2's preface has come.
    matched: usize,
}

impl Opening {
    /// Whether these further bytes tell the protocol: the whole preface, or anything that is not a part of it.
    fn is_settled_by(&mut self, bytes: &[u8]) -> bool {
        let expected = H2_PREFACE.get(self.matched..).unwrap_or_default();
        self.matched += bytes.len();
        bytes.len() >= expected.len() || !expected.starts_with(bytes)
    }
}

impl GuardedIo {
    pub(crate) fn new(stream: TcpStream, opening_timeout: Duration, stall_timeout: Duration) -> Self {
        let (reading, writing) = stream.into_split();
        Self {
            reading,
            writing: Arc::new(Lane::new(writing)),
            outflow: Arc::default(),
            opening: Some(Opening {
                deadline: Box::pin(sleep(opening_timeout)),
                matched: 0,
            }),
            stall: None,
            stall_timeout,
        }
    }

    /// The way out, for those who may use it beside hyper.
    pub(crate) fn lane(&self) -> Arc<Lane> {
        Arc::clone(&self.writing)
    }

    /// What the client takes of its answers.
    pub(crate) fn outflow(&self) -> Arc<Outflow> {
        Arc::clone(&self.outflow)
    }

    fn count(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.outflow.took(*bytes);
        }
    }

    fn watch_write<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        if self.writing.took_some() {
            self.stall = None;
        }
        let timeout = self.stall_timeout;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(timeout)));
        stall.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for GuardedIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.reading).poll_read(cx, buf);
        let Some(opening) = &mut self.opening else {
            return read;
        };
        if read.is_pending() {
            return opening
                .deadline
                .as_mut()
                .poll(cx)
                .map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        if opening.is_settled_by(&buf.filled()[before..]) {
            self.opening = None;
        }
        read
    }
}

impl AsyncWrite for GuardedIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.writing.poll_write(cx, buf);
        self.count(&written);
        self.watch_write(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A short answer costs less as one piece: the kernel's way for several takes longer than to copy them.
        let bytes = bufs.iter().map(|buf| buf.len()).sum();
        if bytes <= SHORT_BYTES {
            let mut piece = [0; SHORT_BYTES];
            let mut filled = 0;
            for buf in bufs {
                piece[filled..filled + buf.len()].copy_from_slice(buf);
                filled += buf.len();
            }
            return self.poll_write(cx, &piece[..bytes]);
        }
        let written = self.writing.poll_write_vectored(cx, bufs);
        self.count(&written);
        self.watch_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.writing.poll_flush(cx);
        self.watch_write(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writing.poll_shutdown(cx)
    }
}
