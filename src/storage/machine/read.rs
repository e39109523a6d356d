//! Read stored messages (protocol section 5.6).

use std::ops::ControlFlow;

use bytes::BytesMut;
use weir_protocol::{Fault, Lifetime, Offset, ReadError, ReadFrom, ReadResult, Run, StreamName, Timestamp};

use crate::contract::Inherited;
use crate::error::StorageError;
use crate::machine::chain::{self, Piece};
use crate::record::{State, StreamRecord};
use crate::reference::{Elsewhere, Fetched};
use crate::row::PayloadRef;
use crate::rows::Lookup;

/// Bytes that need not be copied are not, from this many on; fewer are gathered, so that a reader is not handed crumbs.
const SHARED_FROM_BYTES: usize = 16 * 1024;

pub(crate) fn read<L: Lookup>(
    lookup: &L,
    name: &StreamName,
    from: ReadFrom,
    max_bytes: u64,
    now: Timestamp,
) -> Result<ReadResult, ReadError> {
    let record = lookup.stream(name).map_err(Fault::from)?;
    let record = record
        .filter(|record| !record.is_expired(now))
        .ok_or(ReadError::NotFound)?;
    if record.state == State::Deleted {
        return Err(ReadError::Gone);
    }
    let start = match from {
        ReadFrom::Start => Offset::ZERO,
        ReadFrom::Now => record.tail,
        ReadFrom::At(offset) if offset > record.tail => return Err(ReadError::OffsetBeyondTail),
        ReadFrom::At(offset) => offset,
    };
    let position = start.position();
    if chain::elsewhere(lookup, &record, position)
        .map_err(Fault::from)?
        .is_some()
    {
        return Err(ReadError::Elsewhere);
    }
    let Collected { runs, taken } = collect(lookup, &record, start, max_bytes)?;
    let next_offset = start.checked_add(taken).ok_or(ReadError::OffsetBeyondTail)?;
    Ok(ReadResult {
        incarnation: record.incarnation(),
        ttl_deadline: ttl_deadline(&record),
        content_type: record.content_type,
        start,
        runs,
        next_offset,
        at_tail: next_offset == record.tail,
        closed: record.closed,
    })
}

/// Describes a stream whose beginning is another group's.
pub(crate) fn inherited<L: Lookup>(lookup: &L, name: &StreamName, now: Timestamp) -> Result<Inherited, ReadError> {
    let record = lookup.stream(name).map_err(Fault::from)?;
    let record = record
        .filter(|record| !record.is_expired(now))
        .ok_or(ReadError::NotFound)?;
    if record.state == State::Deleted {
        return Err(ReadError::Gone);
    }
    let place = chain::elsewhere(lookup, &record, 0).map_err(Fault::from)?;
    let place = place.ok_or(Fault::Unavailable("the stream was made anew meanwhile"))?;
    Ok(Inherited {
        incarnation: record.incarnation(),
        ttl_deadline: ttl_deadline(&record),
        content_type: record.content_type,
        tail: record.tail,
        closed: record.closed,
        place,
    })
}

/// Reads for a fork in another group what it inherited from a stream here, whatever the stream's state.
pub(crate) fn fetch<L: Lookup>(
    lookup: &L,
    place: &Elsewhere,
    from: Offset,
    max_bytes: u64,
) -> Result<Fetched, ReadError> {
    let record = lookup.stream(&place.source).map_err(Fault::from)?;
    let is_behind = |record: &StreamRecord| record.id != place.source_id || record.tail < place.until;
    let Some(mut record) = record.filter(|record| !is_behind(record)) else {
        return Ok(Fetched::Behind);
    };
    // For the fork the stream ends here, and so does the message that goes on behind.
    record.tail = place.until;
    record.base = record.base.min(place.until);
    if let Some(place) = chain::elsewhere(lookup, &record, from.position()).map_err(Fault::from)? {
        return Ok(Fetched::Elsewhere(place));
    }
    let start = from.min(place.until);
    let Collected { runs, taken } = collect(lookup, &record, start, max_bytes)?;
    let next_offset = start.checked_add(taken).ok_or(ReadError::OffsetBeyondTail)?;
    Ok(Fetched::Messages { runs, next_offset })
}

fn ttl_deadline(record: &StreamRecord) -> Option<Timestamp> {
    let deadline = record.deadline();
    deadline.filter(|_| matches!(record.lifetime, Lifetime::Ttl(_)))
}

struct Collected {
    runs: Vec<Run>,
    /// How many bytes they have.
    taken: u64,
}

fn collect<L: Lookup>(
    lookup: &L,
    record: &StreamRecord,
    start: Offset,
    max_bytes: u64,
) -> Result<Collected, ReadError> {
    let left = record.tail.position() - start.position();
    let mut gatherer = Gatherer::new(max_bytes, left);
    let mut misplaced = false;
    let result = chain::visit(lookup, record, start.position(), &mut |piece| {
        misplaced = gatherer.is_new() && piece.continues && record.content_type.is_json();
        if misplaced {
            return ControlFlow::Break(());
        }
        gatherer.add(&piece)
    });
    result.map_err(|error: StorageError| Fault::from(error))?;
    if misplaced {
        return Err(ReadError::OffsetInvalid);
    }
    Ok(gatherer.finish())
}

/// Whole messages up to a limit.
struct Gatherer {
    max_bytes: u64,
    /// Bytes of whole messages so far.
    taken: u64,
    runs: Vec<Run>,
    /// The run in the making, and perhaps the beginning of a message that does not end in it yet.
    buffer: BytesMut,
    lengths: Vec<u32>,
    /// How much of the buffer is whole messages.
    whole: usize,
}

impl Gatherer {
    fn new(max_bytes: u64, left: u64) -> Self {
        let capacity = usize::try_from(max_bytes.min(left)).unwrap_or(usize::MAX).min(8 << 20);
        Self {
            max_bytes,
            taken: 0,
            runs: Vec::new(),
            buffer: BytesMut::with_capacity(if capacity < SHARED_FROM_BYTES { capacity } else { 0 }),
            lengths: Vec::new(),
            whole: 0,
        }
    }

    fn is_new(&self) -> bool {
        self.taken == 0 && self.buffer.is_empty()
    }

    fn add(&mut self, piece: &Piece<'_>) -> ControlFlow<()> {
        let waiting = self.buffer.len() - self.whole;
        let mut fitting = 0;
        let mut end = piece.range.start;
        for length in &piece.lengths {
            let begun = if fitting == 0 { waiting as u64 } else { 0 };
            let message = begun + u64::from(*length);
            if self.taken > 0 && self.taken + message > self.max_bytes {
                break;
            }
            self.taken += message;
            end += *length as usize;
            fitting += 1;
        }
        let lengths = &piece.lengths[..fitting];
        let is_last = fitting < piece.lengths.len();
        let rest = piece.range.end - end;
        let shared = matches!(piece.row.payload, PayloadRef::Shared(_))
            && waiting == 0
            && end - piece.range.start >= SHARED_FROM_BYTES;
        if shared {
            self.flush();
            self.runs.push(Run {
                payload: piece.row.payload.take(piece.range.start..end),
                lengths: lengths.to_vec(),
            });
        } else if fitting > 0 {
            piece.row.payload.put(piece.range.start..end, &mut self.buffer);
            let first = u32::try_from(waiting).unwrap_or(u32::MAX).saturating_add(lengths[0]);
            self.lengths.push(first);
            self.lengths.extend_from_slice(&lengths[1..]);
            self.whole = self.buffer.len();
        }
        if is_last {
            return ControlFlow::Break(());
        }
        if rest > 0 {
            piece.row.payload.put(end..piece.range.end, &mut self.buffer);
        }
        let begun = (self.buffer.len() - self.whole) as u64;
        // Whatever comes next ends a message of more than `begun` bytes. The first message is taken at any length.
        let is_full = self.taken > 0 && self.taken + begun >= self.max_bytes;
        if is_full {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn flush(&mut self) {
        if self.whole > 0 {
            self.runs.push(Run {
                payload: self.buffer.split_to(self.whole).freeze(),
                lengths: std::mem::take(&mut self.lengths),
            });
            self.whole = 0;
        }
    }

    fn finish(mut self) -> Collected {
        self.flush();
        Collected {
            runs: self.runs,
            taken: self.taken,
        }
    }
}
