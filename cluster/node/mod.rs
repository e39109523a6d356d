//! A node: what one process keeps, from its first start to its end.
//!
//! | file | what it holds |
//! |---|---|
//! | `options` | how a node is opened, and why it did not open |
//! | `open` | opening it, step by step |
//! | `home` | its data directory |
//! | `door` | where other nodes come in |
//! | `found` | founding a cluster, and being let into one |
//! | `journal` | opening its journal |
//! | `tasks` | what it does by itself until it is closed |

mod door;
mod found;
mod home;
mod journal;
mod open;
mod options;
mod tasks;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch as signal;
use weir_journal::Journal;
use weir_protocol::Streams;

use crate::admin::Admin;
use crate::blocking::blocking;
use crate::control::{Hosting, MetaMachine};
use crate::limits::LEADER_PAUSE;
use crate::probe::Probe;
use crate::raft::Replica;
use crate::router::Router;

pub use options::{CloseError, NodeOptions, OpenError, StorageKind};

/// All that one process keeps.
pub struct Node {
    streams: Arc<Router>,
    admin: Admin,
    hosting: Arc<Hosting>,
    meta: Arc<Replica>,
    meta_machine: Arc<MetaMachine>,
    journal: Arc<Journal>,
    failed: signal::Receiver<Option<String>>,
    /// Dropping it ends the tasks of the node.
    stop: signal::Sender<bool>,
}

/// How long leaders have to hand over before the node ends.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(3);

/// How long reads under way may hold on to the stores when the node ends.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

impl Node {
    /// The streams, for the front end.
    #[must_use]
    pub fn streams(&self) -> Arc<dyn Streams> {
        Arc::clone(&self.streams) as Arc<dyn Streams>
    }

    #[cfg(test)]
    pub(crate) fn router(&self) -> &Arc<Router> {
        &self.streams
    }

    /// What operators can see and do.
    #[must_use]
    pub fn admin(&self) -> Admin {
        self.admin.clone()
    }

    /// What simulations look at.
    #[must_use]
    pub fn probe(&self) -> Probe {
        Probe::new(
            Arc::clone(&self.meta),
            Arc::clone(&self.meta_machine),
            Arc::clone(&self.hosting),
        )
    }

    /// Waits until a store, a replica or the journal fails, and says how. Then the process should end: nothing that
    /// it has on disk is lost.
    pub async fn failed(&self) -> String {
        let mut failed = self.failed.clone();
        let failure = match failed.wait_for(Option::is_some).await {
            Ok(failure) => (*failure).clone(),
            Err(_) => None,
        };
        failure.unwrap_or_else(|| "the node's tasks ended".to_owned())
    }

    /// Hands over what it leads, takes no further writes, answers those that wait, and makes everything durable.
    ///
    /// # Errors
    /// [`CloseError`].
    pub async fn close(&self) -> Result<(), CloseError> {
        let _ = tokio::time::timeout(HAND_OVER_TIMEOUT, self.admin.hand_over_all()).await;
        self.hosting.end().await;
        let groups = self.hosting.groups();
        futures_util::future::join_all(groups.iter().map(|group| group.close())).await;
        let mut result = Ok(());
        let mut machines = Vec::new();
        for group in &groups {
            if let Some(hosted) = group.hosted() {
                group.host(None);
                result = result.and(hosted.replica.close().await);
                machines.push(Arc::downgrade(&hosted.machine));
            }
        }
        // Before the meta group ends: whoever watches for failures would take that for one.
        self.stop.send_replace(true);
        result = result.and(self.meta.close().await);
        // Reads under way end soon, and with the last of them the files are free for the next process.
        let end = tokio::time::Instant::now() + RELEASE_TIMEOUT;
        while machines.iter().any(|machine| machine.strong_count() > 0) && tokio::time::Instant::now() < end {
            tokio::time::sleep(LEADER_PAUSE / 5).await;
        }
        let journal = Arc::clone(&self.journal);
        let closed = blocking(move || journal.close()).await;
        closed.map_err(|error| CloseError(error.to_string()))?;
        result.map_err(|error| CloseError(error.to_string()))
    }
}
