//! Which streams have many small rows at their end. Kept in memory only: it is a hint, and a restart forgets it.

use std::collections::VecDeque;

use super::held::Held;
use crate::limits::{MAX_ROW_BYTES, SMALL_ROW_BYTES};

/// So many small rows are packed at a time.
const READY_ROWS: u8 = 64;

/// Streams whose ids are a multiple of this apart share a count, so the counts need one memory however many streams
/// there are. A stream that shares one is packed when it has fewer rows, and as often as it has its part in the writes.
const COUNTS: usize = 65_536;

pub(super) struct Loose {
    /// Small rows since the last packing, by what the stream's id leaves when divided by [`COUNTS`].
    counts: Box<[u8]>,
    /// Stream ids worth packing.
    ready: VecDeque<u64>,
}

impl Default for Loose {
    fn default() -> Self {
        Self {
            counts: vec![0; COUNTS].into_boxed_slice(),
            ready: VecDeque::new(),
        }
    }
}

impl Loose {
    /// Takes note of what was written.
    pub(super) fn note(&mut self, held: &Held) {
        for (id, rows) in &held.rows {
            // They share rows as far as they fit.
            let bytes: usize = rows.values().map(|row| row.payload.len()).sum();
            if bytes % MAX_ROW_BYTES < SMALL_ROW_BYTES {
                self.one_more(*id);
            }
        }
    }

    fn one_more(&mut self, id: u64) {
        let count = self.count(id);
        // Past that, one is in the queue.
        if *count < READY_ROWS {
            *count += 1;
            if *count == READY_ROWS {
                self.ready.push_back(id);
            }
        }
    }

    fn count(&mut self, id: u64) -> &mut u8 {
        &mut self.counts[(id % COUNTS as u64) as usize]
    }

    /// The next stream id worth packing; it starts to be counted anew.
    pub(super) fn take(&mut self) -> Option<u64> {
        let id = self.ready.pop_front()?;
        *self.count(id) = 0;
        Some(id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_ready_once_for_so_many_rows() {
        let mut loose = Loose::default();
        for _ in 1..READY_ROWS {
            loose.one_more(7);
            loose.one_more(8);
        }
        assert!(loose.is_empty());
        for _ in 0..200 {
            loose.one_more(7);
        }
        assert_eq!((loose.take(), loose.take()), (Some(7), None));
        // It is counted anew, and the other was counted all the time.
        loose.one_more(7);
        loose.one_more(8);
        assert_eq!((loose.take(), loose.take()), (Some(8), None));
    }

    #[test]
    fn however_many_streams_there_are_busy_ones_are_found() {
        let mut loose = Loose::default();
        let (streams, busy) = (3 * COUNTS as u64, 2 * COUNTS as u64 + 5);
        for id in 0..streams {
            loose.one_more(id);
        }
        assert!(loose.is_empty());
        for _ in 3..READY_ROWS {
            loose.one_more(busy);
        }
        assert_eq!((loose.take(), loose.take()), (Some(busy), None));
    }
}
