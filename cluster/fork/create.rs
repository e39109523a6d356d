//! Making a fork whose source is another group's, or whose source's bytes are.

use weir_protocol::{
    Consistency, Create, CreateError, CreateStreamResult, Created, Fault, ForkRequest, HeadError, StreamName,
};
use weir_storage::{Given, Op, Outcome, Reference, Retain, Retained};

use crate::limits::{NEAR_SUB_OFFSET, RELEASE_WAIT};
use crate::router::{Router, mixed_up};

const NOT_FOUND_OUT: Fault = Fault::Unavailable("the fork's source changed meanwhile");

impl Router {
    /// Creates a fork, or confirms that it is there.
    pub(crate) async fn create_fork(
        &self,
        name: &StreamName,
        create: Create,
        request: &ForkRequest,
    ) -> Result<Created, CreateError> {
        if self.group(name)?.id() == self.group(&request.source)?.id() {
            return self.create_beside(name, create, request).await;
        }
        if self.is_taken(name).await? {
            match self.create_given(name, create.clone(), Given::Existing).await {
                // It went between the two questions.
                Err(CreateError::Elsewhere) => {}
                answer => return answer,
            }
        }
        #[cfg(feature = "mutants")]
        if weir_mutant::is(weir_mutant::Mutant::ForkBeforeRetain) {
            return self.create_before_retain(name, create, request).await;
        }
        let retained = self
            .retain(name, &create, request, uuid::Uuid::new_v4().as_u64_pair().0)
            .await?;
        let reference = retained.reference.clone();
        let result = self.create_given(name, create, Given::Retained(retained)).await;
        if made_nothing(&result) {
            // What is not released now is released by the reconciler; the client need not wait for that.
            let _ = tokio::time::timeout(RELEASE_WAIT, self.release(reference)).await;
        }
        result
    }

    /// In the group of both the fork and its source. Where the fork leaves the source may have to be found by reading.
    async fn create_beside(
        &self,
        name: &StreamName,
        create: Create,
        request: &ForkRequest,
    ) -> Result<Created, CreateError> {
        // One that is there is told by its request alone.
        if !is_far(request) || self.is_taken(name).await? {
            match self.create_here(Op::Create(name.clone(), create.clone()), name).await {
                Err(CreateError::Elsewhere) => {}
                answer => return answer,
            }
        }
        let boundary = self.boundary(request).await?;
        match self.create_given(name, create, Given::Boundary(boundary)).await {
            Err(CreateError::Elsewhere) => Err(NOT_FOUND_OUT.into()),
            answer => answer,
        }
    }

    async fn is_taken(&self, name: &StreamName) -> Result<bool, Fault> {
        match self.group(name)?.head(name, Consistency::Linearizable).await {
            Ok(_) | Err(HeadError::Gone) => Ok(true),
            Err(HeadError::NotFound) => Ok(false),
            Err(HeadError::Fault(fault)) => Err(fault),
        }
    }

    /// First step: has the source kept for the fork.
    pub(super) async fn retain(
        &self,
        name: &StreamName,
        create: &Create,
        request: &ForkRequest,
        fork_id: u64,
    ) -> Result<Retained, CreateError> {
        let mut retain = Retain {
            request: request.clone(),
            content_type: create.content_type.clone(),
            lifetime: create.lifetime,
            fork: name.clone(),
            fork_id,
            boundary: None,
        };
        if !is_far(request) {
            match self.retain_given(retain.clone()).await {
                Err(CreateError::Elsewhere) => {}
                answer => return answer,
            }
        }
        retain.boundary = Some(self.boundary(request).await?);
        match self.retain_given(retain).await {
            Err(CreateError::Elsewhere) => Err(NOT_FOUND_OUT.into()),
            answer => answer,
        }
    }

    async fn retain_given(&self, retain: Retain) -> Result<Retained, CreateError> {
        let group = self.group(&retain.request.source)?;
        match group.propose(Op::Retain(retain)).await {
            Ok(Outcome::Retain(result)) => result,
            Ok(other) => Err(mixed_up(&other).into()),
            // Whether the source is kept or not, the fork is certainly not made.
            Err(Fault::OutcomeUnknown) => Err(Fault::Unavailable("the fork's source does not answer now").into()),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Second step: makes the fork.
    pub(super) async fn create_given(
        &self,
        name: &StreamName,
        create: Create,
        given: Given,
    ) -> Result<Created, CreateError> {
        self.create_here(Op::Fork(name.clone(), create, given), name).await
    }

    async fn create_here(&self, op: Op, name: &StreamName) -> Result<Created, CreateError> {
        match self.group(name)?.propose(op).await? {
            Outcome::Create(result) => result,
            other => Err(mixed_up(&other).into()),
        }
    }

    /// Last step, where the second made nothing or the fork is gone: the source need not be kept for it.
    pub(super) async fn release(&self, reference: Reference) -> Result<(), Fault> {
        let group = self.group(&reference.source)?;
        match group.propose(Op::Release(reference)).await? {
            Outcome::Release => Ok(()),
            other => Err(mixed_up(&other)),
        }
    }
}

/// Whether so many messages have to be counted to find where a fork leaves its source that it is done by reading, before
/// anything is proposed: whoever applies the command has no time for it, and every replica would count them.
fn is_far(request: &ForkRequest) -> bool {
    request.offset.is_some() && request.sub_offset > NEAR_SUB_OFFSET
}

/// Whether it is certain that a create made nothing and never will.
fn made_nothing(result: &Result<Created, CreateError>) -> bool {
    match result {
        Ok(created) => created.status == CreateStreamResult::AlreadyExists,
        Err(CreateError::Fault(Fault::OutcomeUnknown | Fault::Storage(_))) => false,
        Err(_) => true,
    }
}
