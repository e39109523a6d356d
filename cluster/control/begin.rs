//! The beginning of a group that was founded with the cluster.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::group_calls::group_status;
use crate::peer::Peers;
use crate::raft::Replica;

/// How long a replica waits to hear from one that has begun, before it asks again.
const PAUSE: Duration = Duration::from_secs(3);

/// How often it does so. Whoever had begun is gone by then, disk and all.
const PATIENCE: usize = 5;

/// Begins a group with these members, by replica, unless another one of them has begun it: then that one, or whom it voted
/// for, leads or will soon, and must not be disturbed by one more candidate. Ends when the group has begun here.
pub(super) async fn begin(replica: &Arc<Replica>, members: BTreeMap<u64, u64>, peers: Arc<Peers>) {
    if members.len() == 1 {
        begin_here(replica, &members).await;
    } else if !replica.status().initialized {
        tokio::spawn(begin_among(Arc::downgrade(replica), members, peers));
    }
}

async fn begin_among(replica: Weak<Replica>, members: BTreeMap<u64, u64>, peers: Arc<Peers>) {
    for attempt in 0..=PATIENCE {
        let Some(replica) = replica.upgrade() else {
            return;
        };
        let (group, own) = (replica.group(), replica.id());
        let others = members.iter().filter(|(id, _)| **id != own);
        let asked = others.map(|(id, node)| group_status(&peers, group, *id, *node));
        let mut others = futures_util::future::join_all(asked).await.into_iter().flatten();
        if replica.status().initialized {
            return;
        }
        if attempt == PATIENCE || !others.any(|other| other.initialized) {
            begin_here(&replica, &members).await;
            return;
        }
        drop(replica);
        tokio::time::sleep(PAUSE).await;
    }
}

async fn begin_here(replica: &Replica, members: &BTreeMap<u64, u64>) {
    if let Err(error) = replica.initialize(members).await {
        tracing::debug!(group = replica.group(), %error, "a group was not begun here");
    }
}
