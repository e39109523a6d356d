//! The first election of a group that was founded with the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::group_calls::group_status;
use crate::peer::Peers;
use crate::raft::Replica;

/// Has a replica that has just begun ask for votes, if another of the group's founders (nodes by replica) is there and none
/// of them has asked before. Whoever is last to see another one does so; without it the group would have no leader before
/// the time is over after which a replica misses one.
pub(super) fn first_election(replica: &Arc<Replica>, founders: BTreeMap<u64, u64>, peers: Arc<Peers>) {
    // Alone it leads already.
    if founders.len() == 1 || replica.status().term > 0 {
        return;
    }
    let replica = Arc::downgrade(replica);
    tokio::spawn(async move {
        let Some((group, own)) = replica.upgrade().map(|replica| (replica.group(), replica.id())) else {
            return;
        };
        let others = founders.iter().filter(|(id, _)| **id != own);
        let asked = others.map(|(id, node)| group_status(&peers, group, *id, *node));
        let others = futures_util::future::join_all(asked).await;
        let mut others = others.into_iter().flatten().peekable();
        let is_first = others.peek().is_some() && others.all(|other| other.term == 0);
        let Some(replica) = replica.upgrade().filter(|_| is_first) else {
            return;
        };
        if replica.status().term == 0
            && let Err(error) = replica.elect().await
        {
            tracing::debug!(group, %error, "no first election");
        }
    });
}
