//! Every check, bounded: on its seeds, on seeds with a few changes, and on random bytes. `tests/fuzz` has no bound.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use weir_checks::{TARGETS, Target};

/// One change to an input.
#[derive(Debug, Clone)]
enum Change {
    Replace(Index, u8),
    Insert(Index, &'static [u8]),
    Remove(Index, usize),
    Repeat(Index, usize),
    Append(Vec<u8>),
}

/// Pieces that mean something to one of the parsers.
const PIECES: [&[u8]; 24] = [
    b"/",
    b"..",
    b"__ds",
    b"%",
    b"%2F",
    b"\0",
    b"\n",
    b"\"",
    b"\\",
    b",",
    b"[",
    b"]",
    b"{\"a\":",
    b"}",
    b" ",
    b"-1",
    b"0",
    b"9",
    b"_",
    b";",
    b"=",
    b"W/",
    b"\xff",
    b"\xc3\xa9",
];

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        (any::<Index>(), select(PIECES.to_vec())).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (any::<Index>(), 1..9_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (any::<Index>(), 1..9_usize).prop_map(|(at, length)| Change::Repeat(at, length)),
        prop::collection::vec(any::<u8>(), 0..24).prop_map(Change::Append),
    ]
}

fn apply(mut input: Vec<u8>, changes: Vec<Change>) -> Vec<u8> {
    for change in changes {
        match change {
            Change::Append(bytes) => input.extend(bytes),
            Change::Insert(at, piece) => {
                let at = at.index(input.len() + 1);
                input.splice(at..at, piece.iter().copied());
            }
            _ if input.is_empty() => {}
            Change::Replace(at, byte) => {
                let at = at.index(input.len());
                input[at] = byte;
            }
            Change::Remove(at, length) => {
                let at = at.index(input.len());
                input.drain(at..(at + length).min(input.len()));
            }
            Change::Repeat(at, length) => {
                let at = at.index(input.len());
                let piece = input[at..(at + length).min(input.len())].to_vec();
                input.splice(at..at, piece);
            }
        }
    }
    input
}

/// Runs a target on its seeds, and on `cases` inputs made from them.
fn run(name: &str, cases: u32) {
    let target: Target = TARGETS
        .into_iter()
        .find(|target| target.name == name)
        .expect("a target of this name");
    let seeds = (target.seeds)();
    for seed in &seeds {
        (target.check)(seed);
    }
    let inputs =
        (select(seeds), prop::collection::vec(change(), 0..6)).prop_map(|(seed, changes)| apply(seed, changes));
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&inputs, |input| {
        (target.check)(&input);
        Ok::<(), TestCaseError>(())
    });
    if let Err(error) = outcome {
        panic!("{name}: {error}");
    }
}

#[test]
fn offsets() {
    run("offsets", 4096);
}

#[test]
fn names() {
    run("names", 2048);
}

#[test]
fn headers() {
    run("headers", 1024);
}

#[test]
fn json() {
    run("json", 2048);
}

#[test]
fn file_recovery() {
    run("file_recovery", 256);
}
