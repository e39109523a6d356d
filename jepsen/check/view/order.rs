//! The one order of a stream's messages, put together from what was read.
//!
//! Offsets are opaque here: only that the same offset is the same place. The longest read from the beginning lays the
//! foundation, the others must be slices of it and may go on where it ends.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::segment::{Kind, Segment};
use crate::history::MessageId;

/// Two answers that do not fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// The kind of error.
    pub(crate) kind: &'static str,
    pub(crate) text: String,
    pub(crate) events: Vec<u64>,
}

/// Messages by rank, and the offsets between them.
#[derive(Debug, Default)]
pub(crate) struct Order {
    pub(crate) messages: Vec<MessageId>,
    /// A read that showed each message, and when it was over.
    pub(crate) shown_by: Vec<(u64, u64)>,
    /// The rank of each message (the first, if there are several).
    pub(crate) rank: HashMap<MessageId, usize>,
    /// How many messages lie before an offset, and the read that says so.
    pub(crate) offsets: BTreeMap<u64, (usize, u64)>,
    /// The offset before the message of a rank.
    positions: HashMap<usize, (u64, u64)>,
    /// Ranks of stand-ins for what nobody read.
    pub(crate) gaps: Vec<usize>,
    /// Messages that do not fit.
    pub(crate) conflicts: Vec<Conflict>,
    /// Offsets that do not fit.
    pub(crate) shifts: Vec<Conflict>,
    /// How many reads fitted.
    pub(crate) reads: u64,
}

impl Order {
    /// Puts the segments of one life together; `ends` are the offsets that acknowledgements gave, by last message.
    pub(crate) fn build(mut segments: Vec<&Segment<'_>>, ends: &[(MessageId, u64, u64)]) -> Self {
        // Whole reads first, as they need nothing else to be placed; then, with the acknowledged offsets, reads from
        // anywhere. Live pieces come last: they are compared with the rest, and have a checker of their own.
        let stage = |segment: &Segment<'_>| match segment.kind {
            Kind::Live(_) => 2,
            _ => u8::from(segment.start != Some(0)),
        };
        segments.sort_by_key(|segment| {
            let length = Reverse(segment.messages().len());
            (stage(segment), segment.start, length, segment.index())
        });
        let mut order = Self::default();
        order.note(0, 0, 0);
        let mut ends: Vec<&(MessageId, u64, u64)> = ends.iter().collect();
        let mut last_stage = 0;
        for segment in segments {
            if stage(segment) != last_stage {
                last_stage = stage(segment);
                order.acknowledged(&mut ends);
            }
            order.take(segment, last_stage < 2);
        }
        order.acknowledged(&mut ends);
        order
    }

    /// Notes the acknowledged offsets of what is in the order by now, and keeps the others.
    fn acknowledged(&mut self, ends: &mut Vec<&(MessageId, u64, u64)>) {
        ends.retain(|(last, end, by)| match self.rank.get(last).copied() {
            Some(rank) => {
                self.note(*end, rank + 1, *by);
                false
            }
            None => true,
        });
    }

    /// The rank at which a segment begins, if that is known.
    pub(crate) fn rank_at(&self, offset: u64) -> Option<usize> {
        self.offsets.get(&offset).map(|(rank, _)| *rank)
    }

    /// The offset before the message of this rank (after the last one: the end), if a read gave it.
    pub(crate) fn offset_of(&self, rank: usize) -> Option<u64> {
        self.positions.get(&rank).map(|(offset, _)| *offset)
    }

    /// How many messages certainly lie before `offset`: beyond a known one there is one more at least.
    pub(crate) fn rank_floor(&self, offset: u64) -> usize {
        let Some((known, (rank, _))) = self.offsets.range(..=offset).next_back() else {
            return 0;
        };
        (rank + usize::from(*known < offset)).min(self.messages.len())
    }

    fn take(&mut self, segment: &Segment<'_>, strict: bool) {
        let messages = segment.messages();
        let Some(base) = self.place(segment, strict) else {
            return;
        };
        for (i, message) in messages.iter().enumerate() {
            match self.messages.get(base + i) {
                Some(known) if known == message => {}
                Some(known) => {
                    if strict {
                        let conflict = self.disagreement(segment, base + i, *known, *message);
                        self.conflicts.push(conflict);
                    }
                    return;
                }
                // A live piece that repeats or skips must not lay down an order for others.
                None if !strict && self.rank.contains_key(message) => return,
                None => self.push(*message, segment),
            }
        }
        self.reads += 1;
        if let Some(start) = segment.start {
            self.note(start, base, segment.index());
        }
        for (n, offset) in &segment.answer.marks {
            self.note(
                *offset,
                base + usize::try_from(*n).unwrap_or(usize::MAX),
                segment.index(),
            );
        }
        self.note(segment.next, base + messages.len(), segment.index());
    }

    fn place(&mut self, segment: &Segment<'_>, strict: bool) -> Option<usize> {
        if let Some(rank) = segment.start.and_then(|start| self.rank_at(start)) {
            return Some(rank);
        }
        let first = *segment.messages().first()?;
        if let Some(rank) = self.rank.get(&first) {
            return strict.then_some(*rank);
        }
        let (end, (_, by)) = self.offsets.last_key_value()?;
        let start = segment.start?;
        if start > *end {
            // A stand-in takes the place of whatever lies between, so that every place has one offset.
            let gap = self.messages.len();
            self.gaps.push(gap);
            self.messages.push(MessageId(u64::MAX, u64::MAX));
            self.shown_by.push((segment.index(), segment.operation.return_ns));
            return Some(gap + 1);
        }
        if strict && self.gaps.is_empty() {
            self.conflicts.push(Conflict {
                kind: "unordered",
                text: format!("a read from {start} shows {first}, which a longer read over that place does not have"),
                events: vec![segment.index(), *by],
            });
        }
        None
    }

    fn push(&mut self, message: MessageId, by: &Segment<'_>) {
        self.rank.entry(message).or_insert(self.messages.len());
        self.messages.push(message);
        self.shown_by.push((by.index(), by.operation.return_ns));
    }

    fn disagreement(&self, segment: &Segment<'_>, rank: usize, known: MessageId, found: MessageId) -> Conflict {
        Conflict {
            kind: "diverged",
            text: format!("message {rank} is {known} in one read and {found} in another"),
            events: vec![self.shown_by[rank].0, segment.index()],
        }
    }

    /// Offset `offset` lies before the message of rank `rank`, says the read at `by`.
    pub(crate) fn note(&mut self, offset: u64, rank: usize, by: u64) {
        let (known, first) = *self.offsets.entry(offset).or_insert((rank, by));
        if known != rank {
            self.shifts.push(Conflict {
                kind: "offset-names-two-places",
                text: format!("offset {offset} lies after {known} messages in one answer, after {rank} in another"),
                events: vec![first, by],
            });
        }
        let (position, first) = *self.positions.entry(rank).or_insert((offset, by));
        if position != offset {
            self.shifts.push(Conflict {
                kind: "place-has-two-offsets",
                text: format!("after {rank} messages the offset is {position} in one answer, {offset} in another"),
                events: vec![first, by],
            });
        }
    }
}
