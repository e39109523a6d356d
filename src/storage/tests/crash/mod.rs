//! A process that writes is killed at random moments; whoever opens the store afterwards finds every batch that was
//! acknowledged, whole, once, and in order.
//!
//! The process is this test binary, started again with an environment variable. Nothing but its death is tested here:
//! what a power loss takes is the file system's and the disk's part.

mod work;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use weir_protocol::{ListRequest, ReadFrom};
use weir_storage::Storage;

use crate::model::{World, seen, short};
use crate::support::{Kind, Store};

/// How often the process is killed; more by an environment variable.
const KILLS: u64 = 20;

/// Tells the process what to do: seed, round, first batch, directory.
const CHILD: &str = "WEIR_CRASH_CHILD";

#[test]
fn file() {
    crash(Kind::File, "crash::file");
}

#[test]
fn redb() {
    crash(Kind::Redb, "crash::redb");
}

fn crash(kind: Kind, test: &str) {
    if let Ok(task) = std::env::var(CHILD) {
        work_until_killed(kind, &task);
    }
    let kills = std::env::var("WEIR_CRASH_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let seed = std::env::var("WEIR_CRASH_SEED").map_or_else(|_| fresh_seed(), |seed| seed.parse().unwrap());
    println!("WEIR_CRASH_SEED={seed}");
    let store = Store::new(kind);
    let mut check = Check::new(kind, seed, store);
    for round in 0..kills {
        check.round(round, test);
    }
    let Check {
        next, acked, unacked, ..
    } = check;
    println!("{kind:?}: {kills} kills, {next} batches, {acked} acknowledged, {unacked} found that were not");
    assert!(next > kills, "hardly anything was written before the kills");
}

fn fresh_seed() -> u64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    u64::from(now.subsec_nanos()) ^ now.as_secs()
}

/// The process that gets killed.
fn work_until_killed(kind: Kind, task: &str) -> ! {
    let mut words = task.splitn(4, ' ');
    let mut number = || words.next().unwrap().parse::<u64>().unwrap();
    let (seed, round, first) = (number(), number(), number());
    let storage = kind.open(Path::new(words.next().unwrap())).unwrap();
    let housekeeper = storage.clone();
    std::thread::spawn(move || {
        loop {
            housekeeper.maintain().unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let mut out = std::io::stdout();
    for number in first.. {
        let batch = work::batch(seed, round, number);
        let is_durable = batch.durable;
        storage.apply(batch).unwrap();
        if number.is_multiple_of(50) {
            storage.checkpoint().unwrap();
        }
        if is_durable {
            writeln!(out, "\nacked {number}").unwrap();
            out.flush().unwrap();
        }
    }
    unreachable!("there are not that many numbers");
}

/// What must be in the store.
struct Check {
    kind: Kind,
    seed: u64,
    store: Store,
    world: World,
    /// The first batch that nobody knows to be there.
    next: u64,
    /// When the last batch that was found happened.
    last: Option<u64>,
    acked: u64,
    unacked: u64,
}

impl Check {
    fn new(kind: Kind, seed: u64, mut store: Store) -> Self {
        store.close();
        Self {
            kind,
            seed,
            store,
            world: World::default(),
            next: 0,
            last: None,
            acked: 0,
            unacked: 0,
        }
    }

    fn round(&mut self, round: u64, test: &str) {
        let first = self.next;
        let acked = self.run_and_kill(round, first, test);
        let storage = self.kind.open(self.store.dir.path()).unwrap();
        let found = found(&*storage, round);
        // A batch is written when the one before was answered, so one at most is there that nobody was told of, and
        // before it those that were not to be acknowledged.
        if let Some(acked) = acked {
            assert!(
                found.is_some_and(|found| found >= acked),
                "acknowledged {acked}, found {found:?}"
            );
        }
        for number in first..=found.unwrap_or(0) {
            if found.is_some() {
                for command in work::batch(self.seed, round, number).commands {
                    self.world.apply(&command);
                }
            }
        }
        let count = |number: Option<u64>| number.map_or(0, |number| number + 1 - first);
        self.acked += count(acked);
        self.unacked += count(found) - count(acked);
        // Like a client, the next process repeats what was not acknowledged.
        self.next = acked.map_or(first, |acked| acked + 1);
        self.last = self.last.max(found);
        self.compare(&*storage);
    }

    /// Returns the last batch that was acknowledged.
    fn run_and_kill(&self, round: u64, first: u64, test: &str) -> Option<u64> {
        let task = format!("{} {round} {first} {}", self.seed, self.store.dir.path().display());
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(CHILD, task)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let reader = std::thread::spawn(move || {
            let acked = lines
                .map_while(Result::ok)
                .filter_map(|line| line.strip_prefix("acked ")?.parse().ok());
            acked.last()
        });
        kill_after(
            &mut child,
            Duration::from_micros((self.seed ^ (round * 7_919)) % 250_000),
        );
        reader.join().unwrap()
    }

    fn compare(&self, storage: &dyn Storage) {
        let now = self.last.map_or(crate::support::BEGIN, work::time);
        let everything = ListRequest {
            prefix: String::new(),
            after: None,
            limit: 1000,
        };
        let page = storage.list_streams(&everything, now).unwrap();
        assert_eq!(page, self.world.list(&everything, now));
        for name in self.world.streams.keys() {
            assert_eq!(storage.head(name, now), self.world.head(name, now));
            let read = storage.read(name, ReadFrom::Start, u64::MAX, now).map(seen);
            let expected = self.world.read(name, ReadFrom::Start, u64::MAX, now);
            assert!(
                read == expected,
                "{name}: {}\ninstead of {}",
                short(&read),
                short(&expected)
            );
        }
    }
}

/// The last batch that the store has of this round.
fn found(storage: &dyn Storage, round: u64) -> Option<u64> {
    let applied = storage.applied().unwrap()?;
    let (of_round, number) = std::str::from_utf8(&applied).unwrap().split_once(':').unwrap();
    (of_round == round.to_string()).then(|| number.parse().unwrap())
}

fn kill_after(child: &mut Child, time: Duration) {
    let begin = Instant::now();
    std::thread::sleep(time.saturating_sub(begin.elapsed()));
    assert!(child.try_wait().unwrap().is_none(), "the process ended by itself");
    child.kill().unwrap();
    child.wait().unwrap();
}
