//! The state.

use std::collections::BTreeMap;

use super::{
    AddressesMessage, DecodeError, MoveMessage, ReplicaMessage, cluster_id, group_id, node_id, node_state, replica_id,
    required, set, state_code, uuid, wide,
};
use crate::ids::{GroupId, NodeId};
use crate::slots::SlotTable;
use crate::state::{Cluster, GroupInfo, MetaState, NodeInfo};

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StateMessage {
    #[prost(uint64, tag = "1")]
    version: u64,
    #[prost(message, optional, tag = "2")]
    cluster: Option<ClusterMessage>,
    #[prost(message, repeated, tag = "3")]
    groups: Vec<GroupMessage>,
    #[prost(message, repeated, tag = "4")]
    nodes: Vec<NodeMessage>,
    #[prost(uint64, repeated, tag = "5")]
    meta_voters: Vec<u64>,
    #[prost(uint64, tag = "6")]
    last_node_id: u64,
    #[prost(uint64, tag = "7")]
    last_replica_id: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ClusterMessage {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(uint32, tag = "2")]
    feature_version: u32,
    #[prost(uint32, tag = "3")]
    hash_version: u32,
    #[prost(uint32, tag = "4")]
    replication_factor: u32,
    #[prost(uint64, tag = "5")]
    founders: u64,
    /// The group of each slot.
    #[prost(uint64, repeated, tag = "6")]
    slots: Vec<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct GroupMessage {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(message, repeated, tag = "2")]
    replicas: Vec<ReplicaMessage>,
    #[prost(message, optional, tag = "3")]
    change: Option<MoveMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct NodeMessage {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(bytes = "vec", tag = "2")]
    uuid: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    addresses: Option<AddressesMessage>,
    #[prost(uint32, tag = "4")]
    state: u32,
    #[prost(uint64, tag = "5")]
    meta_replica: u64,
    #[prost(uint64, optional, tag = "6")]
    replaced_by: Option<u64>,
}

impl From<&MetaState> for StateMessage {
    fn from(state: &MetaState) -> Self {
        Self {
            version: state.version,
            cluster: state.cluster.as_ref().map(ClusterMessage::from),
            groups: state
                .groups
                .iter()
                .map(|(id, group)| GroupMessage::new(*id, group))
                .collect(),
            nodes: state
                .nodes
                .iter()
                .map(|(id, node)| NodeMessage::new(*id, node))
                .collect(),
            meta_voters: state.meta_voters.iter().map(|id| id.0).collect(),
            last_node_id: state.last_node_id,
            last_replica_id: state.last_replica_id,
        }
    }
}

impl TryFrom<StateMessage> for MetaState {
    type Error = DecodeError;

    fn try_from(message: StateMessage) -> Result<Self, DecodeError> {
        let (groups, nodes) = (message.groups.len(), message.nodes.len());
        let state = Self {
            version: message.version,
            cluster: message.cluster.map(Cluster::try_from).transpose()?,
            groups: message
                .groups
                .into_iter()
                .map(GroupMessage::into_group)
                .collect::<Result<BTreeMap<_, _>, _>>()?,
            nodes: message
                .nodes
                .into_iter()
                .map(NodeMessage::into_node)
                .collect::<Result<BTreeMap<_, _>, _>>()?,
            meta_voters: set(message.meta_voters, replica_id)?,
            last_node_id: message.last_node_id,
            last_replica_id: message.last_replica_id,
        };
        if state.groups.len() != groups || state.nodes.len() != nodes {
            return Err(DecodeError::Impossible("group or node listed twice"));
        }
        state.check()?;
        Ok(state)
    }
}

impl From<&Cluster> for ClusterMessage {
    fn from(cluster: &Cluster) -> Self {
        Self {
            id: wide(cluster.id.0),
            feature_version: cluster.feature_version,
            hash_version: cluster.hash_version,
            replication_factor: cluster.replication_factor,
            founders: cluster.founders,
            slots: cluster.slots.groups().map(|group| group.0).collect(),
        }
    }
}

impl TryFrom<ClusterMessage> for Cluster {
    type Error = DecodeError;

    fn try_from(message: ClusterMessage) -> Result<Self, DecodeError> {
        let slots = message.slots.into_iter().map(GroupId).collect();
        Ok(Self {
            id: cluster_id(&message.id)?,
            feature_version: message.feature_version,
            hash_version: message.hash_version,
            replication_factor: message.replication_factor,
            founders: message.founders,
            slots: required(SlotTable::new(slots), "slot table")?,
        })
    }
}

impl GroupMessage {
    fn new(id: GroupId, group: &GroupInfo) -> Self {
        Self {
            id: id.0,
            replicas: group.replicas.iter().map(ReplicaMessage::from).collect(),
            change: group.change.as_ref().map(|change| change.into()),
        }
    }

    fn into_group(self) -> Result<(GroupId, GroupInfo), DecodeError> {
        let group = GroupInfo {
            replicas: self
                .replicas
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
            change: self.change.map(TryInto::try_into).transpose()?,
        };
        Ok((group_id(self.id)?, group))
    }
}

impl NodeMessage {
    fn new(id: NodeId, node: &NodeInfo) -> Self {
        Self {
            id: id.0,
            uuid: wide(node.uuid.0),
            addresses: Some(AddressesMessage::new(&node.addresses, &node.zone)),
            state: state_code(node.state),
            meta_replica: node.meta_replica.0,
            replaced_by: node.replaced_by.map(|node| node.0),
        }
    }

    fn into_node(self) -> Result<(NodeId, NodeInfo), DecodeError> {
        let (addresses, zone) = required(self.addresses, "addresses")?.parts()?;
        let node = NodeInfo {
            uuid: uuid(&self.uuid)?,
            addresses,
            zone,
            state: node_state(self.state)?,
            meta_replica: replica_id(self.meta_replica)?,
            replaced_by: self.replaced_by.map(node_id).transpose()?,
        };
        Ok((node_id(self.id)?, node))
    }
}
