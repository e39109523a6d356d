//! Limits that no setting changes.

use std::time::Duration;

/// The longest request target (path and query), in bytes: a name of the largest size with every byte
/// percent-encoded, twice over for `prefix` and `after`, and some room.
pub(crate) const MAX_TARGET_BYTES: usize = 8 * 1024;

/// The most that one request's head may take on HTTP/1.1, in bytes; also the size of hyper's read buffer.
pub(crate) const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The most header fields that one HTTP/1.1 request may have.
pub(crate) const MAX_HEADER_FIELDS: usize = 100;

/// The most that the header list of an HTTP/2 request may take, in bytes.
pub(crate) const MAX_H2_HEADER_LIST_BYTES: u32 = 32 * 1024;

/// The most HTTP/2 streams that one connection may have open.
pub(crate) const MAX_H2_STREAMS: u32 = 128;

/// HTTP/2 receive windows, in bytes: of one stream and of the whole connection.
pub(crate) const H2_STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
pub(crate) const H2_CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// How often an HTTP/2 connection is pinged, and how long it may take to answer.
pub(crate) const H2_PING_INTERVAL: Duration = Duration::from_secs(20);
pub(crate) const H2_PING_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a client may take next to nothing of what is being sent to it before its connection is cut.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How much at least a client has to take in that time of answers that wait for it, whichever of its requests they
/// are to, in bytes.
pub(crate) const LEAST_TAKEN_BYTES: u64 = 64 * 1024;

/// An answer may take one in so many parts of the memory that is free for answers.
pub(crate) const ANSWER_SHARES: u64 = 64;

/// All answers of one connection may take one in so many parts of the memory for answers, but for a first one of any size.
pub(crate) const CONNECTION_SHARES: u64 = 8;

/// An answer of at most so many bytes is always given.
pub(crate) const SMALL_ANSWER_BYTES: u64 = 16 * 1024;

/// The pause after `accept` failed, which is mostly for want of file descriptors.
pub(crate) const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(50);

/// How many connections beyond the largest number are open to tell their clients so, and for how long.
pub(crate) const MAX_REFUSALS: usize = 32;
pub(crate) const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);

/// How much of a body that is already refused is still read, so that the client gets to see the answer.
pub(crate) const LINGER_BYTES: u64 = 64 * 1024 * 1024;
/// How long that may take.
pub(crate) const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// Bodies from this size on are split into JSON messages away from the async workers, in bytes.
pub(crate) const OFFLOAD_JSON_BYTES: usize = 256 * 1024;
/// How many of them at a time. While one is split, the memory that its messages take is not counted yet: up to seven
/// times the body, where they are single digits.
pub(crate) const JSON_SPLITS: usize = 4;

/// The most stored bytes in one SSE data event, and in one read that waiting clients share. A single message that is
/// larger comes whole.
pub(crate) const LIVE_READ_BYTES: u64 = 256 * 1024;

/// How much the shared reads of all streams may keep together, in bytes.
pub(crate) const HUB_BYTES: u64 = 64 * 1024 * 1024;
/// How long a shared read is kept: long enough for everybody who was woken by the same append.
pub(crate) const HUB_RETENTION: Duration = Duration::from_secs(2);

/// The largest event that SSE clients are sent together, in stored bytes. What a client does not take of a larger one is kept for
/// it alone, and has to be counted.
pub(crate) const BROADCAST_MOST_BYTES: u64 = 16 * 1024;
/// From how many SSE clients of one stream on they are served together.
pub(crate) const BROADCAST_LEAST: usize = 2;
/// How many of them are served by one task before another is begun, as far as there are cores. So many take some 8 ms of a
/// core, and fewer would only keep other work from the other cores: with 64, and the clients on the same two cores, the last
/// of 1,000 had its event later (p99 13.5 ms instead of 11.8).
pub(crate) const BROADCAST_SHARD: usize = 1024;
/// After how many writes in a row such a task lets others run.
pub(crate) const BROADCAST_TURN: usize = 64;
/// How often such a task forgets the clients that have gone, while nothing is appended.
pub(crate) const BROADCAST_PRUNING: Duration = Duration::from_secs(30);

/// How long a client that waits for a stream with a TTL waits at least between two renewals of it.
pub(crate) const LEAST_RENEWAL_PAUSE: Duration = Duration::from_millis(200);

/// Answers below this size are not worth compressing, in bytes.
pub(crate) const MIN_COMPRESS_BYTES: u64 = 1024;

/// The default and the largest page of the list of streams.
pub(crate) const DEFAULT_LIST_LIMIT: usize = 100;
pub(crate) const MAX_LIST_LIMIT: usize = 1000;

/// What `Retry-After` says with 429 and 503, in seconds.
pub(crate) const RETRY_AFTER_SECONDS: u16 = 1;
