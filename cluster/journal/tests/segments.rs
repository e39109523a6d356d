//! Segments come free, are used again, and nobody idle holds them.

use bytes::Bytes;
use weir_journal::{LogId, Options};

use crate::{
    sim::Sim,
    support::{SEGMENT, all, entry, ignore, key, open, put, settle, small},
};

#[test]
fn purged_segments_are_used_again() {
    let disk = Sim::disk(5);
    let (journal, _, mut stepper) = open(&disk, small());
    for index in 0..2000 {
        put(&journal, &mut stepper, 1, index, vec![1; 300]);
        if index % 20 == 0 {
            journal.purge(key(1), LogId::new(1, 1, index), ignore()).unwrap();
        }
    }
    let stats = journal.stats();
    assert!(stats.recycled_segments > 40, "{stats:?}");
    assert_eq!(stats.moved_entries, 0, "{stats:?}");
    // The current one, what is not purged yet, two kept ready and two to be recycled.
    assert!(disk.0.used() <= 7 * SEGMENT, "{} bytes on disk", disk.0.used());
}

#[test]
fn idle_groups_do_not_hold_old_segments() {
    let disk = Sim::disk(5);
    let (journal, _, mut stepper) = open(&disk, small());
    // One with a vote only, one purged to the end, one with unpurged entries of several terms.
    journal
        .save_vote(key(2), Bytes::from_static(b"vote"), ignore())
        .unwrap();
    put(&journal, &mut stepper, 3, 0, "purged");
    journal.purge(key(3), LogId::new(1, 1, 0), ignore()).unwrap();
    let tail: Vec<_> = (0..5).map(|index| entry(index, format!("tail {index}"))).collect();
    journal.append(key(4), tail.clone(), ignore()).unwrap();
    for index in 0..3000 {
        put(&journal, &mut stepper, 1, index, vec![1; 300]);
        journal.purge(key(1), LogId::new(1, 1, index), ignore()).unwrap();
    }
    settle(&mut stepper);
    let stats = journal.stats();
    assert!(stats.segments <= 5, "{stats:?}");
    assert!(stats.moved_entries >= 5, "{stats:?}");
    drop((journal, stepper));
    disk.0.power_loss();
    let (journal, recovered, _stepper) = open(&disk, small());
    assert_eq!(recovered.replicas.len(), 4);
    assert_eq!(journal.state(key(2)).vote, Some(Bytes::from_static(b"vote")));
    assert_eq!(journal.state(key(3)).last, Some(LogId::new(1, 1, 0)));
    assert_eq!(all(&journal, 4), tail);
}

#[test]
fn live_entries_are_not_moved_about_when_that_frees_nothing() {
    let disk = Sim::disk(5);
    let (journal, _, mut stepper) = open(&disk, small());
    for index in 0..500 {
        put(&journal, &mut stepper, 1, index, vec![1; 300]);
    }
    let stats = journal.stats();
    assert!(stats.segments > 10, "{stats:?}");
    assert_eq!(stats.moved_entries, 0, "{stats:?}");
}

#[test]
fn a_removed_replica_holds_nothing() {
    let disk = Sim::disk(5);
    let (journal, _, mut stepper) = open(&disk, small());
    for index in 0..500 {
        put(&journal, &mut stepper, 1, index, vec![1; 300]);
    }
    journal.remove_replica(key(1), ignore()).unwrap();
    settle(&mut stepper);
    assert_eq!(journal.stats().segments, 1);
    assert!(all(&journal, 1).is_empty());
    drop((journal, stepper));
    let (_journal, recovered, _stepper) = open(&disk, small());
    assert_eq!(recovered.replicas, vec![]);
}

#[test]
fn the_segment_size_may_change_between_runs() {
    let disk = Sim::disk(5);
    let mut next = 0;
    for factor in [1, 3, 1, 2] {
        let options = Options {
            segment_bytes: factor * SEGMENT,
            ..small()
        };
        let (journal, _, mut stepper) = open(&disk, options);
        assert_eq!(all(&journal, 1).len() as u64, next);
        for index in next..next + 100 {
            put(&journal, &mut stepper, 1, index, vec![1; 400]);
        }
        next += 100;
        drop((journal, stepper));
        disk.0.power_loss();
    }
}

#[test]
fn an_entry_may_fill_a_segment_and_no_more() {
    let disk = Sim::disk(5);
    let (journal, _, mut stepper) = open(
        &disk,
        Options {
            queue_bytes: 1 << 20,
            ..small()
        },
    );
    settle(&mut stepper);
    let most = journal.max_append_bytes() - weir_journal::append_bytes([0]);
    put(&journal, &mut stepper, 1, 0, "small");
    put(&journal, &mut stepper, 1, 1, vec![1; most as usize]);
    put(&journal, &mut stepper, 1, 2, "small");
    let refused = journal.append(key(1), vec![entry(3, vec![1; most as usize + 1])], ignore());
    assert!(matches!(refused, Err(weir_journal::SubmitError::TooLarge { .. })));
    drop((journal, stepper));
    let (journal, _, _stepper) = open(&disk, small());
    assert_eq!(all(&journal, 1)[1].payload.len() as u64, most);
}
