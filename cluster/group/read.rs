//! Reads, and what they renew.

use std::sync::Arc;

use weir_protocol::{
    Fault, HeadError, ListError, ListPage, ListRequest, Read, ReadError, ReadResult, StreamMetadata, StreamName,
};
use weir_storage::Storage;

use super::{Group, renew};

impl Group {
    pub(crate) async fn read(&self, name: &StreamName, read: Read) -> Result<ReadResult, ReadError> {
        let now = self.clock.now();
        let wanted = name.clone();
        let result = self
            .with_storage(move |storage| storage.read(&wanted, read.from, read.max_bytes, now))
            .await??;
        if let (true, Some(deadline)) = (read.renews, result.ttl_deadline) {
            renew::renew(self, name, now, deadline).await?;
        }
        Ok(result)
    }

    pub(crate) async fn head(&self, name: &StreamName) -> Result<StreamMetadata, HeadError> {
        let now = self.clock.now();
        let name = name.clone();
        self.with_storage(move |storage| storage.head(&name, now)).await?
    }

    pub(crate) async fn list(&self, request: ListRequest) -> Result<ListPage, ListError> {
        let now = self.clock.now();
        self.with_storage(move |storage| storage.list_streams(&request, now))
            .await?
    }

    /// Runs `read` where it may block.
    async fn with_storage<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Storage) -> T + Send + 'static,
    ) -> Result<T, Fault> {
        if !self.blocking_reads {
            return Ok(read(&*self.storage));
        }
        let storage = Arc::clone(&self.storage);
        let task = tokio::task::spawn_blocking(move || read(&*storage));
        task.await.map_err(|error| Fault::Storage(error.to_string()))
    }
}
