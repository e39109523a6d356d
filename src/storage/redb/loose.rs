//! Which streams have many small rows at their end. Kept in memory only: it is a hint, and a restart forgets it.

use std::collections::{HashMap, VecDeque};

use super::held::Held;
use crate::limits::{MAX_ROW_BYTES, SMALL_ROW_BYTES};

/// So many small rows are packed at a time.
const READY_ROWS: u32 = 64;

/// At most this many streams are kept track of.
const MAX_STREAMS: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct Loose {
    /// Small rows by stream id, since the last packing.
    counts: HashMap<u64, u32>,
    /// Stream ids worth packing.
    ready: VecDeque<u64>,
}

impl Loose {
    /// Takes note of what was written and removed.
    pub(super) fn note(&mut self, held: &Held) {
        for id in &held.discarded {
            self.counts.remove(id);
        }
        for (id, rows) in &held.rows {
            // They share rows as far as they fit.
            let bytes: usize = rows.values().map(|row| row.payload.len()).sum();
            let is_small = bytes % MAX_ROW_BYTES < SMALL_ROW_BYTES;
            let has_room = self.counts.len() < MAX_STREAMS || self.counts.contains_key(id);
            if is_small && has_room {
                let count = self.counts.entry(*id).or_default();
                *count += 1;
                if *count == READY_ROWS {
                    self.ready.push_back(*id);
                }
            }
        }
    }

    /// The next stream id worth packing; it starts to be counted anew.
    pub(super) fn take(&mut self) -> Option<u64> {
        let id = self.ready.pop_front()?;
        self.counts.remove(&id);
        Some(id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }
}
