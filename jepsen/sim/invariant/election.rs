//! Election safety: a leader is one process, and a vote is never taken back.

use std::collections::BTreeMap;

use weir_journal::Leader;

use super::{Checked, violated};

/// A process on a node: its place among all that ran there.
type Process = (usize, u64);

/// Who led, and who voted for whom.
#[derive(Default)]
pub(super) struct Elections {
    /// By group and leader.
    leaders: BTreeMap<(u64, Leader), Process>,
    /// By node and group: the last vote, and whether it was won.
    votes: BTreeMap<(usize, u64), (Leader, bool)>,
    /// By node: how many processes have ended.
    processes: BTreeMap<usize, u64>,
}

impl Elections {
    /// A process has ended.
    pub(super) fn forget(&mut self, node: usize) {
        *self.processes.entry(node).or_default() += 1;
    }

    /// A durable vote never goes back, not even by a restart.
    pub(super) fn vote(&mut self, node: usize, group: u64, now: (Leader, bool)) -> Checked {
        match self.votes.insert((node, group), now) {
            Some(before) if before > now => Err(violated(
                "votes only rise",
                format!("n{node} group {group} voted {now:?} after {before:?}"),
            )),
            _ => Ok(()),
        }
    }

    /// One who leads: nobody else ever leads under the same vote. Not even the same node after a restart: what it had
    /// promised as a leader it does not know any more.
    pub(super) fn leader(&mut self, node: usize, group: u64, vote: Leader) -> Checked {
        let process = (node, self.processes.get(&node).copied().unwrap_or_default());
        match self.leaders.insert((group, vote), process) {
            Some(before) if before != process => Err(violated(
                "election safety",
                format!("group {group}: {vote:?} is process {process:?}, and was {before:?}"),
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn leader(term: u64, node: u64) -> Leader {
        Leader { term, node }
    }

    #[test]
    fn two_who_lead_under_one_vote_are_found() {
        let mut elections = Elections::default();
        elections.leader(1, 7, leader(2, 5)).unwrap();
        elections.leader(1, 7, leader(2, 5)).unwrap();
        elections.leader(2, 7, leader(2, 6)).unwrap();
        let found = elections.leader(2, 7, leader(2, 5)).unwrap_err();
        assert_eq!(found.invariant, "election safety");
    }

    #[test]
    fn a_leader_that_leads_on_after_its_restart_is_found() {
        let mut elections = Elections::default();
        elections.leader(1, 7, leader(2, 5)).unwrap();
        elections.forget(1);
        elections.leader(1, 8, leader(2, 5)).unwrap();
        elections.leader(1, 7, leader(3, 5)).unwrap();
        let found = elections.leader(1, 7, leader(2, 5)).unwrap_err();
        assert_eq!(found.invariant, "election safety");
    }

    #[test]
    fn a_vote_that_is_taken_back_is_found() {
        let mut elections = Elections::default();
        elections.vote(1, 7, (leader(2, 5), false)).unwrap();
        elections.vote(1, 7, (leader(2, 5), true)).unwrap();
        elections.vote(2, 7, (leader(1, 5), true)).unwrap();
        elections.forget(1);
        let found = elections.vote(1, 7, (leader(2, 4), true)).unwrap_err();
        assert_eq!(found.invariant, "votes only rise");
    }
}
