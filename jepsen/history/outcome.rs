//! What a client got.

use serde::{Deserialize, Serialize};

use super::op::{MessageId, is_false};

/// A definite answer. What does not apply stays at its default and out of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The HTTP status: 200, 201, 204 or 304.
    pub status: u16,
    /// Reads: the position at which `messages` begin. For [`super::From::At`] the one asked for; for the beginning 0;
    /// for `now` the tail that was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<u64>,
    /// `Stream-Next-Offset`. Writes: the tail that they left. HEAD: the tail. Reads: where `messages` end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// What was read, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<MessageId>,
    /// `(n, offset)`: after the first `n` messages the offset was that. One for each page or event but the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<(u64, u64)>,
    /// SSE: messages of a data event whose control event did not come.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unconfirmed: Vec<MessageId>,
    /// `Stream-Up-To-Date: true`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub up_to_date: bool,
    /// `Stream-Closed: true`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub closed: bool,
    /// A producer's write that had been stored before (204).
    #[serde(default, skip_serializing_if = "is_false")]
    pub duplicate: bool,
    /// `ETag`, as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// `Producer-Epoch` of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// `Producer-Seq` of the answer: the highest accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Live: how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// How many messages were no whole payload of ours, and how many offsets were none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub garbage: u64,
}

/// How a live answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// The server ended it, or the poll was answered.
    Server,
    /// The client cut it.
    Client,
    /// A reset, a time-out or an incomplete body.
    Broken,
}

/// Why there is no answer, or a refusal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The HTTP status, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The problem's code (`stream-closed`, ...), or `refused`, `timeout`, `reset`, `dropped`, ...
    pub code: String,
    /// `Stream-Next-Offset` of a refusal: of a closed stream its final offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// `Stream-Closed: true`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub closed: bool,
    /// `Producer-Epoch` of a 403: the epoch in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// `Producer-Expected-Seq` of a 409.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<u64>,
}

impl Failure {
    /// A failure without an HTTP status.
    #[must_use]
    pub fn transport(code: &str) -> Self {
        Self {
            code: code.to_owned(),
            ..Self::default()
        }
    }

    /// A refusal with this status and code.
    #[must_use]
    pub fn refusal(status: u16, code: &str) -> Self {
        Self {
            status: Some(status),
            code: code.to_owned(),
            ..Self::default()
        }
    }

    /// Whether it proves that nothing was done and nothing will be: a 4xx, or a connection that was refused.
    #[must_use]
    pub fn is_definite(&self) -> bool {
        match self.status {
            Some(status) => (400..500).contains(&status),
            None => self.code == "refused",
        }
    }
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect as the answer says.
    Ok(Answer),
    /// It did not take effect.
    Fail(Failure),
    /// Nobody knows. `None`: the history ends first.
    Info(Option<Failure>),
}

#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_zero(value: &u64) -> bool {
    *value == 0
}
