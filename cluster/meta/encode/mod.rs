//! Bytes on disk and on the wire: protobuf, so that fields can be added. Unknown fields are skipped, impossible values
//! refused. Equal values have equal bytes. The messages are private; field numbers never change and are never reused.

mod command;
mod error;
mod outcome;
mod state;

use std::collections::BTreeSet;

use prost::Message;
use thiserror::Error;

use crate::address::{Addresses, Zone};
use crate::check::StateError;
use crate::command::{FoundingNode, MetaCommand, MetaError, MetaOutcome};
use crate::ids::{ClusterId, GroupId, NodeId, NodeUuid, ReplicaId};
use crate::state::{MetaState, Move, NodeState, Replica};

/// Why bytes are not what they should be. They are damaged, or from a build that knows more.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Not protobuf, or fields of another kind.
    #[error("not a message: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// A field that must be there is not, or its value cannot be; or a kind of command, answer or error is unknown.
    #[error("impossible or unknown: {0}")]
    Impossible(&'static str),
    /// The values are possible, the whole is not.
    #[error("impossible state: {0}")]
    State(#[from] StateError),
}

macro_rules! coded {
    ($type:ty, $message:ty) => {
        impl $type {
            /// The protobuf encoding.
            pub fn encode(&self) -> Vec<u8> {
                <$message>::from(self).encode_to_vec()
            }

            /// # Errors
            /// [`DecodeError`] unless the bytes encode a possible value.
            pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                <$message>::decode(bytes)?.try_into()
            }
        }
    };
}

coded!(MetaState, state::StateMessage);
coded!(MetaCommand, command::CommandMessage);
coded!(MetaOutcome, outcome::OutcomeMessage);
coded!(MetaError, error::ErrorMessage);

#[derive(Clone, PartialEq, Message)]
struct AddressesMessage {
    #[prost(string, tag = "1")]
    peer: String,
    #[prost(string, tag = "2")]
    client: String,
    #[prost(string, tag = "3")]
    admin: String,
    #[prost(string, tag = "4")]
    zone: String,
}

impl AddressesMessage {
    fn new(addresses: &Addresses, zone: &Zone) -> Self {
        Self {
            peer: addresses.peer.to_string(),
            client: addresses.client.to_string(),
            admin: addresses.admin.to_string(),
            zone: zone.to_string(),
        }
    }

    fn parts(&self) -> Result<(Addresses, Zone), DecodeError> {
        let address = |text: &str| text.parse().map_err(|_| DecodeError::Impossible("address"));
        let addresses = Addresses {
            peer: address(&self.peer)?,
            client: address(&self.client)?,
            admin: address(&self.admin)?,
        };
        let zone = self.zone.parse().map_err(|_| DecodeError::Impossible("zone"))?;
        Ok((addresses, zone))
    }
}

#[derive(Clone, PartialEq, Message)]
struct FoundingNodeMessage {
    #[prost(bytes = "vec", tag = "1")]
    uuid: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    addresses: Option<AddressesMessage>,
}

impl From<&FoundingNode> for FoundingNodeMessage {
    fn from(node: &FoundingNode) -> Self {
        Self {
            uuid: wide(node.uuid.0),
            addresses: Some(AddressesMessage::new(&node.addresses, &node.zone)),
        }
    }
}

impl TryFrom<FoundingNodeMessage> for FoundingNode {
    type Error = DecodeError;

    fn try_from(message: FoundingNodeMessage) -> Result<Self, DecodeError> {
        let (addresses, zone) = required(message.addresses, "addresses")?.parts()?;
        Ok(Self {
            uuid: uuid(&message.uuid)?,
            addresses,
            zone,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
struct ReplicaMessage {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    node: u64,
}

impl From<&Replica> for ReplicaMessage {
    fn from(replica: &Replica) -> Self {
        Self {
            id: replica.id.0,
            node: replica.node.0,
        }
    }
}

impl TryFrom<ReplicaMessage> for Replica {
    type Error = DecodeError;

    fn try_from(message: ReplicaMessage) -> Result<Self, DecodeError> {
        Ok(Self {
            id: replica_id(message.id)?,
            node: node_id(message.node)?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
struct MoveMessage {
    #[prost(uint64, optional, tag = "1")]
    from: Option<u64>,
    #[prost(message, optional, tag = "2")]
    to: Option<ReplicaMessage>,
    #[prost(uint64, tag = "3")]
    started_version: u64,
}

impl From<&Move> for MoveMessage {
    fn from(change: &Move) -> Self {
        Self {
            from: change.from.map(|id| id.0),
            to: change.to.as_ref().map(|replica| replica.into()),
            started_version: change.started_version,
        }
    }
}

impl TryFrom<MoveMessage> for Move {
    type Error = DecodeError;

    fn try_from(message: MoveMessage) -> Result<Self, DecodeError> {
        Ok(Self {
            from: message.from.map(replica_id).transpose()?,
            to: message.to.map(Replica::try_from).transpose()?,
            started_version: message.started_version,
        })
    }
}

fn state_code(state: NodeState) -> u32 {
    match state {
        NodeState::Active => 1,
        NodeState::Draining => 2,
        NodeState::Lost { draining: false } => 3,
        NodeState::Lost { draining: true } => 4,
        NodeState::Removed => 5,
    }
}

fn node_state(code: u32) -> Result<NodeState, DecodeError> {
    Ok(match code {
        1 => NodeState::Active,
        2 => NodeState::Draining,
        3 => NodeState::Lost { draining: false },
        4 => NodeState::Lost { draining: true },
        5 => NodeState::Removed,
        _ => return Err(DecodeError::Impossible("node state")),
    })
}

/// 16 bytes, big endian, as UUIDs are.
fn wide(id: u128) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

fn from_wide(bytes: &[u8], what: &'static str) -> Result<u128, DecodeError> {
    let bytes = bytes.try_into().map_err(|_| DecodeError::Impossible(what))?;
    Ok(u128::from_be_bytes(bytes))
}

fn cluster_id(bytes: &[u8]) -> Result<ClusterId, DecodeError> {
    from_wide(bytes, "cluster id").map(ClusterId)
}

fn uuid(bytes: &[u8]) -> Result<NodeUuid, DecodeError> {
    from_wide(bytes, "node uuid").map(NodeUuid)
}

fn node_id(id: u64) -> Result<NodeId, DecodeError> {
    nonzero(id, "node id").map(NodeId)
}

fn replica_id(id: u64) -> Result<ReplicaId, DecodeError> {
    nonzero(id, "replica id").map(ReplicaId)
}

fn group_id(id: u64) -> Result<GroupId, DecodeError> {
    nonzero(id, "group id").map(GroupId)
}

/// The ids in states and answers; the meta group (0) has no moves and no placement.
fn nonzero(id: u64, what: &'static str) -> Result<u64, DecodeError> {
    if id == 0 {
        Err(DecodeError::Impossible(what))
    } else {
        Ok(id)
    }
}

fn required<T>(field: Option<T>, what: &'static str) -> Result<T, DecodeError> {
    field.ok_or(DecodeError::Impossible(what))
}

/// A set, from a list that must not name anything twice.
fn set<I, T: Ord>(list: Vec<I>, parse: impl Fn(I) -> Result<T, DecodeError>) -> Result<BTreeSet<T>, DecodeError> {
    let length = list.len();
    let set: BTreeSet<T> = list.into_iter().map(parse).collect::<Result<_, _>>()?;
    if set.len() == length {
        Ok(set)
    } else {
        Err(DecodeError::Impossible("set with an element twice"))
    }
}
