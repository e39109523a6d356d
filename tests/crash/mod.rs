//! SIGKILL under load, over HTTP: what was acknowledged is there afterwards, once, in order, and nothing by halves.

pub(crate) mod ledger;
mod load;

use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::harness::{Storage, Weir, announce};

use ledger::Ledger;

/// How often the server is killed.
const ROUNDS: usize = 20;
/// How long a round's load runs before the kill, in milliseconds.
const LOAD_MS: std::ops::Range<u64> = 5..400;

#[test]
fn file_keeps_what_it_acknowledged() {
    survives(Storage::File);
}

#[test]
fn redb_keeps_what_it_acknowledged() {
    survives(Storage::Redb);
}

fn survives(storage: Storage) {
    let seed = fastrand::u64(..);
    // Shown by the runner when the test fails.
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let mut weir = Weir::start(storage);
    let mut ledger = Ledger::create(&weir);
    let mut slowest = Duration::ZERO;
    for round in 0..ROUNDS {
        let pause = Duration::from_millis(rng.u64(LOAD_MS));
        load::until_killed(&mut weir, &mut ledger, &mut rng, pause);
        let started = Instant::now();
        weir.restart();
        slowest = slowest.max(started.elapsed());
        ledger.check(&weir, round);
    }
    // Repeats what was under way at each kill, so that every producer's stream must be whole.
    load::settle(&weir, &mut ledger);
    ledger.check(&weir, ROUNDS);
    let acknowledged = ledger.acknowledged();
    assert!(
        acknowledged > 10 * ROUNDS,
        "only {acknowledged} writes: the load did not run"
    );
    announce(&format!(
        "crash-{}: {ROUNDS} kills, {acknowledged} acknowledged writes kept, slowest restart {slowest:?}",
        storage.name(),
    ));
}
