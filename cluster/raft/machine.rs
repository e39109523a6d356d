//! What a replica replicates, as a trait.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use weir_proto::raft as pb;
use weir_storage::Outcome;

/// How far a machine has come, in Raft's terms: what it stores with its state and gives back after a restart.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Position {
    /// The last entry applied.
    pub(crate) log_id: Option<pb::LogId>,
    /// The last membership applied.
    pub(crate) membership: pb::StoredMembership,
}

impl Position {
    /// The index of the last entry applied; 0 when there is none.
    pub(crate) fn index(&self) -> u64 {
        self.log_id.as_ref().map_or(0, |log_id| log_id.index)
    }
}

/// One committed entry.
#[derive(Debug, Clone)]
pub(crate) struct LogEntry {
    /// The command; nothing in an entry that is Raft's own.
    pub(crate) command: Option<Bytes>,
}

/// What applying an entry answered, to whoever proposed it on this replica.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// An entry of Raft's own.
    Nothing,
    /// One for each proposal in the entry; nothing for one that nobody waits for.
    Streams(Vec<Option<Outcome>>),
    /// Of a meta command: its encoded outcome.
    Meta(Bytes),
}

/// A replicated state machine. Calls block; one write call is made at a time.
pub(crate) trait Machine: Send + Sync + 'static {
    /// How far the stored state has come.
    fn position(&self) -> io::Result<Position>;

    /// Whether entries of so many bytes can be applied now. What is committed has to be applied at some time, so whoever
    /// applies waits until there is space.
    fn has_room(&self, _bytes: u64) -> io::Result<bool> {
        Ok(true)
    }

    /// Applies committed entries in order; `position` is what holds after the last of them. Need not be durable.
    fn apply(&self, entries: Vec<LogEntry>, position: Position) -> io::Result<Vec<Answer>>;

    /// Whether applying a few small entries might have to wait for the disk or for others now. A guess that costs next to
    /// nothing.
    fn may_block(&self) -> bool {
        false
    }

    /// Sets apart what was applied; the returned work, which blocks, makes that durable while others go on applying. The
    /// log is durable up to there when this is called, unless the state came by snapshot: its last entry is `log_end`. Fails
    /// as [`io::ErrorKind::StorageFull`] when it can be tried again later.
    fn begin_checkpoint(&self, log_end: u64) -> io::Result<PendingCheckpoint>;

    /// A view of the state as it is now. All that was applied is in a checkpoint when this is called.
    fn snapshot(&self) -> io::Result<(Position, Arc<dyn SnapshotSource>)>;

    /// Whether the state came by snapshot, and no checkpoint was made since that the log reached to: then it may be ahead of
    /// the log.
    fn came_by_snapshot(&self) -> bool;

    /// A hash of the state, and how far it had come. Reads all of it, while entries go on being applied.
    fn state_hash(&self) -> io::Result<StateHash>;

    /// Where a snapshot that is being received goes. What an earlier attempt left is discarded.
    fn receive(&self) -> io::Result<Box<dyn SnapshotSink>>;

    /// Replaces the state by a received snapshot, at once or not at all.
    fn install(&self, staged: Staged, position: Position) -> io::Result<()>;
}

/// The second part of a checkpoint.
pub(crate) type PendingCheckpoint = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// What two replicas have in common that have applied the same entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StateHash {
    /// The index of the last entry applied.
    pub(crate) applied: u64,
    /// Of everything that follows from the log up to there.
    pub(crate) hash: u128,
}

/// A snapshot's bytes, piece by piece.
pub(crate) trait SnapshotSource: Send + Sync {
    /// The piece after `cursor` (the first when that is empty), of about `max_bytes`, and the cursor behind it;
    /// no cursor after the last piece.
    fn piece(&self, cursor: &Bytes, max_bytes: usize) -> io::Result<(Bytes, Option<Bytes>)>;
}

/// Takes a snapshot's pieces in order.
pub(crate) trait SnapshotSink: Send {
    /// Takes the next piece.
    fn put(&mut self, piece: Bytes) -> io::Result<()>;

    /// Makes everything durable, ready to be installed.
    fn finish(self: Box<Self>) -> io::Result<Staged>;
}

/// A received snapshot, ready to be installed: what that means is the machine's own affair.
pub(crate) struct Staged(pub(crate) Box<dyn std::any::Any + Send + Sync>);
