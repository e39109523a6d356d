//! Expiry, and the store's own upkeep.

use std::sync::{Arc, Weak};

use tokio::sync::watch as signal;
use weir_protocol::Timestamp;
use weir_storage::{Expired, Op, Outcome, StorageError};

use super::Group;
use crate::limits::{EXPIRED_PER_COMMAND, EXPIRY_GRACE_MS, HOUSEKEEPING_INTERVAL, UPKEEP_PAUSE};

/// Runs both, again and again, until the group is gone.
pub(super) async fn run(group: Weak<Group>, failed: signal::Sender<Option<String>>) {
    loop {
        tokio::time::sleep(HOUSEKEEPING_INTERVAL).await;
        let Some(group) = group.upgrade() else {
            return;
        };
        expire(&group).await;
        if let Err(error) = upkeep(&group).await {
            tracing::error!(%error, "the store's upkeep failed");
            failed.send_replace(Some(error.to_string()));
            return;
        }
    }
}

/// Removes what has expired. What fails now is tried again in the next round.
async fn expire(group: &Group) {
    let now = group.clock.now();
    let cutoff = Timestamp::from_millis(now.as_millis().saturating_sub(EXPIRY_GRACE_MS));
    let limit = EXPIRED_PER_COMMAND;
    while let Ok(Outcome::Expire(Expired { more: true, .. })) = group.propose(Op::Expire { cutoff, limit }).await {}
}

async fn upkeep(group: &Group) -> Result<(), StorageError> {
    loop {
        let storage = Arc::clone(&group.storage);
        let piece = tokio::task::spawn_blocking(move || storage.maintain()).await;
        match piece.map_err(|error| StorageError::Failed(error.to_string()))? {
            Ok(true) => tokio::time::sleep(UPKEEP_PAUSE).await,
            // A full disk is told to those who write; upkeep waits for space.
            Ok(false) | Err(StorageError::Full) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
