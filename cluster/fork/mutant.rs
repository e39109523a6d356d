//! A planted bug: the saga in the wrong order. Between its two steps nobody keeps the source for the fork.

use weir_protocol::{Consistency, Create, CreateError, Created, ForkRequest, HeadError, Lifetime, StreamName};
use weir_storage::{Boundary, Given, Reference, Retained};

use crate::router::Router;

impl Router {
    /// Makes the fork by what its source is now, and has the source kept for it after that.
    pub(super) async fn create_before_retain(
        &self,
        name: &StreamName,
        create: Create,
        request: &ForkRequest,
    ) -> Result<Created, CreateError> {
        let source = self.group(&request.source)?;
        let head = source.head(&request.source, Consistency::Linearizable).await;
        let head = head.map_err(|error| match error {
            HeadError::NotFound => CreateError::SourceNotFound,
            HeadError::Gone => CreateError::SourceGone,
            HeadError::Fault(fault) => fault.into(),
        })?;
        let request = ForkRequest {
            offset: Some(request.offset.unwrap_or(head.next_offset)),
            ..request.clone()
        };
        let Boundary { source_id, base } = self.boundary(&request).await?;
        let fork_id = uuid::Uuid::new_v4().as_u64_pair().0;
        let retained = Retained {
            reference: Reference {
                fork_id,
                retained_at: source.now(),
                source: request.source.clone(),
                source_id,
                fork: name.clone(),
            },
            base,
            content_type: head.content_type,
            lifetime: head.lifetime.inherited_by_fork(create.lifetime),
            inherited_lifetime: create.lifetime == Lifetime::Forever,
        };
        let created = self
            .create_given(name, create.clone(), Given::Retained(retained))
            .await?;
        // The fork is there, whatever became of its source.
        let _ = self.retain(name, &create, &request, fork_id).await;
        Ok(created)
    }
}
