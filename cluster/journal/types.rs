//! Names and values that callers exchange with the journal.

use bytes::Bytes;

use crate::error::Failure;
use crate::limits::WRITE_TIME_BOUNDS_US;

/// One replica of one group: the unit that owns a log. Replica ids are never used twice within a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplicaKey {
    /// The Raft group.
    pub group: u64,
    /// The replica of it that lives on this node.
    pub replica: u64,
}

/// The leader that proposed an entry: what a Raft log id holds besides the index. Opaque to the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Leader {
    /// Term of the leader.
    pub term: u64,
    /// Id of the leader within its group.
    pub node: u64,
}

/// Position of an entry together with who proposed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogId {
    /// Who proposed the entry.
    pub leader: Leader,
    /// Position in the log.
    pub index: u64,
}

impl LogId {
    /// A log id from its parts.
    pub fn new(term: u64, node: u64, index: u64) -> Self {
        LogId {
            leader: Leader { term, node },
            index,
        }
    }
}

/// One entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its position.
    pub id: LogId,
    /// Its content, opaque to the journal.
    pub payload: Bytes,
}

/// What the journal knows of one replica besides its entries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplicaState {
    /// The last vote, as saved.
    pub vote: Option<Bytes>,
    /// The last purge point.
    pub last_purged: Option<LogId>,
    /// Index of the first entry held, if any entry is held.
    pub first_index: Option<u64>,
    /// The last entry held, or the purge point when none is held.
    pub last: Option<LogId>,
    /// The last committed position that was saved: a hint, possibly behind.
    pub committed: Option<LogId>,
}

/// Called once when the submission it belongs to is durable or has failed. Runs on the writer's thread: it must not
/// block and must not submit to the journal.
pub type Callback = Box<dyn FnOnce(Result<(), Failure>) + Send>;

/// How much room there is for entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpaceStatus {
    /// The next segments are ready or being made.
    Ok,
    /// The disk refused a further segment; what is reserved still takes entries.
    Low,
    /// Entries are refused; votes, truncations and purges still work from the reserve.
    Full,
}

/// Counters and gauges of a journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Segments that hold live records or are being written.
    pub segments: u64,
    /// Segments ready to be written.
    pub spare_segments: u64,
    /// Bytes that wait for the writer.
    pub queued_bytes: u64,
    /// Bytes held by the entry cache, overhead included.
    pub cached_bytes: u64,
    /// Frames written and synced since the journal was opened.
    pub frames: u64,
    /// Bytes written in those frames.
    pub frame_bytes: u64,
    /// What writing and syncing them took together, in microseconds.
    pub write_time_us: u64,
    /// How many of them took how long: see [`crate::WRITE_TIME_BOUNDS_US`].
    pub write_times: [u64; WRITE_TIME_BOUNDS_US.len() + 1],
    /// Entries rewritten forward since the journal was opened.
    pub moved_entries: u64,
    /// Segment files reused since the journal was opened.
    pub recycled_segments: u64,
}
