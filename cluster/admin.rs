//! What operators can see and do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use thiserror::Error;
use weir_meta::plan::{meta_voters, next_moves, rebalance_moves};
use weir_meta::{GroupId, MetaCommand, MetaOutcome, MetaState, NodeId, NodeState};

use crate::control::{CommandError, Commands, Hosting, MetaMachine, group_status, hand_over};
use crate::peer::Peers;
use crate::raft::{Machine, ReplicaStatus};
use crate::report::Report;

/// The admin side of a node. Every node answers for the whole cluster.
#[derive(Clone)]
pub struct Admin {
    commands: Arc<Commands>,
    machine: Arc<MetaMachine>,
    hosting: Arc<Hosting>,
    peers: Arc<Peers>,
    node: NodeId,
    /// Held while a state is read for its hash: one at a time is enough of a load.
    hashing: Arc<tokio::sync::Mutex<()>>,
    /// Held while the replicas of all groups are asked how they are, on the way that heartbeats take.
    asking: Arc<tokio::sync::Mutex<()>>,
}

/// Why an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AdminError {
    /// The control plane refuses it, or has no leader.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// There is no such node, group or replica.
    #[error("{0}")]
    Unknown(String),
    /// The replica that should act does not answer.
    #[error("{0}")]
    Unavailable(String),
}

/// Why a node is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotReady {
    /// See [`Admin::is_ready`].
    #[error("replicas are missing here")]
    Replicas,
    /// See [`Admin::is_ready`].
    #[error("a replica here has not caught up with its group yet, or the group has no leader")]
    Behind,
    /// It is removed or lost.
    #[error("the cluster has taken this node out; with an empty data directory it joins as a new one")]
    TakenOut,
}

/// The cluster at a glance.
#[derive(Debug, Clone, Serialize)]
pub struct ClusterStatus {
    /// The cluster's id.
    pub cluster: String,
    /// The node that answered.
    pub answered_by: u64,
    /// The version of the control plane's state on that node.
    pub version: u64,
    /// The node that leads the meta group, if there is one.
    pub meta_leader: Option<u64>,
    /// Groups, with and without a leader that answers.
    pub groups: usize,
    /// Groups of which no leader answers.
    pub groups_without_leader: Vec<u64>,
    /// Nodes of which a replica does not answer.
    pub silent_nodes: BTreeSet<u64>,
    /// Moves of replicas under way.
    pub moves: usize,
    /// How many replicas each group should have now: as many as are wanted and there are active nodes for.
    pub wanted_replicas: usize,
    /// Whether all is as it should be: every group has a leader, all its replicas answer, and nothing is left to move or to
    /// elect into the meta group.
    pub settled: bool,
    /// The nodes.
    pub nodes: Vec<NodeStatus>,
}

/// A node.
#[derive(Debug, Clone, Serialize)]
pub struct NodeStatus {
    /// Its id.
    pub id: u64,
    /// The identity of its data directory.
    pub uuid: String,
    /// Where other nodes, clients and operators reach it.
    pub peer_address: String,
    /// See `peer_address`.
    pub client_address: String,
    /// See `peer_address`.
    pub admin_address: String,
    /// Its zone.
    pub zone: String,
    /// `active`, `draining`, `lost` or `removed`.
    pub state: String,
    /// How many replicas it hosts or is to host.
    pub replicas: usize,
    /// Whether it votes in the meta group.
    pub votes_in_meta_group: bool,
    /// Of a node that is to go: what is in the way of removing it. Empty when it may be removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_the_way: Option<Vec<String>>,
}

/// A group.
#[derive(Debug, Clone, Serialize)]
pub struct GroupStatus {
    /// Its id.
    pub id: u64,
    /// The leading replica, if one answers.
    pub leader: Option<u64>,
    /// The leader's node.
    pub leader_node: Option<u64>,
    /// The leader's term.
    pub term: u64,
    /// The index of the last entry that the leader has applied.
    pub applied: u64,
    /// The replicas.
    pub replicas: Vec<ReplicaLine>,
    /// A move under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
}

/// One replica of a group.
#[derive(Debug, Clone, Serialize)]
pub struct ReplicaLine {
    /// Its id.
    pub id: u64,
    /// Its node.
    pub node: u64,
    /// Whether it answers.
    pub answers: bool,
    /// Entries of the leader's log that it lacks, as the leader knows; unknown without a leader.
    pub lag: Option<u64>,
}

/// A hash of all that a replica's state holds. Replicas of a group that have applied the same entries have the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplicaHash {
    /// The group; 0 is the meta group.
    pub group: u64,
    /// The replica's node.
    pub node: u64,
    /// The replica.
    pub replica: u64,
    /// The index of the last entry that the state includes.
    pub applied: u64,
    /// 32 hexadecimal digits.
    pub hash: String,
}

/// Whether the planners have nothing more to do.
fn is_planned(state: &MetaState) -> bool {
    state.moves() == 0
        && next_moves(state, 1).is_empty()
        && rebalance_moves(state, 1).is_empty()
        && meta_voters(state, state.meta_voters()) == *state.meta_voters()
}

impl Admin {
    pub(crate) fn new(
        commands: Arc<Commands>,
        machine: Arc<MetaMachine>,
        hosting: Arc<Hosting>,
        peers: Arc<Peers>,
        node: NodeId,
    ) -> Self {
        Self {
            commands,
            machine,
            hosting,
            peers,
            node,
            hashing: Arc::default(),
            asking: Arc::default(),
        }
    }

    fn state(&self) -> Arc<MetaState> {
        Arc::clone(&self.machine.states().borrow())
    }

    /// Whether every replica that this node should host is here and has caught up with a leader since it was opened; also those
    /// that it has still to get, where a group waits for them. Whoever takes nodes down one after the other must not go on
    /// before. Once caught up is enough: without a majority a node is no less ready than the others.
    ///
    /// # Errors
    /// What is missing.
    pub fn is_ready(&self) -> Result<(), NotReady> {
        let state = self.state();
        let own = state
            .groups()
            .iter()
            .filter_map(|(id, info)| Some((id, info.replica_on(self.node)?)));
        let mut own = own.peekable();
        if self.is_missed(&state, own.peek().is_some()) {
            return Err(NotReady::Replicas);
        }
        // One that the cluster has taken out hears nothing of it any more.
        if !state.node(self.node).is_some_and(|info| info.state.in_use()) {
            return Err(NotReady::TakenOut);
        }
        for (id, replica) in own {
            let hosted = self.hosting.group(id.0).and_then(|group| group.hosted());
            match hosted.filter(|hosted| hosted.replica.id() == replica.id.0) {
                None => return Err(NotReady::Replicas),
                Some(hosted) if !hosted.is_caught_up() => return Err(NotReady::Behind),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Whether groups that lack a replica get it from this node, or will if it `has` none at all yet.
    fn is_missed(&self, state: &MetaState, has: bool) -> bool {
        let is_active = |info: &weir_meta::NodeInfo| info.state == NodeState::Active;
        if !state.node(self.node).is_some_and(is_active) {
            return false;
        }
        let is_lost = |replica: &weir_meta::Replica| {
            let node = state.node(replica.node);
            node.is_none_or(|node| !node.state.in_use())
        };
        let mut short = state
            .groups()
            .values()
            .filter(|info| info.replicas.len() < state.wanted_replicas() || info.replicas.iter().any(is_lost));
        short.any(|info| !has || info.incoming().is_some_and(|replica| replica.node == self.node))
    }

    /// What this node knows of itself, for its metrics. Asks nobody.
    #[must_use]
    pub fn report(&self) -> Report {
        Report::new(&self.state(), self.commands.replica(), &self.hosting)
    }

    /// The cluster at a glance.
    pub async fn status(&self) -> ClusterStatus {
        let state = self.state();
        let groups = self.groups().await;
        let meta_leader = self.commands.replica().leader().leader.map(|(_, node)| node);
        let replicas = groups.iter().flat_map(|group| &group.replicas);
        let silent_nodes: BTreeSet<u64> = replicas.filter(|line| !line.answers).map(|line| line.node).collect();
        ClusterStatus {
            cluster: state
                .cluster()
                .map(|cluster| cluster.id.to_string())
                .unwrap_or_default(),
            answered_by: self.node.0,
            version: state.version(),
            meta_leader,
            groups: groups.len(),
            groups_without_leader: groups
                .iter()
                .filter(|group| group.leader.is_none())
                .map(|group| group.id)
                .collect(),
            settled: is_planned(&state) && groups.iter().all(|group| group.leader.is_some()) && silent_nodes.is_empty(),
            silent_nodes,
            moves: state.moves(),
            wanted_replicas: state.wanted_replicas(),
            nodes: self.nodes(),
        }
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeStatus> {
        let state = self.state();
        let loads = state.loads();
        // As Raft has it: the state says who should vote, which at the founding is more than who does.
        let voters: BTreeSet<u64> = self.commands.replica().status().voters.into_iter().flatten().collect();
        let describe = |(id, info): (&NodeId, &weir_meta::NodeInfo)| {
            let leaves = !matches!(info.state, NodeState::Active | NodeState::Removed);
            let in_the_way = leaves.then(|| {
                let reasons = weir_meta::plan::may_remove(&state, *id).err().unwrap_or_default();
                reasons.iter().map(ToString::to_string).collect()
            });
            NodeStatus {
                id: id.0,
                uuid: info.uuid.to_string(),
                peer_address: info.addresses.peer.to_string(),
                client_address: info.addresses.client.to_string(),
                admin_address: info.addresses.admin.to_string(),
                zone: info.zone.to_string(),
                state: info.state.to_string(),
                replicas: loads.get(id).copied().unwrap_or_default(),
                votes_in_meta_group: voters.contains(&info.meta_replica.0),
                in_the_way,
            }
        };
        state.nodes().iter().map(describe).collect()
    }

    /// The groups, with who leads them as far as they answer.
    pub async fn groups(&self) -> Vec<GroupStatus> {
        let _turn = self.asking.lock().await;
        let state = self.state();
        let asked = state.groups().iter().map(|(id, info)| self.group(*id, info));
        futures_util::future::join_all(asked).await
    }

    async fn group(&self, id: GroupId, info: &weir_meta::GroupInfo) -> GroupStatus {
        let replicas: Vec<_> = info.replicas.iter().copied().chain(info.incoming()).collect();
        let asked = replicas
            .iter()
            .map(|replica| group_status(&self.peers, id.0, replica.id.0, replica.node.0));
        let statuses: Vec<Option<ReplicaStatus>> = futures_util::future::join_all(asked).await;
        // Two may say that they lead when one has not heard yet that it does not.
        let leader = statuses
            .iter()
            .flatten()
            .filter(|status| status.is_leader)
            .max_by_key(|status| status.term);
        let matched: BTreeMap<u64, u64> = leader.map(|leader| leader.matched.clone()).unwrap_or_default();
        let lag = |replica: u64| {
            let leader = leader?;
            let has = if replica == leader.replica {
                leader.last_log
            } else {
                *matched.get(&replica)?
            };
            Some(leader.last_log.saturating_sub(has))
        };
        let leader_id = leader.map(|leader| leader.replica);
        let node_of = |id: u64| {
            replicas
                .iter()
                .find(|replica| replica.id.0 == id)
                .map(|replica| replica.node.0)
        };
        GroupStatus {
            id: id.0,
            leader: leader_id,
            leader_node: leader_id.and_then(node_of),
            term: leader.map_or(0, |leader| leader.term),
            applied: leader.map_or(0, |leader| leader.applied),
            replicas: replicas
                .iter()
                .zip(&statuses)
                .map(|(replica, status)| ReplicaLine {
                    id: replica.id.0,
                    node: replica.node.0,
                    answers: status.is_some(),
                    lag: lag(replica.id.0),
                })
                .collect(),
            change: info.change.map(|change| {
                let from = change
                    .from
                    .map_or_else(|| "nothing".to_owned(), |from| format!("replica {from}"));
                let to = change.to.map_or_else(
                    || "nothing".to_owned(),
                    |to| format!("replica {} on node {}", to.id, to.node),
                );
                format!("{from} gives way to {to}")
            }),
        }
    }

    /// A hash of the state of this node's replica of `group`. Reads all of it, while writes go on.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn state_hash(&self, group: u64) -> Result<ReplicaHash, AdminError> {
        let (replica, machine): (u64, Arc<dyn Machine>) = if group == 0 {
            (
                self.commands.replica().id(),
                Arc::clone(&self.machine) as Arc<dyn Machine>,
            )
        } else {
            let hosted = self.hosting.group(group).and_then(|group| group.hosted());
            let unknown = || AdminError::Unknown(format!("there is no replica of group {group} on this node"));
            let hosted = hosted.ok_or_else(unknown)?;
            (hosted.replica.id(), Arc::clone(&hosted.machine) as Arc<dyn Machine>)
        };
        let turn = Arc::clone(&self.hashing).lock_owned().await;
        let read = tokio::task::spawn_blocking(move || {
            // It is read to the end even if nobody waits for it any more.
            let _turn = turn;
            machine.state_hash()
        });
        let read = read.await;
        let failed =
            |error: String| AdminError::Unavailable(format!("the state of group {group} cannot be read: {error}"));
        let read = read.map_err(|error| failed(error.to_string()))?;
        let state = read.map_err(|error| failed(error.to_string()))?;
        Ok(ReplicaHash {
            group,
            node: self.node.0,
            replica,
            applied: state.applied,
            hash: format!("{:032x}", state.hash),
        })
    }

    /// Has the control plane carry out a command.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn run(&self, command: &MetaCommand) -> Result<MetaOutcome, AdminError> {
        Ok(self.commands.run(command).await?)
    }

    /// Has the replica of `group` on `node` lead. Whether it does shows in [`Admin::groups`] soon after.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn transfer(&self, group: u64, node: u64) -> Result<(), AdminError> {
        let state = self.state();
        let info = state.group(GroupId(group));
        let info = info.ok_or_else(|| AdminError::Unknown(format!("there is no group {group}")))?;
        let to = info.replica_on(NodeId(node));
        let to = to.ok_or_else(|| AdminError::Unknown(format!("group {group} has no replica on node {node}")))?;
        let status = self.group(GroupId(group), info).await;
        let leader = status.leader.zip(status.leader_node);
        let leader = leader.ok_or_else(|| AdminError::Unavailable(format!("group {group} has no leader now")))?;
        let handed = hand_over(&self.peers, group, leader, to.id.0).await;
        handed.map_err(|error| AdminError::Unavailable(error.to_string()))
    }

    /// Has other nodes lead what this one leads, as far as they can. Ends when nothing is left to hand over.
    pub(crate) async fn hand_over_all(&self) {
        loop {
            let mut led = 0;
            for group in self.hosting.groups() {
                let Some(hosted) = group.hosted().filter(|hosted| hosted.replica.is_leader()) else {
                    continue;
                };
                let status = hosted.replica.status();
                // Whoever has most of the log takes over soonest.
                let others = status.voters.iter().flatten();
                let able = others.filter(|id| hosted.replica.can_take_over(**id));
                let heir = able.max_by_key(|id| status.matched.get(*id).copied().unwrap_or_default());
                if let Some(heir) = heir {
                    led += 1;
                    let _ = hosted.replica.hand_over(*heir).await;
                }
            }
            if led == 0 {
                return;
            }
            tokio::time::sleep(crate::limits::LEADER_PAUSE * 2).await;
        }
    }
}
