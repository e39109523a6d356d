//! The first election of a group that was founded with the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::group_calls::group_status;
use crate::peer::Peers;
use crate::raft::Replica;

/// How long to wait before others are looked for again.
const PAUSE: Duration = Duration::from_millis(200);

/// Has a replica that has just begun ask for votes as soon as another of the group's founders (nodes by replica) is there, if
/// it is its turn and nobody has asked before. Without it the group would have no leader before the time is over after which
/// a replica misses one, and then any: by turns, the first leaders are spread over the nodes.
pub(super) fn first_election(replica: &Arc<Replica>, founders: BTreeMap<u64, u64>, peers: Arc<Peers>) {
    // Alone it leads already.
    if founders.len() == 1 || turn(replica.group(), &founders) != Some(replica.id()) {
        return;
    }
    let replica = Arc::downgrade(replica);
    tokio::spawn(async move {
        while let Some(held) = replica.upgrade() {
            let (group, own) = (held.group(), held.id());
            drop(held);
            let others = founders.iter().filter(|(id, _)| **id != own);
            let asked = others.map(|(id, node)| group_status(&peers, group, *id, *node));
            let mut others = futures_util::future::join_all(asked)
                .await
                .into_iter()
                .flatten()
                .peekable();
            let is_another_there = others.peek().is_some();
            let Some(replica) = replica.upgrade() else {
                return;
            };
            if replica.status().term > 0 || others.any(|other| other.term > 0) {
                return;
            }
            if is_another_there {
                if let Err(error) = replica.elect().await {
                    tracing::debug!(group, %error, "no first election");
                }
                return;
            }
            drop(replica);
            tokio::time::sleep(PAUSE).await;
        }
    });
}

/// The founder that is to lead first.
fn turn(group: u64, founders: &BTreeMap<u64, u64>) -> Option<u64> {
    let mut by_node: Vec<(u64, u64)> = founders.iter().map(|(replica, node)| (*node, *replica)).collect();
    by_node.sort_unstable();
    let place = usize::try_from(group % by_node.len().max(1) as u64).ok()?;
    by_node.get(place).map(|(_, replica)| *replica)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_leaders_are_spread_over_the_nodes() {
        let founders = |first| BTreeMap::from([(first, 2), (first + 1, 1), (first + 2, 3)]);
        let turns: Vec<u64> = (1..=6).filter_map(|group| turn(group, &founders(3 * group))).collect();
        // Of each three, one on each node.
        assert_eq!(turns, [3, 8, 10, 12, 17, 19]);
        assert_eq!(turn(1, &BTreeMap::new()), None);
    }
}
