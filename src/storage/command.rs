//! What is applied to a store, and what it answers.

use bytes::Bytes;
use weir_protocol::{
    Append, AppendError, Appended, ContentType, Create, CreateError, Created, DeleteError, ForkRequest, Lifetime,
    StreamName, TailEvent, Timestamp,
};

use crate::reference::{Boundary, Given, Probed, Reference, Retained};

/// Commands that are applied together, in order, in one transaction.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The commands.
    pub commands: Vec<Command>,
    /// Kept with the changes and given back by [`crate::Storage::applied`]: how far the replicated log was applied. A
    /// batch that carries it is always committed.
    pub applied: Option<Bytes>,
    /// Whether the batch must survive a power loss when [`crate::Storage::apply`] returns. Without it, it is there
    /// after the next durable batch or checkpoint; a crash before that takes it back, together with all that came
    /// after it.
    pub durable: bool,
}

/// One operation, with the time at which it happens.
#[derive(Debug, Clone)]
pub struct Command {
    /// When. Within one store it should not run backwards; where it does, the stream's own times still do not.
    pub at: Timestamp,
    /// What.
    pub op: Op,
}

/// What a command does.
#[derive(Debug, Clone)]
pub enum Op {
    /// Create a stream or a fork.
    Create(StreamName, Create),
    /// Create a fork of which something is known already, because its source or the source's bytes are another group's.
    /// Only redb keeps what this, a retain and a release change: the other backends serve a single group.
    Fork(StreamName, Create, Given),
    /// Append, close, or both.
    Append(StreamName, Append),
    /// Delete a stream.
    Delete(StreamName),
    /// Begin a stream's TTL anew, because it was read.
    Touch(StreamName),
    /// Remove up to `limit` streams whose deadline is at or before `cutoff`.
    Expire {
        /// Streams that end later than this stay.
        cutoff: Timestamp,
        /// How many are looked at, at most.
        limit: usize,
    },
    /// Keep a source for a fork in another group.
    Retain(Retain),
    /// The fork of this reference is gone, or was never made: keep its source for it no longer.
    Release(Reference),
    /// A release from this group's outbox was done: forget it.
    Settle {
        /// Of the reference.
        fork_id: u64,
    },
    /// Is the fork of this reference there, or can it still be made? Changes nothing; it is a command because its time
    /// has to come after every create before it, and before every one after it.
    Probe(Reference),
}

/// See [`Op::Retain`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retain {
    /// Where the fork leaves which source.
    pub request: ForkRequest,
    /// What was asked for, as in [`Create`].
    pub content_type: Option<ContentType>,
    /// What was asked for, as in [`Create`].
    pub lifetime: Lifetime,
    /// The fork.
    pub fork: StreamName,
    /// Names this attempt to make it, among all of them.
    pub fork_id: u64,
    /// The boundary, if it had to be found by reading.
    pub boundary: Option<Boundary>,
}

/// What a command answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Of [`Op::Create`] and [`Op::Fork`].
    Create(Result<Created, CreateError>),
    /// Of [`Op::Append`].
    Append(Result<Appended, AppendError>),
    /// Of [`Op::Delete`].
    Delete(Result<(), DeleteError>),
    /// Of [`Op::Touch`]: nothing that anybody waits for.
    Touch,
    /// Of [`Op::Expire`].
    Expire(Expired),
    /// Of [`Op::Retain`]; refused as the create would be.
    Retain(Result<Retained, CreateError>),
    /// Of [`Op::Release`].
    Release,
    /// Of [`Op::Settle`].
    Settle,
    /// Of [`Op::Probe`].
    Probe(Probed),
}

/// What [`Op::Expire`] found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expired {
    /// How many streams are gone now.
    pub removed: usize,
    /// Whether the limit ended the search.
    pub more: bool,
}

/// What a batch answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// One per command, in order.
    pub outcomes: Vec<Outcome>,
    /// What those who watch a stream must learn, in order.
    pub changes: Vec<Change>,
}

/// A stream reaches further, or is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The stream.
    pub name: StreamName,
    /// What happened.
    pub event: TailEvent,
}
