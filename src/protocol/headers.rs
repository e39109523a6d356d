//! The protocol's header names (protocol section 13.2), lower-case.

/// Sliding time-to-live, in seconds.
pub const STREAM_TTL: &str = "stream-ttl";
/// Absolute expiry, RFC 3339.
pub const STREAM_EXPIRES_AT: &str = "stream-expires-at";
/// Writer sequence value.
pub const STREAM_SEQ: &str = "stream-seq";
/// CDN cursor.
pub const STREAM_CURSOR: &str = "stream-cursor";
/// The offset to read or write next.
pub const STREAM_NEXT_OFFSET: &str = "stream-next-offset";
/// `true` at the tail.
pub const STREAM_UP_TO_DATE: &str = "stream-up-to-date";
/// `true` on a closed stream, or to close one.
pub const STREAM_CLOSED: &str = "stream-closed";
/// The source's path, to create a fork.
pub const STREAM_FORKED_FROM: &str = "stream-forked-from";
/// The offset at which a fork diverges.
pub const STREAM_FORK_OFFSET: &str = "stream-fork-offset";
/// Messages (JSON) or bytes past the fork offset.
pub const STREAM_FORK_SUB_OFFSET: &str = "stream-fork-sub-offset";
/// `base64` on SSE answers for binary streams.
pub const STREAM_SSE_DATA_ENCODING: &str = "stream-sse-data-encoding";
/// Idempotent producer: who.
pub const PRODUCER_ID: &str = "producer-id";
/// Idempotent producer: which session.
pub const PRODUCER_EPOCH: &str = "producer-epoch";
/// Idempotent producer: which write.
pub const PRODUCER_SEQ: &str = "producer-seq";
/// The sequence number that a gap should have had.
pub const PRODUCER_EXPECTED_SEQ: &str = "producer-expected-seq";
/// The sequence number that came instead.
pub const PRODUCER_RECEIVED_SEQ: &str = "producer-received-seq";
/// Weir's own: `eventual` reads skip the linearizability barrier. Also the query parameter `consistency`.
pub const WEIR_CONSISTENCY: &str = "weir-consistency";
