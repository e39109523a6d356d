//! A stream's bytes with those that it inherited: a fork's begin in its source, whose may begin in its own source.

use std::ops::{ControlFlow, Range};

use crate::error::StorageError;
use crate::record::{ForkRecord, StreamRecord};
use crate::reference::Elsewhere;
use crate::row::RowRef;
use crate::rows::Lookup;

/// The part of a row that belongs to the stream that is read.
pub(crate) struct Piece<'a> {
    /// The row.
    pub(crate) row: RowRef<'a>,
    /// Which of its bytes.
    pub(crate) range: Range<usize>,
    /// How long the messages are that end in those bytes, as far as they lie in them.
    pub(crate) lengths: Vec<u32>,
    /// Whether it begins inside a message.
    pub(crate) continues: bool,
}

impl Piece<'_> {
    /// Where it begins in the stream.
    pub(crate) fn start(&self) -> u64 {
        self.row.start + self.range.start as u64
    }

    /// Where it ends in the stream.
    pub(crate) fn end(&self) -> u64 {
        self.row.start + self.range.end as u64
    }

    /// Where its messages end in the stream.
    pub(crate) fn ends(&self) -> impl Iterator<Item = u64> + '_ {
        self.lengths.iter().scan(self.start(), |at, length| {
            *at += u64::from(*length);
            Some(*at)
        })
    }
}

/// One stream's share of a chain.
struct Segment {
    id: u64,
    /// It ends here. A message that goes on behind is cut here for who inherits it.
    until: u64,
}

/// Shows all pieces from position `from` to the tail, in order. None of them may be another group's: see [`elsewhere`].
pub(crate) fn visit<L: Lookup>(
    lookup: &L,
    record: &StreamRecord,
    from: u64,
    visit: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
) -> Result<(), StorageError> {
    let mut at = from;
    for segment in segments(lookup, record, from)? {
        let mut ended = false;
        lookup.rows(segment.id, at, &mut |row| {
            if row.start >= segment.until {
                return ControlFlow::Break(());
            }
            if row.start > at || row.end() <= at {
                // A hole: the check after the loop reports it.
                return ControlFlow::Break(());
            }
            let piece = cut(row, at, segment.until);
            at = piece.end();
            let flow = visit(piece);
            ended = flow.is_break();
            flow
        })?;
        if ended {
            return Ok(());
        }
        if at < segment.until {
            return Err(StorageError::Damaged(format!("a stream has no bytes at position {at}")));
        }
    }
    Ok(())
}

/// Whether a message begins at `position`, or the stream ends there.
pub(crate) fn is_boundary<L: Lookup>(lookup: &L, record: &StreamRecord, position: u64) -> Result<bool, StorageError> {
    if position == 0 || position == record.tail.position() || position == record.base.position() {
        return Ok(true);
    }
    let mut boundary = false;
    visit(lookup, record, position, &mut |piece| {
        boundary = !piece.continues;
        ControlFlow::Break(())
    })?;
    Ok(boundary)
}

/// Which stream of another group has the bytes at position `from`; `None` when they are in this store.
pub(crate) fn elsewhere<L: Lookup>(
    lookup: &L,
    record: &StreamRecord,
    from: u64,
) -> Result<Option<Elsewhere>, StorageError> {
    let mut base = record.base;
    let mut fork = record.fork.clone();
    while from < base.position() {
        let origin = fork.ok_or_else(missing)?;
        if origin.remote.is_some() {
            return Ok(Some(Elsewhere {
                source: origin.source,
                source_id: origin.source_id,
                until: base,
            }));
        }
        let source = source_of(lookup, &origin)?;
        base = source.base.min(base);
        fork = source.fork;
    }
    Ok(None)
}

fn missing() -> StorageError {
    StorageError::Damaged("the source of a fork is missing".to_owned())
}

fn source_of<L: Lookup>(lookup: &L, origin: &ForkRecord) -> Result<StreamRecord, StorageError> {
    let source = lookup.stream(&origin.source)?;
    source
        .filter(|source| source.id == origin.source_id && origin.remote.is_none())
        .ok_or_else(missing)
}

/// The streams whose bytes make up `record` from position `from` on, oldest first.
fn segments<L: Lookup>(lookup: &L, record: &StreamRecord, from: u64) -> Result<Vec<Segment>, StorageError> {
    let mut segments = vec![Segment {
        id: record.id,
        until: record.tail.position(),
    }];
    let mut base = record.base.position();
    let mut fork = record.fork.clone();
    while from < base {
        let origin = fork.ok_or_else(missing)?;
        let source = source_of(lookup, &origin)?;
        segments.push(Segment {
            id: source.id,
            until: base,
        });
        base = source.base.position().min(base);
        fork = source.fork;
    }
    segments.reverse();
    Ok(segments)
}

/// The part of `row` from `at` up to `until`; both lie in it, or `until` behind.
fn cut(mut row: RowRef<'_>, at: u64, until: u64) -> Piece<'_> {
    let lengths = std::mem::take(&mut row.lengths);
    if at == row.start && row.end() < until {
        return Piece {
            lengths,
            continues: row.continues,
            range: 0..row.payload.len(),
            row,
        };
    }
    let skipped = usize::try_from(at - row.start).unwrap_or(usize::MAX);
    let kept = usize::try_from(until.min(row.end()) - row.start).unwrap_or(usize::MAX);
    let mut clipped = Vec::with_capacity(lengths.len());
    let mut continues = row.continues && skipped == 0;
    let (mut begin, mut last) = (0, skipped);
    for length in lengths {
        let end = begin + length as usize;
        continues |= begin < skipped && skipped < end;
        if end > skipped && last < kept {
            let new_last = end.min(kept);
            clipped.push(u32::try_from(new_last - last).unwrap_or(u32::MAX));
            last = new_last;
        }
        begin = end;
    }
    continues |= begin < skipped;
    // Where a share ends, what there is of a message is a message to who inherits it.
    if last < kept && row.end() >= until {
        clipped.push(u32::try_from(kept - last).unwrap_or(u32::MAX));
    }
    Piece {
        lengths: clipped,
        continues,
        range: skipped..kept,
        row,
    }
}
