//! The contract that every backend meets.

use std::collections::BTreeMap;

use bytes::Bytes;
use weir_protocol::producer::ProducerState;
use weir_protocol::{
    Append, AppendError, Appended, ContentType, Create, CreateError, Created, DeleteError, Fault, HeadError,
    Incarnation, ListError, ListPage, ListRequest, Offset, ReadError, ReadFrom, ReadResult, StreamMetadata, StreamName,
    Timestamp,
};

use crate::command::{Applied, Batch, Command, Op, Outcome};
use crate::error::StorageError;
use crate::reference::{Elsewhere, Fetched, Reference, ReferenceCursor, ReferencePage};

/// Persistent streams.
///
/// Synchronous: calls may block on the disk. Shared between threads: one batch is applied at a time, reads go on
/// meanwhile and see the store before or after a batch, never in between.
///
/// Every backend keeps these promises:
/// - offsets of a stream only grow, and what lies behind an offset never changes;
/// - a command is applied whole or not at all, and so is a batch;
/// - a producer's repeated append stores nothing and answers as the first;
/// - a read is a coherent snapshot, and says truthfully whether it reached the tail;
/// - an expired stream behaves as if it did not exist, from its deadline on;
/// - a deleted stream with forks is kept for them, and goes with the last of them.
///
/// Compared with the single-node contract that this one grew from: time is an argument, never taken from a clock;
/// a batch is one transaction; create takes a fork and a body; append, append of a batch, append with a producer and
/// close are one operation, so that any of them combine atomically; reads take a limit; and nobody subscribes here
/// (see the crate's documentation).
pub trait Storage: Send + Sync + 'static {
    /// Applies a batch in one transaction. The answers of its commands may be told only after this returned.
    ///
    /// # Errors
    /// [`StorageError`]; then nothing of the batch was applied.
    fn apply(&self, batch: Batch) -> Result<Applied, StorageError>;

    /// Whether [`Storage::apply`] of a small batch that need not be durable might have to wait for the disk or for others
    /// now, beyond reading the few pages that it needs. Costs next to nothing, and is a guess: it may be otherwise a moment
    /// later.
    fn may_block(&self) -> bool {
        false
    }

    /// Reads from `from` on, whole messages of at most `max_bytes` stored bytes together; at least one message where
    /// there is one. Does not renew a TTL: that is [`Op::Touch`].
    ///
    /// # Errors
    /// [`ReadError`]; [`ReadError::Elsewhere`] where the read begins in what a fork inherited from another group:
    /// [`Storage::inherited`] tells from which stream.
    fn read(&self, name: &StreamName, from: ReadFrom, max_bytes: u64, now: Timestamp) -> Result<ReadResult, ReadError>;

    /// Describes a stream whose beginning is another group's.
    ///
    /// # Errors
    /// [`ReadError`]; a fault when the stream has no such beginning.
    fn inherited(&self, _name: &StreamName, _now: Timestamp) -> Result<Inherited, ReadError> {
        Err(NO_GROUPS.into())
    }

    /// Reads what another group's stream inherited from one of this store's: from `from` on, up to
    /// [`Elsewhere::until`], whole messages as in [`Storage::read`]. Hidden streams, kept for their forks, are read
    /// like any other.
    ///
    /// # Errors
    /// [`ReadError`].
    fn fetch(&self, _place: &Elsewhere, _from: Offset, _max_bytes: u64) -> Result<Fetched, ReadError> {
        Err(NO_GROUPS.into())
    }

    /// Up to `limit` releases that other groups must be told of.
    ///
    /// # Errors
    /// [`StorageError`].
    fn outbox(&self, _limit: usize) -> Result<Vec<Reference>, StorageError> {
        Ok(Vec::new())
    }

    /// References that streams of this store have from forks in other groups, after `after`. Looks at `limit` entries
    /// or few more.
    ///
    /// # Errors
    /// [`StorageError`].
    fn references(&self, _after: Option<&ReferenceCursor>, _limit: usize) -> Result<ReferencePage, StorageError> {
        Ok(ReferencePage::default())
    }

    /// Describes a stream.
    ///
    /// # Errors
    /// [`HeadError`].
    fn head(&self, name: &StreamName, now: Timestamp) -> Result<StreamMetadata, HeadError>;

    /// One page of the streams that exist at `now`, ordered by name.
    ///
    /// # Errors
    /// [`ListError`].
    fn list_streams(&self, request: &ListRequest, now: Timestamp) -> Result<ListPage, ListError>;

    /// What the last batch that had it put into [`Batch::applied`]; `None` in a new store.
    ///
    /// # Errors
    /// [`StorageError`].
    fn applied(&self) -> Result<Option<Bytes>, StorageError>;

    /// Whether batches with so many payload bytes together fit the disk, with something to spare, or can be held in memory
    /// until they do. Whoever may not lose a batch asks first, and waits.
    ///
    /// # Errors
    /// [`StorageError`].
    fn has_room(&self, _payload_bytes: u64) -> Result<bool, StorageError> {
        Ok(true)
    }

    /// Makes durable whatever was applied before the call. Closing a store does not.
    ///
    /// # Errors
    /// [`StorageError`].
    fn checkpoint(&self) -> Result<(), StorageError>;

    /// A checkpoint in two parts, so that others need not wait for the disk: sets apart what was applied before the call,
    /// with `applied` as [`Batch::applied`], and returns what makes exactly that durable. Between the two, others read
    /// and apply.
    ///
    /// # Errors
    /// [`StorageError`], of either part.
    fn begin_checkpoint(&self, applied: Bytes) -> Result<PendingCheckpoint, StorageError> {
        self.apply(Batch {
            commands: Vec::new(),
            applied: Some(applied),
            durable: true,
        })?;
        Ok(Box::new(|| Ok(())))
    }

    /// About how many bytes of memory changes take that a checkpoint would write.
    fn held_bytes(&self) -> u64 {
        0
    }

    /// Does a bounded piece of housekeeping (reclaiming what deleted streams held, packing small rows) and says whether
    /// more is waiting. Never changes what anybody reads.
    ///
    /// # Errors
    /// [`StorageError`].
    fn maintain(&self) -> Result<bool, StorageError>;

    /// Whether [`Op::Expire`] with this cutoff would find anything to do.
    ///
    /// # Errors
    /// [`StorageError`].
    fn has_due(&self, cutoff: Timestamp) -> Result<bool, StorageError>;

    /// A view of the whole store as pieces of bytes; `None` from a backend that has no such form.
    ///
    /// # Errors
    /// [`StorageError`].
    fn export(&self) -> Result<Option<Box<dyn Export>>, StorageError> {
        Ok(None)
    }

    /// Whether a stream exists at `now`.
    ///
    /// # Errors
    /// [`Fault`].
    fn exists(&self, name: &StreamName, now: Timestamp) -> Result<bool, Fault> {
        match self.head(name, now) {
            Ok(_) => Ok(true),
            Err(HeadError::NotFound | HeadError::Gone) => Ok(false),
            Err(HeadError::Fault(fault)) => Err(fault),
        }
    }

    /// Creates one stream or fork, durably.
    ///
    /// # Errors
    /// [`CreateError`].
    fn create_stream(&self, name: &StreamName, create: Create, at: Timestamp) -> Result<Created, CreateError> {
        match self.apply_one(Op::Create(name.clone(), create), at) {
            Ok(Outcome::Create(result)) => result,
            other => Err(CreateError::Fault(unexpected(other))),
        }
    }

    /// Appends to one stream, closes it, or both, durably.
    ///
    /// # Errors
    /// [`AppendError`].
    fn append(&self, name: &StreamName, append: Append, at: Timestamp) -> Result<Appended, AppendError> {
        match self.apply_one(Op::Append(name.clone(), append), at) {
            Ok(Outcome::Append(result)) => result,
            other => Err(AppendError::Fault(unexpected(other))),
        }
    }

    /// Closes one stream, durably; closing a closed one changes nothing.
    ///
    /// # Errors
    /// [`AppendError`].
    fn close_stream(&self, name: &StreamName, at: Timestamp) -> Result<Appended, AppendError> {
        self.append(name, Append::close(), at)
    }

    /// Deletes one stream, durably.
    ///
    /// # Errors
    /// [`DeleteError`].
    fn delete(&self, name: &StreamName, at: Timestamp) -> Result<(), DeleteError> {
        match self.apply_one(Op::Delete(name.clone()), at) {
            Ok(Outcome::Delete(result)) => result,
            other => Err(DeleteError::Fault(unexpected(other))),
        }
    }

    /// Removes every stream whose deadline has passed at `at`, durably, and says how many.
    ///
    /// # Errors
    /// [`StorageError`].
    fn cleanup_expired_streams(&self, at: Timestamp) -> Result<usize, StorageError> {
        let limit = 1000;
        let mut removed = 0;
        loop {
            let Outcome::Expire(expired) = self.apply_one(Op::Expire { cutoff: at, limit }, at)? else {
                return Ok(removed);
            };
            removed += expired.removed;
            if !expired.more {
                return Ok(removed);
            }
        }
    }

    /// Applies one command, durably.
    ///
    /// # Errors
    /// [`StorageError`].
    fn apply_one(&self, op: Op, at: Timestamp) -> Result<Outcome, StorageError> {
        let batch = Batch {
            commands: vec![Command { at, op }],
            applied: None,
            durable: true,
        };
        let outcome = self.apply(batch)?.outcomes.pop();
        outcome.ok_or_else(|| StorageError::Failed("a command was not answered".to_owned()))
    }
}

/// A stream whose beginning is another group's, and where that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inherited {
    /// Which life of the stream.
    pub incarnation: Incarnation,
    /// Its type.
    pub content_type: ContentType,
    /// Where it ends.
    pub tail: Offset,
    /// Whether it is closed.
    pub closed: bool,
    /// Of a stream with a TTL: when it will be gone unless something touches it.
    pub ttl_deadline: Option<Timestamp>,
    /// In whose bytes the beginning lies, and how far.
    pub place: Elsewhere,
}

const NO_GROUPS: Fault = Fault::Unavailable("this backend has no streams of several groups");

/// A coherent view of a whole store, piece by piece. Holding it costs space: the store keeps what it shows.
pub trait Export: Send + Sync {
    /// The piece after `cursor` (the first, when that is empty) of about `max_bytes`, and the cursor behind it; no
    /// cursor behind the last one.
    ///
    /// # Errors
    /// [`StorageError`].
    fn piece(&self, cursor: &Bytes, max_bytes: usize) -> Result<(Bytes, Option<Bytes>), StorageError>;

    /// A hash of all that stores have in common that applied the same commands in the same order. How the commands were
    /// batched, what [`Batch::applied`] holds and how far housekeeping has come does not count. Reads the whole store.
    ///
    /// # Errors
    /// [`StorageError`], also for damage that is found on the way.
    fn digest(&self) -> Result<u128, StorageError>;

    /// What each stream that clients see remembers of its producers.
    ///
    /// # Errors
    /// [`StorageError`], also for damage that is found on the way.
    fn producers(&self) -> Result<ProducerTable, StorageError>;
}

/// By stream, by producer.
pub type ProducerTable = BTreeMap<StreamName, BTreeMap<String, ProducerState>>;

/// The second part of a checkpoint. It blocks, and may be called on any thread.
pub type PendingCheckpoint = Box<dyn FnOnce() -> Result<(), StorageError> + Send>;

/// A store that is made from the pieces of an export, in order.
pub trait Import: Send {
    /// Takes the next piece.
    ///
    /// # Errors
    /// [`StorageError`].
    fn put(&mut self, piece: Bytes) -> Result<(), StorageError>;

    /// Makes the store durable. It can be opened after that.
    ///
    /// # Errors
    /// [`StorageError`].
    fn finish(self: Box<Self>) -> Result<(), StorageError>;
}

fn unexpected(answer: Result<Outcome, StorageError>) -> Fault {
    match answer {
        Ok(outcome) => Fault::Storage(format!("a command had another command's answer: {outcome:?}")),
        Err(error) => error.into(),
    }
}
