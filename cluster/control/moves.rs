//! How a group comes to the members that the meta group's state gives it.
//!
//! A move is: a learner is added, catches up, takes part in a joint change, and the old replica goes. Each step begins
//! with what the group's leader says of its members, and is refused by it when they are others by then. The meta group is
//! told of what the group has committed, and of nothing else: a replica that the state does not want any more is deleted
//! by its node.

use std::collections::{BTreeMap, BTreeSet};

use weir_meta::plan::is_stranded;
use weir_meta::{GroupId, GroupInfo, MetaCommand, MetaState, NodeId, Replica, ReplicaId};

use super::group_calls::{add_learner, change_members, group_status, hand_over, leads, remove_learners, set_voters};
use super::reconcile::{Reconciler, all_voters, is_caught_up};
use crate::raft::ReplicaStatus;

/// A group that is looked at, and what its leader says.
struct Led<'a> {
    group: GroupId,
    info: &'a GroupInfo,
    leader: Replica,
    status: ReplicaStatus,
}

impl Reconciler {
    /// Takes the next step of every group that is asked: those that move, or `all`. Tells who leads them.
    pub(super) async fn groups(&self, state: &MetaState, all: bool) -> BTreeMap<GroupId, NodeId> {
        let asked = state.groups().iter().filter(|(_, info)| all || info.change.is_some());
        let asked = asked.map(|(group, info)| async move {
            let (leader, status) = self.leader(*group, info).await?;
            let led = Led {
                group: *group,
                info,
                leader,
                status,
            };
            self.step(state, &led).await;
            Some((*group, leader.node))
        });
        let leaders = futures_util::future::join_all(asked).await;
        leaders.into_iter().flatten().collect()
    }

    /// Who leads, of the latest term: one may not have heard yet that it does not any more.
    async fn leader(&self, group: GroupId, info: &GroupInfo) -> Option<(Replica, ReplicaStatus)> {
        let asked = info.replicas.iter().copied().chain(info.incoming());
        let asked = asked.map(|replica| async move {
            let status = group_status(&self.peers, group.0, replica.id.0, replica.node.0).await;
            status.map(|status| (replica, status))
        });
        let answers = futures_util::future::join_all(asked).await;
        let leaders = answers.into_iter().flatten().filter(|(_, status)| status.is_leader);
        leaders.max_by_key(|(_, status)| status.term)
    }

    async fn step(&self, state: &MetaState, led: &Led<'_>) {
        let Led { info, status, .. } = led;
        let voters = all_voters(status);
        let is_joint = status.voters.len() > 1;
        // A joint change is ended before anything else, and only forwards.
        let goal = match status.voters.last() {
            Some(last) if is_joint => last.clone(),
            _ => info.wanted().iter().map(|replica| replica.id.0).collect(),
        };
        if !is_joint {
            if is_stranded(state, info) && info.incoming().is_some_and(|to| !voters.contains(&to.id.0)) {
                return self.withdraw(led).await;
            }
            if voters == goal {
                return self.finish(led, goal).await;
            }
            let missing = |replica: &Replica| !status.members.contains_key(&replica.id.0);
            if let Some(new) = info.wanted().into_iter().find(missing) {
                let added = self.change(led, add_learner(new.id.0, new.node.0)).await;
                tracing::info!(group = %led.group, replica = %new.id, added, "a replica is added");
                return;
            }
            if goal.iter().any(|id| !voters.contains(id) && !is_caught_up(status, *id)) {
                return;
            }
        }
        if !goal.contains(&led.leader.id.0) {
            // Who goes hands over first, so that the group has a leader all the time.
            let at = (led.leader.id.0, led.leader.node.0);
            for heir in goal
                .iter()
                .filter(|id| voters.contains(id) && is_caught_up(status, **id))
            {
                if hand_over(&self.peers, led.group.0, at, *heir).await.is_ok() {
                    return;
                }
            }
        }
        let changed = self.change(led, set_voters(&goal)).await;
        tracing::info!(group = %led.group, voters = ?goal, changed, "a group's voters change");
    }

    /// The voters are those that the group is to have.
    async fn finish(&self, led: &Led<'_>, goal: BTreeSet<u64>) {
        // Until it is committed, another leader may have the group go on with the old ones.
        if !led.status.is_settled {
            return;
        }
        if led.info.change.is_some() {
            // An older leader may have been answered last, of a time when the group had the same voters before.
            if !leads(&self.peers, led.group.0, led.leader.id.0, led.leader.node.0).await {
                return;
            }
            let command = MetaCommand::FinishMove {
                group: led.group,
                replicas: goal.into_iter().map(ReplicaId).collect(),
            };
            let finished = self.commands.run(&command).await;
            tracing::info!(group = %led.group, ?finished, "a move is finished");
            return;
        }
        // Members of moves that came to nothing.
        let members: BTreeSet<u64> = led.status.members.keys().copied().collect();
        let left: BTreeSet<u64> = members.difference(&goal).copied().collect();
        if !left.is_empty() {
            let removed = self.change(led, remove_learners(&left)).await;
            tracing::info!(group = %led.group, replicas = ?left, removed, "replicas without a vote are removed");
        }
    }

    /// Gives up a move whose new replica has no vote, once the group cannot give it one any more: that it is no member is
    /// committed anew, after whatever orders came before.
    async fn withdraw(&self, led: &Led<'_>) {
        let Some((change, to)) = led.info.change.and_then(|change| Some((change, change.to?))) else {
            return;
        };
        let removed = self.change(led, remove_learners(&BTreeSet::from([to.id.0]))).await;
        tracing::info!(group = %led.group, replica = %to.id, removed, "a replica is not added after all");
        if removed {
            let command = MetaCommand::AbortMove {
                group: led.group,
                started_version: change.started_version,
            };
            // Once, and by this node: later, another driver may have gone on with the move.
            let aborted = self.commands.run_here(&command).await;
            tracing::info!(group = %led.group, ?aborted, "a move is aborted");
        }
    }

    /// Whether the group's leader has made a change.
    async fn change(&self, led: &Led<'_>, change: weir_proto::control::change_members::Change) -> bool {
        let at = (&led.status, led.leader.node.0);
        let changed = change_members(&self.peers, led.group.0, at, change).await;
        if let Err(error) = &changed {
            tracing::debug!(group = %led.group, ?error, "a group's members were not changed");
        }
        changed.is_ok()
    }
}
