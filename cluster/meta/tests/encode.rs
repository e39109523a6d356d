//! Encodings: round trips, pinned bytes, tolerance of what is new and refusal of what cannot be.

use proptest::prelude::*;
use prost::Message;
use weir_meta::{
    ClusterId, DecodeError, Detail, FoundingError, GroupId, MetaCommand, MetaError, MetaOutcome, MetaState, Move,
    NodeId, NodeState, Reason, Replica, ReplicaId, StateError,
};

use crate::commands::command;
use crate::support::{founded, node, register};

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |digest, byte| {
        (digest ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn moving() -> MetaState {
    let mut state = founded(4, 3, &["a", "b", "c"]);
    let new = register(&mut state, node(4, "d"));
    state.apply(MetaCommand::ReplaceNode { old: NodeId(2), new }).unwrap();
    state
}

/// A field that no build knows yet: number 1000, a varint.
const UNKNOWN_FIELD: [u8; 3] = [0xc0, 0x3e, 0x01];

/// Founding is computed on every replica: this state, and its bytes, are the same in every build.
#[test]
fn a_founded_state_is_as_ever() {
    assert_eq!(fnv(&founded(16, 3, &["a", "b", "c"]).encode()), 0xecf1_fcc3_2717_ecff);
    assert_eq!(
        fnv(&founded(16, 3, &["a", "b", "c", "a", "b"]).encode()),
        0xa21d_09b6_6d7f_254d
    );
    assert_eq!(fnv(&moving().encode()), 0xb572_5db9_d40b_26ff);
}

#[test]
fn every_error_round_trips() {
    let (node, group, replica) = (NodeId(7), GroupId(8), ReplicaId(9));
    let mut errors = vec![
        MetaError::NotFounded,
        MetaError::AlreadyFounded(ClusterId(5)),
        MetaError::NilUuid,
        MetaError::UnknownNode(node),
        MetaError::UnknownGroup(GroupId::META),
        MetaError::UnknownReplica { group, replica },
        MetaError::UnknownMetaReplica(replica),
        MetaError::NoMetaVoter,
        MetaError::NodeRemoved(node),
        MetaError::AddressTaken(node),
        MetaError::TooManyNodes,
        MetaError::MoveUnderWay(group),
        MetaError::NoMove(group),
        MetaError::OtherMove(group),
        MetaError::EmptyMove,
        MetaError::AlreadyHosted { group, node },
        MetaError::Full(group),
        MetaError::LastReplica(group),
        MetaError::SameNode,
        MetaError::NoIdLeft,
        MetaError::NotRemovable {
            node,
            reasons: vec![
                Reason::Active,
                Reason::MetaVoter,
                Reason::Hosts { group, replica },
                Reason::Stuck { group, replica },
                Reason::MoveTarget { group, replica },
            ],
        },
    ];
    let states = [
        NodeState::Active,
        NodeState::Draining,
        NodeState::Lost { draining: false },
        NodeState::Lost { draining: true },
        NodeState::Removed,
    ];
    errors.extend(states.map(|state| MetaError::NodeState { node, state }));
    let founding = [
        FoundingError::NilCluster,
        FoundingError::Groups,
        FoundingError::ReplicationFactor,
        FoundingError::Nodes,
        FoundingError::NotDistinct,
    ];
    errors.extend(founding.map(MetaError::Founding));
    for error in errors {
        let mut bytes = error.encode();
        assert_eq!(MetaError::decode(&bytes), Ok(error.clone()));
        bytes.extend(UNKNOWN_FIELD);
        assert_eq!(MetaError::decode(&bytes), Ok(error.clone()));
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn a_long_list_of_reasons_is_cut_in_the_text() {
    let reasons = (1..=5)
        .map(|id| Reason::Hosts {
            group: GroupId(id),
            replica: ReplicaId(id),
        })
        .collect();
    let text = MetaError::NotRemovable {
        node: NodeId(3),
        reasons,
    }
    .to_string();
    assert_eq!(
        text,
        "node 3 cannot be removed yet: it hosts replica 1 of group 1; it hosts replica 2 of group 2; it hosts replica 3 \
         of group 3; and 2 more reasons"
    );
}

#[test]
fn every_outcome_round_trips() {
    let to = Replica {
        id: ReplicaId(3),
        node: NodeId(4),
    };
    let details = [
        Detail::Done,
        Detail::Registered {
            node: NodeId(1),
            meta_replica: ReplicaId(2),
            lost: None,
        },
        Detail::Registered {
            node: NodeId(1),
            meta_replica: ReplicaId(2),
            lost: Some(NodeId(3)),
        },
        Detail::MoveStarted {
            group: GroupId(1),
            change: Move {
                from: Some(ReplicaId(2)),
                to: Some(to),
                started_version: 9,
            },
        },
        Detail::Replacing([GroupId(1), GroupId(3)].into()),
        Detail::Replacing([].into()),
    ];
    for detail in details {
        let outcome = MetaOutcome { version: 5, detail };
        let mut bytes = outcome.encode();
        assert_eq!(MetaOutcome::decode(&bytes), Ok(outcome.clone()));
        bytes.extend(UNKNOWN_FIELD);
        assert_eq!(MetaOutcome::decode(&bytes), Ok(outcome));
    }
}

#[test]
fn states_round_trip_and_new_fields_are_skipped() {
    for state in [MetaState::new(), founded(1024, 7, &[""; 9]), moving()] {
        let mut bytes = state.encode();
        assert_eq!(MetaState::decode(&bytes), Ok(state.clone()));
        bytes.extend(UNKNOWN_FIELD);
        assert_eq!(MetaState::decode(&bytes), Ok(state));
    }
}

#[test]
fn unknown_kinds_are_refused() {
    let unknown = [UNKNOWN_FIELD.as_slice(), &[]];
    for bytes in unknown {
        assert_eq!(MetaCommand::decode(bytes), Err(DecodeError::Impossible("command")));
        assert_eq!(MetaOutcome::decode(bytes), Err(DecodeError::Impossible("answer")));
        assert_eq!(MetaError::decode(bytes), Err(DecodeError::Impossible("error code")));
    }
    assert!(matches!(MetaState::decode(&[0xff]), Err(DecodeError::Protobuf(_))));
}

/// The state's message as another build might write it.
#[derive(Clone, PartialEq, Message)]
struct Loose {
    #[prost(uint64, tag = "1")]
    version: u64,
    #[prost(message, optional, tag = "2")]
    cluster: Option<LooseCluster>,
    #[prost(message, repeated, tag = "3")]
    groups: Vec<LooseGroup>,
    #[prost(message, repeated, tag = "4")]
    nodes: Vec<LooseNode>,
    #[prost(uint64, repeated, tag = "5")]
    meta_voters: Vec<u64>,
    #[prost(uint64, tag = "6")]
    last_node_id: u64,
    #[prost(uint64, tag = "7")]
    last_replica_id: u64,
}

#[derive(Clone, PartialEq, Message)]
struct LooseCluster {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(uint32, tag = "2")]
    feature_version: u32,
    #[prost(uint32, tag = "3")]
    hash_version: u32,
    #[prost(uint32, tag = "4")]
    replication_factor: u32,
    #[prost(uint64, tag = "5")]
    founders: u64,
    #[prost(uint64, repeated, tag = "6")]
    slots: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct LooseGroup {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(message, repeated, tag = "2")]
    replicas: Vec<LooseReplica>,
    #[prost(message, optional, tag = "3")]
    change: Option<LooseMove>,
}

#[derive(Clone, PartialEq, Message)]
struct LooseReplica {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    node: u64,
}

#[derive(Clone, PartialEq, Message)]
struct LooseMove {
    #[prost(uint64, optional, tag = "1")]
    from: Option<u64>,
    #[prost(message, optional, tag = "2")]
    to: Option<LooseReplica>,
    #[prost(uint64, tag = "3")]
    started_version: u64,
}

#[derive(Clone, PartialEq, Message)]
struct LooseNode {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(bytes = "vec", tag = "2")]
    uuid: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    addresses: Option<LooseAddresses>,
    #[prost(uint32, tag = "4")]
    state: u32,
    #[prost(uint64, tag = "5")]
    meta_replica: u64,
    #[prost(uint64, optional, tag = "6")]
    replaced_by: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct LooseAddresses {
    #[prost(string, tag = "1")]
    peer: String,
    #[prost(string, tag = "2")]
    client: String,
    #[prost(string, tag = "3")]
    admin: String,
    #[prost(string, tag = "4")]
    zone: String,
}

/// Decodes a state after one change to its message.
fn changed(change: impl FnOnce(&mut Loose)) -> DecodeError {
    let bytes = moving().encode();
    let mut loose = Loose::decode(bytes.as_slice()).unwrap();
    assert_eq!(loose.encode_to_vec(), bytes, "the test knows all fields");
    change(&mut loose);
    MetaState::decode(&loose.encode_to_vec()).unwrap_err()
}

#[test]
fn impossible_values_are_refused() {
    let impossible = DecodeError::Impossible;
    assert_eq!(
        changed(|m| m.cluster.as_mut().unwrap().id.truncate(15)),
        impossible("cluster id")
    );
    assert_eq!(
        changed(|m| m.cluster.as_mut().unwrap().slots.truncate(4095)),
        impossible("slot table")
    );
    assert_eq!(
        changed(|m| m.cluster.as_mut().unwrap().slots[0] = 0),
        impossible("slot table")
    );
    assert_eq!(changed(|m| m.groups[0].id = 0), impossible("group id"));
    assert_eq!(changed(|m| m.groups[0].replicas[0].id = 0), impossible("replica id"));
    assert_eq!(changed(|m| m.groups[0].replicas[0].node = 0), impossible("node id"));
    assert_eq!(
        changed(|m| m.groups[1].id = 1),
        impossible("group or node listed twice")
    );
    assert_eq!(changed(|m| m.nodes[1].id = 1), impossible("group or node listed twice"));
    assert_eq!(changed(|m| m.nodes[0].uuid.push(0)), impossible("node uuid"));
    assert_eq!(changed(|m| m.nodes[0].addresses = None), impossible("addresses"));
    assert_eq!(
        changed(|m| m.nodes[0].addresses.as_mut().unwrap().peer.clear()),
        impossible("address")
    );
    assert_eq!(
        changed(|m| m.nodes[0].addresses.as_mut().unwrap().zone.push('/')),
        impossible("zone")
    );
    assert_eq!(changed(|m| m.nodes[0].state = 0), impossible("node state"));
    assert_eq!(changed(|m| m.nodes[0].meta_replica = 0), impossible("replica id"));
    assert_eq!(
        changed(|m| m.meta_voters.push(1)),
        impossible("set with an element twice")
    );
}

#[test]
fn impossible_states_are_refused() {
    let broken = |change: fn(&mut Loose)| match changed(change) {
        DecodeError::State(error) => error,
        other => panic!("{other}"),
    };
    let (group, node) = (StateError::Group(GroupId(1)), |id| StateError::Node(NodeId(id)));
    assert_eq!(broken(|m| m.cluster = None), StateError::Unfounded);
    assert_eq!(broken(|m| m.cluster.as_mut().unwrap().id.fill(0)), StateError::Cluster);
    assert_eq!(
        broken(|m| m.cluster.as_mut().unwrap().replication_factor = 0),
        StateError::Cluster
    );
    assert_eq!(
        broken(|m| m.cluster.as_mut().unwrap().founders = 5),
        StateError::Cluster
    );
    assert_eq!(broken(|m| m.version = 0), StateError::Cluster);
    assert_eq!(
        broken(|m| m.cluster.as_mut().unwrap().feature_version = 2),
        StateError::Feature(2)
    );
    assert_eq!(
        broken(|m| m.cluster.as_mut().unwrap().hash_version = 2),
        StateError::Hash(2)
    );
    assert_eq!(broken(|m| m.cluster.as_mut().unwrap().slots[9] = 5), StateError::Slots);
    assert_eq!(broken(|m| m.groups[3].id = 5), StateError::Slots);
    assert_eq!(broken(|m| m.nodes[1].uuid = m.nodes[0].uuid.clone()), node(2));
    assert_eq!(broken(|m| m.nodes[1].uuid.fill(0)), node(2));
    assert_eq!(broken(|m| m.nodes[1].addresses = m.nodes[0].addresses.clone()), node(2));
    assert_eq!(broken(|m| m.nodes[1].replaced_by = Some(9)), node(2));
    assert_eq!(broken(|m| m.nodes[1].replaced_by = Some(2)), node(2));
    assert_eq!(broken(|m| m.last_node_id = 3), node(4));
    assert_eq!(
        broken(|m| m.nodes[1].meta_replica = 1),
        StateError::Replica(ReplicaId(1))
    );
    assert_eq!(
        broken(|m| m.groups[0].replicas[0].id = 1),
        StateError::Replica(ReplicaId(1))
    );
    assert!(matches!(broken(|m| m.last_replica_id = 3), StateError::Replica(_)));
    assert_eq!(broken(|m| m.groups[0].replicas.clear()), group);
    assert_eq!(broken(|m| m.groups[0].replicas.swap(0, 1)), group);
    assert_eq!(broken(|m| m.groups[0].replicas[0].node = 9), group);
    assert_eq!(
        broken(|m| m.groups[0].replicas[0].node = m.groups[0].replicas[1].node),
        group
    );
    assert_eq!(broken(|m| m.groups[0].change.as_mut().unwrap().from = Some(1)), group);
    assert_eq!(broken(|m| m.groups[0].change.as_mut().unwrap().from = None), group);
    assert_eq!(
        broken(|m| m.groups[0].change.as_mut().unwrap().started_version = 99),
        group
    );
    assert_eq!(broken(|m| m.groups[0].change = Some(LooseMove::default())), group);
    assert_eq!(broken(|m| m.nodes[0].state = 5), group);
    assert_eq!(broken(|m| m.meta_voters.push(5)), StateError::MetaVoter(ReplicaId(5)));
}

proptest! {
    #[test]
    fn every_command_round_trips(command in command()) {
        let mut bytes = command.encode();
        prop_assert_eq!(MetaCommand::decode(&bytes), Ok(command.clone()));
        bytes.extend(UNKNOWN_FIELD);
        prop_assert_eq!(MetaCommand::decode(&bytes), Ok(command));
    }

    /// Damage is either seen or leads to another state that is possible.
    #[test]
    fn no_bytes_make_an_impossible_state(at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = moving().encode();
        let at = at.index(bytes.len());
        bytes[at] = to;
        for bytes in [bytes.as_slice(), &bytes[..cut.index(bytes.len())]] {
            if let Ok(mut state) = MetaState::decode(bytes) {
                prop_assert_eq!(state.check(), Ok(()));
                for command in weir_meta::plan::next_moves(&state, 4) {
                    prop_assert!(state.apply(command).is_ok());
                    prop_assert_eq!(state.check(), Ok(()));
                }
            }
        }
    }

    #[test]
    fn random_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = MetaState::decode(&bytes);
        let _ = MetaCommand::decode(&bytes);
        let _ = MetaOutcome::decode(&bytes);
        let _ = MetaError::decode(&bytes);
    }
}
