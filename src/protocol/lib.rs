//! The Durable Streams protocol as pure rules and types: no I/O, no clock, no randomness.
//!
//! | file | what it holds |
//! |---|---|
//! | `name` | stream names: what a path may be |
//! | `offset` | offsets and the `-1` / `now` sentinels (protocol section 8) |
//! | `content_type` | media types and how they compare (section 9) |
//! | `payload` | the messages of one write, already framed for storage |
//! | `json` | JSON mode: flatten, validate, frame (section 9.1) |
//! | `lifetime` | TTL and expiry, with the fork table (sections 4.2, 5.1) |
//! | `producer` | idempotent producers (section 5.2.1) |
//! | `stream_seq` | `Stream-Seq` (section 5.2) |
//! | `cursor` | CDN cursors (section 10.1) |
//! | `etag` | entity tags (section 10.1) |
//! | `sse` | Server-Sent Events framing (section 5.8) |
//! | `time` | timestamps and the clock seam |
//! | `headers` | the protocol's header names |
//! | `operation` | requests and answers, one pair per operation |
//! | `error` | errors, one enum per operation |
//! | `streams` | the trait between the front end and whatever keeps the streams |
//!
//! Invariants: a parsed value is never a string again; every parser refuses what it does not fully understand;
//! nothing here can panic on input.

pub mod content_type;
pub mod cursor;
pub mod error;
pub mod etag;
pub mod headers;
pub mod json;
pub mod lifetime;
pub mod name;
pub mod offset;
pub mod operation;
pub mod payload;
pub mod producer;
pub mod sse;
pub mod stream_seq;
pub mod streams;
pub mod time;

pub use content_type::ContentType;
pub use error::{AppendError, CreateError, DeleteError, Fault, HeadError, ListError, ReadError};
pub use etag::{ETag, Incarnation, Reach};
pub use lifetime::Lifetime;
pub use name::StreamName;
pub use offset::{Offset, ReadFrom};
pub use operation::{
    Append, Appended, Consistency, Create, CreateStreamResult, Created, ForkRequest, ListPage, ListRequest, Read,
    ReadResult, Run, StreamMetadata, StreamSummary,
};
pub use payload::Payload;
pub use producer::{ProducerAck, ProducerHeaders};
pub use stream_seq::StreamSeq;
pub use streams::{Streams, TailEvent, TailWatch};
pub use time::{Clock, Timestamp};
