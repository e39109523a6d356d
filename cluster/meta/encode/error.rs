//! Errors: a code, and what the code is about.

use super::{DecodeError, cluster_id, node_state, required, state_code, wide};
use crate::command::{FoundingError, MetaError, Reason};
use crate::ids::{GroupId, NodeId, ReplicaId};

/// Which fields are set depends on the code. Ids are those of the command, whatever they are: an error about group 0 is
/// an error.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ErrorMessage {
    #[prost(uint32, tag = "1")]
    code: u32,
    #[prost(bytes = "vec", optional, tag = "2")]
    cluster: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "3")]
    founding: Option<u32>,
    #[prost(uint64, optional, tag = "4")]
    node: Option<u64>,
    #[prost(uint64, optional, tag = "5")]
    group: Option<u64>,
    #[prost(uint64, optional, tag = "6")]
    replica: Option<u64>,
    #[prost(uint32, optional, tag = "7")]
    state: Option<u32>,
    #[prost(message, repeated, tag = "8")]
    reasons: Vec<ReasonMessage>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct ReasonMessage {
    #[prost(uint32, tag = "1")]
    code: u32,
    #[prost(uint64, optional, tag = "2")]
    group: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    replica: Option<u64>,
}

impl From<&MetaError> for ErrorMessage {
    fn from(error: &MetaError) -> Self {
        let code = |code| Self {
            code,
            ..Self::default()
        };
        let of_node = |code, node: NodeId| Self {
            code,
            node: Some(node.0),
            ..Self::default()
        };
        let of_group = |code, group: GroupId| Self {
            code,
            group: Some(group.0),
            ..Self::default()
        };
        match error {
            MetaError::NotFounded => code(1),
            MetaError::AlreadyFounded(cluster) => Self {
                cluster: Some(wide(cluster.0)),
                ..code(2)
            },
            MetaError::Founding(error) => Self {
                founding: Some(founding_code(*error)),
                ..code(3)
            },
            MetaError::NilUuid => code(4),
            MetaError::UnknownNode(node) => of_node(5, *node),
            MetaError::UnknownGroup(group) => of_group(6, *group),
            MetaError::UnknownReplica { group, replica } => Self {
                replica: Some(replica.0),
                ..of_group(7, *group)
            },
            MetaError::UnknownMetaReplica(replica) => Self {
                replica: Some(replica.0),
                ..code(8)
            },
            MetaError::NoMetaVoter => code(9),
            MetaError::NodeRemoved(node) => of_node(10, *node),
            MetaError::NodeState { node, state } => Self {
                state: Some(state_code(*state)),
                ..of_node(11, *node)
            },
            MetaError::AddressTaken(node) => of_node(12, *node),
            MetaError::TooManyNodes => code(13),
            MetaError::MoveUnderWay(group) => of_group(14, *group),
            MetaError::NoMove(group) => of_group(15, *group),
            MetaError::OtherMove(group) => of_group(16, *group),
            MetaError::EmptyMove => code(17),
            MetaError::AlreadyHosted { group, node } => Self {
                node: Some(node.0),
                ..of_group(18, *group)
            },
            MetaError::Full(group) => of_group(19, *group),
            MetaError::LastReplica(group) => of_group(20, *group),
            MetaError::SameNode => code(21),
            MetaError::NotRemovable { node, reasons } => Self {
                reasons: reasons.iter().map(ReasonMessage::from).collect(),
                ..of_node(22, *node)
            },
            MetaError::NoIdLeft => code(23),
        }
    }
}

impl TryFrom<ErrorMessage> for MetaError {
    type Error = DecodeError;

    fn try_from(message: ErrorMessage) -> Result<Self, DecodeError> {
        let node = || required(message.node, "an error's node").map(NodeId);
        let group = || required(message.group, "an error's group").map(GroupId);
        let replica = || required(message.replica, "an error's replica").map(ReplicaId);
        Ok(match message.code {
            1 => Self::NotFounded,
            2 => Self::AlreadyFounded(cluster_id(required(message.cluster.as_deref(), "an error's cluster")?)?),
            3 => Self::Founding(founding_error(required(message.founding, "an error's founding code")?)?),
            4 => Self::NilUuid,
            5 => Self::UnknownNode(node()?),
            6 => Self::UnknownGroup(group()?),
            7 => Self::UnknownReplica {
                group: group()?,
                replica: replica()?,
            },
            8 => Self::UnknownMetaReplica(replica()?),
            9 => Self::NoMetaVoter,
            10 => Self::NodeRemoved(node()?),
            11 => Self::NodeState {
                node: node()?,
                state: node_state(required(message.state, "an error's node state")?)?,
            },
            12 => Self::AddressTaken(node()?),
            13 => Self::TooManyNodes,
            14 => Self::MoveUnderWay(group()?),
            15 => Self::NoMove(group()?),
            16 => Self::OtherMove(group()?),
            17 => Self::EmptyMove,
            18 => Self::AlreadyHosted {
                group: group()?,
                node: node()?,
            },
            19 => Self::Full(group()?),
            20 => Self::LastReplica(group()?),
            21 => Self::SameNode,
            22 => Self::NotRemovable {
                node: node()?,
                reasons: message
                    .reasons
                    .iter()
                    .map(|reason| reason.into_reason())
                    .collect::<Result<_, _>>()?,
            },
            23 => Self::NoIdLeft,
            _ => return Err(DecodeError::Impossible("error code")),
        })
    }
}

impl From<&Reason> for ReasonMessage {
    fn from(reason: &Reason) -> Self {
        let (code, about) = match reason {
            Reason::Active => (1, None),
            Reason::MetaVoter => (2, None),
            Reason::Hosts { group, replica } => (3, Some((group, replica))),
            Reason::Stuck { group, replica } => (4, Some((group, replica))),
            Reason::MoveTarget { group, replica } => (5, Some((group, replica))),
        };
        Self {
            code,
            group: about.map(|(group, _)| group.0),
            replica: about.map(|(_, replica)| replica.0),
        }
    }
}

impl ReasonMessage {
    fn into_reason(self) -> Result<Reason, DecodeError> {
        let group = || required(self.group, "a reason's group").map(GroupId);
        let replica = || required(self.replica, "a reason's replica").map(ReplicaId);
        Ok(match self.code {
            1 => Reason::Active,
            2 => Reason::MetaVoter,
            3 => Reason::Hosts {
                group: group()?,
                replica: replica()?,
            },
            4 => Reason::Stuck {
                group: group()?,
                replica: replica()?,
            },
            5 => Reason::MoveTarget {
                group: group()?,
                replica: replica()?,
            },
            _ => return Err(DecodeError::Impossible("reason code")),
        })
    }
}

fn founding_code(error: FoundingError) -> u32 {
    match error {
        FoundingError::NilCluster => 1,
        FoundingError::Groups => 2,
        FoundingError::ReplicationFactor => 3,
        FoundingError::Nodes => 4,
        FoundingError::NotDistinct => 5,
    }
}

fn founding_error(code: u32) -> Result<FoundingError, DecodeError> {
    Ok(match code {
        1 => FoundingError::NilCluster,
        2 => FoundingError::Groups,
        3 => FoundingError::ReplicationFactor,
        4 => FoundingError::Nodes,
        5 => FoundingError::NotDistinct,
        _ => return Err(DecodeError::Impossible("founding code")),
    })
}
