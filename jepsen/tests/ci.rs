//! The profile `ci`.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::programs::{announce, jepsen, machine, weir};

/// How long all runs together may take.
const LIMIT: Duration = Duration::from_secs(300);

#[test]
fn all_runs_of_the_profile_ci_are_valid() {
    let _machine = machine();
    let weir = weir();
    // It stays after the test, for whoever wants to see the reports.
    let store = Path::new(env!("CARGO_TARGET_TMPDIR")).join("jepsen-ci");
    if store.exists() {
        fs::remove_dir_all(&store).unwrap();
    }
    let seed = fastrand::u64(..1_000_000).to_string();
    announce(&format!("jepsen: profile ci, seed {seed}, {}", weir.display()));
    let started = Instant::now();
    let mut command = jepsen();
    command.args(["test-all", "--profile", "ci", "--seed", &seed, "--binary"]);
    command.arg(&weir).arg("--store").arg(&store);
    let output = command.output().unwrap();
    let took = started.elapsed();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    // What could not be done here is told, though the test passes.
    let is_told = |line: &&str| line.contains("no namespaces") || line.contains("skipped");
    let table = said[0].rsplit_once("\n\n").map_or("", |(_, table)| table);
    for line in said[1].lines().filter(is_told).chain(table.lines()) {
        announce(line);
    }
    assert!(
        output.status.success(),
        "{}: {}\n{}\nreports: {}",
        output.status,
        said[0],
        said[1],
        store.display()
    );
    assert!(table.contains(" runs in "), "no run was made: {}", said[0]);
    assert!(took < LIMIT, "the runs took {took:?}");
}
