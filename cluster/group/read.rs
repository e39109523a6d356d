//! Reads, and what they renew.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use weir_mutant::Mutant;
use weir_protocol::{
    Consistency, Fault, HeadError, ListError, ListPage, ListRequest, Read, ReadError, ReadResult, StreamMetadata,
    StreamName,
};
use weir_storage::Storage;

use super::{Group, Hosted, renew};
use crate::blocking::blocking;

impl Group {
    /// Reads from the replica here, or asks a node that has one.
    pub(crate) async fn read(&self, name: &StreamName, read: Read) -> Result<ReadResult, ReadError> {
        let Some(hosted) = self.hosted() else {
            return self.read_elsewhere(name, &read).await;
        };
        let hosted = self.readable(hosted, read.consistency).await?;
        let now = self.shared.clock.now();
        let wanted = name.clone();
        let result = self
            .with_storage(&hosted, move |storage| {
                storage.read(&wanted, read.from, read.max_bytes, now)
            })
            .await??;
        renew::renew(self, name, read, (now, result.ttl_deadline)).await?;
        Ok(result)
    }

    pub(crate) async fn head(&self, name: &StreamName, consistency: Consistency) -> Result<StreamMetadata, HeadError> {
        let Some(hosted) = self.hosted() else {
            return self.head_elsewhere(name, consistency).await;
        };
        let hosted = self.readable(hosted, consistency).await?;
        let now = self.shared.clock.now();
        let name = name.clone();
        self.with_storage(&hosted, move |storage| storage.head(&name, now))
            .await?
    }

    /// One page of this group's streams.
    pub(crate) async fn list(&self, request: ListRequest) -> Result<ListPage, ListError> {
        if self.hosted().is_none() {
            return self.list_elsewhere(&request).await;
        }
        let hosted = self.barrier().await?;
        let now = self.shared.clock.now();
        self.with_storage(&hosted, move |storage| storage.list_streams(&request, now))
            .await?
    }

    /// Waits until the replica here may be read, and says which that is. After a restart it is at its last checkpoint,
    /// behind what it showed before: even reads that need not be up to date wait once until it has caught up, so that they
    /// never go back.
    async fn readable(&self, hosted: Arc<Hosted>, consistency: Consistency) -> Result<Arc<Hosted>, Fault> {
        let must_wait = consistency == Consistency::Linearizable || !hosted.caught_up.load(Ordering::Relaxed);
        if must_wait && !weir_mutant::is(Mutant::ReadWithoutBarrier) {
            return self.barrier().await;
        }
        Ok(hosted)
    }

    /// Runs `read` where it may block.
    pub(super) async fn with_storage<T: Send + 'static>(
        &self,
        hosted: &Hosted,
        read: impl FnOnce(&dyn Storage) -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let storage = hosted.machine.store();
        if !self.shared.blocking_reads {
            return Ok(read(&*storage));
        }
        let task = blocking(move || read(&*Arc::clone(&storage)));
        task.await.map_err(|error| Fault::Storage(error.to_string()))
    }
}
