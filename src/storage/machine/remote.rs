//! Forks whose source is another group's: what each of the two groups does for them.

use weir_protocol::{CreateError, Fault, Lifetime, Timestamp};

use crate::command::Retain;
use crate::error::StorageError;
use crate::machine::fork::{self, Origin};
use crate::machine::{Stop, delete};
use crate::record::{ForkRecord, RemoteFork, State};
use crate::reference::{ForkKey, Probed, Reference, Retained};
use crate::rows::Rows;
use crate::stage::Stage;

/// In the source's group: checks the fork as its create would, and keeps the source for it.
pub(crate) fn retain<R: Rows>(
    stage: &mut Stage<'_, R>,
    retain: Retain,
    at: Timestamp,
) -> Result<Retained, Stop<CreateError>> {
    let (content_type, boundary) = (retain.content_type.as_ref(), retain.boundary);
    let origin = fork::resolve(stage, &retain.request, content_type, retain.lifetime, boundary, at)?;
    let source_id = origin.fork.as_ref().map_or(0, |fork| fork.source_id);
    let reference = Reference {
        fork_id: retain.fork_id,
        retained_at: at,
        source: retain.request.source,
        source_id,
        fork: retain.fork,
    };
    stage.set_fork(source_id, ForkKey::Remote(reference.clone()), true);
    Ok(Retained {
        reference,
        base: origin.base,
        content_type: origin.content_type,
        lifetime: origin.lifetime,
        inherited_lifetime: retain.lifetime == Lifetime::Forever,
    })
}

/// In the source's group: lets go of a reference, and of a hidden source whose last fork it was.
pub(crate) fn release<R: Rows>(stage: &mut Stage<'_, R>, reference: Reference) -> Result<(), StorageError> {
    let (name, id) = (reference.source.clone(), reference.source_id);
    stage.set_fork(id, ForkKey::Remote(reference), false);
    match stage.load(&name)?.filter(|source| source.id == id) {
        Some(source) if source.state != State::Live && !stage.has_forks(id)? => delete::remove(stage, &name, source),
        _ => Ok(()),
    }
}

/// In the fork's group: whether the fork is there or can still be made. A hidden fork needs its source like any other.
pub(crate) fn probe<R: Rows>(
    stage: &mut Stage<'_, R>,
    reference: &Reference,
    at: Timestamp,
) -> Result<Probed, StorageError> {
    let record = stage.load(&reference.fork)?;
    let held = record.and_then(|record| record.reference(&reference.fork));
    Ok(Probed {
        exists: held.as_ref() == Some(reference),
        decided: reference.is_decided(at),
    })
}

/// In the fork's group: what the new fork has from its source, unless that came too late.
pub(crate) fn adopt(
    retained: Retained,
    request: &weir_protocol::ForkRequest,
    at: Timestamp,
) -> Result<Origin, Stop<CreateError>> {
    if retained.reference.is_decided(at) {
        let late = Fault::Unavailable(crate::LATE_FORK);
        return Err(Stop::Refused(CreateError::Fault(late)));
    }
    Ok(Origin {
        content_type: retained.content_type,
        lifetime: retained.lifetime,
        base: retained.base,
        fork: Some(ForkRecord {
            source: retained.reference.source,
            source_id: retained.reference.source_id,
            requested_offset: request.offset,
            sub_offset: request.sub_offset,
            inherited_lifetime: retained.inherited_lifetime,
            remote: Some(RemoteFork {
                fork_id: retained.reference.fork_id,
                retained_at: retained.reference.retained_at.as_millis(),
            }),
        }),
    })
}
