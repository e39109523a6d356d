//! Every limit and setting of the journal.

use std::time::Duration;

/// Bytes at the start of each segment that hold its header.
pub(crate) const SEGMENT_HEADER_BYTES: u64 = 4096;
/// Smallest segment that [`Options`] accepts.
pub const MIN_SEGMENT_BYTES: u64 = 16 * 1024;
/// Largest segment that [`Options`] accepts: positions inside a segment are kept in 32 bits.
pub const MAX_SEGMENT_BYTES: u64 = 1 << 30;
/// Into how many times the times that frames take are sorted: up to so many microseconds each, or more than the last.
pub const WRITE_TIME_BOUNDS_US: [u64; 12] = [
    100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
];
/// Longest vote that fits a state record.
pub const MAX_VOTE_BYTES: usize = 1024;
/// What a cached entry costs beyond its payload, counted against the cache's budget.
pub(crate) const CACHE_ENTRY_OVERHEAD: u64 = 64;
/// Largest span fetched from a segment with one read.
pub(crate) const READ_SPAN_BYTES: u64 = 1 << 20;
/// Gap between two wanted records that is read through rather than skipped.
pub(crate) const READ_GAP_BYTES: u64 = 16 * 1024;
/// Live entries carried forward in one frame, so that callers wait little behind them.
pub(crate) const MOVE_BYTES: u64 = 512 * 1024;
/// Pieces in which a new segment is filled with zeros, each synced, so that no sync of the log waits behind a huge one.
pub(crate) const PREWRITE_BYTES: usize = 4 << 20;
/// Where a new segment is filled through the page cache, it is in pieces of this size. The page cache keeps a file in
/// pieces of the size of the writes that filled it, and a short write into a large piece costs more: 519 B take 6.2 us
/// where the file was filled 1 MiB at a time, 3.7 us where it was 4 to 64 KiB (Linux, ext4, medians of 6,400).
pub(crate) const PREWRITE_PIECE_BYTES: usize = 16 << 10;
/// What writes past the page cache are made of. Devices and file systems ask for 512 or 4096.
pub(crate) const PAGE_BYTES: usize = 4096;
/// Longer frames are written through the page cache: they would be copied into as much memory again.
pub(crate) const MAX_THROUGH_BYTES: usize = 1 << 20;
/// How long an idle writer sleeps before it writes lazy records and looks at old segments again.
pub(crate) const IDLE_WAKE: Duration = Duration::from_secs(1);
/// So many frames in a row for a single caller, before a caller writes its own.
pub(crate) const ALONE_AFTER: u32 = 16;
/// A write and its sync are quick up to this, in microseconds on average: a caller may be a thread that others need.
pub(crate) const QUICK_SYNC_US: u32 = 500;
/// A submission of more bytes is left to the writer's thread: many came together in it, or the change of threads is the
/// least of it.
pub(crate) const ALONE_BYTES: u64 = 4096;
/// What an idle writer keeps of its buffer for frames.
pub(crate) const KEPT_FRAME_BYTES: usize = 64 * 1024;
/// How many cached entries of one log there is always room for.
pub(crate) const KEPT_ENTRIES: usize = 64;
/// Segments kept ready: the next one, and the one reserved for votes, truncations and purges on a full disk.
pub(crate) const SPARE_SEGMENTS: usize = 2;
/// Freed segments kept to be recycled when one is wanted next; more are deleted.
pub(crate) const KEPT_SEGMENTS: usize = 2;

/// Settings of one journal.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who owns the files; another owner's files are refused.
    pub identity: Identity,
    /// Size of new segments in bytes, [`MIN_SEGMENT_BYTES`] to [`MAX_SEGMENT_BYTES`], rounded down to whole pages of 4096.
    /// Existing segments keep theirs.
    pub segment_bytes: u64,
    /// Above this many segments the live records of the oldest are rewritten forward.
    pub max_segments: usize,
    /// Bytes that may wait for the writer before callers wait, too.
    pub queue_bytes: u64,
    /// Whether entries for which the queue has no room wait in the call. Otherwise they are refused as busy, for callers
    /// whose thread must not stand still.
    pub waits_for_room: bool,
    /// Largest frame written and synced at once, in bytes.
    pub frame_bytes: u64,
    /// Budget of the cache of recent entries, for the whole node, in bytes.
    pub cache_bytes: u64,
    /// Pause between attempts to make a segment on a full disk.
    pub space_retry: Duration,
}

/// The owner of a journal, written into each segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's id.
    pub cluster: [u8; 16],
    /// The node's UUID.
    pub node: [u8; 16],
}

impl Options {
    /// Defaults for an owner: segments of 64 MiB, 16 of them before old records move, 32 MiB queue, 8 MiB frames,
    /// 64 MiB cache.
    pub fn new(identity: Identity) -> Self {
        Options {
            identity,
            segment_bytes: 64 << 20,
            max_segments: 16,
            queue_bytes: 32 << 20,
            waits_for_room: true,
            frame_bytes: 8 << 20,
            cache_bytes: 64 << 20,
            space_retry: Duration::from_millis(500),
        }
    }

    /// The settings with every value inside its limits.
    pub(crate) fn clamped(mut self) -> Self {
        self.segment_bytes = self.segment_bytes.clamp(MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES) & !(PAGE_BYTES as u64 - 1);
        self.max_segments = self.max_segments.max(2);
        self.queue_bytes = self.queue_bytes.max(4096);
        self.frame_bytes = self.frame_bytes.clamp(4096, MAX_SEGMENT_BYTES);
        self
    }
}
