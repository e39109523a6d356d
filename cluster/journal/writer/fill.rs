//! Filling a frame: the journal's own records first, then what callers submitted, in order, as far as it fits.

use std::sync::Arc;

use crate::{
    format::{
        frame::FRAME_HEADER_BYTES,
        record::{self, Kind, Meta, RecordHeader},
    },
    group::{Group, record_bytes},
    index::Place,
    shared::{Change, Op},
    types::{Leader, LogId},
    writer::Writer,
};

const NOBODY: LogId = LogId {
    leader: Leader { term: 0, node: 0 },
    index: 0,
};

/// What the frame under construction holds.
#[derive(Default)]
pub(super) struct Built {
    pub(super) records: u32,
    pub(super) states: Vec<(Arc<Group>, Meta)>,
    pub(super) moves: Vec<(Arc<Group>, LogId, Place)>,
    /// One per submission at the front of the backlog.
    pub(super) placed: Vec<Placed>,
}

/// The part of a submission that is in the frame.
pub(super) struct Placed {
    /// Entries of it that are synced once the frame is.
    pub(super) upto: usize,
    /// Offset in the segment of its first record in this frame.
    pub(super) offset: u64,
    pub(super) complete: bool,
    pub(super) committed: Option<LogId>,
}

impl Writer {
    /// Fills `self.frame` with what fits.
    pub(super) fn build(&mut self, starving: bool) -> Built {
        self.frame.clear();
        self.frame.resize(FRAME_HEADER_BYTES, 0);
        let mut built = Built::default();
        let room = self.current.bytes - self.offset;
        // When no segment is left, the last bytes are for what may free one.
        let hold = if starving { self.reserve() } else { 0 };
        self.build_states(&mut built, room.saturating_sub(2 * FRAME_HEADER_BYTES as u64));
        self.build_moves(&mut built, room.saturating_sub(hold));
        self.build_ops(&mut built, room.saturating_sub(hold));
        built
    }

    fn build_states(&mut self, built: &mut Built, room: u64) {
        let mut later = Vec::new();
        for group in std::mem::take(&mut self.plan.states) {
            let meta = {
                let inner = group.lock();
                if inner.disk.meta_segment.is_none() {
                    continue;
                }
                inner.disk.meta.clone()
            };
            if self.frame.len() as u64 + record_bytes(meta.encoded_bytes()) > room {
                later.push(group);
                continue;
            }
            let header = RecordHeader {
                kind: Kind::State,
                key: group.key,
                id: NOBODY,
            };
            self.encode(built, &header, &meta.encode());
            built.states.push((group, meta));
        }
        self.plan.states = later;
    }

    fn build_moves(&mut self, built: &mut Built, room: u64) {
        let mut later = Vec::new();
        for moving in std::mem::take(&mut self.plan.moves) {
            // A truncation or purge that was synced since the plan was made: the entry must not come back.
            let live = moving.group.lock().disk.index.get(moving.id.index);
            if live != Some((moving.from, moving.id.leader)) {
                continue;
            }
            if self.frame.len() as u64 + record_bytes(moving.payload.len()) > room {
                later.push(moving);
                continue;
            }
            let header = RecordHeader {
                kind: Kind::Moved,
                key: moving.group.key,
                id: moving.id,
            };
            let offset = self.encode(built, &header, &moving.payload);
            built
                .moves
                .push((moving.group, moving.id, self.place(offset, moving.payload.len())));
        }
        self.plan.moves = later;
    }

    fn build_ops(&mut self, built: &mut Built, room: u64) {
        let backlog = std::mem::take(&mut self.backlog);
        let mut from = self.started;
        for op in &backlog {
            let offset = self.offset + self.frame.len() as u64;
            let mut placed = Placed {
                upto: 0,
                offset,
                complete: true,
                committed: None,
            };
            match &op.change {
                Change::Append(entries) => {
                    placed.upto = from;
                    for entry in &entries[from..] {
                        if !self.fits(built, record_bytes(entry.payload.len()), room) {
                            break;
                        }
                        let header = RecordHeader {
                            kind: Kind::Entry,
                            key: op.group.key,
                            id: entry.id,
                        };
                        self.encode(built, &header, &entry.payload);
                        placed.upto += 1;
                    }
                    placed.complete = placed.upto == entries.len();
                    if placed.upto == from && !placed.complete {
                        break;
                    }
                }
                change => {
                    let (header, payload, committed) = control_record(op, change);
                    if !self.fits(built, record_bytes(payload.len()), room) {
                        break;
                    }
                    self.encode(built, &header, &payload);
                    placed.committed = committed;
                }
            }
            let complete = placed.complete;
            built.placed.push(placed);
            if !complete {
                break;
            }
            from = 0;
        }
        self.backlog = backlog;
    }

    fn fits(&self, built: &Built, bytes: u64, room: u64) -> bool {
        let length = self.frame.len() as u64 + bytes;
        length <= room && (length <= self.shared.options.frame_bytes || built.records == 0)
    }

    /// Adds a record to the frame and returns its offset in the segment.
    fn encode(&mut self, built: &mut Built, header: &RecordHeader, payload: &[u8]) -> u64 {
        let offset = self.offset + self.frame.len() as u64;
        record::encode(&mut self.frame, self.offset, self.current.seed, header, payload);
        built.records += 1;
        offset
    }

    pub(super) fn place(&self, offset: u64, payload: usize) -> Place {
        // Segments are at most 1 GiB.
        Place {
            segment: self.current.number,
            offset: offset as u32,
            length: payload as u32,
        }
    }
}

/// The record of a submission that is not entries.
fn control_record(op: &Op, change: &Change) -> (RecordHeader, Vec<u8>, Option<LogId>) {
    let header = |kind, id| RecordHeader {
        kind,
        key: op.group.key,
        id,
    };
    match change {
        Change::Truncate(Some(index)) => (
            header(
                Kind::TruncateAfter,
                LogId {
                    index: *index,
                    ..NOBODY
                },
            ),
            Vec::new(),
            None,
        ),
        Change::Truncate(None) => (header(Kind::TruncateAll, NOBODY), Vec::new(), None),
        Change::State(meta) => (header(Kind::State, NOBODY), meta.encode(), None),
        Change::Committed => {
            let mut inner = op.group.lock();
            inner.view.committed_queued = false;
            let committed = inner.view.meta.committed;
            let meta = Meta {
                committed,
                ..Meta::default()
            };
            (header(Kind::Committed, NOBODY), meta.encode(), committed)
        }
        Change::Remove | Change::Append(_) => (header(Kind::Removed, NOBODY), Vec::new(), None),
    }
}
