//! The pinned hash. What it returns is on disk, so it never changes within a [`HASH_VERSION`].
//!
//! XXH3 in its 64 bit form, with a seed per use, over bytes whose layout is written out here: no standard `Hash`
//! implementation takes part, as those may differ between platforms and releases.

use std::hash::{Hash, Hasher};

use xxhash_rust::xxh3::{Xxh3Builder, xxh3_64_with_seed};

use crate::ids::{GroupId, NodeId};
use crate::slots::Slot;

/// Names the hash, its seeds and its byte layouts. Recorded in the state; a build that lacks it refuses that state.
pub const HASH_VERSION: u32 = 1;

const NAME_SEED: u64 = 0x5745_4952_6e61_6d65;
const RING_SEED: u64 = 0x5745_4952_7269_6e67;
const SCORE_SEED: u64 = 0x5745_4952_7363_6f72;

/// A stream name's hash.
pub(crate) fn of_name(name: &str) -> u64 {
    xxh3_64_with_seed(name.as_bytes(), NAME_SEED)
}

/// How much a group wants to be on a node, by rendezvous: the same for ever, independent of the other nodes.
pub(crate) fn score(group: GroupId, node: NodeId) -> u64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&group.0.to_be_bytes());
    bytes[8..].copy_from_slice(&node.0.to_be_bytes());
    xxh3_64_with_seed(&bytes, SCORE_SEED)
}

/// The hasher of the ring that slots are dealt from.
pub(crate) const fn ring() -> Xxh3Builder {
    Xxh3Builder::new().with_seed(RING_SEED)
}

/// One of a group's points on the ring: twelve bytes, big endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RingPoint {
    pub(crate) group: GroupId,
    pub(crate) number: u32,
}

impl Hash for RingPoint {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.group.0.to_be_bytes());
        bytes[8..].copy_from_slice(&self.number.to_be_bytes());
        hasher.write(&bytes);
    }
}

/// A slot's place on the ring: two bytes, big endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RingSlot(pub(crate) Slot);

impl Hash for RingSlot {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write(&self.0.number().to_be_bytes());
    }
}
