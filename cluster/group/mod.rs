//! A group: the streams that share one store and one order of writes.

mod housekeeping;
mod propose;
mod read;
mod renew;
mod watch;

use std::sync::Arc;

use tokio::sync::watch as signal;
use weir_protocol::{Clock, StreamName, TailWatch};
use weir_storage::Storage;

use self::propose::Proposer;
use self::renew::Renewals;
use self::watch::Watchers;

/// One group's replica.
pub(crate) struct Group {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    proposer: Proposer,
    renewals: Renewals,
    watchers: Arc<Watchers>,
    /// Whether reads may block for long enough to need a thread of their own.
    blocking_reads: bool,
}

impl Group {
    /// Starts a group over its store. `failed` is told when the store failed.
    pub(crate) fn start(
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
        blocking_reads: bool,
        failed: signal::Sender<Option<String>>,
    ) -> std::io::Result<Arc<Self>> {
        let watchers = Arc::new(Watchers::default());
        let committer = propose::Committer::new(
            Arc::clone(&storage),
            Arc::clone(&clock),
            Arc::clone(&watchers),
            failed.clone(),
        );
        let group = Arc::new(Self {
            proposer: committer.spawn()?,
            renewals: Renewals::default(),
            watchers,
            storage,
            clock,
            blocking_reads,
        });
        tokio::spawn(renew::run(Arc::downgrade(&group)));
        tokio::spawn(housekeeping::run(Arc::downgrade(&group), failed));
        Ok(group)
    }

    /// Begins to watch a stream's tail.
    pub(crate) fn watch(&self, name: &StreamName) -> Box<dyn TailWatch> {
        Box::new(self.watchers.watch(name))
    }

    /// Lets no further write in, waits for those that wait, and makes everything durable.
    pub(crate) async fn close(&self) -> Result<(), weir_storage::StorageError> {
        renew::flush(self).await;
        self.proposer.close().await;
        let storage = Arc::clone(&self.storage);
        let checkpoint = tokio::task::spawn_blocking(move || storage.checkpoint()).await;
        checkpoint.unwrap_or_else(|error| Err(weir_storage::StorageError::Failed(error.to_string())))
    }
}
