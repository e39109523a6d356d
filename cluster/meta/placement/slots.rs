//! Slots on groups, by a hash ring with bounded load.

use std::collections::BTreeMap;

use hashring::HashRing;

use crate::hashing::{self, RingPoint, RingSlot};
use crate::ids::GroupId;
use crate::limits::{MAX_GROUPS, SLOTS};
use crate::slots::{Slot, SlotTable};

/// Points of a group on the ring. Fairness comes from the quotas; the points only decide how often a slot must go on to
/// the next group.
const POINTS_PER_GROUP: u32 = 64;

/// Deals all slots to groups 1 to `count`: each slot to the group that follows it on the ring, unless that has its
/// share. No two groups differ by more than one slot. None unless `count` is from 1 to [`MAX_GROUPS`].
pub fn assign_slots(count: u64) -> Option<SlotTable> {
    if count == 0 || count > MAX_GROUPS {
        return None;
    }
    let slots = u64::from(SLOTS);
    let (share, mut extras) = (slots / count, slots % count);
    let mut ring: HashRing<RingPoint, _> = HashRing::with_hasher(hashing::ring());
    ring.batch_add((1..=count).flat_map(|group| points(GroupId(group))).collect());

    let mut held: BTreeMap<GroupId, u64> = BTreeMap::new();
    let mut table = Vec::with_capacity(usize::from(SLOTS));
    for slot in Slot::all() {
        let group = ring.get(&RingSlot(slot))?.group;
        table.push(group);
        let now_holds = held.entry(group).or_default();
        *now_holds += 1;
        if *now_holds == share && extras == 0 {
            leave(&mut ring, group);
        } else if *now_holds > share {
            leave(&mut ring, group);
            extras -= 1;
            if extras == 0 {
                for (full, _) in held.iter().filter(|(_, holds)| **holds == share) {
                    leave(&mut ring, *full);
                }
            }
        }
    }
    SlotTable::new(table)
}

fn points(group: GroupId) -> impl Iterator<Item = RingPoint> {
    (0..POINTS_PER_GROUP).map(move |number| RingPoint { group, number })
}

fn leave(ring: &mut HashRing<RingPoint, xxhash_rust::xxh3::Xxh3Builder>, group: GroupId) {
    for point in points(group) {
        ring.remove(&point);
    }
}
