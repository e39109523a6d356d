//! Messages and records as bytes: ours, so that neither the wire nor the disk changes with openraft.
//!
//! A log entry's payload begins with one byte: 0 blank, 1 a command, 2 a membership. A command has it from the moment
//! that it is proposed, so that it is never copied to be stored or sent.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes, BytesMut};
use openraft::EntryPayload;
use openraft::vote::RaftLeaderId as _;
use prost::Message as _;
use weir_proto::raft as pb;

use super::types::{Command, Entry, LeaderId, LogId, Member, Membership, StoredMembership, Vote};

const BLANK: u8 = 0;
/// The first byte of a command.
pub(super) const NORMAL: u8 = 1;
const MEMBERSHIP: u8 = 2;

/// A message that cannot be one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a Raft message is malformed")]
pub(super) struct Malformed;

impl From<prost::DecodeError> for Malformed {
    fn from(_: prost::DecodeError) -> Self {
        Self
    }
}

impl From<Malformed> for std::io::Error {
    fn from(error: Malformed) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, error)
    }
}

/// A command as it is stored: `body` behind its first byte.
pub(super) fn command(message: &impl prost::Message) -> Command {
    let mut bytes = BytesMut::with_capacity(1 + message.encoded_len());
    bytes.put_u8(NORMAL);
    // Encoding fails for want of room only, and the buffer grows.
    let _ = message.encode(&mut bytes);
    Command(bytes.freeze())
}

pub(super) fn leader_to_pb(leader: &LeaderId) -> pb::LeaderId {
    pb::LeaderId {
        term: leader.term(),
        replica: *leader.node_id(),
    }
}

fn leader_from_pb(leader: &pb::LeaderId) -> LeaderId {
    LeaderId::new(leader.term, leader.replica)
}

pub(super) fn log_id_to_pb(log_id: &LogId) -> pb::LogId {
    pb::LogId {
        leader: Some(leader_to_pb(&log_id.leader_id)),
        index: log_id.index,
    }
}

pub(super) fn log_id_from_pb(log_id: &pb::LogId) -> Result<LogId, Malformed> {
    let leader = log_id.leader.as_ref().ok_or(Malformed)?;
    Ok(LogId::new(leader_from_pb(leader), log_id.index))
}

pub(super) fn maybe_log_id(log_id: Option<&pb::LogId>) -> Result<Option<LogId>, Malformed> {
    log_id.map(log_id_from_pb).transpose()
}

pub(super) fn vote_to_pb(vote: &Vote) -> pb::Vote {
    pb::Vote {
        leader: Some(leader_to_pb(&vote.leader_id)),
        committed: vote.committed,
    }
}

pub(super) fn vote_from_pb(vote: Option<&pb::Vote>) -> Result<Vote, Malformed> {
    let vote = vote.ok_or(Malformed)?;
    Ok(Vote {
        leader_id: leader_from_pb(vote.leader.as_ref().ok_or(Malformed)?),
        committed: vote.committed,
    })
}

pub(super) fn membership_to_pb(membership: &Membership) -> pb::Membership {
    let voters = |replicas: &BTreeSet<u64>| pb::Voters {
        replicas: replicas.iter().copied().collect(),
    };
    let member = |(replica, member): (&u64, &Member)| pb::Member {
        replica: *replica,
        node: member.node,
    };
    pb::Membership {
        configs: membership.get_joint_config().iter().map(voters).collect(),
        members: membership.nodes().map(member).collect(),
    }
}

pub(super) fn membership_from_pb(membership: &pb::Membership) -> Result<Membership, Malformed> {
    let configs: Vec<BTreeSet<u64>> = membership
        .configs
        .iter()
        .map(|voters| voters.replicas.iter().copied().collect())
        .collect();
    let member = |member: &pb::Member| (member.replica, Member { node: member.node });
    let members: BTreeMap<u64, Member> = membership.members.iter().map(member).collect();
    if configs.is_empty() && members.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configs, members).map_err(|_| Malformed)
}

pub(super) fn stored_to_pb(stored: &StoredMembership) -> pb::StoredMembership {
    // One text for nobody: positions are compared.
    let is_empty = *stored.membership() == Membership::default();
    pb::StoredMembership {
        log_id: stored.log_id().as_ref().map(log_id_to_pb),
        membership: (!is_empty).then(|| membership_to_pb(stored.membership())),
    }
}

pub(super) fn stored_from_pb(stored: &pb::StoredMembership) -> Result<StoredMembership, Malformed> {
    let membership = match &stored.membership {
        Some(membership) => membership_from_pb(membership)?,
        None => Membership::default(),
    };
    Ok(StoredMembership::new(maybe_log_id(stored.log_id.as_ref())?, membership))
}

/// An entry's payload as it is stored.
pub(super) fn payload_to_bytes(payload: EntryPayload<Command, u64, Member>) -> Bytes {
    match payload {
        EntryPayload::Blank => Bytes::from_static(&[BLANK]),
        EntryPayload::Normal(command) => command.0,
        EntryPayload::Membership(membership) => {
            let message = membership_to_pb(&membership);
            let mut bytes = BytesMut::with_capacity(1 + message.encoded_len());
            bytes.put_u8(MEMBERSHIP);
            let _ = message.encode(&mut bytes);
            bytes.freeze()
        }
    }
}

pub(super) fn payload_from_bytes(bytes: Bytes) -> Result<EntryPayload<Command, u64, Member>, Malformed> {
    match bytes.first() {
        Some(&BLANK) if bytes.len() == 1 => Ok(EntryPayload::Blank),
        Some(&NORMAL) => Ok(EntryPayload::Normal(Command(bytes))),
        Some(&MEMBERSHIP) => {
            let message = pb::Membership::decode(bytes.slice(1..))?;
            Ok(EntryPayload::Membership(membership_from_pb(&message)?))
        }
        _ => Err(Malformed),
    }
}

pub(super) fn entry_to_pb(entry: Entry) -> pb::Entry {
    pb::Entry {
        log_id: Some(log_id_to_pb(&entry.log_id)),
        payload: payload_to_bytes(entry.payload),
    }
}

pub(super) fn entry_from_pb(entry: pb::Entry) -> Result<Entry, Malformed> {
    Ok(Entry {
        log_id: log_id_from_pb(entry.log_id.as_ref().ok_or(Malformed)?)?,
        payload: payload_from_bytes(entry.payload)?,
    })
}
