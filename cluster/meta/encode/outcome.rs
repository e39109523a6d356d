//! Answers.

use super::{DecodeError, MoveMessage, group_id, node_id, replica_id, required, set};
use crate::command::{Detail, MetaOutcome};

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OutcomeMessage {
    #[prost(uint64, tag = "1")]
    version: u64,
    #[prost(oneof = "Kind", tags = "2, 3, 4, 5")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Kind {
    #[prost(message, tag = "2")]
    Done(DoneMessage),
    #[prost(message, tag = "3")]
    Registered(RegisteredMessage),
    #[prost(message, tag = "4")]
    MoveStarted(MoveStartedMessage),
    #[prost(message, tag = "5")]
    Replacing(ReplacingMessage),
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct DoneMessage {}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct RegisteredMessage {
    #[prost(uint64, tag = "1")]
    node: u64,
    #[prost(uint64, tag = "2")]
    meta_replica: u64,
    #[prost(uint64, optional, tag = "3")]
    lost: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct MoveStartedMessage {
    #[prost(uint64, tag = "1")]
    group: u64,
    #[prost(message, optional, tag = "2")]
    change: Option<MoveMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ReplacingMessage {
    #[prost(uint64, repeated, tag = "1")]
    groups: Vec<u64>,
}

impl From<&MetaOutcome> for OutcomeMessage {
    fn from(outcome: &MetaOutcome) -> Self {
        let kind = match &outcome.detail {
            Detail::Done => Kind::Done(DoneMessage {}),
            Detail::Registered {
                node,
                meta_replica,
                lost,
            } => Kind::Registered(RegisteredMessage {
                node: node.0,
                meta_replica: meta_replica.0,
                lost: lost.map(|node| node.0),
            }),
            Detail::MoveStarted { group, change } => Kind::MoveStarted(MoveStartedMessage {
                group: group.0,
                change: Some(change.into()),
            }),
            Detail::Replacing(groups) => Kind::Replacing(ReplacingMessage {
                groups: groups.iter().map(|group| group.0).collect(),
            }),
        };
        Self {
            version: outcome.version,
            kind: Some(kind),
        }
    }
}

impl TryFrom<OutcomeMessage> for MetaOutcome {
    type Error = DecodeError;

    fn try_from(message: OutcomeMessage) -> Result<Self, DecodeError> {
        let detail = match required(message.kind, "answer")? {
            Kind::Done(DoneMessage {}) => Detail::Done,
            Kind::Registered(registered) => Detail::Registered {
                node: node_id(registered.node)?,
                meta_replica: replica_id(registered.meta_replica)?,
                lost: registered.lost.map(node_id).transpose()?,
            },
            Kind::MoveStarted(started) => Detail::MoveStarted {
                group: group_id(started.group)?,
                change: required(started.change, "move")?.try_into()?,
            },
            Kind::Replacing(replacing) => Detail::Replacing(set(replacing.groups, group_id)?),
        };
        Ok(Self {
            version: message.version,
            detail,
        })
    }
}
