//! Slots: pinned values, and balance.

use std::collections::BTreeMap;

use proptest::prelude::*;
use weir_meta::limits::{MAX_GROUPS, SLOTS};
use weir_meta::placement::assign_slots;
use weir_meta::{GroupId, HASH_VERSION, Slot, SlotTable, slot_of};

/// These are on disk. A build that fails here would look for streams in the wrong group: it needs a new hash version,
/// not new values. The values come from another implementation of XXH3, in another language.
#[test]
fn names_hash_as_ever() {
    assert_eq!(HASH_VERSION, 1);
    let (long, longer, longest) = (
        format!("this-name-has-more-than-128-bytes-{}", "y".repeat(100)),
        "z".repeat(241),
        "x".repeat(1024),
    );
    let golden = [
        ("a", 3743),
        ("a/b", 3376),
        ("events", 3153),
        ("users/42/events", 514),
        ("0", 1296),
        ("ä/ö", 4061),
        ("orders-2026-11-23", 2499),
        ("sixteen-bytes-ok", 2169),
        (&long, 2623),
        (&longer, 336),
        (&longest, 2024),
    ];
    for (name, slot) in golden {
        assert_eq!(slot_of(name).number(), slot, "{name}");
    }
}

/// Dealt by a model of the ring in another language.
#[test]
fn tables_are_dealt_as_ever() {
    let golden = [
        (1, [1; 8], 0x1341_1b19_e515_7325),
        (3, [3, 1, 1, 3, 2, 1, 2, 3], 0x0771_3941_26c0_4b36),
        (16, [13, 10, 16, 14, 5, 10, 5, 3], 0xd1f7_5014_c061_380d),
        (100, [43, 72, 17, 22, 97, 74, 64, 3], 0xd193_da95_36a4_5de4),
    ];
    for (count, first, all) in golden {
        let table = assign_slots(count).unwrap();
        assert!(table.groups().map(|group| group.0).take(8).eq(first), "{count} groups");
        assert_eq!(digest(&table), all, "{count} groups");
    }
}

/// All the table in one number (FNV-1a over the group ids).
fn digest(table: &SlotTable) -> u64 {
    table.groups().fold(0xcbf2_9ce4_8422_2325, |digest, group| {
        (digest ^ group.0).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[test]
fn groups_differ_by_one_slot_at_most() {
    for count in (1..=40).chain([48, 63, 64, 65, 100, 127, 255, 256, 257, 1000, 1023, MAX_GROUPS]) {
        let table = assign_slots(count).unwrap();
        let mut held: BTreeMap<GroupId, u64> = BTreeMap::new();
        for group in table.groups() {
            *held.entry(group).or_default() += 1;
        }
        let share = u64::from(SLOTS) / count;
        assert_eq!(held.len() as u64, count);
        assert!(
            held.values().all(|slots| *slots == share || *slots == share + 1),
            "{count} groups"
        );
        assert_eq!(table.slots_of(GroupId(1)).count() as u64, held[&GroupId(1)]);
    }
}

#[test]
fn there_is_no_table_for_no_group_or_too_many() {
    assert!(assign_slots(0).is_none());
    assert!(assign_slots(MAX_GROUPS + 1).is_none());
    let slots = usize::from(SLOTS);
    assert!(SlotTable::new(vec![GroupId(1); slots - 1]).is_none());
    assert!(SlotTable::new(vec![GroupId::META; slots]).is_none());
    assert!(SlotTable::new(vec![GroupId(MAX_GROUPS + 1); slots]).is_none());
    assert_eq!(Slot::new(SLOTS), None);
    assert_eq!(Slot::all().count(), slots);
}

/// 100,000 names of the kinds that people choose, over 16 groups: 6250 each, and a standard deviation of 77.
#[test]
fn names_spread_evenly_over_groups() {
    let table = assign_slots(16).unwrap();
    let mut held: BTreeMap<GroupId, u32> = BTreeMap::new();
    for number in 0..50_000 {
        *held.entry(table.group(slot_of(&format!("s{number}")))).or_default() += 1;
        *held
            .entry(table.group(slot_of(&format!("users/{number}/events"))))
            .or_default() += 1;
    }
    assert_eq!(held.len(), 16);
    assert!(held.values().all(|names| (5_800..6_700).contains(names)), "{held:?}");
}

proptest! {
    #[test]
    fn every_name_has_a_slot(name in ".{0,40}") {
        prop_assert!(slot_of(&name).number() < SLOTS);
    }
}
