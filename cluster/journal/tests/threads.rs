//! The journal with its threads, on the real disk.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use weir_journal::{Disk, DiskFile, Journal, LogId, Options, RealDisk, SubmitError};

use crate::{
    model::Model,
    support::{all, channel, entry, ignore, key, open_threads, small},
};

const WAIT: Duration = Duration::from_secs(60);

fn options() -> Options {
    Options {
        segment_bytes: 256 * 1024,
        queue_bytes: 64 * 1024,
        cache_bytes: 64 * 1024,
        ..small()
    }
}

#[test]
fn many_appenders_and_readers_at_once() {
    const GROUPS: u64 = 8;
    const ENTRIES: u64 = 2000;
    let dir = tempfile::tempdir().unwrap();
    let (journal, recovered) = open_threads(dir.path(), options(), RealDisk);
    assert!(recovered.fresh);
    let stop = AtomicBool::new(false);
    let read = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let appenders: Vec<_> = (0..GROUPS)
            .map(|group| {
                let journal = &journal;
                scope.spawn(move || {
                    let (sender, receiver) = mpsc::channel();
                    for index in 0..ENTRIES {
                        let sender = sender.clone();
                        let done = Box::new(move |result: Result<(), _>| sender.send((index, result.is_ok())).unwrap());
                        journal
                            .append(key(group), vec![entry(index, payload(group, index))], done)
                            .unwrap();
                        if index % 100 == 99 {
                            // Groups purge to different points, so that segments are shared, moved and recycled.
                            let upto = index - index * group / GROUPS / 2;
                            journal.purge(key(group), LogId::new(1, 1, upto), ignore()).unwrap();
                        }
                    }
                    for index in 0..ENTRIES {
                        assert_eq!(
                            receiver.recv_timeout(WAIT).unwrap(),
                            (index, true),
                            "callbacks in order"
                        );
                    }
                })
            })
            .collect();
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for group in 0..GROUPS {
                        let entries = journal.read(key(group), 0..u64::MAX, 64 * 1024).unwrap();
                        for pair in entries.windows(2) {
                            assert_eq!(pair[0].id.index + 1, pair[1].id.index);
                        }
                        for found in &entries {
                            assert_eq!(found.payload, payload(group, found.id.index));
                        }
                        read.fetch_add(entries.len() as u64, Ordering::Relaxed);
                    }
                }
            });
        }
        appenders.into_iter().for_each(|appender| appender.join().unwrap());
        stop.store(true, Ordering::Relaxed);
    });
    assert!(read.load(Ordering::Relaxed) > 0);
    let stats = journal.stats();
    assert!(stats.recycled_segments > 0, "{stats:?}");
    let before: BTreeMap<u64, _> = (0..GROUPS)
        .map(|group| (group, Model::read_replica(&journal, key(group))))
        .collect();
    drop(journal);
    let (journal, recovered) = open_threads(dir.path(), options(), RealDisk);
    assert!(!recovered.fresh);
    assert_eq!(recovered.cut, None);
    for (group, replica) in before {
        assert_eq!(Model::read_replica(&journal, key(group)), replica, "group {group}");
    }
}

fn payload(group: u64, index: u64) -> Bytes {
    let mut bytes = format!("{group}/{index}:").into_bytes();
    bytes.resize(40 + (index * 7 % 400) as usize, b'.');
    bytes.into()
}

#[test]
fn closing_completes_what_was_submitted() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open_threads(dir.path(), options(), RealDisk);
    let answers: Vec<_> = (0..500)
        .map(|index| {
            let (done, answer) = channel();
            journal.append(key(1), vec![entry(index, "x")], done).unwrap();
            answer
        })
        .collect();
    journal.close();
    for answer in answers {
        answer.try_recv().unwrap().unwrap();
    }
    let refused = journal.append(key(1), vec![entry(500, "x")], ignore());
    assert!(matches!(refused, Err(SubmitError::Failed(failure)) if failure.is_close()));
    assert!(journal.read(key(1), 0..1, 1).is_err());
}

/// The real disk, with switches for failing syncs, for syncs that last, and for a full disk.
#[derive(Clone, Default)]
struct Switched {
    sync_fails: Arc<AtomicBool>,
    sync_lasts: Arc<AtomicBool>,
    full: Arc<AtomicBool>,
}

struct SwitchedFile(Arc<dyn DiskFile>, Switched, AtomicU64);

impl Disk for Switched {
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(SwitchedFile(
            RealDisk.create(path)?,
            self.clone(),
            AtomicU64::new(0),
        )))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = RealDisk.open(path)?;
        let size = file.size()?;
        Ok(Arc::new(SwitchedFile(file, self.clone(), AtomicU64::new(size))))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }
}

impl DiskFile for SwitchedFile {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset + bytes.len() as u64;
        if end > self.2.load(Ordering::Relaxed) && self.1.full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.2.fetch_max(end, Ordering::Relaxed);
        self.0.write_at(bytes, offset)
    }
    fn sync(&self) -> io::Result<()> {
        while self.1.sync_lasts.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        match self.1.sync_fails.load(Ordering::Relaxed) {
            true => Err(io::Error::other("the disk failed")),
            false => self.0.sync(),
        }
    }
}

#[test]
fn a_failed_sync_stops_the_journal_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Switched::default();
    let (journal, _) = open_threads(dir.path(), options(), disk.clone());
    let (done, answer) = channel();
    journal.append(key(1), vec![entry(0, "safe")], done).unwrap();
    answer.recv_timeout(WAIT).unwrap().unwrap();
    // The preparer syncs too; once it has nothing to do, the failing sync is the writer's.
    let started = Instant::now();
    while journal.stats().spare_segments < 2 {
        assert!(started.elapsed() < WAIT, "no spare segments");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(journal.failed().is_none());

    disk.sync_fails.store(true, Ordering::Relaxed);
    let order = Arc::new(Mutex::new(Vec::new()));
    let (done, answer) = channel();
    for index in 1..50 {
        let order = order.clone();
        let done = Box::new(move |result: Result<(), _>| order.lock().unwrap().push((index, result.is_ok())));
        if journal.append(key(1), vec![entry(index, "lost")], done).is_err() {
            break;
        }
    }
    let _ = journal.barrier(key(1), done);
    // Dropped or failed, never a success.
    assert!(!matches!(answer.recv_timeout(WAIT), Ok(Ok(()))));
    disk.sync_fails.store(false, Ordering::Relaxed);
    journal.close();
    let order = order.lock().unwrap().clone();
    assert!(!order.is_empty());
    assert!(order.iter().all(|(_, ok)| !ok), "a success after a failed sync");
    assert!(order.windows(2).all(|pair| pair[0].0 < pair[1].0), "failures in order");
    let failure = journal.failed().unwrap();
    assert!(
        failure.reason().contains("cannot sync") && failure.reason().contains("the disk failed"),
        "{failure}"
    );
    let refused = journal.save_vote(key(1), Bytes::from_static(b"v"), ignore());
    assert!(matches!(refused, Err(SubmitError::Failed(_))));
}

#[test]
fn callers_that_must_not_wait_are_told_that_there_is_no_room() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Switched::default();
    let options = Options {
        waits_for_room: false,
        ..options()
    };
    let (journal, _) = open_threads(dir.path(), options, disk.clone());
    // Not even for the first segment.
    let began = Instant::now();
    let patient = |index, payload: Vec<u8>| {
        loop {
            let (done, answer) = channel();
            match journal.append(key(1), vec![entry(index, payload.clone())], done) {
                Ok(()) => return answer,
                Err(error) => assert!(matches!(error, SubmitError::Busy) && began.elapsed() < WAIT, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    patient(0, vec![1]).recv_timeout(WAIT).unwrap().unwrap();
    disk.sync_lasts.store(true, Ordering::Relaxed);
    let mut answers = Vec::new();
    let mut refused = 0;
    for index in 1..1000 {
        let (done, answer) = channel();
        match journal.append(key(1), vec![entry(index, vec![1; 1000])], done) {
            Ok(()) => answers.push(answer),
            Err(SubmitError::Busy) => {
                refused = index;
                break;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > 0, "nothing was refused");
    disk.sync_lasts.store(false, Ordering::Relaxed);
    for answer in answers {
        answer.recv_timeout(WAIT).unwrap().unwrap();
    }
    patient(refused, vec![1]).recv_timeout(WAIT).unwrap().unwrap();
}

#[test]
fn a_full_disk_is_survived_with_threads() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Switched::default();
    let options = Options {
        space_retry: Duration::from_millis(10),
        ..options()
    };
    let (journal, _) = open_threads(dir.path(), options.clone(), disk.clone());
    let next = fill(&journal, &disk);
    let (done, answer) = channel();
    journal.save_vote(key(1), Bytes::from_static(b"vote"), done).unwrap();
    answer.recv_timeout(WAIT).unwrap().unwrap();
    assert_eq!(all(&journal, 1).len() as u64, next);
    drop(journal);
    let (journal, _) = open_threads(dir.path(), options, disk.clone());
    assert_eq!(all(&journal, 1).len() as u64, next, "reopened on a full disk");

    disk.full.store(false, Ordering::Relaxed);
    let started = Instant::now();
    loop {
        let (done, answer) = channel();
        match journal.append(key(1), vec![entry(next, "again")], done) {
            Ok(()) => break answer.recv_timeout(WAIT).unwrap().unwrap(),
            Err(SubmitError::StorageFull) if started.elapsed() < WAIT => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// Appends until entries are refused; the disk fills up on the way.
fn fill(journal: &Journal, disk: &Switched) -> u64 {
    for index in 0..100_000 {
        if index == 100 {
            disk.full.store(true, Ordering::Relaxed);
        }
        match journal.append(key(1), vec![entry(index, vec![1; 1000])], ignore()) {
            Ok(()) => {}
            Err(SubmitError::StorageFull) => return index,
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the disk never filled");
}

#[test]
fn what_is_written_past_the_page_cache_is_read_through_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let file = RealDisk.create(&path).unwrap();
    let memory = vec![7; 4 * 4096];
    let start = memory.as_ptr().align_offset(4096);
    // As the journal does it: where it is refused, through the page cache.
    let put = |bytes: &[u8], offset: u64| {
        if !file.write_through(bytes, offset).unwrap() {
            file.write_at(bytes, offset).unwrap();
            file.sync().unwrap();
        }
    };
    let mut expected = vec![1; 3 * 4096];
    let check = |expected: &[u8]| {
        for file in [&file, &RealDisk.open(&path).unwrap()] {
            let mut found = vec![0; expected.len()];
            file.read_at(&mut found, 0).unwrap();
            assert!(found == expected);
        }
    };
    // All of it is in the page cache, and not on the disk.
    file.write_at(&expected, 0).unwrap();
    check(&expected);
    put(&memory[start..start + 4096], 4096);
    expected[4096..8192].fill(7);
    check(&expected);
    // No whole pages: mostly refused, and then written all the same.
    put(&memory[start + 1..start + 701], 8200);
    expected[8200..8900].fill(7);
    check(&expected);
    put(&memory[start..start + 4096], 0);
    expected[..4096].fill(7);
    check(&expected);
}
