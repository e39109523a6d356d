//! Where a fork leaves its source (protocol section 4.2).

use std::ops::ControlFlow;

use weir_protocol::{ContentType, CreateError, ForkRequest, Lifetime, Offset, Timestamp};

use crate::error::StorageError;
use crate::machine::{Stop, chain};
use crate::record::{ForkRecord, State, StreamRecord};
use crate::reference::Boundary;
use crate::rows::{Lookup, Rows};
use crate::stage::Stage;

/// What a new stream gets from where it comes from.
pub(crate) struct Origin {
    pub(crate) content_type: ContentType,
    pub(crate) lifetime: Lifetime,
    /// Where its own bytes begin.
    pub(crate) base: Offset,
    pub(crate) fork: Option<ForkRecord>,
}

/// Checks a fork's request against its source and finds its boundary; `known` is that boundary where it had to be found
/// by reading.
pub(crate) fn resolve<R: Rows>(
    stage: &mut Stage<'_, R>,
    request: &ForkRequest,
    content_type: Option<&ContentType>,
    lifetime: Lifetime,
    known: Option<Boundary>,
    at: Timestamp,
) -> Result<Origin, Stop<CreateError>> {
    let refused = |error| Err(Stop::Refused(error));
    let Some(source) = stage.load(&request.source)?.filter(|source| !source.is_expired(at)) else {
        return refused(CreateError::SourceNotFound);
    };
    if source.state == State::Deleted {
        return refused(CreateError::SourceGone);
    }
    if content_type.is_some_and(|given| !given.same_media_type(&source.content_type)) {
        return refused(CreateError::SourceTypeMismatch(source.content_type));
    }
    let anchor = request.offset.unwrap_or(source.tail);
    if anchor > source.tail {
        return refused(CreateError::ForkOffsetBeyondTail);
    }
    let known = known.filter(|known| known.source_id == source.id && known.base <= source.tail);
    let base = match known {
        Some(known) => known.base,
        None => boundary(stage, &source, anchor, request.sub_offset)?,
    };
    Ok(Origin {
        base,
        lifetime: source.lifetime.inherited_by_fork(lifetime),
        fork: Some(ForkRecord {
            source: request.source.clone(),
            source_id: source.id,
            requested_offset: request.offset,
            sub_offset: request.sub_offset,
            inherited_lifetime: lifetime == Lifetime::Forever,
            remote: None,
        }),
        content_type: source.content_type,
    })
}

/// The offset of the boundary: `sub_offset` messages of a JSON stream, or bytes of any other, after `anchor`.
fn boundary<L: Lookup>(
    lookup: &L,
    source: &StreamRecord,
    anchor: Offset,
    sub_offset: u64,
) -> Result<Offset, Stop<CreateError>> {
    let overshoot = || Stop::Refused(CreateError::ForkSubOffsetOvershoot);
    let needs_bytes = sub_offset > 0 || (source.content_type.is_json() && anchor > Offset::ZERO);
    if needs_bytes && chain::elsewhere(lookup, source, anchor.position())?.is_some() {
        return Err(Stop::Refused(CreateError::Elsewhere));
    }
    if source.content_type.is_json() {
        if !chain::is_boundary(lookup, source, anchor.position())? {
            return Err(Stop::Refused(CreateError::ForkOffsetInvalid));
        }
        let end = nth_end(lookup, source, anchor.position(), sub_offset)?;
        return end.and_then(Offset::new).ok_or_else(overshoot);
    }
    if sub_offset == 0 {
        return Ok(anchor);
    }
    let message_end = nth_end(lookup, source, anchor.position(), 1)?.ok_or_else(overshoot)?;
    match anchor.checked_add(sub_offset) {
        Some(boundary) if boundary.position() <= message_end => Ok(boundary),
        _ => Err(overshoot()),
    }
}

/// Where the `count`th message from `from` on ends; `None` when there are fewer.
fn nth_end<L: Lookup>(lookup: &L, source: &StreamRecord, from: u64, count: u64) -> Result<Option<u64>, StorageError> {
    if count == 0 {
        return Ok(Some(from));
    }
    let mut left = count;
    let mut found = None;
    chain::visit(lookup, source, from, &mut |piece| {
        for end in piece.ends() {
            left -= 1;
            if left == 0 {
                found = Some(end);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}
