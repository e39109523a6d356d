//! Create a stream, or confirm that it exists as described (protocol section 5.1).

use weir_protocol::{
    ContentType, Create, CreateError, CreateStreamResult, Created, Offset, StreamName, TailEvent, Timestamp,
};

use crate::machine::fork::{self, Origin};
use crate::machine::{Stop, delete, remote};
use crate::record::{State, StreamRecord};
use crate::reference::{ForkKey, Given};
use crate::rows::Rows;
use crate::stage::Stage;

pub(crate) fn create<R: Rows>(
    stage: &mut Stage<'_, R>,
    name: &StreamName,
    create: Create,
    given: Option<Given>,
    at: Timestamp,
) -> Result<Created, Stop<CreateError>> {
    if let Some(record) = stage.load(name)? {
        if is_made_by(&record, name, given.as_ref()) {
            return Ok(answer(CreateStreamResult::Created, &record));
        }
        if !record.is_expired(at) {
            return confirm(&record, &create).map_err(Stop::Refused);
        }
        if stage.has_forks(record.id)? {
            return Err(Stop::Refused(CreateError::NameHeld));
        }
        stage.tell(name, TailEvent::Gone);
        delete::remove(stage, name, record)?;
    }
    let (content_type, lifetime) = (create.content_type.as_ref(), create.lifetime);
    let origin = match (&create.fork, given) {
        (Some(_), Some(Given::Existing)) => return Err(Stop::Refused(CreateError::Elsewhere)),
        (Some(request), Some(Given::Retained(retained))) => remote::adopt(retained, request, at)?,
        (Some(request), Some(Given::Boundary(boundary))) => {
            fork::resolve(stage, request, content_type, lifetime, Some(boundary), at)?
        }
        (Some(request), None) => fork::resolve(stage, request, content_type, lifetime, None, at)?,
        (None, _) => Origin {
            content_type: create.content_type.clone().unwrap_or_else(ContentType::octet_stream),
            lifetime: create.lifetime,
            base: Offset::ZERO,
            fork: None,
        },
    };
    let too_long = Stop::Refused(CreateError::TooLong);
    let tail = origin.base.checked_add(create.payload.stored_bytes()).ok_or(too_long)?;
    let record = StreamRecord {
        id: stage.allocate_id()?,
        state: State::Live,
        content_type: origin.content_type,
        lifetime: origin.lifetime,
        created_at: at,
        updated_at: at,
        touched_at: at,
        base: origin.base,
        tail,
        message_count: create.payload.lengths().len() as u64,
        closed: create.closed,
        closed_by: None,
        last_stream_seq: None,
        indexed_deadline: origin.lifetime.deadline(at),
        fork: origin.fork,
    };
    stage.set_deadline(name, None, record.indexed_deadline);
    if let Some(fork) = record.fork.as_ref().filter(|fork| fork.remote.is_none()) {
        stage.set_fork(fork.source_id, ForkKey::Local(name.clone()), true);
    }
    stage.append(record.id, record.base.position(), create.payload);
    stage.tell(
        name,
        TailEvent::Tail {
            next_offset: record.tail,
            closed: record.closed,
        },
    );
    let answer = answer(CreateStreamResult::Created, &record);
    stage.put_stream(name, record);
    Ok(answer)
}

/// Whether the very command that made `record` has come again.
fn is_made_by(record: &StreamRecord, name: &StreamName, given: Option<&Given>) -> bool {
    match given {
        Some(Given::Retained(retained)) => record.reference(name).as_ref() == Some(&retained.reference),
        _ => false,
    }
}

/// The name is taken: the same request again is a success, any other a conflict.
fn confirm(record: &StreamRecord, create: &Create) -> Result<Created, CreateError> {
    if record.state != State::Live {
        return Err(CreateError::NameHeld);
    }
    let mismatch = if !same_content_type(record, create) {
        Some("content type")
    } else if !same_lifetime(record, create) {
        Some("lifetime")
    } else if record.closed != create.closed {
        Some("closed state")
    } else if !same_fork(record, create) {
        Some("fork origin")
    } else {
        None
    };
    match mismatch {
        Some(what) => Err(CreateError::ConfigMismatch(what)),
        None => Ok(answer(CreateStreamResult::AlreadyExists, record)),
    }
}

fn same_content_type(record: &StreamRecord, create: &Create) -> bool {
    match &create.content_type {
        Some(given) => given.same_media_type(&record.content_type),
        // A fork's type is its source's; whether that is the same is a question of the origin.
        None if record.fork.is_some() || create.fork.is_some() => true,
        None => record.content_type.same_media_type(&ContentType::octet_stream()),
    }
}

fn same_lifetime(record: &StreamRecord, create: &Create) -> bool {
    let inherits = create.fork.is_some() && create.lifetime == weir_protocol::Lifetime::Forever;
    match &record.fork {
        Some(fork) if inherits => fork.inherited_lifetime,
        _ => record.lifetime == create.lifetime,
    }
}

/// A fork is the same when it leaves the same source at the same place, told as it was told the first time, by the
/// boundary that came of it, or not at all: what an offset left away stood for is decided only once.
fn same_fork(record: &StreamRecord, create: &Create) -> bool {
    match (&record.fork, &create.fork) {
        (None, None) => true,
        (Some(fork), Some(request)) => {
            let is_offset = request.offset.is_none() || fork.requested_offset == request.offset;
            let as_told = is_offset && fork.sub_offset == request.sub_offset;
            let as_resolved = request.offset == Some(record.base) && request.sub_offset == 0;
            fork.source == request.source && (as_told || as_resolved)
        }
        _ => false,
    }
}

fn answer(status: CreateStreamResult, record: &StreamRecord) -> Created {
    Created {
        status,
        content_type: record.content_type.clone(),
        next_offset: record.tail,
        closed: record.closed,
    }
}
