//! Frames laid out in whole pages, for writes past the page cache.

use std::io;

use crate::{
    limits::{KEPT_FRAME_BYTES, PAGE_BYTES},
    segment::Segment,
};

/// The pages that a frame touches: what stands before it in its first page, the frame, and zeros up to the end of its
/// last page. What stands behind a frame is never needed, and what stands before it is written again as it was.
#[derive(Default)]
pub(crate) struct Pages {
    /// More than is needed by what it takes to begin at a multiple of a page in memory.
    memory: Vec<u8>,
    /// Where the pages begin in it.
    start: usize,
    /// The segment and the offset in it at which the frame is expected whose first page's beginning is in memory.
    next: Option<(u32, u64)>,
}

impl Pages {
    /// The pages of `frame`, to be written at `offset` of `segment`, and where they begin in the segment.
    ///
    /// # Errors
    /// When what stands before the frame has to be read, and cannot be.
    pub(crate) fn lay(&mut self, segment: &Segment, offset: u64, frame: &[u8]) -> io::Result<(&[u8], u64)> {
        let before = (offset % PAGE_BYTES as u64) as usize;
        let end = before + frame.len();
        let length = end.next_multiple_of(PAGE_BYTES);
        self.make_room(length, before);
        let is_known = self.next.take() == Some((segment.number, offset));
        let pages = &mut self.memory[self.start..self.start + length];
        if !is_known && before > 0 {
            segment.file.read_at(&mut pages[..before], offset - before as u64)?;
        }
        pages[before..end].copy_from_slice(frame);
        pages[end..].fill(0);
        Ok((pages, offset - before as u64))
    }

    /// Keeps the beginning of the page in which the next frame begins, once pages that began at `from` are written.
    pub(crate) fn keep(&mut self, segment: &Segment, from: u64, next: u64) {
        let last = self.start + (next - next % PAGE_BYTES as u64 - from) as usize;
        let kept = (next % PAGE_BYTES as u64) as usize;
        self.memory.copy_within(last..last + kept, self.start);
        self.next = Some((segment.number, next));
    }

    /// Gives back the memory of large frames.
    pub(crate) fn shrink(&mut self) {
        if self.memory.len() > KEPT_FRAME_BYTES {
            *self = Pages::default();
        }
    }

    /// Makes room for `length` bytes, of which the first `kept` stay as they are.
    fn make_room(&mut self, length: usize, kept: usize) {
        if self.memory.len() >= self.start + length {
            return;
        }
        let (memory, start) = aligned_zeros(length.next_power_of_two());
        let old = std::mem::replace(&mut self.memory, memory);
        if let Some(beginning) = old.get(self.start..self.start + kept) {
            self.memory[start..start + kept].copy_from_slice(beginning);
        }
        self.start = start;
    }
}

/// At least `length` zeros from the returned place on, which is at a multiple of a page in memory.
pub(crate) fn aligned_zeros(length: usize) -> (Vec<u8>, usize) {
    let memory = vec![0; length + PAGE_BYTES];
    // Were it not to be had, writes past the page cache would be refused, and ordinary ones take their place.
    let start = memory.as_ptr().align_offset(PAGE_BYTES).min(PAGE_BYTES);
    (memory, start)
}
