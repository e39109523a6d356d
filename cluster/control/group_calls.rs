//! Questions and orders to a group's replicas, wherever they are.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use weir_proto::control as pb;

use crate::peer::{Address, CallError, Kind, Lane, Peers};
use crate::raft::ReplicaStatus;

const STATUS_TIMEOUT: Duration = Duration::from_secs(1);
/// A change of members is committed by a majority of two sets, one after the other.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// `replica` of `group` on `node`, asked by none.
fn of(group: u64, replica: u64, node: u64) -> Address {
    Address {
        node,
        group,
        from: 0,
        to: replica,
    }
}

fn set(replicas: &BTreeSet<u64>) -> pb::ReplicaSet {
    pb::ReplicaSet {
        replicas: replicas.iter().copied().collect(),
    }
}

pub(super) fn status_to_pb(status: &ReplicaStatus) -> pb::GroupStatusReply {
    pb::GroupStatusReply {
        replica: status.replica,
        term: status.term,
        is_leader: status.is_leader,
        leader: status.leader.unwrap_or_default(),
        last_log: status.last_log,
        applied: status.applied,
        membership: status.membership,
        is_settled: status.is_settled,
        voters: status.voters.iter().map(set).collect(),
        members: status.members.iter().map(|(id, node)| (*id, *node)).collect(),
        matched: status.matched.iter().map(|(id, index)| (*id, *index)).collect(),
    }
}

fn status_from_pb(reply: pb::GroupStatusReply) -> ReplicaStatus {
    let voters = reply.voters.into_iter();
    ReplicaStatus {
        replica: reply.replica,
        term: reply.term,
        is_leader: reply.is_leader,
        leader: (reply.leader != 0).then_some(reply.leader),
        last_log: reply.last_log,
        applied: reply.applied,
        membership: reply.membership,
        is_settled: reply.is_settled,
        voters: voters.map(|set| set.replicas.into_iter().collect()).collect(),
        members: reply.members.into_iter().collect(),
        matched: reply.matched.into_iter().collect(),
    }
}

/// How the replica of `group` on `node` is; `None` when it does not answer.
pub(crate) async fn group_status(peers: &Arc<Peers>, group: u64, replica: u64, node: u64) -> Option<ReplicaStatus> {
    let address = of(group, replica, node);
    let call = peers.call(address, Lane::Control, Kind::GroupStatus, Bytes::new(), STATUS_TIMEOUT);
    let reply = pb::GroupStatusReply::decode(call.await.ok()?).ok()?;
    Some(status_from_pb(reply))
}

/// Whether a majority confirms that `replica` on `node` leads.
pub(super) async fn leads(peers: &Arc<Peers>, group: u64, replica: u64, node: u64) -> bool {
    let address = of(group, replica, node);
    let call = peers.call(
        address,
        Lane::Control,
        Kind::ReadIndex,
        Bytes::new(),
        STATUS_TIMEOUT * 3,
    );
    call.await.is_ok()
}

/// Has the leader, which is `status.replica` on `node`, change its group's members, if they are still as its status says.
pub(super) async fn change_members(
    peers: &Arc<Peers>,
    group: u64,
    (status, node): (&ReplicaStatus, u64),
    change: pb::change_members::Change,
) -> Result<(), CallError> {
    let address = of(group, status.replica, node);
    let order = pb::ChangeMembers {
        membership: status.membership,
        change: Some(change),
    };
    let body = order.encode_to_vec().into();
    let call = peers.call(address, Lane::Control, Kind::ChangeMembers, body, CHANGE_TIMEOUT);
    call.await.map(drop)
}

pub(super) fn add_learner(replica: u64, node: u64) -> pb::change_members::Change {
    pb::change_members::Change::AddLearner(pb::AddLearner { replica, node })
}

pub(super) fn set_voters(voters: &BTreeSet<u64>) -> pb::change_members::Change {
    pb::change_members::Change::SetVoters(set(voters))
}

pub(super) fn remove_learners(learners: &BTreeSet<u64>) -> pb::change_members::Change {
    pb::change_members::Change::RemoveLearners(set(learners))
}

/// Asks the leader (`replica` on `node`) to let replica `to` lead.
pub(crate) async fn hand_over(
    peers: &Arc<Peers>,
    group: u64,
    (replica, node): (u64, u64),
    to: u64,
) -> Result<(), CallError> {
    let address = of(group, replica, node);
    let body = pb::HandOver { to }.encode_to_vec().into();
    let call = peers.call(address, Lane::Control, Kind::HandOver, body, STATUS_TIMEOUT * 3);
    call.await.map(drop)
}
