//! Seeds, each in a process of its own: this one only starts `sim` and reads what it says. It must not link the
//! simulation, whose clocks are not the machine's.

use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

/// One command at a time, as each uses all processors.
static TURN: Mutex<()> = Mutex::new(());

fn sim(arguments: &[&str]) -> Output {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let output = Command::new(env!("CARGO_BIN_EXE_sim")).args(arguments).output();
    output.expect("cargo has built it")
}

fn must_hold(arguments: &[&str]) -> String {
    let output = sim(arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    let status = output.status;
    assert!(
        status.success(),
        "sim {arguments:?} ended with {status}\n{text}\n{errors}"
    );
    text
}

#[test]
fn a_hundred_seeds_hold() {
    let text = must_hold(&["many", "--from", "1", "--count", "100"]);
    assert!(text.contains("100 seeds, 0 failed"), "{text}");
}

#[test]
fn seeds_give_the_same_history_and_the_same_trace_byte_for_byte() {
    let text = must_hold(&["twice", "--from", "1001", "--count", "10"]);
    assert!(text.contains("10 seeds twice, 0 differ"), "{text}");
}

#[test]
fn seeds_that_once_failed_hold() {
    let text = must_hold(&["regressions"]);
    assert!(text.contains("seeds, 0 failed"), "{text}");
}

/// A bug that is planted below everything else: what was answered is not on any disk.
#[test]
fn disks_that_lie_are_found() {
    let output = sim(&["many", "--from", "1", "--count", "8", "--lying-disks"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    // Mostly a node finds that its disk has not what it wrote, and does not open.
    let found = ["does not open", "what was synced survives"];
    assert!(found.iter().any(|how| text.contains(how)), "{text}");
    assert!(text.contains("--lying-disks"), "{text}");
}
