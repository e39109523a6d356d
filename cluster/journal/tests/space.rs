//! A full disk: said before it is full, survived when it is.

use bytes::Bytes;
use weir_journal::{Journal, LogId, OpenError, Prepared, SpaceStatus, Step, Stepper, SubmitError};

use crate::{
    sim::{Sim, SimDisk},
    support::{Answer, SEGMENT, all, entry, ignore, key, open, open_error, put, settle, small},
};

/// Appends to a group until the disk is full; returns the index of the entry refused.
fn fill(journal: &Journal, stepper: &mut Stepper, group: u64, from: u64) -> u64 {
    for index in from..from + 10_000 {
        match journal.append(key(group), vec![entry(index, vec![1; 300])], ignore()) {
            Ok(()) => {}
            Err(SubmitError::StorageFull) => return index,
            Err(other) => panic!("{other}"),
        }
        settle(stepper);
    }
    panic!("the disk never filled");
}

fn full_disk(segments: u64) -> (SimDisk, Journal, Stepper) {
    let disk = Sim::disk(3);
    disk.0.set_capacity(segments * SEGMENT + 100);
    let (journal, _, mut stepper) = open(&disk, small());
    settle(&mut stepper);
    (disk, journal, stepper)
}

#[test]
fn shortage_is_reported_before_anything_is_refused() {
    let (_disk, journal, mut stepper) = full_disk(4);
    assert_eq!(journal.space(), SpaceStatus::Ok);
    let mut low_at = None;
    for index in 0..10_000 {
        match journal.append(key(1), vec![entry(index, vec![1; 300])], ignore()) {
            Ok(()) => settle(&mut stepper),
            Err(SubmitError::StorageFull) => {
                assert_eq!(journal.space(), SpaceStatus::Full);
                let early = index - low_at.unwrap();
                // A whole segment of entries fits between the report and the refusal.
                assert!(early >= 30, "only {early} entries between Low and the first refusal");
                return;
            }
            Err(other) => panic!("{other}"),
        }
        if journal.space() == SpaceStatus::Low && low_at.is_none() {
            low_at = Some(index);
        }
    }
    panic!("the disk never filled");
}

#[test]
fn a_refused_append_leaves_no_trace() {
    let (disk, journal, mut stepper) = full_disk(4);
    let next = fill(&journal, &mut stepper, 1, 0);
    assert_eq!(journal.state(key(1)).last, Some(LogId::new(1, 1, next - 1)));
    assert_eq!(all(&journal, 1).len() as u64, next);
    drop((journal, stepper));
    let (journal, _, _stepper) = open(&disk, small());
    assert_eq!(all(&journal, 1).len() as u64, next);
}

#[test]
fn votes_truncations_and_purges_work_on_a_full_disk() {
    let (_disk, journal, mut stepper) = full_disk(4);
    let next = fill(&journal, &mut stepper, 1, 0);
    for round in 0..40 {
        let answer = Answer::new();
        journal
            .save_vote(key(2), Bytes::from(format!("vote {round}")), answer.callback())
            .unwrap();
        settle(&mut stepper);
        assert!(matches!(answer.get(), Some(Ok(()))), "vote {round}");
    }
    let answer = Answer::new();
    journal
        .truncate_after(key(1), Some(next - 3), answer.callback())
        .unwrap();
    settle(&mut stepper);
    assert!(matches!(answer.get(), Some(Ok(()))));
    assert!(matches!(
        journal.append(key(1), vec![entry(next - 2, "x")], ignore()),
        Err(SubmitError::StorageFull)
    ));
    // The purge empties the old segments, and appends work again without a restart.
    let answer = Answer::new();
    journal
        .purge(key(1), LogId::new(1, 1, next - 5), answer.callback())
        .unwrap();
    settle(&mut stepper);
    assert!(matches!(answer.get(), Some(Ok(()))));
    assert_eq!(journal.space(), SpaceStatus::Ok);
    let answer = Answer::new();
    journal
        .append(key(1), vec![entry(next - 2, "x")], answer.callback())
        .unwrap();
    settle(&mut stepper);
    assert!(matches!(answer.get(), Some(Ok(()))));
}

#[test]
fn space_freed_outside_means_appends_again() {
    let (disk, journal, mut stepper) = full_disk(4);
    let next = fill(&journal, &mut stepper, 1, 0);
    disk.0.set_capacity(8 * SEGMENT);
    settle(&mut stepper);
    assert_eq!(journal.space(), SpaceStatus::Ok);
    journal.append(key(1), vec![entry(next, "x")], ignore()).unwrap();
}

#[test]
fn a_full_disk_reopens_reads_and_takes_votes() {
    let (disk, journal, mut stepper) = full_disk(4);
    let next = fill(&journal, &mut stepper, 1, 0);
    drop((journal, stepper));
    disk.0.set_capacity(0);
    disk.0.power_loss();
    let (journal, _, mut stepper) = open(&disk, small());
    assert_eq!(all(&journal, 1).len() as u64, next);
    settle(&mut stepper);
    assert_ne!(journal.space(), SpaceStatus::Ok);
    let answer = Answer::new();
    journal
        .save_vote(key(1), Bytes::from_static(b"vote"), answer.callback())
        .unwrap();
    settle(&mut stepper);
    assert!(matches!(answer.get(), Some(Ok(()))));
    let answer = Answer::new();
    journal
        .purge(key(1), LogId::new(1, 1, next - 1), answer.callback())
        .unwrap();
    settle(&mut stepper);
    assert!(matches!(answer.get(), Some(Ok(()))));
    // The disk is still full: what was freed is recycled.
    journal.append(key(1), vec![entry(next, "x")], ignore()).unwrap();
}

#[test]
fn an_exhausted_reserve_delays_and_does_not_fail() {
    let (disk, journal, mut stepper) = full_disk(3);
    let next = fill(&journal, &mut stepper, 1, 0);
    let mut last = Answer::new();
    for round in 0..2000 {
        last = Answer::new();
        journal
            .save_vote(key(1), Bytes::from(vec![round as u8; 500]), last.callback())
            .unwrap();
        if stepper.write() == Step::Starved {
            assert_eq!(stepper.prepare(), Prepared::Shortage);
            break;
        }
        stepper.prepare();
    }
    assert!(last.get().is_none(), "the vote waits");
    assert_eq!(journal.space(), SpaceStatus::Full);
    assert_eq!(all(&journal, 1).len() as u64, next);
    disk.0.set_capacity(u64::MAX);
    settle(&mut stepper);
    assert!(matches!(last.get(), Some(Ok(()))));
}

#[test]
fn too_many_open_files_delay_and_do_not_fail() {
    let disk = Sim::disk(3);
    let (journal, _, mut stepper) = open(&disk, small());
    settle(&mut stepper);
    disk.0.set_crowded(true);
    let next = fill(&journal, &mut stepper, 1, 0);
    assert_eq!(journal.space(), SpaceStatus::Full);
    disk.0.set_crowded(false);
    settle(&mut stepper);
    assert_eq!(journal.space(), SpaceStatus::Ok);
    put(&journal, &mut stepper, 1, next, "x");
}

#[test]
fn a_new_journal_says_that_there_is_no_space() {
    let disk = Sim::disk(3);
    disk.0.set_capacity(SEGMENT / 2);
    assert!(matches!(open_error(&disk, small()), OpenError::StorageFull { .. }));
    assert_eq!(disk.0.used(), 0, "what was begun is removed");
    disk.0.set_capacity(u64::MAX);
    open(&disk, small());
}

#[test]
fn an_idle_group_on_a_full_disk_does_not_hold_up_what_others_free() {
    let (_disk, journal, mut stepper) = full_disk(6);
    journal
        .append(key(9), vec![entry(0, "idle"), entry(1, "idle")], ignore())
        .unwrap();
    settle(&mut stepper);
    let next = fill(&journal, &mut stepper, 1, 0);
    journal.purge(key(1), LogId::new(1, 1, next - 1), ignore()).unwrap();
    settle(&mut stepper);
    assert_eq!(journal.space(), SpaceStatus::Ok);
    assert!(journal.stats().moved_entries >= 2, "{:?}", journal.stats());
    assert_eq!(all(&journal, 9).len(), 2);
}
