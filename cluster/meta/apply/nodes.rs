//! Nodes come, change, are drained and go.

use std::collections::BTreeSet;

use weir_mutant::Mutant;

use crate::address::{Address, Addresses, Zone};
use crate::command::{Detail, FoundingNode, MetaError};
use crate::ids::{NodeId, ReplicaId};
use crate::limits::MAX_NODES;
use crate::plan::may_remove;
use crate::state::{MetaState, NodeInfo, NodeState};

impl MetaState {
    pub(super) fn register_node(&mut self, node: FoundingNode) -> Result<Detail, MetaError> {
        if node.uuid.0 == 0 {
            return Err(MetaError::NilUuid);
        }
        let known = self.node_by_uuid(node.uuid).map(|(id, info)| (id, info.state));
        let holder = || Some((self.node_at(&node.addresses.peer)?, NodeState::Active));
        let known = weir_mutant::instead(Mutant::ReuseReplicaId, known, || known.or_else(holder));
        let id = match known {
            Some((id, NodeState::Removed)) => return Err(MetaError::NodeRemoved(id)),
            Some((id, _)) => id,
            None => self.new_node(&node)?,
        };
        let lost = self.lose_holder(&node.addresses.peer, id);
        let info = self.present_node(id)?;
        info.uuid = node.uuid;
        info.addresses = node.addresses;
        info.zone = node.zone;
        info.state = match info.state {
            NodeState::Lost { draining: true } => NodeState::Draining,
            NodeState::Lost { draining: false } => NodeState::Active,
            state => state,
        };
        Ok(Detail::Registered {
            node: id,
            meta_replica: info.meta_replica,
            lost,
        })
    }

    fn new_node(&mut self, node: &FoundingNode) -> Result<NodeId, MetaError> {
        let present = self.nodes.values().filter(|info| info.state != NodeState::Removed);
        if present.count() >= MAX_NODES {
            return Err(MetaError::TooManyNodes);
        }
        let (id, meta_replica) = (self.new_node_id()?, self.new_replica_id()?);
        let info = NodeInfo {
            uuid: node.uuid,
            addresses: node.addresses.clone(),
            zone: node.zone.clone(),
            state: NodeState::Active,
            meta_replica,
            replaced_by: None,
        };
        self.nodes.insert(id, info);
        Ok(id)
    }

    /// An address leads to one disk: whoever had this one, other than `except`, is lost.
    fn lose_holder(&mut self, peer: &Address, except: NodeId) -> Option<NodeId> {
        let (id, info) = self
            .nodes
            .iter_mut()
            .find(|(id, info)| **id != except && info.state.in_use() && info.addresses.peer == *peer)?;
        info.state = NodeState::Lost {
            draining: info.state == NodeState::Draining,
        };
        Some(*id)
    }

    pub(super) fn update_node(&mut self, node: NodeId, addresses: Addresses, zone: Zone) -> Result<Detail, MetaError> {
        // Only a node that starts may take an address from another: an operator's slip of the finger may not.
        if let Some(holder) = self.node_at(&addresses.peer).filter(|holder| *holder != node) {
            return Err(MetaError::AddressTaken(holder));
        }
        let info = self.present_node(node)?;
        if !info.state.in_use() {
            return Err(MetaError::NodeState {
                node,
                state: info.state,
            });
        }
        info.addresses = addresses;
        info.zone = zone;
        Ok(Detail::Done)
    }

    pub(super) fn set_draining(&mut self, node: NodeId) -> Result<Detail, MetaError> {
        let info = self.present_node(node)?;
        info.state = match info.state {
            NodeState::Lost { .. } => NodeState::Lost { draining: true },
            _ => NodeState::Draining,
        };
        Ok(Detail::Done)
    }

    pub(super) fn set_active(&mut self, node: NodeId) -> Result<Detail, MetaError> {
        let info = self.present_node(node)?;
        info.state = match info.state {
            NodeState::Lost { .. } => NodeState::Lost { draining: false },
            _ => NodeState::Active,
        };
        info.replaced_by = None;
        Ok(Detail::Done)
    }

    pub(super) fn remove_node(&mut self, node: NodeId) -> Result<Detail, MetaError> {
        match self.nodes.get(&node).map(|info| info.state) {
            None => return Err(MetaError::UnknownNode(node)),
            Some(NodeState::Removed) => return Ok(Detail::Done),
            Some(_) => {}
        }
        may_remove(self, node).map_err(|reasons| MetaError::NotRemovable { node, reasons })?;
        for info in self.nodes.values_mut() {
            if info.replaced_by == Some(node) {
                info.replaced_by = None;
            }
        }
        let info = self.present_node(node)?;
        info.state = NodeState::Removed;
        info.replaced_by = None;
        Ok(Detail::Done)
    }

    pub(super) fn record_meta_voters(&mut self, voters: BTreeSet<ReplicaId>) -> Result<Detail, MetaError> {
        if voters.is_empty() {
            return Err(MetaError::NoMetaVoter);
        }
        for voter in &voters {
            let mut present = self.nodes.values().filter(|info| info.state != NodeState::Removed);
            if !present.any(|info| info.meta_replica == *voter) {
                return Err(MetaError::UnknownMetaReplica(*voter));
            }
        }
        self.meta_voters = voters;
        Ok(Detail::Done)
    }
}
