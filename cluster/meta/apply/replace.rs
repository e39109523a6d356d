//! One node for another.

use std::collections::BTreeSet;

use crate::command::{Detail, MetaError};
use crate::ids::NodeId;
use crate::state::MetaState;

impl MetaState {
    pub(super) fn replace_node(&mut self, old: NodeId, new: NodeId) -> Result<Detail, MetaError> {
        if old == new {
            return Err(MetaError::SameNode);
        }
        self.require_active(new)?;
        self.set_draining(old)?;
        self.present_node(old)?.replaced_by = Some(new);

        let movable: Vec<_> = self
            .groups
            .iter()
            .filter(|(_, info)| info.change.is_none() && info.replica_on(new).is_none())
            .filter_map(|(group, info)| info.replica_on(old).map(|replica| (*group, replica.id)))
            .collect();
        let mut started = BTreeSet::new();
        for (group, replica) in movable {
            self.start_move(group, Some(replica), Some(new))?;
            started.insert(group);
        }
        Ok(Detail::Replacing(started))
    }
}
