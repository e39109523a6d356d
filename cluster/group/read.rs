//! Reads, and what they renew.

use std::sync::Arc;

use weir_mutant::Mutant;
use weir_protocol::{
    Consistency, Fault, HeadError, ListError, ListPage, ListRequest, Read, ReadError, ReadResult, StreamMetadata,
    StreamName,
};
use weir_storage::Storage;

use super::{Group, Hosted, renew};
use crate::blocking::blocking;
use crate::limits::{ANSWER_OVERHEAD_BYTES, LISTED_BYTES, READ_TIMEOUT};
use crate::peer::Room;

/// At least as many bytes as a result has on its way to another node, where lengths have up to five bytes each.
fn answer_bytes(result: &ReadResult) -> u64 {
    let runs = result.runs.iter();
    let bytes: usize = runs.map(|run| run.payload.len() + 5 * run.lengths.len()).sum();
    bytes as u64 + ANSWER_OVERHEAD_BYTES
}

impl Group {
    /// Reads from the replica here, or asks a node that has one. A read that has to wait for its turn takes no room yet.
    pub(crate) async fn read(&self, name: &StreamName, read: Read, room: &mut Room) -> Result<ReadResult, ReadError> {
        let Some(hosted) = self.readable(read.consistency).await? else {
            return self.read_elsewhere(name, &read).await;
        };
        room.claim(read.max_bytes).await?;
        let now = self.shared.clock.now();
        let wanted = name.clone();
        let result = self
            .with_storage(&hosted, move |storage| {
                storage.read(&wanted, read.from, read.max_bytes, now)
            })
            .await??;
        // Renewing may take a while.
        room.fits(answer_bytes(&result));
        renew::renew(self, name, read, (now, result.ttl_deadline)).await?;
        Ok(result)
    }

    pub(crate) async fn head(&self, name: &StreamName, consistency: Consistency) -> Result<StreamMetadata, HeadError> {
        let Some(hosted) = self.readable(consistency).await? else {
            return self.head_elsewhere(name, consistency).await;
        };
        let now = self.shared.clock.now();
        let name = name.clone();
        self.with_storage(&hosted, move |storage| storage.head(&name, now))
            .await?
    }

    /// One page of this group's streams.
    pub(crate) async fn list(&self, request: ListRequest, room: &mut Room) -> Result<ListPage, ListError> {
        let Some(hosted) = self.readable(Consistency::Linearizable).await? else {
            return self.list_elsewhere(&request).await;
        };
        room.claim(LISTED_BYTES.saturating_mul(request.limit as u64)).await?;
        let now = self.shared.clock.now();
        self.with_storage(&hosted, move |storage| storage.list_streams(&request, now))
            .await?
    }

    /// Waits until the replica here may be read, and says which that is; none if others have to be asked.
    ///
    /// After a restart it is at its last checkpoint, behind what it showed before: even reads that need not be up to date
    /// wait once until it has caught up, so that they never go back.
    async fn readable(&self, consistency: Consistency) -> Result<Option<Arc<Hosted>>, Fault> {
        let Some(hosted) = self.serving() else {
            return Ok(None);
        };
        let must_wait = consistency == Consistency::Linearizable || !hosted.is_caught_up();
        if !must_wait || weir_mutant::is(Mutant::ReadWithoutBarrier) {
            return Ok(Some(hosted));
        }
        match self.barrier().await {
            // It was moved away, and had heard no more of its group for a moment.
            Err(_) if !self.still_hosts(&hosted) => Ok(None),
            result => result.map(Some),
        }
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
        // Slow reads must not take all threads: what is committed has to be applied meanwhile.
        let turn = Arc::clone(&self.shared.reads).acquire_owned();
        let turn = match tokio::time::timeout(READ_TIMEOUT, turn).await {
            Ok(Ok(turn)) => turn,
            _ => return Err(Fault::Overloaded),
        };
        let task = blocking(move || {
            // It is read to the end even if nobody waits for it any more.
            let _turn = turn;
            read(&*storage)
        });
        task.await.map_err(|error| Fault::Storage(error.to_string()))
    }
}
