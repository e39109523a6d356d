//! The rules of change, one file per family of commands.

mod found;
mod moves;
mod nodes;
mod replace;

use crate::command::{Detail, MetaCommand, MetaError, MetaOutcome};
use crate::ids::{GroupId, NodeId, ReplicaId};
use crate::state::{GroupInfo, MetaState, NodeInfo, NodeState};

impl MetaState {
    /// Carries a command out. Depends on nothing but the state and the command; the version grows by one exactly when
    /// something changed.
    ///
    /// # Errors
    /// Why it cannot be; the state is then as before.
    pub fn apply(&mut self, command: MetaCommand) -> Result<MetaOutcome, MetaError> {
        // On a copy, so that no error can leave half a change. Commands are rare and states small.
        let mut next = self.clone();
        let detail = next.step(command)?;
        if next != *self {
            next.version = self.next_version();
            *self = next;
        }
        Ok(MetaOutcome {
            version: self.version,
            detail,
        })
    }

    fn step(&mut self, command: MetaCommand) -> Result<Detail, MetaError> {
        let command = match command {
            MetaCommand::Found(found) => return self.found(found),
            _ if self.cluster.is_none() => return Err(MetaError::NotFounded),
            command => command,
        };
        match command {
            MetaCommand::Found(found) => self.found(found),
            MetaCommand::RegisterNode(node) => self.register_node(node),
            MetaCommand::UpdateNode { node, addresses, zone } => self.update_node(node, addresses, zone),
            MetaCommand::StartMove { group, from, to } => self.start_move(group, from, to),
            MetaCommand::FinishMove { group, replicas } => self.finish_move(group, &replicas),
            MetaCommand::AbortMove { group, started_version } => self.abort_move(group, started_version),
            MetaCommand::SetDraining(node) => self.set_draining(node),
            MetaCommand::SetActive(node) => self.set_active(node),
            MetaCommand::RemoveNode(node) => self.remove_node(node),
            MetaCommand::ReplaceNode { old, new } => self.replace_node(old, new),
            MetaCommand::RecordMetaVoters(voters) => self.record_meta_voters(voters),
        }
    }

    /// The version that the state has once the command at hand is carried out.
    fn next_version(&self) -> u64 {
        self.version.saturating_add(1)
    }

    fn new_node_id(&mut self) -> Result<NodeId, MetaError> {
        self.last_node_id = self.last_node_id.checked_add(1).ok_or(MetaError::NoIdLeft)?;
        Ok(NodeId(self.last_node_id))
    }

    fn new_replica_id(&mut self) -> Result<ReplicaId, MetaError> {
        self.last_replica_id = self.last_replica_id.checked_add(1).ok_or(MetaError::NoIdLeft)?;
        Ok(ReplicaId(self.last_replica_id))
    }

    fn group_mut(&mut self, group: GroupId) -> Result<&mut GroupInfo, MetaError> {
        self.groups.get_mut(&group).ok_or(MetaError::UnknownGroup(group))
    }

    /// A node that was not removed.
    fn present_node(&mut self, node: NodeId) -> Result<&mut NodeInfo, MetaError> {
        match self.nodes.get_mut(&node) {
            None => Err(MetaError::UnknownNode(node)),
            Some(info) if info.state == NodeState::Removed => Err(MetaError::NodeRemoved(node)),
            Some(info) => Ok(info),
        }
    }

    fn require_active(&mut self, node: NodeId) -> Result<(), MetaError> {
        match self.present_node(node)?.state {
            NodeState::Active => Ok(()),
            state => Err(MetaError::NodeState { node, state }),
        }
    }
}
