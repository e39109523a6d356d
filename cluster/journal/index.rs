//! Where the entries of one log stand on disk: 13 bytes per entry, in blocks.

use std::collections::BTreeMap;

use crate::types::Leader;

const BLOCK_ENTRIES: u64 = 128;

/// Position of an entry's record. Segment 0 does not exist and marks a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    pub(crate) segment: u32,
    /// Offset of the record in the segment.
    pub(crate) offset: u32,
    /// Bytes of the payload.
    pub(crate) length: u32,
}

struct Block {
    places: [Place; BLOCK_ENTRIES as usize],
    /// Per entry the position of its leader in `leaders`.
    leader: [u8; BLOCK_ENTRIES as usize],
    leaders: Vec<Leader>,
    used: u32,
}

/// The index of one log. Holes are possible only while recovery replays records whose older neighbours moved.
#[derive(Default)]
pub(crate) struct Index {
    blocks: BTreeMap<u64, Box<Block>>,
    count: u64,
}

impl Block {
    fn new() -> Box<Self> {
        Box::new(Block {
            places: [Place::default(); BLOCK_ENTRIES as usize],
            leader: [0; BLOCK_ENTRIES as usize],
            leaders: Vec::new(),
            used: 0,
        })
    }

    fn leader_slot(&mut self, leader: Leader) -> u8 {
        if let Some(slot) = self.leaders.iter().rposition(|known| *known == leader) {
            return slot as u8;
        }
        if self.leaders.len() > usize::from(u8::MAX) {
            // More leaders than slots: some of their entries were overwritten. At most 128 are in use.
            let old = std::mem::take(&mut self.leaders);
            for (place, slot) in self.places.iter().zip(&mut self.leader) {
                if place.segment != 0 {
                    let leader = old[usize::from(*slot)];
                    let found = self.leaders.iter().position(|known| *known == leader);
                    *slot = found.unwrap_or_else(|| {
                        self.leaders.push(leader);
                        self.leaders.len() - 1
                    }) as u8;
                }
            }
            return self.leader_slot(leader);
        }
        self.leaders.push(leader);
        (self.leaders.len() - 1) as u8
    }
}

fn split(index: u64) -> (u64, usize) {
    (index / BLOCK_ENTRIES, (index % BLOCK_ENTRIES) as usize)
}

impl Index {
    /// Entries held.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Index of the first entry.
    pub(crate) fn first(&self) -> Option<u64> {
        let (number, block) = self.blocks.first_key_value()?;
        let at = block.places.iter().position(|place| place.segment != 0)?;
        Some(number * BLOCK_ENTRIES + at as u64)
    }

    /// Index of the last entry.
    pub(crate) fn last(&self) -> Option<u64> {
        let (number, block) = self.blocks.last_key_value()?;
        let at = block.places.iter().rposition(|place| place.segment != 0)?;
        Some(number * BLOCK_ENTRIES + at as u64)
    }

    /// The entry at `index`.
    pub(crate) fn get(&self, index: u64) -> Option<(Place, Leader)> {
        let (number, at) = split(index);
        let block = self.blocks.get(&number)?;
        let place = block.places[at];
        (place.segment != 0).then(|| (place, block.leaders[usize::from(block.leader[at])]))
    }

    /// Puts an entry at `index` and returns what stood there.
    pub(crate) fn set(&mut self, index: u64, place: Place, leader: Leader) -> Option<Place> {
        let (number, at) = split(index);
        let block = self.blocks.entry(number).or_insert_with(Block::new);
        let slot = block.leader_slot(leader);
        block.leader[at] = slot;
        let old = std::mem::replace(&mut block.places[at], place);
        if old.segment != 0 {
            return Some(old);
        }
        block.used += 1;
        self.count += 1;
        None
    }

    /// Drops the entries from `from` on and calls `gone` for each.
    pub(crate) fn remove_from(&mut self, from: u64, mut gone: impl FnMut(Place)) {
        while let Some(mut last) = self.blocks.last_entry() {
            let start = *last.key() * BLOCK_ENTRIES;
            if start + (BLOCK_ENTRIES - 1) < from {
                break;
            }
            let block = last.get_mut();
            let at = from.saturating_sub(start) as usize;
            self.count -= clear(block, at..BLOCK_ENTRIES as usize, &mut gone);
            if block.used > 0 {
                break;
            }
            last.remove();
        }
    }

    /// Drops the entries up to and including `upto` and calls `gone` for each.
    pub(crate) fn remove_upto(&mut self, upto: u64, mut gone: impl FnMut(Place)) {
        while let Some(mut first) = self.blocks.first_entry() {
            let start = *first.key() * BLOCK_ENTRIES;
            if start > upto {
                break;
            }
            let block = first.get_mut();
            let end = (upto - start).saturating_add(1).min(BLOCK_ENTRIES) as usize;
            self.count -= clear(block, 0..end, &mut gone);
            if block.used > 0 {
                break;
            }
            first.remove();
        }
    }

    /// Entries in order, from `from` on.
    pub(crate) fn iter_from(&self, from: u64) -> impl Iterator<Item = (u64, Place, Leader)> + '_ {
        let (number, _) = split(from);
        self.blocks.range(number..).flat_map(move |(number, block)| {
            let start = number * BLOCK_ENTRIES;
            block.places.iter().enumerate().filter_map(move |(at, place)| {
                let index = start + at as u64;
                (place.segment != 0 && index >= from)
                    .then(|| (index, *place, block.leaders[usize::from(block.leader[at])]))
            })
        })
    }
}

fn clear(block: &mut Block, range: std::ops::Range<usize>, gone: &mut impl FnMut(Place)) -> u64 {
    let mut cleared = 0;
    for place in &mut block.places[range] {
        if place.segment != 0 {
            gone(std::mem::take(place));
            cleared += 1;
        }
    }
    block.used -= cleared;
    u64::from(cleared)
}
