//! Slots: where a stream's name leads.

use std::fmt;
use std::sync::Arc;

use crate::hashing;
use crate::ids::GroupId;
use crate::limits::{MAX_GROUPS, SLOTS};

/// One of [`SLOTS`] parts of the name space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// The slot of this number, if there is one.
    pub const fn new(number: u16) -> Option<Self> {
        if number < SLOTS { Some(Self(number)) } else { None }
    }

    /// 0 to `SLOTS - 1`.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// All of them, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SLOTS).map(Self)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The slot of a stream's name (percent-decoded, without a leading slash). The same for ever.
pub fn slot_of(name: &str) -> Slot {
    // The remainder is below SLOTS, which is a u16.
    Slot((hashing::of_name(name) % u64::from(SLOTS)) as u16)
}

/// Which group holds which slot: every slot has exactly one. Cloning is cheap.
#[derive(Clone, PartialEq, Eq)]
pub struct SlotTable(Arc<[GroupId]>);

impl SlotTable {
    /// The table that gives slot `n` to `groups[n]`; none unless there are [`SLOTS`] entries, all from 1 to
    /// [`MAX_GROUPS`].
    pub fn new(groups: Vec<GroupId>) -> Option<Self> {
        let valid = groups.len() == usize::from(SLOTS)
            && groups
                .iter()
                .all(|group| *group != GroupId::META && group.0 <= MAX_GROUPS);
        valid.then(|| Self(groups.into()))
    }

    /// The group that holds a slot.
    pub fn group(&self, slot: Slot) -> GroupId {
        self.0[usize::from(slot.0)]
    }

    /// The groups of all slots, in the slots' order.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = GroupId> {
        self.0.iter().copied()
    }

    /// The slots that a group holds, in order.
    pub fn slots_of(&self, group: GroupId) -> impl Iterator<Item = Slot> {
        Slot::all().filter(move |slot| self.group(*slot) == group)
    }
}

impl fmt::Debug for SlotTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 4096 numbers help nobody.
        f.debug_struct("SlotTable").finish_non_exhaustive()
    }
}
