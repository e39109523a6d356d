//! Commands at random, from a small world so that they meet.

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;
use weir_meta::{Addresses, ClusterId, Found, FoundingNode, GroupId, MetaCommand, NodeId, NodeUuid, ReplicaId, Zone};

use crate::support::addresses;

pub(crate) fn zone() -> impl Strategy<Value = Zone> {
    select(vec!["", "a", "b", "c"]).prop_map(|zone| zone.parse().unwrap())
}

fn host() -> impl Strategy<Value = Addresses> {
    (1..12u64).prop_map(addresses)
}

pub(crate) fn node() -> impl Strategy<Value = FoundingNode> {
    (0..14u128, host(), zone()).prop_map(|(uuid, addresses, zone)| FoundingNode {
        uuid: NodeUuid(uuid),
        addresses,
        zone,
    })
}

pub(crate) fn founding() -> impl Strategy<Value = Found> {
    (1..9u64, 1..5u32, vec(zone(), 1..7)).prop_map(|(groups, replication_factor, zones)| Found {
        cluster: ClusterId(1),
        groups,
        replication_factor,
        nodes: (1..)
            .zip(zones)
            .map(|(number, zone)| FoundingNode {
                uuid: NodeUuid(u128::from(number)),
                addresses: addresses(number),
                zone,
            })
            .collect(),
    })
}

fn node_id() -> impl Strategy<Value = NodeId> {
    (0..12u64).prop_map(NodeId)
}

fn group() -> impl Strategy<Value = GroupId> {
    (0..10u64).prop_map(GroupId)
}

fn replica() -> impl Strategy<Value = ReplicaId> {
    (0..40u64).prop_map(ReplicaId)
}

/// Any command, most of them about things that are there.
pub(crate) fn command() -> impl Strategy<Value = MetaCommand> {
    prop_oneof![
        1 => (founding(), 0..3u128).prop_map(|(found, id)| MetaCommand::Found(Found { cluster: ClusterId(id), ..found })),
        6 => node().prop_map(MetaCommand::RegisterNode),
        2 => (node_id(), host(), zone())
            .prop_map(|(node, addresses, zone)| MetaCommand::UpdateNode { node, addresses, zone }),
        8 => (group(), prop::option::of(replica()), prop::option::of(node_id()))
            .prop_map(|(group, from, to)| MetaCommand::StartMove { group, from, to }),
        1 => (group(), btree_set(replica(), 0..5))
            .prop_map(|(group, replicas)| MetaCommand::FinishMove { group, replicas }),
        1 => (group(), 0..40u64).prop_map(|(group, started_version)| MetaCommand::AbortMove { group, started_version }),
        2 => node_id().prop_map(MetaCommand::SetDraining),
        2 => node_id().prop_map(MetaCommand::SetActive),
        3 => node_id().prop_map(MetaCommand::RemoveNode),
        2 => (node_id(), node_id()).prop_map(|(old, new)| MetaCommand::ReplaceNode { old, new }),
        2 => btree_set(replica(), 0..4).prop_map(MetaCommand::RecordMetaVoters),
    ]
}
