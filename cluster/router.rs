//! The trait `Streams`: which group an operation goes to.

use std::sync::Arc;

use async_trait::async_trait;
use weir_protocol::{
    Append, AppendError, Appended, Consistency, Create, CreateError, Created, DeleteError, Fault, HeadError, ListError,
    ListPage, ListRequest, Read, ReadError, ReadResult, StreamMetadata, StreamName, Streams, TailWatch,
};
use weir_storage::{Op, Outcome};

use crate::control::Hosting;
use crate::fork::Settling;
use crate::group::Group;
use crate::peer::Room;
use crate::view::Views;

/// The way from a stream's name to its group.
pub(crate) struct Router {
    views: Views,
    hosting: Arc<Hosting>,
    settling: Settling,
}

const NO_GROUP: Fault = Fault::Unavailable("this node does not know the cluster yet");

impl Router {
    pub(crate) fn new(views: Views, hosting: Arc<Hosting>) -> Self {
        Self {
            views,
            hosting,
            settling: Settling::default(),
        }
    }

    /// The groups that this node knows.
    pub(crate) fn groups(&self) -> Vec<Arc<Group>> {
        self.hosting.groups()
    }

    pub(crate) fn settling(&self) -> &Settling {
        &self.settling
    }

    /// The group that has a stream.
    pub(crate) fn group(&self, name: &StreamName) -> Result<Arc<Group>, Fault> {
        let group = self.views.now().group_of(name);
        group.and_then(|group| self.hosting.group(group)).ok_or(NO_GROUP)
    }
}

pub(crate) fn mixed_up(outcome: &Outcome) -> Fault {
    Fault::Storage(format!("a write had another write's answer: {outcome:?}"))
}

#[async_trait]
impl Streams for Router {
    async fn create(&self, name: &StreamName, create: Create) -> Result<Created, CreateError> {
        if let Some(request) = create.fork.clone() {
            return self.create_fork(name, create, &request).await;
        }
        match self.group(name)?.propose(Op::Create(name.clone(), create)).await? {
            Outcome::Create(result) => result,
            other => Err(mixed_up(&other).into()),
        }
    }

    async fn append(&self, name: &StreamName, append: Append) -> Result<Appended, AppendError> {
        match self.group(name)?.propose(Op::Append(name.clone(), append)).await? {
            Outcome::Append(result) => result,
            other => Err(mixed_up(&other).into()),
        }
    }

    async fn delete(&self, name: &StreamName) -> Result<(), DeleteError> {
        match self.group(name)?.propose(Op::Delete(name.clone())).await? {
            Outcome::Delete(result) => result,
            other => Err(mixed_up(&other).into()),
        }
    }

    async fn head(&self, name: &StreamName, consistency: Consistency) -> Result<StreamMetadata, HeadError> {
        self.group(name)?.head(name, consistency).await
    }

    async fn read(&self, name: &StreamName, read: Read) -> Result<ReadResult, ReadError> {
        let group = self.group(name)?;
        match self.read_from(&group, name, read, &mut Room::default()).await {
            // A replica that lags may not know an offset that another one gave. Only what is up to date may say that
            // nobody did.
            Err(ReadError::OffsetBeyondTail) if read.consistency == Consistency::Eventual => {
                let consistency = Consistency::Linearizable;
                let read = Read { consistency, ..read };
                self.read_from(&group, name, read, &mut Room::default()).await
            }
            answer => answer,
        }
    }

    async fn watch(&self, name: &StreamName) -> Result<Box<dyn TailWatch>, ReadError> {
        Ok(self.group(name)?.watch(name))
    }

    /// Streams of all groups, ordered by name: every group is asked for a whole page, and the first ones of all of
    /// them are the page.
    async fn list(&self, request: ListRequest) -> Result<ListPage, ListError> {
        let groups = self.hosting.groups();
        if groups.is_empty() {
            return Err(NO_GROUP.into());
        }
        let pages = groups
            .iter()
            .map(async |group| group.list(request.clone(), &mut Room::default()).await);
        let mut all = ListPage::default();
        for page in futures_util::future::try_join_all(pages).await? {
            all.more |= page.more;
            all.streams.extend(page.streams);
        }
        all.streams.sort_by(|left, right| left.name.cmp(&right.name));
        all.more |= all.streams.len() > request.limit;
        all.streams.truncate(request.limit);
        Ok(all)
    }
}
