//! What can be asked, and how it can end.

use thiserror::Error;

use crate::limits::{MAX_FRAMES_UNDER_WAY, MAX_READS_UNDER_WAY, MAX_WATCHES_UNDER_WAY};

/// What a frame asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Raft: take these entries.
    Append = 1,
    /// Raft: vote for me.
    Vote = 2,
    /// Raft: would you vote for me?
    PreVote = 3,
    /// Raft: lead in my place.
    TransferLeader = 4,
    /// Raft: a piece of a snapshot.
    Snapshot = 5,
    /// Up to where must a read have applied the log?
    ReadIndex = 6,
    /// Put these writes into your log.
    Propose = 7,
    /// Read a stream.
    Read = 8,
    /// Describe a stream.
    Head = 9,
    /// Wait for a stream's next change.
    Wait = 10,
    /// List streams of a group.
    List = 11,
    /// Put this command into the meta group's log.
    Meta = 12,
    /// Who are you, and of which cluster?
    Hello = 13,
    /// Let me be a node of your cluster.
    Join = 14,
    /// How is your replica of a group?
    GroupStatus = 15,
    /// Change the members of a group that you lead.
    ChangeMembers = 16,
    /// Give the lead of a group to another replica.
    HandOver = 17,
    /// Read what a fork in another group inherited from a stream of this one.
    Fetch = 18,
}

impl Kind {
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Append,
            2 => Self::Vote,
            3 => Self::PreVote,
            4 => Self::TransferLeader,
            5 => Self::Snapshot,
            6 => Self::ReadIndex,
            7 => Self::Propose,
            8 => Self::Read,
            9 => Self::Head,
            10 => Self::Wait,
            11 => Self::List,
            12 => Self::Meta,
            13 => Self::Hello,
            14 => Self::Join,
            15 => Self::GroupStatus,
            16 => Self::ChangeMembers,
            17 => Self::HandOver,
            18 => Self::Fetch,
            _ => return None,
        })
    }

    /// Whether it is a client's read, or a part of one.
    pub(crate) fn is_read(self) -> bool {
        matches!(self, Self::Read | Self::Head | Self::List | Self::Fetch)
    }

    /// Whether a node may ask this before it belongs to a cluster.
    pub(crate) fn is_for_strangers(self) -> bool {
        matches!(self, Self::Hello | Self::Join)
    }
}

/// Requests that must not wait behind each other have streams of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Lane {
    /// Small and urgent: heartbeats, votes, read indexes.
    Control,
    /// Log entries.
    Bulk,
    /// Clients' writes.
    Client,
    /// Clients' reads: many large answers may wait for the line, behind which no write's answer must.
    Read,
    /// Questions that are answered when something changes.
    Watch,
    /// Snapshots.
    Snapshot,
}

impl Lane {
    const ALL: [Self; 6] = [
        Self::Control,
        Self::Bulk,
        Self::Client,
        Self::Read,
        Self::Watch,
        Self::Snapshot,
    ];

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Bulk => "bulk",
            Self::Client => "client",
            Self::Read => "read",
            Self::Watch => "watch",
            Self::Snapshot => "snapshot",
        }
    }

    /// How many requests of one stream may wait to be sent, and how many may be under way on the node that answers them.
    pub(super) fn slots(self) -> usize {
        match self {
            Self::Read => MAX_READS_UNDER_WAY,
            Self::Watch => MAX_WATCHES_UNDER_WAY,
            Self::Control | Self::Bulk | Self::Client | Self::Snapshot => MAX_FRAMES_UNDER_WAY,
        }
    }
}

/// How the other side answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// The body is the answer.
    Done = 0,
    /// The node does not host the replica that was meant.
    WrongReplica = 1,
    /// Nothing was done: another replica leads. The body says which, if that is known.
    NotLeader = 2,
    /// The request was not understood.
    Malformed = 3,
    /// Nothing was done, and another attempt may succeed.
    Unavailable = 4,
    /// It failed. The body is a text.
    Failed = 5,
    /// It may or may not have been done.
    Unknown = 6,
    /// Nothing was done: the disk is full.
    StorageFull = 7,
}

impl Status {
    pub(crate) fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Done,
            1 => Self::WrongReplica,
            2 => Self::NotLeader,
            3 => Self::Malformed,
            4 => Self::Unavailable,
            6 => Self::Unknown,
            7 => Self::StorageFull,
            _ => Self::Failed,
        }
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum CallError {
    /// It was not sent: the node's address is not known, or nobody answers there.
    #[error("the node cannot be reached: {0}")]
    Unreachable(String),
    /// It was not sent: too much waits to be sent already.
    #[error("too much waits to be sent to the node")]
    Overloaded,
    /// It may have been sent; the stream ended.
    #[error("the connection to the node ended")]
    Broken,
    /// It may have been sent; no answer came in time.
    #[error("the node did not answer in time")]
    Timeout,
    /// The other side refused or failed.
    #[error("the node answered {status:?}")]
    Refused {
        /// How.
        status: Status,
        /// What it said about it.
        body: bytes::Bytes,
    },
}

impl CallError {
    /// Whether the replica that was asked is not there, or the node is not.
    pub(crate) fn is_away(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Broken => true,
            Self::Overloaded | Self::Timeout => false,
            Self::Refused { status, .. } => *status == Status::WrongReplica,
        }
    }

    /// Whether it is certain that nothing was done.
    pub(crate) fn is_certain(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Overloaded => true,
            Self::Broken | Self::Timeout => false,
            Self::Refused { status, .. } => !matches!(status, Status::Failed | Status::Unknown),
        }
    }
}
