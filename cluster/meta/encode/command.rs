//! Commands. Whatever command there can be decodes again: a log entry that does not would stop every replica. Ids are
//! therefore not looked at here; `apply` refuses those that are not there.

use super::{AddressesMessage, DecodeError, FoundingNodeMessage, cluster_id, required, set, wide};
use crate::command::{Found, FoundingNode, MetaCommand};
use crate::ids::{GroupId, NodeId, ReplicaId};

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct CommandMessage {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Kind {
    #[prost(message, tag = "1")]
    Found(FoundMessage),
    #[prost(message, tag = "2")]
    RegisterNode(FoundingNodeMessage),
    #[prost(message, tag = "3")]
    UpdateNode(UpdateNodeMessage),
    #[prost(message, tag = "4")]
    StartMove(StartMoveMessage),
    #[prost(message, tag = "5")]
    FinishMove(FinishMoveMessage),
    #[prost(message, tag = "6")]
    AbortMove(AbortMoveMessage),
    #[prost(uint64, tag = "7")]
    SetDraining(u64),
    #[prost(uint64, tag = "8")]
    SetActive(u64),
    #[prost(uint64, tag = "9")]
    RemoveNode(u64),
    #[prost(message, tag = "10")]
    ReplaceNode(ReplaceNodeMessage),
    #[prost(message, tag = "11")]
    RecordMetaVoters(VotersMessage),
}

#[derive(Clone, PartialEq, prost::Message)]
struct FoundMessage {
    #[prost(bytes = "vec", tag = "1")]
    cluster: Vec<u8>,
    #[prost(uint64, tag = "2")]
    groups: u64,
    #[prost(uint32, tag = "3")]
    replication_factor: u32,
    #[prost(message, repeated, tag = "4")]
    nodes: Vec<FoundingNodeMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct UpdateNodeMessage {
    #[prost(uint64, tag = "1")]
    node: u64,
    #[prost(message, optional, tag = "2")]
    addresses: Option<AddressesMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StartMoveMessage {
    #[prost(uint64, tag = "1")]
    group: u64,
    #[prost(uint64, optional, tag = "2")]
    from: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    to: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FinishMoveMessage {
    #[prost(uint64, tag = "1")]
    group: u64,
    #[prost(uint64, repeated, tag = "2")]
    replicas: Vec<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AbortMoveMessage {
    #[prost(uint64, tag = "1")]
    group: u64,
    #[prost(uint64, tag = "2")]
    started_version: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ReplaceNodeMessage {
    #[prost(uint64, tag = "1")]
    old: u64,
    #[prost(uint64, tag = "2")]
    new: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct VotersMessage {
    #[prost(uint64, repeated, tag = "1")]
    replicas: Vec<u64>,
}

impl From<&MetaCommand> for CommandMessage {
    fn from(command: &MetaCommand) -> Self {
        let kind = match command {
            MetaCommand::Found(found) => Kind::Found(FoundMessage {
                cluster: wide(found.cluster.0),
                groups: found.groups,
                replication_factor: found.replication_factor,
                nodes: found.nodes.iter().map(FoundingNodeMessage::from).collect(),
            }),
            MetaCommand::RegisterNode(node) => Kind::RegisterNode(node.into()),
            MetaCommand::UpdateNode { node, addresses, zone } => Kind::UpdateNode(UpdateNodeMessage {
                node: node.0,
                addresses: Some(AddressesMessage::new(addresses, zone)),
            }),
            MetaCommand::StartMove { group, from, to } => Kind::StartMove(StartMoveMessage {
                group: group.0,
                from: from.map(|id| id.0),
                to: to.map(|node| node.0),
            }),
            MetaCommand::FinishMove { group, replicas } => Kind::FinishMove(FinishMoveMessage {
                group: group.0,
                replicas: replicas.iter().map(|id| id.0).collect(),
            }),
            MetaCommand::AbortMove { group, started_version } => Kind::AbortMove(AbortMoveMessage {
                group: group.0,
                started_version: *started_version,
            }),
            MetaCommand::SetDraining(node) => Kind::SetDraining(node.0),
            MetaCommand::SetActive(node) => Kind::SetActive(node.0),
            MetaCommand::RemoveNode(node) => Kind::RemoveNode(node.0),
            MetaCommand::ReplaceNode { old, new } => Kind::ReplaceNode(ReplaceNodeMessage { old: old.0, new: new.0 }),
            MetaCommand::RecordMetaVoters(voters) => Kind::RecordMetaVoters(VotersMessage {
                replicas: voters.iter().map(|id| id.0).collect(),
            }),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<CommandMessage> for MetaCommand {
    type Error = DecodeError;

    fn try_from(message: CommandMessage) -> Result<Self, DecodeError> {
        Ok(match required(message.kind, "command")? {
            Kind::Found(found) => Self::Found(Found {
                cluster: cluster_id(&found.cluster)?,
                groups: found.groups,
                replication_factor: found.replication_factor,
                nodes: found
                    .nodes
                    .into_iter()
                    .map(FoundingNode::try_from)
                    .collect::<Result<_, _>>()?,
            }),
            Kind::RegisterNode(node) => Self::RegisterNode(node.try_into()?),
            Kind::UpdateNode(update) => {
                let (addresses, zone) = required(update.addresses, "addresses")?.parts()?;
                Self::UpdateNode {
                    node: NodeId(update.node),
                    addresses,
                    zone,
                }
            }
            Kind::StartMove(start) => Self::StartMove {
                group: GroupId(start.group),
                from: start.from.map(ReplicaId),
                to: start.to.map(NodeId),
            },
            Kind::FinishMove(finish) => Self::FinishMove {
                group: GroupId(finish.group),
                replicas: set(finish.replicas, |id| Ok(ReplicaId(id)))?,
            },
            Kind::AbortMove(abort) => Self::AbortMove {
                group: GroupId(abort.group),
                started_version: abort.started_version,
            },
            Kind::SetDraining(node) => Self::SetDraining(NodeId(node)),
            Kind::SetActive(node) => Self::SetActive(NodeId(node)),
            Kind::RemoveNode(node) => Self::RemoveNode(NodeId(node)),
            Kind::ReplaceNode(replace) => Self::ReplaceNode {
                old: NodeId(replace.old),
                new: NodeId(replace.new),
            },
            Kind::RecordMetaVoters(voters) => Self::RecordMetaVoters(set(voters.replicas, |id| Ok(ReplicaId(id)))?),
        })
    }
}
