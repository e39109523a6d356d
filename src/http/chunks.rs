//! Sending stored bytes as they are: no copy, and a length known in advance.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// A body of pieces that are already in memory.
struct Chunks {
    pieces: VecDeque<Bytes>,
    left: u64,
}

/// A body of these pieces, in order.
pub(crate) fn body(pieces: Vec<Bytes>) -> Body {
    let pieces: VecDeque<Bytes> = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
    let left = pieces.iter().map(|piece| piece.len() as u64).sum();
    Body::new(Chunks { pieces, left })
}

/// What answers have that may not have a body: answers to HEAD, 204 and 304. An empty body has a length, which axum
/// would send, and a `Content-Length` there speaks of the body that GET would get (RFC 9110 section 8.6).
struct NoBody;

/// No body, and no word about its length.
pub(crate) fn none() -> Body {
    Body::new(NoBody)
}

impl http_body::Body for NoBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    /// Unknown, so that nobody derives a header from it.
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.pop_front();
        self.left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
