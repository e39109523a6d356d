//! What a group does on its own: checkpoints, expiry, and the store's upkeep.

use std::sync::Weak;

use weir_protocol::Timestamp;
use weir_storage::{Expired, Op, Outcome, StorageError};

use super::{Group, Hosted};
use crate::blocking::blocking;
use crate::limits::{
    CHECKPOINT_EVERY, EXPIRED_PER_COMMAND, EXPIRY_GRACE_MS, HOUSEKEEPING_INTERVAL, LOOK_ANYWAY_EVERY, UPKEEP_PAUSE,
};

/// Runs all of it, again and again, until the group is gone.
pub(super) async fn run(group: Weak<Group>) {
    let mut settled = None;
    for round in 1_u64.. {
        tokio::time::sleep(HOUSEKEEPING_INTERVAL).await;
        let Some(group) = group.upgrade() else {
            return;
        };
        let Some(hosted) = group.hosted() else {
            continue;
        };
        if hosted.replica.is_leader() {
            expire(&group, &hosted).await;
        }
        // On a disk that fills up the stores are written out while there is room for it.
        let has_space = group.has_space();
        let is_due = round.is_multiple_of(CHECKPOINT_EVERY) || !has_space;
        let state = (hosted.replica.id(), hosted.replica.view().applied);
        if has_space && settled == Some(state) && !round.is_multiple_of(LOOK_ANYWAY_EVERY) {
            continue;
        }
        if let Err(error) = hosted.replica.checkpoint(is_due).await {
            // A replica that was taken away meanwhile has stopped, which is no failure.
            if group.still_hosts(&hosted) {
                tracing::error!(group = group.id, %error, "a checkpoint failed");
                group.shared.failed.send_replace(Some(error.to_string()));
                return;
            }
            continue;
        }
        if let Err(error) = upkeep(&hosted).await {
            if !group.still_hosts(&hosted) {
                continue;
            }
            tracing::error!(group = group.id, %error, "the store's upkeep failed");
            group.shared.failed.send_replace(Some(error.to_string()));
            return;
        }
        settled = is_due.then_some(state);
    }
}

/// Removes what has expired. What fails now is tried again in the next round.
async fn expire(group: &Group, hosted: &Hosted) {
    let now = group.shared.clock.now();
    let cutoff = Timestamp::from_millis(now.as_millis().saturating_sub(EXPIRY_GRACE_MS));
    let limit = EXPIRED_PER_COMMAND;
    // An idle group must not write into its log once a second.
    if !matches!(hosted.machine.store().has_due(cutoff), Ok(true)) {
        return;
    }
    while let Ok(Outcome::Expire(Expired { more: true, .. })) = group.propose(Op::Expire { cutoff, limit }).await {}
}

async fn upkeep(hosted: &Hosted) -> Result<(), StorageError> {
    loop {
        let storage = hosted.machine.store();
        let piece = blocking(move || storage.maintain()).await;
        match piece.map_err(|error| StorageError::Failed(error.to_string()))? {
            Ok(true) => tokio::time::sleep(UPKEEP_PAUSE).await,
            // A full disk is told to those who write; upkeep waits for space.
            Ok(false) | Err(StorageError::Full) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
