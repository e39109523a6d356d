//! TTL renewals by reads, collected and proposed in batches: never one write per read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::Notify;
use weir_protocol::{Consistency, Fault, Read, StreamName, Timestamp};
use weir_storage::Op;

use super::Group;
use crate::limits::{MAX_BATCH_COMMANDS, MAX_WAITING_RENEWALS, RENEWAL_INTERVAL, RENEWAL_URGENT_MS};

/// Renewals that are not proposed yet: when each stream was read last.
#[derive(Default)]
pub(super) struct Renewals {
    waiting: Mutex<BTreeMap<StreamName, Timestamp>>,
    /// Wakes the task that proposes them: on an idle node it must not run.
    collected: Arc<Notify>,
}

impl Drop for Renewals {
    fn drop(&mut self) {
        self.collected.notify_one();
    }
}

impl Renewals {
    /// Whether it was taken in.
    fn collect(&self, name: &StreamName, at: Timestamp) -> bool {
        let Ok(mut waiting) = self.waiting.lock() else {
            return false;
        };
        if waiting.len() >= MAX_WAITING_RENEWALS && !waiting.contains_key(name) {
            return false;
        }
        let latest = waiting.entry(name.clone()).or_insert(at);
        *latest = at.max(*latest);
        self.collected.notify_one();
        true
    }

    fn take(&self) -> BTreeMap<StreamName, Timestamp> {
        self.waiting
            .lock()
            .map(|mut waiting| std::mem::take(&mut *waiting))
            .unwrap_or_default()
    }
}

/// Renews a stream that `read` was answered from at `at`, and that would be gone at `deadline`, if the read does so.
///
/// Where the end is near, the read waits until the renewal is durable: a later read must not find the stream gone. An
/// eventual read waits for no other node, and renews when the group can be told.
pub(super) async fn renew(
    group: &Group,
    name: &StreamName,
    read: Read,
    (at, deadline): (Timestamp, Option<Timestamp>),
) -> Result<(), Fault> {
    let Some(deadline) = deadline.filter(|_| read.renews) else {
        return Ok(());
    };
    let left_ms = deadline.as_millis().saturating_sub(at.as_millis());
    let may_wait = left_ms > RENEWAL_URGENT_MS || read.consistency == Consistency::Eventual;
    if may_wait && group.renewals.collect(name, at) {
        return Ok(());
    }
    group.propose_at(Op::Touch(name.clone()), at).await.map(drop)
}

/// Proposes what was collected, again and again, until the group is gone.
pub(super) async fn run(group: Weak<Group>) {
    let Some(collected) = group.upgrade().map(|group| Arc::clone(&group.renewals.collected)) else {
        return;
    };
    loop {
        collected.notified().await;
        tokio::time::sleep(RENEWAL_INTERVAL).await;
        let Some(group) = group.upgrade() else {
            return;
        };
        flush(&group).await;
    }
}

/// Proposes what was collected, a batch at a time: writes find room beside it. What the group does not take is collected
/// again: a renewal must not get lost.
pub(super) async fn flush(group: &Group) {
    let waiting: Vec<_> = group.renewals.take().into_iter().collect();
    let propose = async |(name, at): &(StreamName, Timestamp)| {
        let proposed = group.propose_at(Op::Touch(name.clone()), *at).await;
        if proposed.is_err() {
            group.renewals.collect(name, *at);
        }
        proposed.is_ok()
    };
    let mut pieces = waiting.chunks(MAX_BATCH_COMMANDS);
    for piece in &mut pieces {
        let taken = futures_util::future::join_all(piece.iter().map(&propose)).await;
        if !taken.contains(&true) {
            break;
        }
    }
    for (name, at) in pieces.flatten() {
        group.renewals.collect(name, *at);
    }
}
