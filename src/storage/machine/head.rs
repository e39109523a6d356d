//! Describe a stream (protocol section 5.5).

use weir_protocol::{Fault, HeadError, StreamMetadata, StreamName, Timestamp};

use crate::record::{State, StreamRecord};
use crate::rows::Lookup;

pub(crate) fn head<L: Lookup>(lookup: &L, name: &StreamName, now: Timestamp) -> Result<StreamMetadata, HeadError> {
    let record = lookup.stream(name).map_err(Fault::from)?;
    let record = record
        .filter(|record| !record.is_expired(now))
        .ok_or(HeadError::NotFound)?;
    match record.state {
        State::Live => Ok(describe(record)),
        State::Deleted | State::Expired => Err(HeadError::Gone),
    }
}

/// What clients may know.
pub(crate) fn describe(record: StreamRecord) -> StreamMetadata {
    StreamMetadata {
        incarnation: record.incarnation(),
        lifetime: record.lifetime,
        next_offset: record.tail,
        closed: record.closed,
        total_bytes: record.tail.position() - record.base.position(),
        message_count: record.message_count,
        updated_at: record.updated_at,
        expires_at: record.deadline(),
        fork: record.fork.map(|fork| (fork.source, record.base)),
        content_type: record.content_type,
    }
}
