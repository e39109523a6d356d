//! Each planner by example.

use std::collections::{BTreeMap, BTreeSet};

use weir_meta::plan::{is_stranded, leader_balance, may_remove, meta_voters, next_moves, rebalance_moves};
use weir_meta::{GroupId, MetaCommand, MetaState, NodeId, Reason, ReplicaId};

use crate::support::{
    apply_all, assert_settled, best_spread, finish_all, founded, node, nodes_of, on_host, register, spread,
};

/// Plans and finishes until nothing is left to do; returns how many rounds that took.
fn settle(state: &mut MetaState, max_parallel: usize) -> usize {
    for round in 0..1000 {
        let commands = next_moves(state, max_parallel);
        apply_all(state, &commands);
        assert!(state.moves() <= max_parallel);
        if finish_all(state) == 0 && commands.is_empty() {
            return round;
        }
    }
    panic!("no end: {state:?}");
}

fn replicas(ids: &[u64]) -> BTreeSet<ReplicaId> {
    ids.iter().copied().map(ReplicaId).collect()
}

#[test]
fn one_node_grows_to_three() {
    let mut state = founded(16, 3, &[""]);
    assert_eq!(next_moves(&state, 4), []);
    register(&mut state, node(2, ""));
    register(&mut state, node(3, ""));
    assert_eq!(next_moves(&state, 4).len(), 4);
    // 32 replicas to add, four at a time.
    assert_eq!(settle(&mut state, 4), 8);
    assert_settled(&state);
    for group in state.groups().keys() {
        assert_eq!(nodes_of(&state, *group).len(), 3);
    }
}

#[test]
fn moves_under_way_count() {
    let mut state = founded(16, 3, &[""]);
    register(&mut state, node(2, ""));
    let first = next_moves(&state, 3);
    apply_all(&mut state, &first);
    assert_eq!(next_moves(&state, 3), []);
    assert_eq!(next_moves(&state, 5).len(), 2);
    assert_eq!(next_moves(&state, 0), []);
}

#[test]
fn a_draining_node_is_emptied_and_may_go() {
    let mut state = founded(8, 3, &["a", "b", "c", "c"]);
    state.apply(MetaCommand::SetDraining(NodeId(4))).unwrap();
    settle(&mut state, 2);
    assert_settled(&state);
    assert_eq!(may_remove(&state, NodeId(4)), Ok(()));
    state.apply(MetaCommand::RemoveNode(NodeId(4))).unwrap();
}

#[test]
fn without_a_node_to_go_to_a_draining_node_keeps_its_replicas() {
    let mut state = founded(2, 3, &["a", "b", "c"]);
    state.apply(MetaCommand::SetDraining(NodeId(3))).unwrap();
    assert_eq!(next_moves(&state, 4), []);
    let reasons = may_remove(&state, NodeId(3)).unwrap_err();
    assert!(
        reasons.iter().any(|reason| matches!(reason, Reason::Stuck { .. })),
        "{reasons:?}"
    );
    // The operator may give the third copy up; the planner does not bring it back.
    for (group, replica) in [(1, 2), (2, 2)] {
        let replica = state.group(GroupId(group)).unwrap().replicas[replica];
        let from = state.group(GroupId(group)).unwrap().replica_on(NodeId(3)).unwrap().id;
        assert!(replica.id >= from || replica.node != NodeId(3));
        state
            .apply(MetaCommand::StartMove {
                group: GroupId(group),
                from: Some(from),
                to: None,
            })
            .unwrap();
    }
    finish_all(&mut state);
    assert_eq!(next_moves(&state, 4), []);
    assert_settled(&state);
}

#[test]
fn lost_replicas_come_first() {
    let mut state = founded(6, 3, &["a", "b", "c", "d", "e"]);
    state.apply(MetaCommand::SetDraining(NodeId(1))).unwrap();
    register(&mut state, on_host(99, 2, "b"));
    let on_lost: BTreeSet<_> = state
        .groups()
        .iter()
        .filter(|(_, group)| group.replica_on(NodeId(2)).is_some())
        .map(|(id, _)| *id)
        .collect();
    let first: BTreeSet<_> = next_moves(&state, on_lost.len())
        .into_iter()
        .map(|command| match command {
            MetaCommand::StartMove { group, .. } => group,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(!on_lost.is_empty());
    assert_eq!(first, on_lost);
    settle(&mut state, 3);
    assert_settled(&state);
}

#[test]
fn a_move_to_a_node_that_goes_is_stranded() {
    let mut state = founded(1, 3, &["", ""]);
    let third = register(&mut state, node(3, ""));
    let started = next_moves(&state, 1);
    apply_all(&mut state, &started);
    let change = state.group(GroupId(1)).unwrap().change.unwrap();
    let is_group_stranded = |state: &MetaState| is_stranded(state, state.group(GroupId(1)).unwrap());
    assert!(!is_group_stranded(&state));
    register(&mut state, on_host(99, 3, ""));
    assert!(is_group_stranded(&state));
    // Only the group knows whether it can still be aborted.
    assert_eq!(next_moves(&state, 1), []);
    let abort = MetaCommand::AbortMove {
        group: GroupId(1),
        started_version: change.started_version,
    };
    state.apply(abort).unwrap();
    assert!(!is_group_stranded(&state));
    let commands = next_moves(&state, 1);
    let again = MetaCommand::StartMove {
        group: GroupId(1),
        from: None,
        to: Some(NodeId(4)),
    };
    assert_eq!(commands.first(), Some(&again));
    settle(&mut state, 1);
    assert!(!nodes_of(&state, GroupId(1)).contains(&third));
}

#[test]
fn a_replacement_gets_what_it_can() {
    let mut state = founded(9, 3, &["", "", "", ""]);
    let fifth = register(&mut state, node(5, ""));
    let held = state.loads()[&NodeId(1)];
    state
        .apply(MetaCommand::ReplaceNode {
            old: NodeId(1),
            new: fifth,
        })
        .unwrap();
    settle(&mut state, 100);
    assert_settled(&state);
    assert_eq!(state.loads()[&fifth], held);
}

#[test]
fn rebalancing_uses_new_zones_and_new_nodes() {
    let mut state = founded(12, 3, &["a", "a", "a"]);
    for (number, zone) in [(4, "b"), (5, "c"), (6, "c")] {
        register(&mut state, node(number, zone));
    }
    assert_eq!(next_moves(&state, 4), []);
    let mut moves = 0;
    loop {
        let commands = rebalance_moves(&state, 4);
        if commands.is_empty() {
            break;
        }
        apply_all(&mut state, &commands);
        moves += finish_all(&mut state);
        assert!(moves < 200);
    }
    assert_settled(&state);
    for group in state.groups().values() {
        assert_eq!(spread(&state, group), best_spread(&state, 3));
    }
    let loads = state.loads();
    assert_eq!(loads[&NodeId(4)], 12);
    assert_eq!((loads[&NodeId(5)], loads[&NodeId(6)]), (6, 6));
    assert!((1..=3).all(|id| loads[&NodeId(id)] == 4), "{loads:?}");
}

#[test]
fn rebalancing_a_balanced_cluster_does_nothing() {
    for nodes in 1..8 {
        let state = founded(16, 3, &vec![""; nodes]);
        assert_eq!(rebalance_moves(&state, 100), []);
    }
}

#[test]
fn voters_are_one_three_or_five_and_in_different_zones() {
    for (nodes, voters) in [(1, 1), (2, 1), (3, 3), (4, 3), (5, 5), (9, 5)] {
        let state = founded(1, 3, &vec![""; nodes]);
        assert_eq!(state.meta_voters().len(), voters, "{nodes} nodes");
    }
    let state = founded(1, 3, &["a", "a", "b", "c"]);
    assert_eq!(*state.meta_voters(), replicas(&[1, 3, 4]));
}

#[test]
fn voters_stay_and_zones_come_before_that() {
    let mut state = founded(1, 3, &["a", "a", "b", "c"]);
    // Either of zone a is as good: the one that votes stays.
    assert_eq!(meta_voters(&state, &replicas(&[2, 3, 4])), replicas(&[2, 3, 4]));
    assert_eq!(meta_voters(&state, &replicas(&[1, 2, 3])), replicas(&[1, 3, 4]));
    state.apply(MetaCommand::SetDraining(NodeId(4))).unwrap();
    assert_eq!(meta_voters(&state, &replicas(&[2, 3, 4])), replicas(&[1, 2, 3]));
}

#[test]
fn voters_that_go_stay_while_there_is_nobody_else() {
    let mut state = founded(1, 3, &["a", "b", "c"]);
    let all = replicas(&[1, 2, 3]);
    state.apply(MetaCommand::SetDraining(NodeId(3))).unwrap();
    assert_eq!(meta_voters(&state, &all), all);
    // It hosts nothing any more, on the operator's word: the cluster is to be smaller.
    let from = state.group(GroupId(1)).unwrap().replica_on(NodeId(3)).unwrap().id;
    state
        .apply(MetaCommand::StartMove {
            group: GroupId(1),
            from: Some(from),
            to: None,
        })
        .unwrap();
    finish_all(&mut state);
    assert_eq!(meta_voters(&state, &all), replicas(&[1]));

    let mut state = founded(1, 3, &["a", "b", "c"]);
    register(&mut state, on_host(99, 3, "c"));
    assert_eq!(meta_voters(&state, &all).len(), 3);
    assert!(!meta_voters(&state, &all).contains(&ReplicaId(3)));

    let mut state = founded(1, 3, &[""]);
    state.apply(MetaCommand::SetDraining(NodeId(1))).unwrap();
    assert_eq!(meta_voters(&state, &replicas(&[1])), replicas(&[1]));
    assert_eq!(meta_voters(&state, &replicas(&[])), replicas(&[]));
}

fn counts(leaders: &BTreeMap<GroupId, NodeId>) -> BTreeMap<NodeId, usize> {
    let mut counts = BTreeMap::new();
    for node in leaders.values() {
        *counts.entry(*node).or_default() += 1;
    }
    counts
}

#[test]
fn leaders_are_spread_and_leave_nodes_that_go() {
    let mut state = founded(16, 3, &["", "", ""]);
    let mut leaders: BTreeMap<_, _> = state.groups().keys().map(|group| (*group, NodeId(1))).collect();
    for (group, from, to) in leader_balance(&state, &leaders) {
        assert_eq!((from, leaders.insert(group, to)), (NodeId(1), Some(NodeId(1))));
    }
    let spread = counts(&leaders);
    assert!(spread.values().all(|count| (5..=6).contains(count)), "{spread:?}");
    assert_eq!(leader_balance(&state, &leaders), []);

    state.apply(MetaCommand::SetDraining(NodeId(2))).unwrap();
    let suggestions = leader_balance(&state, &leaders);
    assert_eq!(suggestions.len(), spread[&NodeId(2)]);
    for (group, from, to) in suggestions {
        assert_eq!(from, NodeId(2));
        leaders.insert(group, to);
    }
    assert_eq!(counts(&leaders), [(NodeId(1), 8), (NodeId(3), 8)].into());
    // Unknown groups and groups whose leader is unknown are left alone.
    assert_eq!(leader_balance(&state, &[(GroupId(99), NodeId(1))].into()), []);
    assert_eq!(leader_balance(&state, &BTreeMap::new()), []);
}

#[test]
fn a_replica_that_is_leaving_or_coming_is_not_asked_to_lead() {
    let mut state = founded(1, 2, &["", ""]);
    let third = register(&mut state, node(3, ""));
    let group = GroupId(1);
    let from = state.group(group).unwrap().replica_on(NodeId(1)).unwrap().id;
    state
        .apply(MetaCommand::StartMove {
            group,
            from: Some(from),
            to: Some(third),
        })
        .unwrap();
    assert_eq!(leader_balance(&state, &[(group, NodeId(2))].into()), []);
    assert_eq!(
        leader_balance(&state, &[(group, NodeId(1))].into()),
        [(group, NodeId(1), NodeId(2))]
    );
}
