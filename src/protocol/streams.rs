//! The seam between the front end and whatever keeps the streams: one replica in one process, or a cluster.

use async_trait::async_trait;

use crate::error::{AppendError, CreateError, DeleteError, HeadError, ListError, ReadError};
use crate::name::StreamName;
use crate::offset::Offset;
use crate::operation::{
    Append, Appended, Consistency, Create, Created, ListPage, ListRequest, Read, ReadResult, StreamMetadata,
};

/// All operations on streams. An answer to a write means that it is durable.
#[async_trait]
pub trait Streams: Send + Sync + 'static {
    /// Creates a stream or a fork, or confirms that it exists as described.
    async fn create(&self, name: &StreamName, create: Create) -> Result<Created, CreateError>;

    /// Appends, closes, or both in one step.
    async fn append(&self, name: &StreamName, append: Append) -> Result<Appended, AppendError>;

    /// Deletes a stream; one with forks is kept for them and answers `Gone` from then on.
    async fn delete(&self, name: &StreamName) -> Result<(), DeleteError>;

    /// Describes a stream. Does not renew its TTL.
    async fn head(&self, name: &StreamName, consistency: Consistency) -> Result<StreamMetadata, HeadError>;

    /// Reads stored messages without waiting for new ones.
    async fn read(&self, name: &StreamName, read: Read) -> Result<ReadResult, ReadError>;

    /// Watches a stream's tail. Events begin with the call: watch first, then read, and no append is missed.
    async fn watch(&self, name: &StreamName) -> Result<Box<dyn TailWatch>, ReadError>;

    /// Lists streams by name.
    async fn list(&self, request: ListRequest) -> Result<ListPage, ListError>;
}

/// What a watcher learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TailEvent {
    /// The stream reaches to `next_offset` now.
    Tail {
        /// The tail.
        next_offset: Offset,
        /// Whether the stream is closed.
        closed: bool,
    },
    /// The stream was deleted, has expired, or is served elsewhere now: look again.
    Gone,
}

/// A watch on one stream's tail.
#[async_trait]
pub trait TailWatch: Send {
    /// Waits for the next change since the last event (or since the watch began). Several changes may come as one
    /// event, which tells the latest state. After [`TailEvent::Gone`] every call returns it at once.
    async fn changed(&mut self) -> TailEvent;
}
