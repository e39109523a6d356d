//! Errors, one enum per operation. The front end maps each variant to one HTTP status, in one place.

use thiserror::Error;

use crate::content_type::ContentType;
use crate::offset::Offset;

/// What can go wrong with any operation, whatever its input.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// Nothing was done; the same request may succeed after a while.
    #[error("the service cannot take this request now: {0}")]
    Unavailable(&'static str),
    /// The server's queue for this stream's group is full; nothing was done.
    #[error("too many requests are waiting")]
    Overloaded,
    /// The write may or may not have been done. Retry with producer headers.
    #[error("the outcome of this write is unknown")]
    OutcomeUnknown,
    /// The write is larger than the server's log takes in one piece, whatever `max_body_bytes` says; nothing was done.
    #[error("this write is larger than can be replicated in one piece")]
    TooLarge,
    /// The disk is full; nothing was done.
    #[error("no space is left to store this write")]
    StorageFull,
    /// The storage failed. The text is for the log, not for the client.
    #[error("the storage failed: {0}")]
    Storage(String),
}

/// Why a stream was not created.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CreateError {
    /// A stream with another configuration or closed state has this name.
    #[error("a stream with a different {0} exists under this name")]
    ConfigMismatch(&'static str),
    /// The name is held by a deleted or expired stream whose forks live on.
    #[error("this name belongs to a deleted stream that still has forks")]
    NameHeld,
    /// The fork's source does not exist.
    #[error("the source stream does not exist")]
    SourceNotFound,
    /// The fork's source is deleted and kept only for its forks.
    #[error("the source stream is deleted")]
    SourceGone,
    /// The fork names a content type that is not its source's.
    #[error("the source stream has content type '{0}'")]
    SourceTypeMismatch(ContentType),
    /// `Stream-Fork-Offset` lies past the source's tail.
    #[error("the fork offset lies past the source's tail")]
    ForkOffsetBeyondTail,
    /// `Stream-Fork-Offset` lies inside a JSON message.
    #[error("the fork offset is not one that the source returned")]
    ForkOffsetInvalid,
    /// `Stream-Fork-Sub-Offset` names a position past the data that it may split.
    #[error("the fork sub-offset lies past the source's next data boundary")]
    ForkSubOffsetOvershoot,
    /// The stream would pass the largest offset.
    #[error("the stream is at its largest size")]
    TooLong,
    /// What the fork needs of its source is in another group. Never leaves a cluster's router.
    #[error("the source stream is kept elsewhere")]
    Elsewhere,
    /// See [`Fault`].
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why nothing was appended or closed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AppendError {
    /// No such stream.
    #[error("the stream does not exist")]
    NotFound,
    /// The stream is deleted and kept only for its forks.
    #[error("the stream is deleted")]
    Gone,
    /// The stream is closed and this is not a repetition of what closed it.
    #[error("the stream is closed")]
    Closed {
        /// Where it ends.
        next_offset: Offset,
    },
    /// The body's content type is not the stream's.
    #[error("the stream has content type '{0}'")]
    ContentTypeMismatch(ContentType),
    /// `Stream-Seq` is not above the last one.
    #[error("Stream-Seq is not greater than the last one")]
    StreamSeqRegression,
    /// The producer's epoch is stale.
    #[error("a newer epoch of this producer has written")]
    EpochFenced {
        /// The epoch in force.
        current_epoch: u64,
    },
    /// The producer skipped sequence numbers.
    #[error("expected Producer-Seq {expected}, received {received}")]
    SequenceGap {
        /// The number to send next.
        expected: u64,
        /// The number that came.
        received: u64,
    },
    /// A new epoch did not begin with sequence number 0.
    #[error("a new Producer-Epoch must start with Producer-Seq 0")]
    EpochMustStartAtZero,
    /// The stream would pass the largest offset.
    #[error("the stream is at its largest size")]
    TooLong,
    /// See [`Fault`].
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why nothing was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeleteError {
    /// No such stream.
    #[error("the stream does not exist")]
    NotFound,
    /// Already deleted, and kept only for its forks.
    #[error("the stream is deleted")]
    Gone,
    /// See [`Fault`].
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why there is no metadata.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HeadError {
    /// No such stream.
    #[error("the stream does not exist")]
    NotFound,
    /// The stream is deleted and kept only for its forks.
    #[error("the stream is deleted")]
    Gone,
    /// See [`Fault`].
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why nothing was read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// No such stream.
    #[error("the stream does not exist")]
    NotFound,
    /// The stream is deleted and kept only for its forks.
    #[error("the stream is deleted")]
    Gone,
    /// The offset lies past the tail.
    #[error("the offset lies past the stream's tail")]
    OffsetBeyondTail,
    /// The offset lies inside a JSON message.
    #[error("the offset is not one that this stream returned")]
    OffsetInvalid,
    /// The read begins in what the stream inherited from another group's. Never leaves a cluster's router.
    #[error("the beginning of the stream is kept elsewhere")]
    Elsewhere,
    /// See [`Fault`].
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why there is no list.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ListError {
    /// See [`Fault`].
    #[error(transparent)]
    Fault(#[from] Fault),
}
