//! Reading: what is returned, from where, and how much memory it takes.

use weir_journal::{Journal, LogId, Options, Recovered, Stepper, SubmitError};

use crate::{
    sim::{Sim, SimDisk},
    support::{Answer, all, entry, ignore, key, open, put, settle, small},
};

/// A journal whose cache may have so many bytes.
fn open_caching(disk: &SimDisk, cache_bytes: u64) -> (Journal, Recovered, Stepper) {
    let options = Options { cache_bytes, ..small() };
    open(disk, options)
}

#[test]
fn entries_are_readable_before_they_are_synced() {
    let disk = Sim::disk(6);
    let (journal, _, mut stepper) = open(&disk, small());
    settle(&mut stepper);
    let answer = Answer::new();
    journal
        .append(key(1), vec![entry(5, "a"), entry(6, "b")], answer.callback())
        .unwrap();
    assert_eq!(all(&journal, 1), vec![entry(5, "a"), entry(6, "b")]);
    assert_eq!(journal.state(key(1)).last, Some(LogId::new(1, 1, 6)));
    assert!(answer.get().is_none(), "called back before the sync");
    settle(&mut stepper);
    assert!(matches!(answer.get(), Some(Ok(()))));
}

#[test]
fn a_range_is_cut_to_what_is_held_and_to_the_bytes_wanted() {
    let disk = Sim::disk(6);
    let (journal, _, mut stepper) = open_caching(&disk, 0);
    for index in 0..10 {
        put(&journal, &mut stepper, 1, index, vec![0; 100]);
    }
    journal.purge(key(1), LogId::new(1, 1, 2), ignore()).unwrap();
    let indexes = |range, bytes| -> Vec<u64> {
        journal
            .read(key(1), range, bytes)
            .unwrap()
            .iter()
            .map(|entry| entry.id.index)
            .collect()
    };
    assert_eq!(indexes(0..5, u64::MAX), [3, 4]);
    assert_eq!(indexes(8..100, u64::MAX), [8, 9]);
    assert_eq!(indexes(5..5, u64::MAX), []);
    assert_eq!(indexes(4..10, 300), [4, 5, 6]);
    assert_eq!(indexes(4..10, 0), [4]);
    assert_eq!(indexes(20..30, u64::MAX), []);
    assert!(journal.read(key(77), 0..5, 10).unwrap().is_empty());
}

#[test]
fn the_cache_keeps_its_budget_and_the_disk_gives_the_rest() {
    let disk = Sim::disk(6);
    let budget = 4000;
    let (journal, _, mut stepper) = open_caching(&disk, budget);
    for index in 0..200 {
        for group in 1..4 {
            put(&journal, &mut stepper, group, index, vec![(index + group) as u8; 100]);
            assert!(journal.stats().cached_bytes <= budget, "{:?}", journal.stats());
        }
    }
    for group in 1..4 {
        for (index, found) in all(&journal, group).iter().enumerate() {
            assert_eq!(found, &entry(index as u64, vec![(index as u64 + group) as u8; 100]));
        }
        assert!(journal.read_cached(key(group), 0..200, u64::MAX).unwrap().is_none());
        assert_eq!(
            journal
                .read_cached(key(group), 199..200, u64::MAX)
                .unwrap()
                .unwrap()
                .len(),
            1
        );
    }
}

#[test]
fn an_idle_journal_gives_its_cache_back() {
    let disk = Sim::disk(6);
    let (journal, _, mut stepper) = open_caching(&disk, 1 << 20);
    for index in 0..20 {
        put(&journal, &mut stepper, 1, index, vec![index as u8; 100]);
    }
    stepper.tidy();
    settle(&mut stepper);
    assert!(
        journal.stats().cached_bytes > 2000,
        "there were frames since the last look"
    );
    journal.append(key(1), vec![entry(20, "last")], ignore()).unwrap();
    stepper.tidy();
    let unsynced = journal.stats().cached_bytes;
    assert!((1..2000).contains(&unsynced), "what is not synced stays: {unsynced}");
    settle(&mut stepper);
    stepper.tidy();
    settle(&mut stepper);
    stepper.tidy();
    assert_eq!(journal.stats().cached_bytes, 0);
    let found = all(&journal, 1);
    assert_eq!(found.len(), 21);
    assert_eq!(found[7], entry(7, vec![7; 100]));
}

#[test]
fn purged_and_truncated_entries_leave_the_cache_and_its_account() {
    let disk = Sim::disk(6);
    let (journal, _, mut stepper) = open_caching(&disk, 1 << 20);
    for index in 0..50 {
        put(&journal, &mut stepper, 1, index, vec![0; 1000]);
    }
    let before = journal.stats().cached_bytes;
    assert!(before > 50_000);
    journal.truncate_after(key(1), Some(39), ignore()).unwrap();
    journal.purge(key(1), LogId::new(1, 1, 29), ignore()).unwrap();
    settle(&mut stepper);
    let after = journal.stats().cached_bytes;
    assert_eq!(before - after, 40 * 1064);
    journal.remove_replica(key(1), ignore()).unwrap();
    settle(&mut stepper);
    assert!(journal.stats().cached_bytes < 50 * 64 + 1);
}

#[test]
fn tickets_of_purged_entries_do_not_pile_up() {
    let disk = Sim::disk(6);
    let (journal, _, mut stepper) = open_caching(&disk, 10_000);
    put(&journal, &mut stepper, 2, 0, "idle");
    for index in 0..2000 {
        put(&journal, &mut stepper, 1, index, "x");
        journal.purge(key(1), LogId::new(1, 1, index), ignore()).unwrap();
        assert!(journal.stats().cached_bytes <= 10_200);
    }
}

#[test]
fn overwritten_entries_read_as_the_new_ones() {
    let disk = Sim::disk(6);
    let (journal, _, mut stepper) = open_caching(&disk, 0);
    for index in 0..20 {
        put(&journal, &mut stepper, 1, index, format!("old {index}"));
    }
    journal.truncate_after(key(1), Some(9), ignore()).unwrap();
    for index in 10..15 {
        journal
            .append(key(1), vec![entry(index, format!("new {index}"))], ignore())
            .unwrap();
    }
    let expect: Vec<_> = (0..15)
        .map(|index| entry(index, format!("{} {index}", if index < 10 { "old" } else { "new" })))
        .collect();
    assert_eq!(all(&journal, 1), expect);
    settle(&mut stepper);
    assert_eq!(all(&journal, 1), expect);
    drop((journal, stepper));
    let (journal, _, _stepper) = open(&disk, small());
    assert_eq!(all(&journal, 1), expect);
}

#[test]
fn holes_are_refused() {
    let disk = Sim::disk(6);
    let (journal, _, mut stepper) = open(&disk, small());
    put(&journal, &mut stepper, 1, 3, "a");
    let refused = journal.append(key(1), vec![entry(5, "b")], ignore());
    assert!(matches!(
        refused,
        Err(SubmitError::NotContiguous { expected: 4, found: 5 })
    ));
    let refused = journal.append(key(1), vec![entry(4, "b"), entry(6, "c")], ignore());
    assert!(matches!(
        refused,
        Err(SubmitError::NotContiguous { expected: 5, found: 6 })
    ));
    let refused = journal.purge(key(1), LogId::new(1, 1, 1), ignore());
    assert!(matches!(refused, Err(SubmitError::NotContiguous { .. })));
    journal.purge(key(1), LogId::new(2, 1, 100), ignore()).unwrap();
    let refused = journal.append(key(1), vec![entry(4, "b")], ignore());
    assert!(matches!(
        refused,
        Err(SubmitError::NotContiguous {
            expected: 101,
            found: 4
        })
    ));
    put(&journal, &mut stepper, 1, 101, "d");
    assert_eq!(journal.stats().queued_bytes, 0, "refusals give their room back");
    assert_eq!(all(&journal, 1).len(), 1);
}

/// The hint may be written before the truncation and the entry that it speaks of.
#[test]
fn a_committed_position_of_another_leader_than_the_entrys_is_not_believed() {
    let disk = Sim::disk(6);
    let (journal, _, mut stepper) = open(&disk, small());
    for index in 0..8 {
        put(&journal, &mut stepper, 1, index, "old");
    }
    drop((journal, stepper));
    for (told, kept) in [(LogId::new(2, 2, 3), false), (LogId::new(1, 1, 3), true)] {
        let (journal, _, mut stepper) = open(&disk, small());
        journal.save_committed(key(1), Some(told)).unwrap();
        journal.barrier(key(1), ignore()).unwrap();
        settle(&mut stepper);
        assert_eq!(journal.state(key(1)).committed, Some(told));
        drop((journal, stepper));
        let (journal, _, _stepper) = open(&disk, small());
        assert_eq!(journal.state(key(1)).committed, kept.then_some(told));
        assert_eq!(all(&journal, 1).len(), 8);
    }
}

#[test]
fn the_committed_position_is_written_along_and_never_past_the_log() {
    let disk = Sim::disk(6);
    let (journal, _, mut stepper) = open(&disk, small());
    put(&journal, &mut stepper, 1, 0, "a");
    let syncs = journal.stats().frames;
    for index in 0..100 {
        journal
            .save_committed(key(1), Some(LogId::new(1, 1, index.min(1))))
            .unwrap();
    }
    journal.append(key(1), vec![entry(1, "b")], ignore()).unwrap();
    settle(&mut stepper);
    assert_eq!(journal.stats().frames, syncs + 1);
    drop((journal, stepper));
    let (journal, _, _stepper) = open(&disk, small());
    assert_eq!(journal.state(key(1)).committed, Some(LogId::new(1, 1, 1)));
}
