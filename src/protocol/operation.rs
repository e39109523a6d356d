//! The operations: what each takes and what it answers. Errors are in `error`.

use bytes::Bytes;

use crate::content_type::ContentType;
use crate::etag::{ETag, Incarnation, Reach};
use crate::lifetime::Lifetime;
use crate::name::StreamName;
use crate::offset::{Offset, ReadFrom};
use crate::payload::Payload;
use crate::producer::{ProducerAck, ProducerHeaders};
use crate::stream_seq::StreamSeq;
use crate::time::Timestamp;

/// Create a stream or a fork (PUT; protocol sections 4.2 and 5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// `None` when the client named none: a fork takes its source's, any other stream `application/octet-stream`.
    pub content_type: Option<ContentType>,
    /// What the client asked for; a fork without a wish of its own inherits.
    pub lifetime: Lifetime,
    /// The first messages; of a fork, the first after the inherited ones. Framed for the content type.
    pub payload: Payload,
    /// Whether the stream is created closed.
    pub closed: bool,
    /// Set when the stream is a fork.
    pub fork: Option<ForkRequest>,
}

/// Where a fork leaves its source (protocol section 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkRequest {
    /// The source's name.
    pub source: StreamName,
    /// `Stream-Fork-Offset`; `None` means the source's tail.
    pub offset: Option<Offset>,
    /// `Stream-Fork-Sub-Offset`: messages of a JSON stream, bytes of any other. Not above 0 without `offset`.
    pub sub_offset: u64,
}

/// Whether a create made something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateStreamResult {
    /// A new stream (201).
    Created,
    /// A stream with this configuration was there (200); the body was ignored.
    AlreadyExists,
}

/// The answer to a create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Whether it made something.
    pub status: CreateStreamResult,
    /// The stream's type: given, inherited or the default.
    pub content_type: ContentType,
    /// The tail.
    pub next_offset: Offset,
    /// Whether the stream is closed.
    pub closed: bool,
}

/// Append, close, or both in one step (POST; protocol sections 5.2 and 5.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The body's type; must be there with a payload, is ignored without.
    pub content_type: Option<ContentType>,
    /// The messages, framed for that type. Empty only with `close`.
    pub payload: Payload,
    /// Whether the stream is closed by the same step.
    pub close: bool,
    /// `Stream-Seq`.
    pub stream_seq: Option<StreamSeq>,
    /// The producer headers.
    pub producer: Option<ProducerHeaders>,
}

impl Append {
    /// A close and nothing else.
    #[must_use]
    pub fn close() -> Self {
        Self {
            content_type: None,
            payload: Payload::empty(),
            close: true,
            stream_seq: None,
            producer: None,
        }
    }
}

/// The answer to an append or close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The tail after it.
    pub next_offset: Offset,
    /// Whether the stream is closed.
    pub closed: bool,
    /// Set when producer headers came.
    pub producer: Option<ProducerAck>,
}

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consistency {
    /// Sees every write acknowledged before the read began.
    #[default]
    Linearizable,
    /// Sees a prefix of the stream, and never less than before on the same node.
    Eventual,
}

/// Read stored messages (GET; protocol section 5.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// Where to begin.
    pub from: ReadFrom,
    /// Stop after this many stored bytes; at least one whole message is returned where there is one.
    pub max_bytes: u64,
    /// How fresh the answer must be.
    pub consistency: Consistency,
    /// Whether this read begins a TTL anew. The first read of a request does, the later ones of a live read do not.
    pub renews: bool,
}

/// Consecutive whole messages as they are stored. Only the first may be cut at its front, by a read of a byte stream
/// from the middle of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Run {
    /// The stored bytes of all its messages.
    pub payload: Bytes,
    /// The stored length of each.
    pub lengths: Vec<u32>,
}

impl Run {
    /// The stored messages one by one. A JSON message ends with its framing comma.
    pub fn messages(&self) -> impl Iterator<Item = Bytes> + '_ {
        let mut at = 0_usize;
        self.lengths.iter().map(move |length| {
            let end = at.saturating_add(*length as usize).min(self.payload.len());
            let message = self.payload.slice(at..end);
            at = end;
            message
        })
    }
}

/// The answer to a read: a coherent snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadResult {
    /// Which life of the stream.
    pub incarnation: Incarnation,
    /// The stream's type.
    pub content_type: ContentType,
    /// Where the answer begins.
    pub start: Offset,
    /// The messages, in order.
    pub runs: Vec<Run>,
    /// Where to read on.
    pub next_offset: Offset,
    /// Whether the answer reaches the tail.
    pub at_tail: bool,
    /// Whether the stream is closed (at its tail, not necessarily at `next_offset`).
    pub closed: bool,
    /// Of a stream with a TTL: when it will be gone unless something touches it.
    pub ttl_deadline: Option<Timestamp>,
}

impl ReadResult {
    /// Whether there is no message in the answer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.iter().all(|run| run.lengths.is_empty())
    }

    /// How much the messages are as they are stored, in bytes.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.payload.len() as u64).sum()
    }

    /// Whether the answer ends where nothing will ever follow.
    #[must_use]
    pub fn at_end(&self) -> bool {
        self.at_tail && self.closed
    }

    /// The answer's entity tag.
    #[must_use]
    pub fn etag(&self) -> ETag {
        ETag {
            incarnation: self.incarnation,
            start: self.start,
            end: self.next_offset,
            reach: match (self.at_tail, self.closed) {
                (false, _) => Reach::Partial,
                (true, false) => Reach::Tail,
                (true, true) => Reach::End,
            },
        }
    }

    /// The stored bytes, piece by piece.
    #[must_use]
    pub fn into_chunks(self) -> Vec<Bytes> {
        self.runs.into_iter().map(|run| run.payload).collect()
    }
}

/// What a stream is (HEAD; protocol section 5.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamMetadata {
    /// Which life of the stream.
    pub incarnation: Incarnation,
    /// Its type.
    pub content_type: ContentType,
    /// Its configured lifetime, not what is left of it.
    pub lifetime: Lifetime,
    /// The tail.
    pub next_offset: Offset,
    /// Whether it is closed.
    pub closed: bool,
    /// Stored bytes, inherited ones not counted. A JSON message counts one byte of framing.
    pub total_bytes: u64,
    /// Messages, inherited ones not counted.
    pub message_count: u64,
    /// When it was last written to.
    pub updated_at: Timestamp,
    /// When it will be gone if nothing touches it.
    pub expires_at: Option<Timestamp>,
    /// Of a fork: its source and where it left it.
    pub fork: Option<(StreamName, Offset)>,
}

/// One page of the list of streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    /// Only names that begin with this.
    pub prefix: String,
    /// Only names after this one.
    pub after: Option<String>,
    /// At most this many.
    pub limit: usize,
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSummary {
    /// The stream's name.
    pub name: StreamName,
    /// What it is.
    pub metadata: StreamMetadata,
}

/// One page of streams, ordered by name; expired and soft-deleted ones are not in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListPage {
    /// The streams.
    pub streams: Vec<StreamSummary>,
    /// Whether more follow after the last one.
    pub more: bool,
}
