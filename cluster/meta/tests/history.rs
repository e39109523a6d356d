//! Random histories: what holds of every state that commands can lead to, and where the planners lead.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use weir_meta::plan::{leader_balance, meta_voters, next_moves, rebalance_moves};
use weir_meta::{Found, FoundingNode, GroupId, MetaCommand, MetaState, NodeId, NodeState, ReplicaId};

use crate::commands::{command, founding, node};
use crate::support::{apply_all, assert_settled, best_spread, finish_all, ids, spread};

/// One step of a history: a command at random, or one that fits the state.
#[derive(Debug, Clone)]
enum Step {
    Any(MetaCommand),
    Finish(Index),
    Abort(Index),
    RemoveReplica(Index, Index),
    Plan(usize),
    Rebalance(usize),
    Voters,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => command().prop_map(Step::Any),
        3 => any::<Index>().prop_map(Step::Finish),
        1 => any::<Index>().prop_map(Step::Abort),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(group, replica)| Step::RemoveReplica(group, replica)),
        2 => (0..6usize).prop_map(Step::Plan),
        1 => (0..6usize).prop_map(Step::Rebalance),
        1 => Just(Step::Voters),
    ]
}

/// The commands of a step.
fn commands(state: &MetaState, step: &Step) -> Vec<MetaCommand> {
    let under_way = |index: &Index| {
        let moving: Vec<_> = state
            .groups()
            .iter()
            .filter(|(_, group)| group.change.is_some())
            .collect();
        (!moving.is_empty()).then(|| *index.get(&moving))
    };
    match step {
        Step::Any(command) => vec![command.clone()],
        Step::Finish(index) => under_way(index)
            .map(|(group, info)| MetaCommand::FinishMove {
                group: *group,
                replicas: ids(info),
            })
            .into_iter()
            .collect(),
        Step::Abort(index) => under_way(index)
            .and_then(|(group, info)| {
                let started_version = info.change?.started_version;
                Some(MetaCommand::AbortMove {
                    group: *group,
                    started_version,
                })
            })
            .into_iter()
            .collect(),
        Step::RemoveReplica(group, replica) => {
            let group = GroupId(1 + group.index(state.groups().len()) as u64);
            let from = replica.get(&state.group(group).unwrap().replicas).id;
            vec![MetaCommand::StartMove {
                group,
                from: Some(from),
                to: None,
            }]
        }
        Step::Plan(max_parallel) => next_moves(state, *max_parallel),
        Step::Rebalance(max_parallel) => rebalance_moves(state, *max_parallel),
        Step::Voters => vec![MetaCommand::RecordMetaVoters(meta_voters(state, state.meta_voters()))],
    }
}

/// What a history has shown so far.
#[derive(Default)]
struct Seen {
    /// Which group (or meta group) and node each replica id was for.
    replicas: BTreeMap<ReplicaId, (GroupId, NodeId)>,
    /// Which uuid each node id was for.
    nodes: BTreeMap<NodeId, weir_meta::NodeUuid>,
}

impl Seen {
    /// Ids never change their meaning, and new ones are higher than all before.
    fn look_at(&mut self, state: &MetaState) {
        let (last_replica, last_node) = (self.replicas.keys().last().copied(), self.nodes.keys().last().copied());
        let placed = state.groups().iter().flat_map(|(id, group)| {
            let members = group.replicas.iter().copied().chain(group.incoming());
            members.map(|replica| (replica.id, (*id, replica.node)))
        });
        let meta = state
            .nodes()
            .iter()
            .map(|(id, node)| (node.meta_replica, (GroupId::META, *id)));
        for (replica, place) in placed.chain(meta) {
            if !self.replicas.contains_key(&replica) {
                assert!(Some(replica) > last_replica, "replica id {replica} again");
            }
            assert_eq!(
                *self.replicas.entry(replica).or_insert(place),
                place,
                "replica id {replica}"
            );
        }
        for (id, node) in state.nodes() {
            if !self.nodes.contains_key(id) {
                assert!(Some(*id) > last_node, "node id {id} again");
            }
            assert_eq!(*self.nodes.entry(*id).or_insert(node.uuid), node.uuid, "node id {id}");
        }
        assert!(self.nodes.keys().all(|id| state.node(*id).is_some()));
    }
}

/// Written apart from `MetaState::check`, so that a mistake there does not hide one in `apply`.
fn assert_invariants(state: &MetaState) {
    state.check().unwrap();
    let cluster = state.cluster().unwrap();
    let mut replica_ids = BTreeSet::new();
    for (id, group) in state.groups() {
        let present: Vec<_> = group.replicas.iter().copied().chain(group.incoming()).collect();
        let nodes: BTreeSet<_> = present.iter().map(|replica| replica.node).collect();
        assert_eq!(nodes.len(), present.len(), "group {id}: two replicas on a node");
        assert!(
            !group.replicas.is_empty() && !group.wanted().is_empty(),
            "group {id}: no replica"
        );
        assert!(
            group.wanted().len() <= cluster.replication_factor as usize,
            "group {id}: too many replicas"
        );
        for replica in present {
            assert_ne!(state.node(replica.node).unwrap().state, NodeState::Removed);
            assert!(replica_ids.insert(replica.id));
        }
    }
    let in_use = || state.nodes().values().filter(|node| node.state.in_use());
    let peers: BTreeSet<_> = in_use().map(|node| &node.addresses.peer).collect();
    assert_eq!(peers.len(), in_use().count());
    let uuids: BTreeSet<_> = state.nodes().values().map(|node| node.uuid).collect();
    assert_eq!(uuids.len(), state.nodes().len());
}

/// Runs a history, checking after every command; returns the state and the log that made it.
fn run(founding: Found, steps: &[Step]) -> (MetaState, Vec<MetaCommand>) {
    let (mut state, mut log, mut seen) = (MetaState::new(), Vec::new(), Seen::default());
    let first = MetaCommand::Found(founding);
    state.apply(first.clone()).unwrap();
    log.push(first);
    assert_invariants(&state);
    seen.look_at(&state);
    let settled = state.cluster().cloned();
    let groups: Vec<_> = state.groups().keys().copied().collect();
    assert!(
        settled
            .iter()
            .all(|cluster| cluster.slots.groups().all(|group| groups.contains(&group)))
    );
    for step in steps {
        let planned = !matches!(step, Step::Any(_) | Step::RemoveReplica(..));
        for command in commands(&state, step) {
            let before = state.clone();
            log.push(command.clone());
            match state.apply(command.clone()) {
                Ok(outcome) => {
                    assert_eq!(outcome.version, state.version());
                    let grown = state.version() - before.version();
                    assert_eq!(grown, u64::from(state != before), "{command:?}");
                }
                Err(error) => {
                    assert_eq!(state, before, "{command:?}");
                    assert!(!planned, "{command:?}: {error}");
                }
            }
            assert_invariants(&state);
            seen.look_at(&state);
            assert_eq!(state.cluster(), settled.as_ref());
            assert!(state.groups().keys().eq(&groups));
        }
        assert_voters(&state);
    }
    (state, log)
}

fn assert_voters(state: &MetaState) {
    let voters = meta_voters(state, state.meta_voters());
    assert!(
        [1, 3, 5].contains(&voters.len()) || voters == *state.meta_voters(),
        "{voters:?}"
    );
    assert_eq!(meta_voters(state, &voters), voters, "voters have no rest");
    let of_active = |voter: &&ReplicaId| state.active_nodes().any(|(_, info)| info.meta_replica == **voter);
    let active = voters.iter().filter(of_active).count();
    assert_eq!(
        active,
        voters.len().min(state.active_nodes().count()),
        "a voter that goes has an active node's place"
    );
}

/// Plans and finishes until there is nothing to do.
fn settle(state: &mut MetaState, max_parallel: usize, plan: fn(&MetaState, usize) -> Vec<MetaCommand>) {
    for _ in 0..500 {
        let commands = plan(state, max_parallel);
        apply_all(state, &commands);
        if finish_all(state) == 0 && commands.is_empty() {
            return;
        }
    }
    panic!("no end: {state:?}");
}

/// What operators do to nodes: no moves by hand.
fn operation() -> impl Strategy<Value = Step> {
    let id = || (1..9u64).prop_map(NodeId);
    prop_oneof![
        4 => node().prop_map(MetaCommand::RegisterNode),
        2 => id().prop_map(MetaCommand::SetDraining),
        1 => id().prop_map(MetaCommand::SetActive),
        1 => id().prop_map(MetaCommand::RemoveNode),
        1 => (id(), id()).prop_map(|(old, new)| MetaCommand::ReplaceNode { old, new }),
    ]
    .prop_map(Step::Any)
}

/// `PROPTEST_CASES` says how many; 256 when absent.
fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn invariants_hold_and_equal_logs_make_equal_states(founding in founding(), steps in vec(step(), 0..60)) {
        let (state, log) = run(founding, &steps);
        let mut again = MetaState::new();
        for command in &log {
            // Through their encodings, as replicas see them.
            let command = MetaCommand::decode(&command.encode()).unwrap();
            let _ = again.apply(command);
            again = MetaState::decode(&again.encode()).unwrap();
        }
        prop_assert_eq!(&again, &state);
        prop_assert_eq!(again.encode(), state.encode());
    }

    /// From wherever a history led: once there are as many active nodes as a group has replicas (the draining and lost
    /// ones not counted), every group comes to its factor and nothing is left on nodes that go.
    #[test]
    fn planning_converges(
        founding in founding(),
        steps in vec(prop_oneof![3 => operation(), 1 => step()], 0..40),
        fresh in 4..7u64,
        max_parallel in 1..6usize,
    ) {
        let factor = founding.replication_factor as usize;
        let (mut state, _) = run(founding, &steps);
        for number in 0..fresh {
            let new: FoundingNode = crate::support::on_host(u128::from(1000 + number), 1000 + number, "b");
            state.apply(MetaCommand::RegisterNode(new)).unwrap();
        }
        settle(&mut state, max_parallel, next_moves);
        assert_settled(&state);
        prop_assert_eq!(state.wanted_replicas(), factor);

        // What is left of the nodes that go is nothing but a vote, if that.
        let voters = meta_voters(&state, state.meta_voters());
        state.apply(MetaCommand::RecordMetaVoters(voters)).unwrap();
        let leaving: Vec<_> = state.nodes().iter().filter(|(_, info)| info.state != NodeState::Active).map(|(id, _)| *id).collect();
        for node in leaving {
            state.apply(MetaCommand::RemoveNode(node)).unwrap();
        }

        // And what is left to gain comes to an end too, with the zones as far apart as they can be.
        settle(&mut state, max_parallel, rebalance_moves);
        assert_settled(&state);
        prop_assert_eq!(next_moves(&state, 9), vec![]);
        for group in state.groups().values() {
            prop_assert_eq!(spread(&state, group), best_spread(&state, factor));
        }
    }

    /// With whatever nodes there are: planning ends, and what could move has moved.
    #[test]
    fn planning_ends_with_too_few_nodes_as_well(founding in founding(), steps in vec(operation(), 0..40)) {
        let (mut state, _) = run(founding, &steps);
        settle(&mut state, 3, next_moves);
        for group in state.groups().values() {
            prop_assert!(group.replicas.len() >= state.wanted_replicas());
            let goes = |node| state.node(node).unwrap().state != NodeState::Active;
            if group.replicas.iter().any(|replica| goes(replica.node)) {
                prop_assert!(state.active_nodes().all(|(node, _)| group.replica_on(node).is_some()));
            }
        }
    }

    #[test]
    fn leaders_end_on_active_replicas_without_steps(
        founding in founding(),
        steps in vec(step(), 0..40),
        picks in vec(any::<Index>(), 8),
    ) {
        let (state, _) = run(founding, &steps);
        let mut leaders: BTreeMap<_, _> = state
            .groups()
            .iter()
            .zip(&picks)
            .map(|((id, group), pick)| (*id, pick.get(&group.replicas).node))
            .collect();
        for (group, from, to) in leader_balance(&state, &leaders) {
            prop_assert_eq!(leaders.insert(group, to), Some(from));
            prop_assert_eq!(state.node(to).unwrap().state, NodeState::Active);
            prop_assert!(state.group(group).unwrap().wanted().iter().any(|replica| replica.node == to));
            prop_assert!(state.group(group).unwrap().replica_on(to).is_some());
        }
        prop_assert_eq!(leader_balance(&state, &leaders), vec![]);
    }
}
