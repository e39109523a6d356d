//! What is kept in memory of a stream's log, and reading it.

use std::collections::VecDeque;
use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;

use bytes::{Bytes, BytesMut};

use super::frame::{self, Decoded, Frame, Kind};
use crate::error::StorageError;
use crate::rows::VisitRow;

/// A read begins at most about this far before the row that it wants. Small, so that a reader at the tail decodes
/// little; not too small, because every entry of the index takes memory.
const INDEX_SPACING_BYTES: u64 = 16 * 1024;

/// Bytes that are read at a time: the first piece, and the largest.
const FIRST_PIECE_BYTES: usize = 32 * 1024;
const LAST_PIECE_BYTES: usize = 512 * 1024;

/// One stream's log.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Where the file ends, with what waits to be written to it.
    pub(super) end: u64,
    /// Consecutive frames that end at `end` and are not in the file yet: the redo log has them, and perhaps is not
    /// synced. The file may hold them in part.
    pub(super) waiting: VecDeque<Bytes>,
    /// How many bytes those have.
    pub(super) waiting_bytes: u64,
    /// Bytes of frames that later ones replaced.
    pub(super) dead: u64,
    /// What the last frame of the current record takes, if it is not the head's.
    pub(super) record_bytes: u64,
    /// Where some rows are: start, position in the file. In order.
    index: Vec<(u64, u64)>,
}

impl Log {
    /// A log whose file has `end` bytes, of which nothing else is known yet.
    pub(super) fn ending_at(end: u64) -> Self {
        Self { end, ..Self::default() }
    }

    /// Where the part of the log ends that is in the file.
    pub(super) fn written(&self) -> u64 {
        self.end - self.waiting_bytes
    }

    /// Takes note of a row that begins at `start` and stands at `position`.
    pub(super) fn note_row(&mut self, start: u64, position: u64) {
        let is_far = |(_, last): &(u64, u64)| position - last >= INDEX_SPACING_BYTES;
        if self.index.last().is_none_or(is_far) {
            self.index.push((start, position));
        }
    }

    /// Whether a copy without replaced frames is worth its cost.
    pub(super) fn is_wasteful(&self) -> bool {
        self.dead >= 64 * 1024 && self.dead > self.end / 2
    }

    /// Shows rows as [`crate::rows::Lookup::rows`] does. `open` gives the log's file.
    pub(super) fn visit_rows(
        &self,
        id: u64,
        from: u64,
        open: impl FnOnce() -> Result<std::sync::Arc<File>, StorageError>,
        visit: VisitRow<'_>,
    ) -> Result<(), StorageError> {
        let entries = self.index.partition_point(|(start, _)| *start <= from);
        let Some((_, position)) = entries.checked_sub(1).or(Some(0)).and_then(|at| self.index.get(at)) else {
            return Ok(());
        };
        if *position < self.written() {
            let file = open()?;
            let mut frames = Frames::new(&file, id, *position, self.written());
            while let Some((at, frame)) = frames.next()? {
                if show(id, at, &frame, from, visit)?.is_break() {
                    return Ok(());
                }
            }
        }
        let mut at = self.written();
        for piece in &self.waiting {
            if at + piece.len() as u64 <= *position {
                at += piece.len() as u64;
                continue;
            }
            let mut rest = piece.clone();
            while !rest.is_empty() {
                let Decoded::Frame(frame) = frame::decode(id, at, &rest) else {
                    return Err(damaged(id, at));
                };
                if show(id, at, &frame, from, visit)?.is_break() {
                    return Ok(());
                }
                at += frame.bytes();
                rest = rest.slice(frame::HEAD_BYTES + frame.body.len()..);
            }
        }
        Ok(())
    }
}

fn show(id: u64, at: u64, frame: &Frame, from: u64, visit: VisitRow<'_>) -> Result<ControlFlow<()>, StorageError> {
    if frame.kind != Kind::Row {
        return Ok(ControlFlow::Continue(()));
    }
    let row = frame.row().ok_or_else(|| damaged(id, at))?;
    if row.end() <= from {
        return Ok(ControlFlow::Continue(()));
    }
    Ok(visit(row.as_ref()))
}

/// Stored bytes at `position` of a stream's log are not what was written.
pub(super) fn damaged(id: u64, position: u64) -> StorageError {
    StorageError::Damaged(format!("no valid frame in streams/{id}.log at byte {position}"))
}

/// The frames of a log, one after the other.
pub(super) struct Frames<'a> {
    file: &'a File,
    id: u64,
    /// The position of the next frame.
    at: u64,
    /// Where the frames end.
    until: u64,
    /// Bytes read from `at` on.
    piece: Bytes,
    next_piece_bytes: usize,
}

impl<'a> Frames<'a> {
    /// The frames from position `from` up to `until`, which must be the borders of frames.
    pub(super) fn new(file: &'a File, id: u64, from: u64, until: u64) -> Self {
        Self {
            file,
            id,
            at: from,
            until,
            piece: Bytes::new(),
            next_piece_bytes: FIRST_PIECE_BYTES,
        }
    }

    /// The next frame and its position.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] where no valid frame stands.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Frame)>, StorageError> {
        if self.at >= self.until {
            return Ok(None);
        }
        loop {
            match frame::decode(self.id, self.at, &self.piece) {
                Decoded::Frame(frame) => {
                    let at = self.at;
                    self.at += frame.bytes();
                    self.piece = self.piece.slice(frame::HEAD_BYTES + frame.body.len()..);
                    return Ok(Some((at, frame)));
                }
                Decoded::Short(needed) if (needed as u64) <= self.until - self.at => self.read(needed)?,
                Decoded::Short(_) | Decoded::Bad => return Err(damaged(self.id, self.at)),
            }
        }
    }

    /// Reads at least `needed` bytes from `at` on, which the log must have.
    fn read(&mut self, needed: usize) -> Result<(), StorageError> {
        let left = usize::try_from(self.until - self.at).unwrap_or(usize::MAX);
        let wanted = needed.max(self.next_piece_bytes).min(left);
        self.next_piece_bytes = (self.next_piece_bytes * 2).min(LAST_PIECE_BYTES);
        let mut piece = BytesMut::zeroed(wanted);
        self.file
            .read_exact_at(&mut piece, self.at)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => StorageError::Damaged(format!(
                    "streams/{}.log ends before byte {}",
                    self.id,
                    self.at + wanted as u64
                )),
                _ => error.into(),
            })?;
        self.piece = piece.freeze();
        Ok(())
    }
}
