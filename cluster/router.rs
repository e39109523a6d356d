//! The trait `Streams`: which group an operation goes to.

use std::sync::Arc;

use async_trait::async_trait;
use weir_protocol::{
    Append, AppendError, Appended, Consistency, Create, CreateError, Created, DeleteError, Fault, HeadError, ListError,
    ListPage, ListRequest, Read, ReadError, ReadResult, StreamMetadata, StreamName, Streams, TailWatch,
};
use weir_storage::{Op, Outcome};

use crate::group::Group;

/// All groups of this node; for now there is one.
pub(crate) struct Router {
    group: Arc<Group>,
}

impl Router {
    pub(crate) fn new(group: Arc<Group>) -> Self {
        Self { group }
    }

    fn group(&self, _name: &StreamName) -> &Group {
        &self.group
    }
}

fn mixed_up(outcome: &Outcome) -> Fault {
    Fault::Storage(format!("a write had another write's answer: {outcome:?}"))
}

#[async_trait]
impl Streams for Router {
    async fn create(&self, name: &StreamName, create: Create) -> Result<Created, CreateError> {
        match self.group(name).propose(Op::Create(name.clone(), create)).await? {
            Outcome::Create(result) => result,
            other => Err(mixed_up(&other).into()),
        }
    }

    async fn append(&self, name: &StreamName, append: Append) -> Result<Appended, AppendError> {
        match self.group(name).propose(Op::Append(name.clone(), append)).await? {
            Outcome::Append(result) => result,
            other => Err(mixed_up(&other).into()),
        }
    }

    async fn delete(&self, name: &StreamName) -> Result<(), DeleteError> {
        match self.group(name).propose(Op::Delete(name.clone())).await? {
            Outcome::Delete(result) => result,
            other => Err(mixed_up(&other).into()),
        }
    }

    async fn head(&self, name: &StreamName, _consistency: Consistency) -> Result<StreamMetadata, HeadError> {
        self.group(name).head(name).await
    }

    async fn read(&self, name: &StreamName, read: Read) -> Result<ReadResult, ReadError> {
        self.group(name).read(name, read).await
    }

    async fn watch(&self, name: &StreamName) -> Result<Box<dyn TailWatch>, ReadError> {
        Ok(self.group(name).watch(name))
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage, ListError> {
        self.group.list(request).await
    }
}
