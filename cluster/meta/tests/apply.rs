//! Each command by example.

use std::collections::BTreeSet;

use weir_meta::limits::{MAX_GROUPS, MAX_NODES, MAX_REPLICATION_FACTOR};
use weir_meta::{
    ClusterId, Detail, FoundingError, GroupId, MetaCommand, MetaError, MetaState, NodeId, NodeState, NodeUuid, Reason,
    ReplicaId,
};

use crate::support::{addresses, finish_all, found, founded, ids, node, nodes_of, on_host, register};

fn refused(state: &mut MetaState, command: MetaCommand) -> MetaError {
    let before = state.clone();
    let error = state.apply(command).unwrap_err();
    assert_eq!(*state, before);
    error
}

/// Applies a command that changes nothing.
fn repeated(state: &mut MetaState, command: MetaCommand) -> Detail {
    let before = state.clone();
    let outcome = state.apply(command).unwrap();
    assert_eq!(*state, before);
    assert_eq!(outcome.version, before.version());
    outcome.detail
}

fn state_of(state: &MetaState, node: u64) -> NodeState {
    state.node(NodeId(node)).unwrap().state
}

#[test]
fn founding() {
    let mut state = MetaState::new();
    assert_eq!(
        refused(&mut state, MetaCommand::SetActive(NodeId(1))),
        MetaError::NotFounded
    );
    let command = found(16, 3, &["a", "b", "c"]);
    let outcome = state.apply(MetaCommand::Found(command.clone())).unwrap();
    assert_eq!((outcome.version, state.version()), (1, 1));
    state.check().unwrap();
    assert_eq!(state.groups().len(), 16);
    for (uuid, id, meta_replica) in command.members() {
        let info = state.node(id).unwrap();
        assert_eq!((info.uuid, info.meta_replica), (uuid, meta_replica));
    }
    assert_eq!(state.meta_voters().len(), 3);
    assert_eq!(
        state.group_of("events"),
        state.cluster().map(|c| c.slots.group(weir_meta::slot_of("events")))
    );

    assert_eq!(repeated(&mut state, MetaCommand::Found(command.clone())), Detail::Done);
    let another = [
        found(15, 3, &["a", "b", "c"]),
        found(16, 2, &["a", "b", "c"]),
        found(16, 3, &["a", "b"]),
        found(16, 3, &["a", "b", "c", "d"]),
        weir_meta::Found {
            cluster: ClusterId(9),
            ..command.clone()
        },
        weir_meta::Found {
            nodes: command.nodes.iter().rev().cloned().collect(),
            ..command.clone()
        },
    ];
    for another in another {
        let error = refused(&mut state, MetaCommand::Found(another));
        assert_eq!(error, MetaError::AlreadyFounded(crate::support::CLUSTER));
    }
    // A repeated founding is known as such also when the cluster has changed since.
    register(&mut state, on_host(1, 77, "a"));
    register(&mut state, node(4, "a"));
    assert_eq!(repeated(&mut state, MetaCommand::Found(command)), Detail::Done);
}

#[test]
fn founding_that_cannot_be() {
    let good = found(16, 3, &["a", "b", "c"]);
    let (mut nil, mut twins, mut roommates) = (good.clone(), good.clone(), good.clone());
    nil.nodes[0].uuid = NodeUuid(0);
    twins.nodes[0].uuid = twins.nodes[1].uuid;
    roommates.nodes[0].addresses.peer = roommates.nodes[2].addresses.peer.clone();
    let cases = [
        (
            weir_meta::Found {
                cluster: ClusterId(0),
                ..good.clone()
            },
            FoundingError::NilCluster,
        ),
        (found(0, 3, &["a"]), FoundingError::Groups),
        (found(MAX_GROUPS + 1, 3, &["a"]), FoundingError::Groups),
        (found(1, 0, &["a"]), FoundingError::ReplicationFactor),
        (
            found(1, MAX_REPLICATION_FACTOR + 1, &["a"]),
            FoundingError::ReplicationFactor,
        ),
        (found(1, 1, &[]), FoundingError::Nodes),
        (found(1, 1, &vec![""; MAX_NODES + 1]), FoundingError::Nodes),
        (nil, FoundingError::NotDistinct),
        (twins, FoundingError::NotDistinct),
        (roommates, FoundingError::NotDistinct),
    ];
    for (command, why) in cases {
        assert_eq!(
            refused(&mut MetaState::new(), MetaCommand::Found(command)),
            MetaError::Founding(why)
        );
    }
}

#[test]
fn registering() {
    let mut state = founded(2, 3, &["a"]);
    let version = state.version();
    let new = state.apply(MetaCommand::RegisterNode(node(2, "b"))).unwrap();
    let expected = Detail::Registered {
        node: NodeId(2),
        meta_replica: ReplicaId(4),
        lost: None,
    };
    assert_eq!((new.version, &new.detail), (version + 1, &expected));
    assert_eq!(repeated(&mut state, MetaCommand::RegisterNode(node(2, "b"))), expected);
    // It comes back elsewhere.
    assert_eq!(register(&mut state, on_host(2, 22, "c")), NodeId(2));
    assert_eq!(state.node(NodeId(2)).unwrap().addresses, addresses(22));
    assert_eq!(
        refused(&mut state, MetaCommand::RegisterNode(on_host(0, 5, ""))),
        MetaError::NilUuid
    );
}

#[test]
fn an_empty_disk_at_a_known_address_is_a_new_node_and_the_old_one_is_lost() {
    let mut state = founded(2, 3, &["a", "b", "c"]);
    let outcome = state.apply(MetaCommand::RegisterNode(on_host(99, 2, "b"))).unwrap();
    let Detail::Registered { node: new, lost, .. } = outcome.detail else {
        panic!("{outcome:?}")
    };
    assert_eq!((new, lost), (NodeId(4), Some(NodeId(2))));
    assert_eq!(state_of(&state, 2), NodeState::Lost { draining: false });
    assert_eq!(state.node_at(&addresses(2).peer), Some(new));
    // The old disk turns up at another address: it is in use again, under its old identity.
    assert_eq!(register(&mut state, on_host(2, 22, "b")), NodeId(2));
    assert_eq!(state_of(&state, 2), NodeState::Active);
    assert_eq!(state_of(&state, 4), NodeState::Active);
}

#[test]
fn a_lost_node_that_was_draining_comes_back_draining() {
    let mut state = founded(2, 3, &["a", "b", "c"]);
    state.apply(MetaCommand::SetDraining(NodeId(2))).unwrap();
    register(&mut state, on_host(99, 2, "b"));
    assert_eq!(state_of(&state, 2), NodeState::Lost { draining: true });
    register(&mut state, on_host(2, 22, "b"));
    assert_eq!(state_of(&state, 2), NodeState::Draining);
}

#[test]
fn removed_nodes_stay_out() {
    let mut state = founded(2, 3, &["a"]);
    let second = register(&mut state, node(2, ""));
    state.apply(MetaCommand::SetDraining(second)).unwrap();
    state.apply(MetaCommand::RemoveNode(second)).unwrap();
    assert_eq!(repeated(&mut state, MetaCommand::RemoveNode(second)), Detail::Done);
    let error = MetaError::NodeRemoved(second);
    for command in [
        MetaCommand::RegisterNode(node(2, "")),
        MetaCommand::SetActive(second),
        MetaCommand::SetDraining(second),
        MetaCommand::ReplaceNode {
            old: second,
            new: NodeId(1),
        },
        MetaCommand::ReplaceNode {
            old: NodeId(1),
            new: second,
        },
        MetaCommand::UpdateNode {
            node: second,
            addresses: addresses(5),
            zone: "".parse().unwrap(),
        },
        MetaCommand::StartMove {
            group: GroupId(1),
            from: None,
            to: Some(second),
        },
    ] {
        assert_eq!(refused(&mut state, command), error);
    }
    // An emptied disk on the same host is a new node.
    assert_eq!(register(&mut state, on_host(22, 2, "")), NodeId(3));
}

#[test]
fn updating() {
    let mut state = founded(2, 3, &["a", "b"]);
    let update = |node, host| MetaCommand::UpdateNode {
        node: NodeId(node),
        addresses: addresses(host),
        zone: "z".parse().unwrap(),
    };
    state.apply(update(1, 11)).unwrap();
    assert_eq!(state.node(NodeId(1)).unwrap().addresses, addresses(11));
    assert_eq!(state.node(NodeId(1)).unwrap().zone.as_str(), "z");
    repeated(&mut state, update(1, 11));
    assert_eq!(refused(&mut state, update(1, 2)), MetaError::AddressTaken(NodeId(2)));
    assert_eq!(refused(&mut state, update(9, 9)), MetaError::UnknownNode(NodeId(9)));
    register(&mut state, on_host(99, 2, "b"));
    let lost = MetaError::NodeState {
        node: NodeId(2),
        state: NodeState::Lost { draining: false },
    };
    assert_eq!(refused(&mut state, update(2, 22)), lost);
}

#[test]
fn a_move_from_start_to_finish() {
    let mut state = founded(2, 3, &["a", "b", "c"]);
    let fourth = register(&mut state, node(4, "b"));
    let group = GroupId(1);
    let old = state.group(group).unwrap().replica_on(NodeId(2)).unwrap().id;
    let start = MetaCommand::StartMove {
        group,
        from: Some(old),
        to: Some(fourth),
    };
    let outcome = state.apply(start.clone()).unwrap();
    let Detail::MoveStarted { change, .. } = outcome.detail.clone() else {
        panic!("{outcome:?}")
    };
    assert_eq!(change.started_version, outcome.version);
    assert_eq!(repeated(&mut state, start), outcome.detail);
    assert_eq!(nodes_of(&state, group), [1, 2, 3].map(NodeId).into());
    let another = MetaCommand::StartMove {
        group,
        from: None,
        to: Some(fourth),
    };
    assert_eq!(refused(&mut state, another), MetaError::MoveUnderWay(group));

    let before: BTreeSet<_> = state.group(group).unwrap().replicas.iter().map(|r| r.id).collect();
    let early = MetaCommand::FinishMove {
        group,
        replicas: before.clone(),
    };
    assert_eq!(refused(&mut state, early), MetaError::OtherMove(group));
    let finish = MetaCommand::FinishMove {
        group,
        replicas: ids(state.group(group).unwrap()),
    };
    state.apply(finish.clone()).unwrap();
    assert_eq!(nodes_of(&state, group), [1, 3, 4].map(NodeId).into());
    repeated(&mut state, finish);
    let late = MetaCommand::FinishMove {
        group,
        replicas: before,
    };
    assert_eq!(refused(&mut state, late), MetaError::NoMove(group));
    state.check().unwrap();
}

#[test]
fn an_aborted_move_leaves_nothing_and_its_replica_id_is_used_up() {
    let mut state = founded(2, 3, &["a", "b", "c"]);
    let fourth = register(&mut state, node(4, "b"));
    let group = GroupId(1);
    let old = state.group(group).unwrap().replicas[0].id;
    let start = MetaCommand::StartMove {
        group,
        from: Some(old),
        to: Some(fourth),
    };
    let change = |state: &MetaState| state.group(group).unwrap().change.unwrap();
    state.apply(start.clone()).unwrap();
    let (first, wanted) = (change(&state), ids(state.group(group).unwrap()));
    let abort = MetaCommand::AbortMove {
        group,
        started_version: first.started_version,
    };
    state.apply(abort.clone()).unwrap();
    assert_eq!(refused(&mut state, abort.clone()), MetaError::NoMove(group));
    state.apply(start).unwrap();
    assert!(change(&state).to.unwrap().id > first.to.unwrap().id);
    // What the first move's driver still sends does not touch the second one.
    assert_eq!(refused(&mut state, abort), MetaError::OtherMove(group));
    let finish = MetaCommand::FinishMove {
        group,
        replicas: wanted,
    };
    assert_eq!(refused(&mut state, finish), MetaError::OtherMove(group));
}

#[test]
fn moves_that_cannot_be() {
    let mut state = founded(1, 3, &["a", "b", "c"]);
    let group = GroupId(1);
    let fourth = register(&mut state, node(4, ""));
    let replica = state.group(group).unwrap().replicas[0];
    let start = |from: Option<ReplicaId>, to: Option<NodeId>| MetaCommand::StartMove { group, from, to };
    assert_eq!(refused(&mut state, start(None, None)), MetaError::EmptyMove);
    assert_eq!(refused(&mut state, start(None, Some(fourth))), MetaError::Full(group));
    assert_eq!(
        refused(&mut state, start(Some(replica.id), Some(NodeId(2)))),
        MetaError::AlreadyHosted { group, node: NodeId(2) }
    );
    assert_eq!(
        refused(&mut state, start(Some(ReplicaId(1)), Some(fourth))),
        MetaError::UnknownReplica {
            group,
            replica: ReplicaId(1)
        }
    );
    assert_eq!(
        refused(&mut state, start(Some(replica.id), Some(NodeId(9)))),
        MetaError::UnknownNode(NodeId(9))
    );
    state.apply(MetaCommand::SetDraining(fourth)).unwrap();
    assert_eq!(
        refused(&mut state, start(Some(replica.id), Some(fourth))),
        MetaError::NodeState {
            node: fourth,
            state: NodeState::Draining
        }
    );
    for group in [GroupId::META, GroupId(2)] {
        let command = MetaCommand::StartMove {
            group,
            from: None,
            to: Some(fourth),
        };
        assert_eq!(refused(&mut state, command), MetaError::UnknownGroup(group));
        let command = MetaCommand::FinishMove {
            group,
            replicas: BTreeSet::new(),
        };
        assert_eq!(refused(&mut state, command), MetaError::UnknownGroup(group));
        let command = MetaCommand::AbortMove {
            group,
            started_version: 1,
        };
        assert_eq!(refused(&mut state, command), MetaError::UnknownGroup(group));
    }
}

#[test]
fn the_last_replica_in_use_stays() {
    let mut state = founded(1, 3, &["a", "b"]);
    let group = GroupId(1);
    let on = |state: &MetaState, node| state.group(group).unwrap().replica_on(NodeId(node)).unwrap().id;
    register(&mut state, on_host(99, 2, "b"));
    let (kept, lost) = (on(&state, 1), on(&state, 2));
    let remove = |from| MetaCommand::StartMove {
        group,
        from: Some(from),
        to: None,
    };
    assert_eq!(refused(&mut state, remove(kept)), MetaError::LastReplica(group));
    state.apply(remove(lost)).unwrap();
    finish_all(&mut state);
    assert_eq!(refused(&mut state, remove(kept)), MetaError::LastReplica(group));
}

#[test]
fn removing_needs_an_empty_node() {
    let mut state = founded(1, 3, &["a", "b", "c"]);
    let group = GroupId(1);
    let third = NodeId(3);
    let replica = state.group(group).unwrap().replica_on(third).unwrap().id;
    let refusal = |state: &mut MetaState| match refused(state, MetaCommand::RemoveNode(third)) {
        MetaError::NotRemovable { reasons, .. } => reasons,
        error => panic!("{error}"),
    };
    assert_eq!(
        refusal(&mut state),
        [Reason::Active, Reason::MetaVoter, Reason::Stuck { group, replica }]
    );
    state.apply(MetaCommand::SetDraining(third)).unwrap();
    let fourth = register(&mut state, node(4, ""));
    assert_eq!(
        refusal(&mut state),
        [Reason::MetaVoter, Reason::Hosts { group, replica }]
    );
    state
        .apply(MetaCommand::StartMove {
            group,
            from: Some(replica),
            to: Some(fourth),
        })
        .unwrap();
    assert_eq!(
        refusal(&mut state),
        [Reason::MetaVoter, Reason::Hosts { group, replica }]
    );
    finish_all(&mut state);
    assert_eq!(refusal(&mut state), [Reason::MetaVoter]);
    let voters = weir_meta::plan::meta_voters(&state, state.meta_voters());
    state.apply(MetaCommand::RecordMetaVoters(voters)).unwrap();
    state.apply(MetaCommand::RemoveNode(third)).unwrap();
    assert_eq!(state_of(&state, 3), NodeState::Removed);
    assert_eq!(
        refused(&mut state, MetaCommand::RemoveNode(NodeId(9))),
        MetaError::UnknownNode(NodeId(9))
    );
    state.check().unwrap();
}

#[test]
fn a_move_target_is_not_removed() {
    let mut state = founded(1, 3, &["a"]);
    let second = register(&mut state, node(2, ""));
    let group = GroupId(1);
    state
        .apply(MetaCommand::StartMove {
            group,
            from: None,
            to: Some(second),
        })
        .unwrap();
    state.apply(MetaCommand::SetDraining(second)).unwrap();
    let replica = state.group(group).unwrap().incoming().unwrap().id;
    let error = refused(&mut state, MetaCommand::RemoveNode(second));
    let reasons = vec![Reason::MoveTarget { group, replica }];
    assert_eq!(error, MetaError::NotRemovable { node: second, reasons });
}

#[test]
fn replacing() {
    let mut state = founded(4, 3, &["a", "b", "c"]);
    let fourth = register(&mut state, node(4, "c"));
    // A group that cannot begin: it has a move under way.
    let busy = GroupId(2);
    let from = state.group(busy).unwrap().replica_on(NodeId(1)).unwrap().id;
    state
        .apply(MetaCommand::StartMove {
            group: busy,
            from: Some(from),
            to: Some(fourth),
        })
        .unwrap();
    let replace = MetaCommand::ReplaceNode {
        old: NodeId(3),
        new: fourth,
    };
    let outcome = state.apply(replace.clone()).unwrap();
    assert_eq!(outcome.detail, Detail::Replacing([1, 3, 4].map(GroupId).into()));
    assert_eq!(state_of(&state, 3), NodeState::Draining);
    assert_eq!(state.node(NodeId(3)).unwrap().replaced_by, Some(fourth));
    assert_eq!(repeated(&mut state, replace), Detail::Replacing(BTreeSet::new()));
    finish_all(&mut state);
    assert_eq!(nodes_of(&state, GroupId(1)), [1, 2, 4].map(NodeId).into());

    state.apply(MetaCommand::SetActive(NodeId(3))).unwrap();
    assert_eq!(state.node(NodeId(3)).unwrap().replaced_by, None);
    let same = MetaCommand::ReplaceNode {
        old: fourth,
        new: fourth,
    };
    assert_eq!(refused(&mut state, same), MetaError::SameNode);
    state.apply(MetaCommand::SetDraining(fourth)).unwrap();
    let draining = MetaError::NodeState {
        node: fourth,
        state: NodeState::Draining,
    };
    assert_eq!(
        refused(
            &mut state,
            MetaCommand::ReplaceNode {
                old: NodeId(1),
                new: fourth
            }
        ),
        draining
    );
}

#[test]
fn a_removed_node_replaces_nobody() {
    let mut state = founded(1, 1, &[""]);
    let second = register(&mut state, node(2, ""));
    let old = NodeId(1);
    state.apply(MetaCommand::ReplaceNode { old, new: second }).unwrap();
    let started_version = state.group(GroupId(1)).unwrap().change.unwrap().started_version;
    let group = GroupId(1);
    state.apply(MetaCommand::AbortMove { group, started_version }).unwrap();
    state.apply(MetaCommand::SetDraining(second)).unwrap();
    state.apply(MetaCommand::RemoveNode(second)).unwrap();
    assert_eq!(state.node(old).unwrap().replaced_by, None);
}

#[test]
fn meta_voters_are_meta_replicas_of_nodes() {
    let mut state = founded(4, 3, &["a", "b", "c"]);
    let record = |voters: &[u64]| MetaCommand::RecordMetaVoters(voters.iter().copied().map(ReplicaId).collect());
    assert_eq!(refused(&mut state, record(&[])), MetaError::NoMetaVoter);
    assert_eq!(
        refused(&mut state, record(&[1, 4])),
        MetaError::UnknownMetaReplica(ReplicaId(4))
    );
    state.apply(record(&[2])).unwrap();
    assert_eq!(*state.meta_voters(), [ReplicaId(2)].into());
    repeated(&mut state, record(&[2]));
}

#[test]
fn a_cluster_has_a_limit_of_nodes() {
    let mut state = founded(1, 3, &vec![""; MAX_NODES]);
    assert_eq!(
        refused(&mut state, MetaCommand::RegisterNode(node(5000, ""))),
        MetaError::TooManyNodes
    );
    // Known ones may come back.
    register(&mut state, on_host(7, 5000, ""));
}
