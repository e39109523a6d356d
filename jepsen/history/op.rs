//! What a client asks.

use serde::{Deserialize, Serialize};

/// A message's name, unique in a run: which client made it, and its count there.
///
/// `[client, counter]` in JSON. The payload carries both, so that a reader of raw bytes knows what it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageId(
    /// The process number with which the client began; it stays when the process is renewed.
    pub u64,
    /// Counts up from 0 within the client.
    pub u64,
);

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

/// The producer headers of a write.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Producer {
    /// `Producer-Id`.
    pub id: String,
    /// `Producer-Epoch`.
    pub epoch: u64,
    /// `Producer-Seq`.
    pub seq: u64,
}

/// Where a read begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum From {
    /// `-1`: the stream's beginning.
    #[default]
    Start,
    /// `now`: the tail when it is served.
    Now,
    /// This position.
    At(u64),
}

/// What a read promises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consistency {
    /// It sees every write acknowledged before it began.
    #[default]
    Strong,
    /// A prefix, as the replica has it.
    Eventual,
}

/// How a live reader listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LiveMode {
    /// `live=long-poll`.
    LongPoll,
    /// `live=sse`.
    Sse,
}

/// One operation as it was asked; in JSON its `f` is the variant's name in kebab-case, its fields are the `value`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    /// PUT.
    Create {
        /// The stream.
        stream: String,
        /// The body.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        messages: Vec<MessageId>,
        /// `Stream-TTL`, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ttl_ms: Option<u64>,
        /// `Stream-Closed: true`.
        #[serde(default, skip_serializing_if = "is_false")]
        close: bool,
    },
    /// POST with a body.
    Append {
        /// The stream.
        stream: String,
        /// The batch, in order.
        messages: Vec<MessageId>,
        /// The producer headers, if sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        producer: Option<Producer>,
        /// `Stream-Closed: true`: append and close in one step.
        #[serde(default, skip_serializing_if = "is_false")]
        close: bool,
    },
    /// POST without a body, with `Stream-Closed: true`.
    Close {
        /// The stream.
        stream: String,
        /// The producer headers, if sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        producer: Option<Producer>,
    },
    /// DELETE.
    Delete {
        /// The stream.
        stream: String,
    },
    /// HEAD. Always linearizable; does not renew a TTL.
    Head {
        /// The stream.
        stream: String,
    },
    /// GET without `live`.
    Read {
        /// The stream.
        stream: String,
        /// Where it begins.
        #[serde(default)]
        from: From,
        /// What it promises.
        #[serde(default)]
        consistency: Consistency,
        /// How many pages the client takes at most; absent: one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<u32>,
        /// `If-None-Match`: an entity tag from an earlier answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_none_match: Option<String>,
    },
    /// GET with `live`: one poll, or one SSE connection.
    Live {
        /// The stream.
        stream: String,
        /// Where it begins.
        from: From,
        /// How it listens.
        mode: LiveMode,
        /// The reader that this is a piece of, unique in the run.
        session: u64,
    },
    /// PUT with `Stream-Forked-From`.
    Fork {
        /// The new stream.
        stream: String,
        /// What it is forked from.
        source: String,
        /// `Stream-Fork-Offset`; absent: the source's tail.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<u64>,
        /// `Stream-Fork-Sub-Offset`: how many messages past `at`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sub: Option<u64>,
        /// `Stream-TTL`, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ttl_ms: Option<u64>,
    },
    /// The whole stream as one node has it, after healing.
    FinalRead {
        /// The stream.
        stream: String,
    },
}

impl Op {
    /// The stream that is asked (for a fork: the new one).
    #[must_use]
    pub fn stream(&self) -> &str {
        match self {
            Self::Create { stream, .. }
            | Self::Append { stream, .. }
            | Self::Close { stream, .. }
            | Self::Delete { stream }
            | Self::Head { stream }
            | Self::Read { stream, .. }
            | Self::Live { stream, .. }
            | Self::Fork { stream, .. }
            | Self::FinalRead { stream } => stream,
        }
    }

    /// Its name in the file.
    #[must_use]
    pub const fn f(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Append { .. } => "append",
            Self::Close { .. } => "close",
            Self::Delete { .. } => "delete",
            Self::Head { .. } => "head",
            Self::Read { .. } => "read",
            Self::Live { .. } => "live",
            Self::Fork { .. } => "fork",
            Self::FinalRead { .. } => "final-read",
        }
    }
}

/// For serde: leaves `false` out of the file.
#[allow(clippy::trivially_copy_pass_by_ref)]
pub(super) const fn is_false(value: &bool) -> bool {
    !*value
}
