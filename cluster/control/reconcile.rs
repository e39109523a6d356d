//! What the meta group's leader does about groups that are not as they should be.
//!
//! One round after the other looks at what is and takes the next step. Nothing is remembered between rounds, so a round
//! on another node goes on where the last one ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use weir_meta::plan::{leader_balance, meta_voters, next_moves, rebalance_moves};
use weir_meta::{GroupId, MetaCommand, MetaState, NodeId, NodeState, ReplicaId};

use super::commands::Commands;
use super::group_calls::hand_over;
use super::machine::MetaMachine;
use crate::limits::CAUGHT_UP_ENTRIES;
use crate::peer::Peers;
use crate::raft::{ReplicaStatus, Seen};

const ROUND_PAUSE: Duration = Duration::from_millis(500);

/// A change of the meta group's members is committed by a majority of two sets, one after the other.
const MEMBERS_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a majority may take to confirm that this node's meta replica leads.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(5);

/// All groups are looked at, and leaders are balanced, every so many rounds.
const BALANCE_EVERY: u64 = 20;

/// Moves under way at the same time: each copies a group's streams.
const MAX_MOVES: usize = 4;

/// Everything a round needs.
pub(crate) struct Reconciler {
    pub(crate) commands: Arc<Commands>,
    pub(crate) machine: Arc<MetaMachine>,
    pub(crate) peers: Arc<Peers>,
}

/// Runs rounds for ever; those of a node whose meta replica does not lead do nothing.
pub(crate) async fn run(reconciler: Reconciler) {
    let mut round = 0_u64;
    loop {
        tokio::time::sleep(ROUND_PAUSE).await;
        if !reconciler.commands.replica().is_leader() {
            continue;
        }
        round += 1;
        // An idle cluster is not asked for all its leaders twice a second.
        let is_balanced = round.is_multiple_of(BALANCE_EVERY);
        let moves = reconciler.machine.states().borrow().moves();
        // Groups take orders from whoever gives them: that must be the one that knows what was decided last.
        if (is_balanced || moves > 0) && !reconciler.is_confirmed().await {
            continue;
        }
        let state = Arc::clone(&reconciler.machine.states().borrow());
        if state.cluster().is_none() {
            continue;
        }
        let leaders = reconciler.groups(&state, is_balanced).await;
        reconciler.plan(&state, is_balanced.then_some(&leaders)).await;
        // Whatever it waits for, the groups must not wait with it; the next round looks again.
        let members = reconciler.meta_members(&state);
        if tokio::time::timeout(MEMBERS_TIMEOUT, members).await.is_err() {
            tracing::warn!("a change of the meta group's members takes long");
        }
    }
}

/// The sets of voters, as one.
pub(super) fn all_voters(status: &ReplicaStatus) -> BTreeSet<u64> {
    status.voters.iter().flatten().copied().collect()
}

pub(super) fn is_caught_up(status: &ReplicaStatus, replica: u64) -> bool {
    let matched = status.matched.get(&replica).copied().unwrap_or_default();
    matched > 0 && status.last_log.saturating_sub(matched) <= CAUGHT_UP_ENTRIES
}

impl Reconciler {
    /// Whether this node's meta replica leads, and has applied all that was decided before.
    async fn is_confirmed(&self) -> bool {
        let replica = self.commands.replica();
        let confirmed = async {
            let index = replica.read_index().await.ok()?;
            replica.applied(index).await.ok()
        };
        matches!(tokio::time::timeout(CONFIRM_TIMEOUT, confirmed).await, Ok(Some(())))
    }

    /// Every node in use is a member of the meta group, and some of them vote.
    async fn meta_members(&self, state: &MetaState) {
        let replica = self.commands.replica();
        let status = replica.status();
        if status.voters.len() != 1 {
            // An interrupted change: the same goal again ends it.
            if let Some(goal) = status.voters.last() {
                let _ = replica.set_voters_keep_learners(goal.clone()).await;
            }
            return;
        }
        let in_use = state.nodes().iter().filter(|(_, info)| info.state.in_use());
        for (node, info) in in_use {
            let id = info.meta_replica.0;
            if !status.members.contains_key(&id) {
                if let Err(error) = replica.add_learner(id, node.0, Seen::Now).await {
                    tracing::debug!(%node, %error, "a node is not in the meta group yet");
                }
                return;
            }
        }
        let voters = all_voters(&status);
        let current: BTreeSet<ReplicaId> = voters.iter().copied().map(ReplicaId).collect();
        let wanted: BTreeSet<u64> = meta_voters(state, &current).into_iter().map(|id| id.0).collect();
        let ready = wanted
            .iter()
            .all(|id| voters.contains(id) || is_caught_up(&status, *id));
        if wanted != voters {
            if ready && !wanted.is_empty() {
                // Whoever may have a vote must not be removed meanwhile.
                let wanted_ids = wanted.iter().copied().map(ReplicaId);
                let either: BTreeSet<ReplicaId> = current.iter().copied().chain(wanted_ids).collect();
                if !state.meta_voters().is_superset(&either) {
                    let _ = self.commands.run(&MetaCommand::RecordMetaVoters(either)).await;
                    return;
                }
                let changed = replica.set_voters_keep_learners(wanted).await;
                tracing::info!(?changed, "the meta group's voters change");
            }
            return;
        }
        if *state.meta_voters() != current {
            let _ = self.commands.run(&MetaCommand::RecordMetaVoters(current)).await;
            return;
        }
        self.drop_meta_members(state, &status).await;
    }

    /// Members of nodes that are gone for good only cost messages.
    async fn drop_meta_members(&self, state: &MetaState, status: &ReplicaStatus) {
        let voters = all_voters(status);
        let gone: BTreeSet<u64> = state
            .nodes()
            .values()
            .filter(|info| matches!(info.state, NodeState::Removed | NodeState::Lost { .. }))
            .map(|info| info.meta_replica.0)
            .filter(|id| status.members.contains_key(id) && !voters.contains(id))
            .collect();
        if !gone.is_empty() {
            let _ = self.commands.replica().remove_learners(gone, Seen::Now).await;
        }
    }

    /// Begins moves; with the leaders of all groups it may also have some of those hand over.
    async fn plan(&self, state: &MetaState, leaders: Option<&BTreeMap<GroupId, NodeId>>) {
        let mut commands = next_moves(state, MAX_MOVES);
        if commands.is_empty() && state.moves() == 0 {
            commands = rebalance_moves(state, MAX_MOVES);
        }
        for command in &commands {
            if let Err(error) = self.commands.run(command).await {
                tracing::debug!(?command, %error, "a planned change was not made");
            }
        }
        if let Some(leaders) = leaders.filter(|_| commands.is_empty() && state.moves() == 0) {
            for (group, from, to) in leader_balance(state, leaders) {
                let Some(info) = state.group(group) else { continue };
                if let (Some(from), Some(to)) = (info.replica_on(from), info.replica_on(to)) {
                    let at = (from.id.0, from.node.0);
                    let _ = hand_over(&self.peers, group.0, at, to.id.0).await;
                }
            }
        }
    }
}
