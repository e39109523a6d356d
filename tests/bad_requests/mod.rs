//! Malformed requests, each with its exact answer. Afterwards every stream is what it was, and so is every byte of the
//! data directory, beside a server that was started and stopped on a copy without having seen them.

mod bodies;
mod case;
mod conditions;
mod frames;
mod framing;
mod headers;
mod http2;
mod names;
mod reads;
mod slow;
mod store;

use std::collections::BTreeSet;
use std::thread;

use case::Case;
use store::Snapshot;

use crate::harness::{Storage, Weir, announce};

/// Short enough to wait for, and far above what an honest request takes here.
const FLAGS: &[&str] = &[
    "--long-poll-timeout",
    "1s",
    "--request-timeout",
    "4s",
    "--header-timeout",
    "4s",
];

/// The task asked for at least so many.
const MIN_CASES: usize = 80;

#[test]
fn memory_refuses_them_and_is_what_it_was() {
    let weir = Weir::start_with(Storage::Memory, FLAGS, None);
    store::fill(&weir);
    let before = Snapshot::over_http(&weir);
    refuses_all(&weir);
    assert_eq!(Snapshot::over_http(&weir), before);
}

#[test]
fn file_refuses_them_and_is_what_it_was() {
    refuses_and_keeps_every_byte(Storage::File);
}

#[test]
fn redb_refuses_them_and_is_what_it_was() {
    refuses_and_keeps_every_byte(Storage::Redb);
}

fn refuses_and_keeps_every_byte(storage: Storage) {
    let mut origin = Weir::start_with(storage, FLAGS, None);
    store::fill(&origin);
    origin.stop();

    let mut control = Weir::start_with(storage, FLAGS, Some(&origin.data_dir()));
    let before = Snapshot::over_http(&control);
    control.stop();

    let mut weir = Weir::start_with(storage, FLAGS, Some(&origin.data_dir()));
    refuses_all(&weir);
    assert_eq!(Snapshot::over_http(&weir), before);
    weir.stop();
    let (unharmed, tried) = (store::stores(&control.data_dir()), store::stores(&weir.data_dir()));
    assert!(!unharmed.is_empty());
    assert_eq!(tried.keys().collect::<Vec<_>>(), unharmed.keys().collect::<Vec<_>>());
    for (path, bytes) in &tried {
        assert!(
            Some(bytes) == unharmed.get(path),
            "{} is not what it was",
            path.display()
        );
    }

    // What is on disk is what was there, not only what a running server tells from memory.
    weir.restart();
    assert_eq!(Snapshot::over_http(&weir), before);
}

fn refuses_all(weir: &Weir) {
    let slow = slow::cases();
    let quick: Vec<Case> = [
        names::cases(),
        reads::cases(),
        headers::cases(),
        conditions::cases(),
        bodies::cases(),
        framing::cases(),
        http2::cases(),
        frames::cases(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let cases = quick.len() + slow.len();
    let names: BTreeSet<_> = quick.iter().chain(&slow).map(Case::name).collect();
    assert_eq!(names.len(), cases, "two cases have the same name");
    assert!(cases >= MIN_CASES, "only {cases} cases");

    // The slow ones only wait, so they all wait at once, and beside the others.
    let wrong: Vec<String> = thread::scope(|scope| {
        let waiting: Vec<_> = slow.iter().map(|case| scope.spawn(|| case.check(weir))).collect();
        let checked: Vec<_> = quick.iter().map(|case| case.check(weir)).collect();
        let waited = waiting.into_iter().map(|case| case.join().unwrap());
        checked.into_iter().chain(waited).filter_map(Result::err).collect()
    });
    let (storage, passed, failed) = (weir.storage().name(), cases - wrong.len(), wrong.len());
    announce(&format!("bad-requests-{storage}: {passed} passed, {failed} failed"));
    assert!(wrong.is_empty(), "{failed} answers are wrong:\n{}", wrong.join("\n"));
}
