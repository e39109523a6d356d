//! Random submissions, random crashes, and what must be there afterwards: everything called back, in order, and
//! nothing but a prefix of what was submitted.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use weir_journal::{
    Callback, Entry, Journal, LogId, OpenError, Options, Prepared, Recovered, ReplicaKey, Step, Stepper, SubmitError,
};

use crate::{
    model::{Change, Model, Replica},
    rng::Rng,
    sim::{Sim, SimDisk},
    support::{SEGMENT, small},
};

/// What the cases together came across; a kind that never happens would mean a test that tests nothing.
#[derive(Default, Debug)]
struct Seen {
    cases: u64,
    lives: u64,
    submissions: u64,
    power_losses: u64,
    kills: u64,
    failed_syncs: u64,
    closes: u64,
    cuts: u64,
    broken_recoveries: u64,
    storage_full: u64,
    busy: u64,
    lost_unsynced: u64,
    moved_entries: u64,
    recycled: u64,
    removed: u64,
    disk_operations: u64,
}

/// What the callbacks of one life said.
#[derive(Default)]
struct Acks {
    /// Changes known to be durable.
    durable: usize,
    /// The submission called back last.
    last: u64,
}

struct Case {
    rng: Rng,
    disk: SimDisk,
    options: Options,
    /// What was found durable at the start of this life.
    base: Model,
    /// What was submitted in this life.
    changes: Vec<Change>,
    /// `base` and all of `changes`.
    view: Model,
    acks: Arc<Mutex<Acks>>,
    submitted: u64,
    keys: Vec<ReplicaKey>,
    payloads: u64,
}

#[test]
fn power_losses_lose_nothing_that_was_called_back() {
    let minutes = std::env::var("WEIR_JOURNAL_CRASH_MINUTES")
        .ok()
        .map(|text| text.parse::<f64>().unwrap());
    let first_seed = std::env::var("WEIR_JOURNAL_CRASH_SEED")
        .ok()
        .map_or(1, |text| text.parse().unwrap());
    let started = Instant::now();
    let mut seen = Seen::default();
    let mut seed = first_seed;
    let goes_on = |seen: &Seen| match minutes {
        Some(minutes) => started.elapsed() < Duration::from_secs_f64(minutes * 60.0),
        // A slow machine runs fewer cases, a quick one is not kept longer than needed.
        None => seen.cases < 500 || (seen.cases < 4000 && started.elapsed() < Duration::from_secs(30)),
    };
    while goes_on(&seen) {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Case::new(seed).run(&mut seen)));
        if let Err(panic) = result {
            eprintln!("seed {seed} fails: WEIR_JOURNAL_CRASH_SEED={seed} runs it first");
            std::panic::resume_unwind(panic);
        }
        seen.cases += 1;
        seed += 1;
    }
    println!("{seen:?} in {:?}", started.elapsed());
    let Seen {
        power_losses,
        kills,
        failed_syncs,
        closes,
        cuts,
        broken_recoveries,
        storage_full,
        ..
    } = seen;
    for (name, count) in [
        ("power losses", power_losses),
        ("kills", kills),
        ("failed syncs", failed_syncs),
        ("closes", closes),
        ("torn frames", cuts),
        ("crashes in recovery", broken_recoveries),
        ("full disks", storage_full),
        ("lost submissions", seen.lost_unsynced),
        ("moved entries", seen.moved_entries),
        ("recycled segments", seen.recycled),
        ("removed replicas", seen.removed),
    ] {
        assert!(count > 0, "no {name} in {} cases", seen.cases);
    }
}

impl Case {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let options = Options {
            frame_bytes: 4096 + rng.below(16 * 1024),
            cache_bytes: [0, 2000, 20_000, 1 << 20][rng.below(4) as usize],
            max_segments: 2 + rng.below(5) as usize,
            ..small()
        };
        let disk = Sim::disk(rng.next());
        if rng.chance(30) {
            disk.0.set_capacity(SEGMENT * (4 + rng.below(5)));
        }
        let keys = (0..1 + rng.below(5))
            .map(|group| ReplicaKey { group, replica: 1 })
            .collect();
        Case {
            rng,
            disk,
            options,
            base: Model::default(),
            changes: Vec::new(),
            view: Model::default(),
            acks: Arc::default(),
            submitted: 0,
            keys,
            payloads: 0,
        }
    }

    fn run(mut self, seen: &mut Seen) {
        for _ in 0..2 + self.rng.below(5) {
            let (journal, recovered, stepper) = self.open(seen);
            seen.cuts += u64::from(recovered.cut.is_some());
            self.check_recovered(&journal, &recovered, seen);
            self.live(journal, stepper, seen);
            seen.lives += 1;
        }
        seen.disk_operations += self.disk.0.operations();
    }

    /// Opens the journal, with a crash or two on the way.
    fn open(&mut self, seen: &mut Seen) -> (Journal, Recovered, Stepper) {
        loop {
            if self.rng.chance(25) {
                self.disk.0.set_fuse(Some(self.rng.below(30)));
            }
            match Journal::open_stepped(Path::new("/j"), self.options.clone(), Arc::new(self.disk.clone())) {
                Ok(opened) => {
                    self.disk.0.set_fuse(None);
                    return opened;
                }
                Err(OpenError::Io { .. }) => {
                    seen.broken_recoveries += 1;
                    self.crash(seen);
                }
                Err(other) => panic!("not opened after a crash: {other}"),
            }
        }
    }

    /// The journal holds the base and a prefix of the changes, at least those called back.
    fn check_recovered(&mut self, journal: &Journal, recovered: &Recovered, seen: &mut Seen) {
        let found = Model::read(journal, recovered);
        let durable = self.acks.lock().unwrap().durable;
        let mut expected = self.base.clone();
        self.changes[..durable].iter().for_each(|change| expected.apply(change));
        let mut at = durable;
        while expected != found {
            assert!(
                at < self.changes.len(),
                "{durable} of {} changes were called back; no prefix with them leads to\n{found:#?}\nall lead to \
                 {expected:#?}\n{:#?}",
                self.changes.len(),
                self.changes
            );
            expected.apply(&self.changes[at]);
            at += 1;
        }
        seen.lost_unsynced += u64::from(at < self.changes.len());
        self.base = found.clone();
        self.view = found;
        self.changes.clear();
        self.acks = Arc::default();
        self.submitted = 0;
    }

    fn live(&mut self, journal: Journal, mut stepper: Stepper, seen: &mut Seen) {
        if self.rng.chance(20) {
            // Nothing at all: what recovery reported must be durable by then.
            drop((journal, stepper));
            return self.crash(seen);
        }
        if self.rng.chance(70) {
            self.disk.0.set_fuse(Some(self.rng.below(400)));
        }
        if self.rng.chance(10) {
            self.disk.0.set_sync_fuse(Some(self.rng.below(60)));
        }
        for _ in 0..self.rng.below(400) {
            match self.rng.below(100) {
                0..60 => self.submit(&journal, seen),
                60..85 => match stepper.write() {
                    Step::Stopped => break,
                    Step::Worked | Step::Idle | Step::Starved | Step::NoSpace => {}
                },
                85..94 => match stepper.prepare() {
                    Prepared::Stopped => break,
                    Prepared::Worked | Prepared::Idle | Prepared::Shortage => {}
                },
                94..97 => self.check_view(&journal),
                97 => stepper.tidy(),
                98 => self
                    .disk
                    .0
                    .set_capacity(self.disk.0.used() + self.rng.below(3) * SEGMENT),
                _ => self.disk.0.set_capacity(u64::MAX),
            }
        }
        let stats = journal.stats();
        seen.moved_entries += stats.moved_entries;
        seen.recycled += stats.recycled_segments;
        if journal.failed().is_none() && self.rng.chance(15) {
            // Closing in step mode: the journal finishes what it has, or is killed where it is starved for good.
            journal.close();
            self.disk.0.set_capacity(u64::MAX);
            while stepper.write() != Step::Stopped {
                stepper.prepare();
            }
            if journal.failed().is_some_and(|failure| failure.is_close()) {
                seen.closes += 1;
                assert_eq!(
                    self.acks.lock().unwrap().durable,
                    self.changes.len(),
                    "closed before all was durable"
                );
            }
        }
        if journal
            .failed()
            .is_some_and(|failure| failure.reason().contains("the disk failed"))
        {
            seen.failed_syncs += 1;
        }
        drop(stepper);
        drop(journal);
        self.crash(seen);
    }

    fn crash(&mut self, seen: &mut Seen) {
        if self.rng.chance(30) {
            seen.kills += 1;
            self.disk.0.kill();
        } else {
            seen.power_losses += 1;
            self.disk.0.power_loss();
        }
    }

    fn submit(&mut self, journal: &Journal, seen: &mut Seen) {
        let which = self.rng.below(self.keys.len() as u64 * 3) as usize;
        // The first replica is the busy one, the last is nearly idle.
        let at = if which < self.keys.len() { which } else { 0 };
        let key = self.keys[at];
        let replica = self.view.replicas.get(&key).cloned().unwrap_or_default();
        let (changes, result) = match self.rng.below(100) {
            0..62 => self.append(journal, key, &replica),
            62..72 => {
                let vote = Bytes::from(format!("vote {}", self.rng.below(1000)));
                let done = self.done(1);
                (
                    vec![Change::Vote(key, vote.clone())],
                    journal.save_vote(key, vote, done),
                )
            }
            72..80 => {
                let next = replica.next_index();
                let keep = (next > 0 && self.rng.chance(90)).then(|| next - 1 - self.rng.below(next.min(5)));
                let done = self.done(1);
                (
                    vec![Change::Truncate(key, keep)],
                    journal.truncate_after(key, keep, done),
                )
            }
            80..95 => {
                let upto = self.purge_point(&replica);
                let done = self.done(1);
                (vec![Change::Purge(key, upto)], journal.purge(key, upto, done))
            }
            95..98 => {
                let last = journal.state(key).last;
                (Vec::new(), journal.save_committed(key, last))
            }
            98 => {
                let done = self.done(0);
                (Vec::new(), journal.barrier(key, done))
            }
            _ => {
                let done = self.done(1);
                let result = journal.remove_replica(key, done);
                if result.is_ok() {
                    seen.removed += 1;
                    self.keys[at].replica += 1;
                }
                (vec![Change::Remove(key)], result)
            }
        };
        match result {
            Ok(()) => {
                seen.submissions += 1;
                changes.iter().for_each(|change| self.view.apply(change));
                self.changes.extend(changes);
            }
            Err(SubmitError::StorageFull) => seen.storage_full += 1,
            Err(SubmitError::Busy) => seen.busy += 1,
            Err(SubmitError::Failed(_)) => {}
            Err(other) => panic!("refused: {other}"),
        }
    }

    fn append(
        &mut self,
        journal: &Journal,
        key: ReplicaKey,
        replica: &Replica,
    ) -> (Vec<Change>, Result<(), SubmitError>) {
        let mut entries = Vec::new();
        let first = replica.next_index();
        for index in first..first + 1 + self.rng.below(4) {
            self.payloads += 1;
            let size = match self.rng.below(20) {
                0 => self.rng.below(2500),
                1 => 0,
                _ => self.rng.below(300),
            };
            let mut payload = format!("{}:", self.payloads).into_bytes();
            payload.resize(size as usize, self.payloads as u8);
            let id = LogId::new(self.rng.below(4), 1 + self.rng.below(2), index);
            entries.push(Entry {
                id,
                payload: payload.into(),
            });
        }
        let done = self.done(entries.len());
        let changes = entries.iter().map(|entry| Change::Append(key, entry.clone())).collect();
        (changes, journal.append(key, entries, done))
    }

    /// Mostly near the end, so that segments come free; now and then past it, as after a snapshot.
    fn purge_point(&mut self, replica: &Replica) -> LogId {
        let next = replica.next_index();
        let index = match self.rng.below(10) {
            0 => next + self.rng.below(20),
            1..6 => next.saturating_sub(1),
            _ => next.saturating_sub(self.rng.below(20)),
        };
        let floor = replica.entries.keys().next().map_or(0, |first| first.saturating_sub(1));
        LogId::new(3, 1, index.max(floor))
    }

    /// A callback that counts `changes` as durable, and insists on the order of submission.
    fn done(&mut self, changes: usize) -> Callback {
        let acks = self.acks.clone();
        let upto = self.changes.len() + changes;
        self.submitted += 1;
        let number = self.submitted;
        Box::new(move |result| {
            let mut acks = acks.lock().unwrap();
            assert!(
                number > acks.last,
                "submission {number} called back after {}",
                acks.last
            );
            acks.last = number;
            if result.is_ok() {
                assert!(upto >= acks.durable);
                acks.durable = upto;
            }
        })
    }

    /// What was submitted can be read, synced or not.
    fn check_view(&mut self, journal: &Journal) {
        if journal.failed().is_some() {
            return;
        }
        for key in self.keys.clone() {
            let expected = self.view.replicas.get(&key).cloned().unwrap_or_default();
            let Ok(_) = journal.read(key, 0..u64::MAX, u64::MAX) else {
                continue;
            };
            self.disk.0.set_fuse(None);
            assert_eq!(Model::read_replica(journal, key), expected, "{key:?}");
        }
    }
}
