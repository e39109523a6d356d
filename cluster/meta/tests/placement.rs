//! Where replicas go: pinned values, balance, zones.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use weir_meta::placement::{Candidate, choose_target, place};
use weir_meta::{GroupId, MetaCommand, NodeId, ReplicaId, Zone};

use crate::support::{best_spread, founded, node, nodes_of, register, spread};

fn candidates<'a>(zones: &'a [Zone], loads: &[usize]) -> Vec<Candidate<'a>> {
    (1..)
        .zip(zones)
        .zip(loads)
        .map(|((node, zone), load)| Candidate {
            node: NodeId(node),
            zone,
            load: *load,
        })
        .collect()
}

fn zones(names: &[&str]) -> Vec<Zone> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// The order of the scores of five nodes, from another implementation of XXH3 in another language.
#[test]
fn equal_nodes_are_chosen_as_ever() {
    let zones = zones(&[""; 5]);
    let candidates = candidates(&zones, &[0; 5]);
    let golden = [(1, [1, 2, 3, 4, 5]), (2, [4, 2, 5, 1, 3]), (3, [2, 4, 1, 3, 5])];
    for (group, order) in golden {
        assert_eq!(place(GroupId(group), &candidates, 5), order.map(NodeId));
    }
}

#[test]
fn zones_come_before_load_and_load_before_the_score() {
    let zones = zones(&["a", "a", "b", "c"]);
    let chosen = place(GroupId(1), &candidates(&zones, &[0, 1, 9, 5]), 3);
    assert_eq!(chosen, [NodeId(1), NodeId(4), NodeId(3)]);
    assert_eq!(place(GroupId(1), &candidates(&zones, &[1, 0, 9, 5]), 3)[0], NodeId(2));
}

#[test]
fn a_founded_cluster_is_balanced() {
    for (nodes, groups) in [(3, 16), (4, 16), (5, 16), (7, 64), (10, 1024), (9, 1)] {
        let state = founded(groups, 3, &vec![""; nodes]);
        let loads = state.loads();
        let (least, most) = (groups as usize * 3 / nodes, (groups as usize * 3).div_ceil(nodes));
        for id in state.nodes().keys() {
            let load = loads.get(id).copied().unwrap_or_default();
            assert!(
                (least..=most).contains(&load),
                "{groups} groups on {nodes} nodes: {loads:?}"
            );
        }
    }
}

#[test]
fn a_target_is_active_and_free_of_the_group() {
    let mut state = founded(1, 3, &["a", "b", "c"]);
    let group = GroupId(1);
    let leaving = state.group(group).unwrap().replica_on(NodeId(2)).unwrap().id;
    assert_eq!(choose_target(&state, group, Some(leaving)), None);
    assert_eq!(choose_target(&state, GroupId(2), None), None);
    let c2 = register(&mut state, node(4, "c"));
    assert_eq!(choose_target(&state, group, Some(leaving)), Some(c2));
    let b2 = register(&mut state, node(5, "b"));
    assert_eq!(choose_target(&state, group, Some(leaving)), Some(b2));
    // The one that leaves does not count, an unknown one changes nothing.
    let in_c = state.group(group).unwrap().replica_on(NodeId(3)).unwrap().id;
    assert_eq!(choose_target(&state, group, Some(in_c)), Some(c2));
    assert!(choose_target(&state, group, Some(ReplicaId(999))).is_some());
    state.apply(MetaCommand::SetDraining(b2)).unwrap();
    assert_eq!(choose_target(&state, group, Some(leaving)), Some(c2));
}

/// The nodes of zones b and c go. Were the replica in b counted, the one in c would have to go to zone d, which is busier.
#[test]
fn replicas_on_nodes_that_go_hold_no_zone() {
    let mut state = founded(2, 3, &["a", "b", "c"]);
    let on_c = |state: &weir_meta::MetaState, group| state.group(group).unwrap().replica_on(NodeId(3)).unwrap().id;
    let d = register(&mut state, node(4, "d"));
    let other = GroupId(2);
    let from = Some(on_c(&state, other));
    state
        .apply(MetaCommand::StartMove {
            group: other,
            from,
            to: Some(d),
        })
        .unwrap();
    let b2 = register(&mut state, node(5, "b"));
    let group = GroupId(1);
    let leaving = Some(on_c(&state, group));
    assert_eq!(choose_target(&state, group, leaving), Some(d));
    state.apply(MetaCommand::SetDraining(NodeId(2))).unwrap();
    assert_eq!(choose_target(&state, group, leaving), Some(b2));
}

#[test]
fn a_replacement_has_precedence() {
    let mut state = founded(4, 3, &["a", "b", "c"]);
    let (c2, b2) = (register(&mut state, node(4, "c")), register(&mut state, node(5, "b")));
    let replaced = state
        .apply(MetaCommand::ReplaceNode {
            old: NodeId(2),
            new: c2,
        })
        .unwrap();
    assert_eq!(state.moves(), 4, "{replaced:?}");
    let group = GroupId(1);
    let change = state.group(group).unwrap().change.unwrap();
    assert_eq!(change.to.unwrap().node, c2);
    state
        .apply(MetaCommand::AbortMove {
            group,
            started_version: change.started_version,
        })
        .unwrap();
    assert_eq!(choose_target(&state, group, change.from), Some(c2));
    state.apply(MetaCommand::SetDraining(c2)).unwrap();
    assert_eq!(choose_target(&state, group, change.from), Some(b2));
}

proptest! {
    #[test]
    fn placement_is_spread_balanced_and_independent_of_order(
        groups in 1..40u64,
        factor in 1..=5u32,
        names in prop::collection::vec(prop::sample::select(vec!["", "a", "b", "c"]), 1..9),
    ) {
        let state = founded(groups, factor, &names);
        let loads = state.loads();
        for (id, group) in state.groups() {
            let nodes = nodes_of(&state, *id);
            prop_assert_eq!(nodes.len(), names.len().min(factor as usize));
            prop_assert_eq!(nodes.len(), group.replicas.len());
            prop_assert_eq!(spread(&state, group), best_spread(&state, nodes.len()));
        }
        // Nodes of one zone can stand in for each other.
        let mut by_zone: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for (id, info) in state.nodes() {
            by_zone.entry(info.zone.as_str()).or_default().insert(loads.get(id).copied().unwrap_or_default());
        }
        for loads in by_zone.values() {
            prop_assert!(loads.last().unwrap() - loads.first().unwrap() <= 1, "{:?}", loads);
        }
        let zones = zones(&names);
        let mut candidates = candidates(&zones, &vec![0; names.len()]);
        let chosen = place(GroupId(groups), &candidates, factor as usize);
        candidates.reverse();
        prop_assert_eq!(place(GroupId(groups), &candidates, factor as usize), chosen);
    }
}
