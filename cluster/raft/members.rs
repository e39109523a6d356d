//! Changes of a group's members.

use std::collections::BTreeSet;

use openraft::ChangeMembers;
use openraft::async_runtime::WatchReceiver as _;
use openraft::raft::Precondition;

use super::replica::{Replica, WriteError, raft_write_error};
use super::types::Member;

/// Which members whoever wants to change them has seen. An order that was under way for long must not undo what another
/// driver did since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It decides by what it sees now.
    Now,
    /// Those of the entry with this index.
    At(u64),
}

impl Replica {
    /// Adds a member that does not vote. Waits until it is in the log, not until it has caught up.
    pub(crate) async fn add_learner(&self, replica: u64, node: u64, seen: Seen) -> Result<(), WriteError> {
        let nodes = [(replica, Member { node })].into_iter().collect();
        self.change(ChangeMembers::AddNodes(nodes), false, seen).await
    }

    /// Makes exactly these members voters, through a joint configuration, and removes who is no longer one.
    ///
    /// A change that is under way must be ended first, and only forwards: from one joint configuration two leaders could
    /// leave by its two sets, which need not have a voter in common.
    pub(crate) async fn set_voters(&self, voters: BTreeSet<u64>, seen: Seen) -> Result<(), WriteError> {
        let sets = self.status().voters;
        if sets.len() > 1 && sets.last() != Some(&voters) {
            return Err(WriteError::Refused(
                "another change of its members is under way".to_owned(),
            ));
        }
        self.change(ChangeMembers::ReplaceAllVoters(voters), false, seen).await
    }

    /// As [`Replica::set_voters`], but who is no longer a voter stays a learner.
    pub(crate) async fn set_voters_keep_learners(&self, voters: BTreeSet<u64>) -> Result<(), WriteError> {
        self.change(ChangeMembers::ReplaceAllVoters(voters), true, Seen::Now)
            .await
    }

    /// Removes members that do not vote.
    pub(crate) async fn remove_learners(&self, learners: BTreeSet<u64>, seen: Seen) -> Result<(), WriteError> {
        self.change(ChangeMembers::RemoveNodes(learners), false, seen).await
    }

    async fn change(
        &self,
        change: ChangeMembers<u64, Member>,
        keeps_learners: bool,
        seen: Seen,
    ) -> Result<(), WriteError> {
        let members = *self.raft().metrics().borrow_watched().membership_config.log_id();
        let is_other = |index| members.map_or(0, |members| members.index) != index;
        let condition = match seen {
            Seen::Now => None,
            Seen::At(index) if is_other(index) => {
                return Err(WriteError::Refused("its members have changed since".to_owned()));
            }
            Seen::At(_) => Some(Precondition::LastMembershipLogId {
                last_membership_log_id: members,
            }),
        };
        let changed = self
            .raft()
            .change_membership_if(change, keeps_learners, condition)
            .await;
        changed.map(drop).map_err(raft_write_error)
    }
}
