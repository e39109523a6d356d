//! What groups tell each other about forks between them.

use weir_proto::entry as pb;
use weir_protocol::{ForkRequest, Offset, ReadError, Timestamp};
use weir_storage::{Boundary, Elsewhere, Fetched, Given, Reference, Retain, Retained};

use super::failure::{Failure as _, maybe_offset};
use super::read::{run_from_pb, run_to_pb};
use super::{Malformed, content_type, lifetime_from_pb, lifetime_to_pb, name, offset};

pub(super) fn fork_to_pb(fork: &ForkRequest, given: Option<&Given>) -> pb::Fork {
    let mut message = pb::Fork {
        source: fork.source.to_string(),
        offset: fork.offset.map(Offset::position),
        sub_offset: fork.sub_offset,
        ..pb::Fork::default()
    };
    match given {
        None => {}
        Some(Given::Boundary(boundary)) => message.boundary = Some(boundary_to_pb(*boundary)),
        Some(Given::Retained(retained)) => message.retained = Some(retained_to_pb(retained)),
        Some(Given::Existing) => message.existing = true,
    }
    message
}

pub(super) fn fork_from_pb(fork: &pb::Fork) -> Result<ForkRequest, Malformed> {
    Ok(ForkRequest {
        source: name(&fork.source)?,
        offset: maybe_offset(fork.offset)?,
        sub_offset: fork.sub_offset,
    })
}

pub(super) fn given_from_pb(fork: &pb::Fork) -> Result<Option<Given>, Malformed> {
    Ok(match (&fork.boundary, &fork.retained, fork.existing) {
        (None, None, false) => None,
        (Some(boundary), None, false) => Some(Given::Boundary(boundary_from_pb(*boundary)?)),
        (None, Some(retained), false) => Some(Given::Retained(retained_from_pb(retained.clone())?)),
        (None, None, true) => Some(Given::Existing),
        _ => return Err(Malformed),
    })
}

fn boundary_to_pb(boundary: Boundary) -> pb::Boundary {
    pb::Boundary {
        source_id: boundary.source_id,
        base: boundary.base.position(),
    }
}

fn boundary_from_pb(boundary: pb::Boundary) -> Result<Boundary, Malformed> {
    Ok(Boundary {
        source_id: boundary.source_id,
        base: offset(boundary.base)?,
    })
}

pub(super) fn retain_to_pb(retain: &Retain) -> pb::Retain {
    let mut request = fork_to_pb(&retain.request, None);
    request.boundary = retain.boundary.map(boundary_to_pb);
    pb::Retain {
        request: Some(request),
        content_type: retain.content_type.as_ref().map(ToString::to_string),
        lifetime: Some(lifetime_to_pb(retain.lifetime)),
        fork: retain.fork.to_string(),
        fork_id: retain.fork_id,
    }
}

pub(super) fn retain_from_pb(retain: pb::Retain) -> Result<Retain, Malformed> {
    let request = retain.request.ok_or(Malformed)?;
    Ok(Retain {
        request: fork_from_pb(&request)?,
        content_type: retain.content_type.as_deref().map(content_type).transpose()?,
        lifetime: lifetime_from_pb(retain.lifetime.as_ref())?,
        fork: name(&retain.fork)?,
        fork_id: retain.fork_id,
        boundary: request.boundary.map(boundary_from_pb).transpose()?,
    })
}

pub(super) fn reference_to_pb(reference: &Reference) -> pb::Reference {
    pb::Reference {
        fork_id: reference.fork_id,
        retained_at: reference.retained_at.as_millis(),
        source: reference.source.to_string(),
        source_id: reference.source_id,
        fork: reference.fork.to_string(),
    }
}

pub(super) fn reference_from_pb(reference: Option<pb::Reference>) -> Result<Reference, Malformed> {
    let reference = reference.ok_or(Malformed)?;
    Ok(Reference {
        fork_id: reference.fork_id,
        retained_at: Timestamp::from_millis(reference.retained_at),
        source: name(&reference.source)?,
        source_id: reference.source_id,
        fork: name(&reference.fork)?,
    })
}

pub(super) fn retained_to_pb(retained: &Retained) -> pb::Retained {
    pb::Retained {
        reference: Some(reference_to_pb(&retained.reference)),
        base: retained.base.position(),
        content_type: retained.content_type.to_string(),
        lifetime: Some(lifetime_to_pb(retained.lifetime)),
        inherited_lifetime: retained.inherited_lifetime,
    }
}

pub(super) fn retained_from_pb(retained: pb::Retained) -> Result<Retained, Malformed> {
    Ok(Retained {
        reference: reference_from_pb(retained.reference)?,
        base: offset(retained.base)?,
        content_type: content_type(&retained.content_type)?,
        lifetime: lifetime_from_pb(retained.lifetime.as_ref())?,
        inherited_lifetime: retained.inherited_lifetime,
    })
}

fn place_to_pb(place: &Elsewhere) -> pb::Elsewhere {
    pb::Elsewhere {
        source: place.source.to_string(),
        source_id: place.source_id,
        until: place.until.position(),
    }
}

fn place_from_pb(place: &pb::Elsewhere) -> Result<Elsewhere, Malformed> {
    Ok(Elsewhere {
        source: name(&place.source)?,
        source_id: place.source_id,
        until: offset(place.until)?,
    })
}

pub(crate) fn fetch_to_pb(place: &Elsewhere, from: Offset, max_bytes: u64) -> pb::FetchRequest {
    pb::FetchRequest {
        place: Some(place_to_pb(place)),
        from: from.position(),
        max_bytes,
    }
}

/// # Errors
/// [`Malformed`] unless it is a request of ours.
pub(crate) fn fetch_from_pb(request: &pb::FetchRequest) -> Result<(Elsewhere, Offset, u64), Malformed> {
    let place = place_from_pb(request.place.as_ref().ok_or(Malformed)?)?;
    Ok((place, offset(request.from)?, request.max_bytes))
}

pub(crate) fn fetched_to_pb(fetched: Result<Fetched, ReadError>) -> pb::FetchReply {
    use pb::fetch_reply::Reply;
    let reply = match fetched {
        Ok(Fetched::Messages { runs, next_offset }) => Some(Reply::Messages(pb::Messages {
            runs: runs.into_iter().map(run_to_pb).collect(),
            next_offset: next_offset.position(),
        })),
        Ok(Fetched::Elsewhere(place)) => Some(Reply::Elsewhere(place_to_pb(&place))),
        Ok(Fetched::Behind) => None,
        Err(error) => Some(Reply::Failed(error.to_pb())),
    };
    pb::FetchReply { reply }
}

/// # Errors
/// [`Malformed`] unless it is an answer of ours.
pub(crate) fn fetched_from_pb(reply: pb::FetchReply) -> Result<Result<Fetched, ReadError>, Malformed> {
    use pb::fetch_reply::Reply;
    Ok(match reply.reply {
        Some(Reply::Messages(messages)) => Ok(Fetched::Messages {
            runs: messages.runs.into_iter().map(run_from_pb).collect::<Result<_, _>>()?,
            next_offset: offset(messages.next_offset)?,
        }),
        Some(Reply::Elsewhere(place)) => Ok(Fetched::Elsewhere(place_from_pb(&place)?)),
        None => Ok(Fetched::Behind),
        Some(Reply::Failed(failure)) => Err(ReadError::from_pb(&failure)?),
    })
}
