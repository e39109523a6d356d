//! openraft's types with ours put in.

use std::fmt;

use bytes::Bytes;

use super::machine::Answer;

openraft::declare_raft_types!(
    /// A group's Raft: replicas are numbered, and each lives on a node.
    pub(super) TypeConfig:
        D = Command,
        R = Answer,
        NodeId = u64,
        Node = Member,
        AsyncRuntime = super::runtime::Runtime,
);

pub(super) type LogId = openraft::type_config::alias::LogIdOf<TypeConfig>;
pub(super) type LeaderId = openraft::type_config::alias::LeaderIdOf<TypeConfig>;
pub(super) type Vote = openraft::type_config::alias::VoteOf<TypeConfig>;
pub(super) type Entry = openraft::type_config::alias::EntryOf<TypeConfig>;
pub(super) type Membership = openraft::Membership<u64, Member>;
pub(super) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<TypeConfig>;
pub(super) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<TypeConfig>;

/// The node on which a replica lives. Its address is not part of Raft: addresses change, membership must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Member {
    pub(super) node: u64,
}

/// The payload of a log entry, as it is stored: its first byte says what it is (see `encode`).
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Command(pub(super) Bytes);

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
