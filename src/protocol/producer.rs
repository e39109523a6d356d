//! Idempotent producers (protocol section 5.2.1).

use std::sync::Arc;

use thiserror::Error;

/// The largest epoch and sequence number: 2^53 - 1, what JavaScript can hold.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// The longest producer id, in bytes.
pub const MAX_PRODUCER_ID_BYTES: usize = 256;

/// The three producer headers of one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerHeaders {
    /// `Producer-Id`: 1 to [`MAX_PRODUCER_ID_BYTES`] bytes.
    pub id: Arc<str>,
    /// `Producer-Epoch`: 0 to [`MAX_SAFE_INTEGER`].
    pub epoch: u64,
    /// `Producer-Seq`: 0 to [`MAX_SAFE_INTEGER`].
    pub seq: u64,
}

/// Why the producer headers of a write are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProducerHeadersError {
    /// Some of the three are missing.
    #[error("Producer-Id, Producer-Epoch and Producer-Seq must be sent together")]
    Incomplete,
    /// The id is empty or too long.
    #[error("Producer-Id must have 1 to {MAX_PRODUCER_ID_BYTES} bytes")]
    Id,
    /// The epoch is not an integer in range.
    #[error("Producer-Epoch must be an integer from 0 to 2^53-1")]
    Epoch,
    /// The sequence number is not an integer in range.
    #[error("Producer-Seq must be an integer from 0 to 2^53-1")]
    Seq,
}

impl ProducerHeaders {
    /// Parses the three headers; all absent means no producer.
    ///
    /// # Errors
    /// [`ProducerHeadersError`], by the header that is wrong.
    pub fn parse(
        id: Option<&str>,
        epoch: Option<&str>,
        seq: Option<&str>,
    ) -> Result<Option<Self>, ProducerHeadersError> {
        let (id, epoch, seq) = match (id, epoch, seq) {
            (None, None, None) => return Ok(None),
            (Some(id), Some(epoch), Some(seq)) => (id, epoch, seq),
            _ => return Err(ProducerHeadersError::Incomplete),
        };
        if id.is_empty() || id.len() > MAX_PRODUCER_ID_BYTES {
            return Err(ProducerHeadersError::Id);
        }
        let epoch = safe_integer(epoch).ok_or(ProducerHeadersError::Epoch)?;
        let seq = safe_integer(seq).ok_or(ProducerHeadersError::Seq)?;
        Ok(Some(Self {
            id: id.into(),
            epoch,
            seq,
        }))
    }
}

fn safe_integer(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain
        .then(|| text.parse().ok())
        .flatten()
        .filter(|value| *value <= MAX_SAFE_INTEGER)
}

/// What a stream remembers of one producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerState {
    /// The highest epoch accepted.
    pub epoch: u64,
    /// The highest sequence number accepted in that epoch.
    pub last_seq: u64,
}

/// How a producer's write is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProducerCheck {
    /// New: append it and remember this state, in the same step.
    Accept(ProducerState),
    /// Already stored: answer as a success, append nothing.
    Duplicate(ProducerState),
    /// A newer epoch has been seen (403).
    Fenced {
        /// The epoch now in force.
        current_epoch: u64,
    },
    /// Sequence numbers are missing in between (409).
    Gap {
        /// The sequence number to send next.
        expected: u64,
        /// The one that came.
        received: u64,
    },
    /// A new epoch must begin at sequence number 0 (400).
    EpochMustStartAtZero,
}

/// The producer state machine: what `state` says to a write with `epoch` and `seq`.
///
/// A producer without state is new: its first write may carry any epoch, and must carry sequence number 0. A higher
/// number from an unknown producer is a gap, as the protocol's `lastSeq` of an unknown producer is -1.
#[must_use]
pub fn check(state: Option<ProducerState>, epoch: u64, seq: u64) -> ProducerCheck {
    let Some(state) = state else {
        return match seq {
            0 => ProducerCheck::Accept(ProducerState { epoch, last_seq: 0 }),
            received => ProducerCheck::Gap { expected: 0, received },
        };
    };
    if epoch < state.epoch {
        return ProducerCheck::Fenced {
            current_epoch: state.epoch,
        };
    }
    if epoch > state.epoch {
        return match seq {
            0 => ProducerCheck::Accept(ProducerState { epoch, last_seq: 0 }),
            _ => ProducerCheck::EpochMustStartAtZero,
        };
    }
    if seq <= state.last_seq {
        ProducerCheck::Duplicate(state)
    } else if seq == state.last_seq + 1 {
        ProducerCheck::Accept(ProducerState { epoch, last_seq: seq })
    } else {
        ProducerCheck::Gap {
            expected: state.last_seq + 1,
            received: seq,
        }
    }
}

/// What a producer's successful write answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerAck {
    /// The epoch in force.
    pub epoch: u64,
    /// The highest sequence number accepted in it.
    pub highest_seq: u64,
    /// Whether this very write had been stored before.
    pub duplicate: bool,
}
