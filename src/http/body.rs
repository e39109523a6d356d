//! Receiving a request's body: whole, under a limit, a deadline and a budget that all requests share.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, EXPECT};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use thiserror::Error;
use tokio::time::Instant;

use crate::budget::{Budget, OverBudget, Reservation};
use crate::limits::{LINGER_BYTES, LINGER_TIMEOUT};

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum BodyError {
    /// Announced or found to be larger than the limit.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// Not all of it arrived in time.
    #[error("the body did not arrive in time")]
    TimedOut,
    /// The connection broke, or the framing is wrong.
    #[error("the body ended before it was complete")]
    Incomplete,
    /// Other requests' bodies fill the memory that is set aside for them.
    #[error("too many request bodies are being received")]
    OverBudget,
}

impl From<OverBudget> for BodyError {
    fn from(_: OverBudget) -> Self {
        Self::OverBudget
    }
}

/// How much may be received, and how long that may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance<'a> {
    pub(crate) max_bytes: u64,
    pub(crate) timeout: Duration,
    pub(crate) budget: &'a Arc<Budget>,
}

/// A body that has yet to be received.
pub(crate) struct Incoming {
    body: Body,
    announced: Option<u64>,
    /// The client holds its body back until it is asked for it, which the first poll does.
    held_back: bool,
}

impl Incoming {
    pub(crate) fn new(headers: &HeaderMap, body: Body) -> Self {
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse().ok());
        Self {
            body,
            announced,
            held_back: headers.contains_key(EXPECT),
        }
    }

    /// Receives all of it. The bytes count against the budget until the [`Reservation`] is dropped.
    pub(crate) async fn receive(&mut self, allowance: Allowance<'_>) -> Result<(Bytes, Reservation), BodyError> {
        let limit = allowance.max_bytes;
        if self.announced.is_some_and(|announced| announced > limit) {
            return Err(BodyError::TooLarge { limit });
        }
        self.held_back = false;
        let deadline = Instant::now() + allowance.timeout;
        let mut reservation = Reservation::new(allowance.budget);
        let mut received = Bytes::new();
        // The second piece makes a copy necessary; most bodies come in one.
        let mut pieces: Option<BytesMut> = None;
        let mut total = 0_u64;
        loop {
            let frame = match tokio::time::timeout_at(deadline, self.body.frame()).await {
                Err(_) => return Err(BodyError::TimedOut),
                Ok(None) => break,
                Ok(Some(Err(_))) => return Err(BodyError::Incomplete),
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            total += data.len() as u64;
            if total > limit {
                return Err(BodyError::TooLarge { limit });
            }
            reservation.resize(total)?;
            match &mut pieces {
                Some(pieces) => pieces.extend_from_slice(&data),
                None if received.is_empty() => received = data,
                None => {
                    let expected = self.announced.unwrap_or(total * 2).clamp(total, limit);
                    let mut first = BytesMut::with_capacity(usize::try_from(expected).unwrap_or(0));
                    first.extend_from_slice(&received);
                    first.extend_from_slice(&data);
                    pieces = Some(first);
                }
            }
        }
        if self.announced.is_some_and(|announced| announced != total) {
            return Err(BodyError::Incomplete);
        }
        Ok((pieces.map_or(received, BytesMut::freeze), reservation))
    }

    /// Reads on for a while what is still coming, and drops it. Without this the connection is closed under a client
    /// that is still sending, whose system then throws away the answer that says why.
    pub(crate) fn linger(self) {
        let mut body = self.body;
        if self.held_back || body.is_end_stream() {
            return;
        }
        tokio::spawn(async move {
            let deadline = Instant::now() + LINGER_TIMEOUT;
            let mut left = LINGER_BYTES;
            while let Ok(Some(Ok(frame))) = tokio::time::timeout_at(deadline, body.frame()).await {
                left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len) as u64);
                if left == 0 {
                    return;
                }
            }
        });
    }
}
