//! Moves: from a group's replicas to others, decided in the meta group, carried out by the group itself.

use std::collections::BTreeSet;

use crate::command::{Detail, MetaError};
use crate::ids::{GroupId, NodeId, ReplicaId};
use crate::state::{MetaState, Move, Replica};

impl MetaState {
    pub(super) fn start_move(
        &mut self,
        group: GroupId,
        from: Option<ReplicaId>,
        to: Option<NodeId>,
    ) -> Result<Detail, MetaError> {
        let info = self.groups.get(&group).ok_or(MetaError::UnknownGroup(group))?;
        if let Some(change) = info.change {
            let same = change.from == from && change.to.map(|replica| replica.node) == to;
            return if same {
                Ok(Detail::MoveStarted { group, change })
            } else {
                Err(MetaError::MoveUnderWay(group))
            };
        }
        if let Some(replica) = from.filter(|from| info.replica(*from).is_none()) {
            return Err(MetaError::UnknownReplica { group, replica });
        }
        if let Some(node) = to.filter(|to| info.replica_on(*to).is_some()) {
            return Err(MetaError::AlreadyHosted { group, node });
        }
        match (from, to) {
            (None, None) => return Err(MetaError::EmptyMove),
            (None, Some(_)) if info.replicas.len() >= self.replication_factor() => return Err(MetaError::Full(group)),
            (Some(from), None) if !self.has_another(group, from) => return Err(MetaError::LastReplica(group)),
            _ => {}
        }
        let to = match to {
            Some(node) => {
                self.require_active(node)?;
                let id = self.new_replica_id()?;
                Some(Replica { id, node })
            }
            None => None,
        };
        let change = Move {
            from,
            to,
            started_version: self.next_version(),
        };
        self.group_mut(group)?.change = Some(change);
        Ok(Detail::MoveStarted { group, change })
    }

    /// Whether the group has a replica on a node in use besides this one.
    fn has_another(&self, group: GroupId, replica: ReplicaId) -> bool {
        let replicas = self.groups.get(&group).map(|info| info.replicas.as_slice());
        replicas
            .unwrap_or_default()
            .iter()
            .any(|other| other.id != replica && self.node(other.node).is_some_and(|node| node.state.in_use()))
    }

    fn replication_factor(&self) -> usize {
        self.cluster
            .as_ref()
            .map_or(0, |cluster| cluster.replication_factor as usize)
    }

    pub(super) fn finish_move(&mut self, group: GroupId, replicas: &BTreeSet<ReplicaId>) -> Result<Detail, MetaError> {
        let info = self.group_mut(group)?;
        let wanted = info.wanted();
        let matches = wanted.iter().map(|replica| replica.id).eq(replicas.iter().copied());
        match (info.change, matches) {
            (_, true) => {
                info.replicas = wanted;
                info.change = None;
                Ok(Detail::Done)
            }
            (Some(_), false) => Err(MetaError::OtherMove(group)),
            (None, false) => Err(MetaError::NoMove(group)),
        }
    }

    pub(super) fn abort_move(&mut self, group: GroupId, started_version: u64) -> Result<Detail, MetaError> {
        let info = self.group_mut(group)?;
        match info.change {
            None => Err(MetaError::NoMove(group)),
            Some(change) if change.started_version != started_version => Err(MetaError::OtherMove(group)),
            Some(_) => {
                info.change = None;
                Ok(Detail::Done)
            }
        }
    }
}
