//! What a node measures of itself. Nothing here waits or asks another node, so it answers whatever the cluster does.

use std::collections::BTreeMap;

use weir_journal::Stats;
use weir_meta::MetaState;

use crate::control::Hosting;
use crate::raft::Replica;

/// A node's own numbers now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How many nodes there are in each state, as this one has heard.
    pub nodes: BTreeMap<String, u64>,
    /// Moves of replicas under way, as this one has heard.
    pub moves: u64,
    /// The replicas on this node. That of group 0 belongs to the meta group, which every node has a replica of.
    pub replicas: Vec<ReplicaReport>,
    /// The journal's counters.
    pub journal: Stats,
    /// How much of the disk is free, in bytes; unknown without one.
    pub free_bytes: Option<u64>,
    /// Whether writes that need space are refused for want of it, in any group.
    pub refuses_writes: bool,
}

/// One replica's own numbers now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaReport {
    /// Its group.
    pub group: u64,
    /// Whether it leads.
    pub leads: bool,
    /// Whether it knows a leader.
    pub has_leader: bool,
    /// Its term.
    pub term: u64,
    /// The index of the last entry in its log.
    pub last_log: u64,
    /// The index of the last entry that it has applied.
    pub applied: u64,
    /// Of a leader: how many entries the voter that is furthest behind lacks.
    pub worst_lag: Option<u64>,
}

impl ReplicaReport {
    fn new(group: u64, replica: &Replica) -> Self {
        let status = replica.status();
        let others = status.voters.iter().flatten().filter(|id| **id != status.replica);
        let has = |id: &u64| status.matched.get(id).copied().unwrap_or_default();
        let lags = others.map(|id| status.last_log.saturating_sub(has(id)));
        Self {
            group,
            leads: status.is_leader,
            has_leader: status.leader.is_some(),
            term: status.term,
            last_log: status.last_log,
            applied: status.applied,
            worst_lag: status.is_leader.then(|| lags.max().unwrap_or_default()),
        }
    }
}

impl Report {
    pub(crate) fn new(state: &MetaState, meta: &Replica, hosting: &Hosting) -> Self {
        let mut nodes = BTreeMap::new();
        for info in state.nodes().values() {
            *nodes.entry(info.state.to_string()).or_default() += 1;
        }
        let groups = hosting.groups();
        let hosted = groups
            .iter()
            .filter_map(|group| Some((group, group.hosted()?)))
            .collect::<Vec<_>>();
        let replicas = hosted
            .iter()
            .map(|(group, hosted)| ReplicaReport::new(group.id(), &hosted.replica));
        Self {
            nodes,
            moves: state.moves() as u64,
            replicas: std::iter::once(ReplicaReport::new(0, meta)).chain(replicas).collect(),
            journal: hosting.shared().journal.stats(),
            free_bytes: hosting.shared().disk.free_bytes(),
            refuses_writes: hosted.iter().any(|(group, _)| !group.has_space()),
        }
    }
}
