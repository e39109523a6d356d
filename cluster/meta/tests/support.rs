//! Clusters to test on, and what must hold of each.

use std::collections::{BTreeMap, BTreeSet};

use weir_meta::{
    Addresses, ClusterId, Detail, Found, FoundingNode, GroupId, GroupInfo, MetaCommand, MetaState, NodeId, NodeState,
    NodeUuid, ReplicaId,
};

pub(crate) const CLUSTER: ClusterId = ClusterId(0xc1);

pub(crate) fn addresses(host: u64) -> Addresses {
    Addresses {
        peer: format!("n{host}.example:4436").parse().unwrap(),
        client: format!("n{host}.example:4437").parse().unwrap(),
        admin: format!("n{host}.example:4439").parse().unwrap(),
    }
}

/// A node whose disk and host have the same number.
pub(crate) fn node(number: u64, zone: &str) -> FoundingNode {
    on_host(u128::from(number), number, zone)
}

pub(crate) fn on_host(uuid: u128, host: u64, zone: &str) -> FoundingNode {
    FoundingNode {
        uuid: NodeUuid(uuid),
        addresses: addresses(host),
        zone: zone.parse().unwrap(),
    }
}

/// Nodes 1, 2, ... in these zones.
pub(crate) fn found(groups: u64, factor: u32, zones: &[&str]) -> Found {
    Found {
        cluster: CLUSTER,
        groups,
        replication_factor: factor,
        nodes: (1..).zip(zones).map(|(number, zone)| node(number, zone)).collect(),
    }
}

pub(crate) fn founded(groups: u64, factor: u32, zones: &[&str]) -> MetaState {
    let mut state = MetaState::new();
    state.apply(MetaCommand::Found(found(groups, factor, zones))).unwrap();
    state
}

pub(crate) fn register(state: &mut MetaState, node: FoundingNode) -> NodeId {
    let outcome = state.apply(MetaCommand::RegisterNode(node)).unwrap();
    let Detail::Registered { node, .. } = outcome.detail else {
        panic!("{outcome:?}")
    };
    node
}

pub(crate) fn apply_all(state: &mut MetaState, commands: &[MetaCommand]) {
    for command in commands {
        state.apply(command.clone()).unwrap();
        state.check().unwrap();
    }
}

pub(crate) fn ids(group: &GroupInfo) -> BTreeSet<ReplicaId> {
    group.wanted().iter().map(|replica| replica.id).collect()
}

/// Finishes every move under way, as the groups would; returns how many.
pub(crate) fn finish_all(state: &mut MetaState) -> usize {
    let under_way: Vec<_> = state
        .groups()
        .iter()
        .filter(|(_, group)| group.change.is_some())
        .map(|(id, group)| (*id, ids(group)))
        .collect();
    for (group, replicas) in &under_way {
        let replicas = replicas.clone();
        state
            .apply(MetaCommand::FinishMove {
                group: *group,
                replicas,
            })
            .unwrap();
        state.check().unwrap();
    }
    under_way.len()
}

pub(crate) fn nodes_of(state: &MetaState, group: GroupId) -> BTreeSet<NodeId> {
    state
        .group(group)
        .unwrap()
        .replicas
        .iter()
        .map(|replica| replica.node)
        .collect()
}

/// How many replicas of the group each zone has, fullest first, with every zone that has an active node.
pub(crate) fn spread(state: &MetaState, group: &GroupInfo) -> Vec<usize> {
    let mut zones: BTreeMap<&str, usize> = state.active_nodes().map(|(_, info)| (info.zone.as_str(), 0)).collect();
    for replica in &group.replicas {
        *zones
            .entry(state.node(replica.node).unwrap().zone.as_str())
            .or_default() += 1;
    }
    let mut counts: Vec<_> = zones.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    counts
}

/// The most even spread of `replicas` over the zones of the active nodes, given how many nodes each zone has.
pub(crate) fn best_spread(state: &MetaState, replicas: usize) -> Vec<usize> {
    let mut room: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, info) in state.active_nodes() {
        *room.entry(info.zone.as_str()).or_default() += 1;
    }
    let room: Vec<usize> = room.into_values().collect();
    let mut counts = vec![0; room.len()];
    for _ in 0..replicas {
        let next = (0..room.len())
            .filter(|zone| counts[*zone] < room[*zone])
            .min_by_key(|zone| counts[*zone]);
        counts[next.expect("enough nodes")] += 1;
    }
    counts.sort_unstable_by(|a, b| b.cmp(a));
    counts
}

/// Every group has the replicas it should have, all on active nodes, nothing under way.
pub(crate) fn assert_settled(state: &MetaState) {
    for (id, group) in state.groups() {
        assert_eq!(group.change, None, "group {id}");
        assert_eq!(group.replicas.len(), state.wanted_replicas(), "group {id}");
        for replica in &group.replicas {
            assert_eq!(state.node(replica.node).unwrap().state, NodeState::Active, "group {id}");
        }
    }
}
