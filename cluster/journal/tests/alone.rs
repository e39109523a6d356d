//! Writing what is submitted alone on another thread than the writer's.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use weir_journal::{Journal, Options, RealDisk};

use crate::support::{all, channel, entry, key, open_threads, small};

const WAIT: Duration = Duration::from_secs(60);

fn open() -> (tempfile::TempDir, Arc<Journal>) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes: 1 << 20,
        queue_bytes: 1 << 20,
        ..small()
    };
    let (journal, _) = open_threads(dir.path(), options, RealDisk);
    (dir, Arc::new(journal))
}

/// Counts how often somebody is to write alone.
fn counted(journal: &Journal) -> Arc<AtomicU64> {
    let count = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&count);
    journal.when_alone(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    count
}

#[test]
fn a_single_caller_is_written_for_where_it_is_asked() {
    let (_dir, journal) = open();
    let alone = counted(&journal);
    let (mut here, mut index) = (0, 0);
    // On a busy machine the writer's thread may be awake each time that somebody is told; then for longer.
    while index < 400 || (here == 0 && alone.load(Ordering::SeqCst) > 0 && index < 20_000) {
        let (done, answer) = channel();
        let before = alone.load(Ordering::SeqCst);
        journal.append(key(1), vec![entry(index, "x")], done).unwrap();
        if alone.load(Ordering::SeqCst) == before {
            answer.recv_timeout(WAIT).unwrap().unwrap();
        } else {
            assert!(answer.try_recv().is_err(), "called back before anybody wrote");
            journal.write_alone();
            // Unless the writer's thread was just awake, as it is once per second.
            here += u64::from(answer.try_recv().is_ok_and(|result| result.is_ok()));
        }
        index += 1;
    }
    // A disk that takes long is never left to callers, and this one may be busy.
    assert!(here > 0 || alone.load(Ordering::SeqCst) == 0, "{here}");
    assert_eq!(all(&journal, 1).len() as u64, index);
}

#[test]
fn callers_that_come_together_leave_it_to_the_thread() {
    let (_dir, journal) = open();
    let alone = counted(&journal);
    // Every submission has more than one caller, so nobody is told, and nothing waits for anybody.
    for round in 0..50 {
        let answers: Vec<_> = (1..4)
            .map(|group| {
                let (done, answer) = channel();
                let entries = vec![entry(2 * round, vec![0; 3000]), entry(2 * round + 1, vec![0; 3000])];
                journal.append(key(group), entries, done).unwrap();
                answer
            })
            .collect();
        for answer in answers {
            answer.recv_timeout(WAIT).unwrap().unwrap();
        }
    }
    assert_eq!(alone.load(Ordering::SeqCst), 0);
}

#[test]
fn nothing_is_lost_when_nobody_writes_or_many_do() {
    const EACH: u64 = 300;
    let (dir, journal) = open();
    let (wake, woken) = mpsc::sync_channel(1);
    let calls = AtomicU64::new(0);
    journal.when_alone(move || {
        // One call in twenty is forgotten: the thread does that work within a second.
        if !calls.fetch_add(1, Ordering::SeqCst).is_multiple_of(20) {
            let _ = wake.try_send(());
        }
    });
    let writer = Arc::downgrade(&journal);
    let writing = std::thread::spawn(move || {
        while woken.recv().is_ok() {
            let Some(journal) = writer.upgrade() else { return };
            journal.write_alone();
        }
    });
    std::thread::scope(|scope| {
        for group in 0..3 {
            let journal = &journal;
            scope.spawn(move || {
                for index in 0..EACH {
                    let (done, answer) = channel();
                    journal.append(key(group), vec![entry(index, "x")], done).unwrap();
                    answer.recv_timeout(WAIT).unwrap().unwrap();
                    // At times one is alone, at times two or three come together.
                    std::thread::sleep(Duration::from_micros(index * (group + 1) * 7 % 900));
                }
            });
        }
    });
    journal.close();
    drop(journal);
    writing.join().unwrap();
    let (journal, recovered) = open_threads(dir.path(), small(), RealDisk);
    assert_eq!(recovered.cut, None);
    for group in 0..3 {
        let indexes: Vec<u64> = all(&journal, group).iter().map(|entry| entry.id.index).collect();
        assert_eq!(indexes, (0..EACH).collect::<Vec<_>>());
    }
}
