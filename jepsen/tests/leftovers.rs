//! Runs that are interrupted at any moment leave no process, no mount, no loop device, no control group, no network and
//! no file.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};

use super::programs::{announce, jepsen, machine, weir};

/// How long a run may take to put everything back.
const STOP_LIMIT: Duration = Duration::from_secs(90);

/// How long the kernel may take to be rid of the rest.
const GONE_LIMIT: Duration = Duration::from_secs(30);

/// How a run is interrupted.
#[derive(Debug, Clone, Copy)]
struct Case {
    signal: Signal,
    /// When, in milliseconds after its start.
    after_ms: (u64, u64),
    /// On loopback, as where there are no namespaces.
    loopback: bool,
}

/// While it sets everything up, while things break, and so that it cannot do anything about it.
const CASES: [Case; 4] = [
    Case {
        signal: Signal::INT,
        after_ms: (100, 4_000),
        loopback: false,
    },
    Case {
        signal: Signal::TERM,
        after_ms: (5_000, 14_000),
        loopback: false,
    },
    Case {
        signal: Signal::KILL,
        after_ms: (2_000, 12_000),
        loopback: false,
    },
    Case {
        signal: Signal::INT,
        after_ms: (2_000, 9_000),
        loopback: true,
    },
];

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let _machine = machine();
    let weir = weir();
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    for case in CASES {
        let home = tempfile::tempdir().unwrap();
        // All that the run makes has this name in its own, or in a path.
        let temporary = home.path().join("scratch");
        fs::create_dir(&temporary).unwrap();
        let mut run = start(case, &weir, home.path(), &temporary, rng.u64(..1000));
        let (from, to) = case.after_ms;
        let after = Duration::from_millis(rng.u64(from..to));
        thread::sleep(after);
        let names = scratch_names(&temporary);
        assert!(run.try_wait().unwrap().is_none(), "{case:?}: it ended by itself");
        send(&run, case.signal);
        let began = Instant::now();
        while run.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < STOP_LIMIT, "{case:?}: it does not end");
            thread::sleep(Duration::from_millis(50));
        }
        assert!(!run.wait().unwrap().success(), "{case:?}: it has a verdict");
        let stopped = began.elapsed();
        if case.signal == Signal::KILL {
            // The next one that starts removes the folder and the empty control groups; all else is gone before.
            wait_gone(&names, None, case);
            // A process that ends has no command line any more and still counts as alive, so the first one may be too early.
            let killed = Instant::now();
            while !scratch_names(&temporary).is_empty() && killed.elapsed() < GONE_LIMIT {
                let swept = jepsen().arg("doctor").env("TMPDIR", &temporary).output().unwrap();
                assert!(swept.status.success(), "{swept:?}");
            }
        }
        wait_gone(&names, Some(&temporary), case);
        announce(&format!(
            "jepsen: {:?} after {after:?}{}: over {stopped:?} later, nothing left of {names:?}",
            case.signal,
            if case.loopback { " on loopback" } else { "" }
        ));
    }
}

fn start(case: Case, weir: &Path, home: &Path, temporary: &Path, seed: u64) -> Child {
    let log = fs::File::create(home.join("log")).unwrap();
    let mut command = jepsen();
    command
        .args(["run", "--workload", "queue", "--time", "60", "--rate", "50"])
        .args(["--nemesis", "kill,pause,partition,power,disk-slow,member"])
        .args(["--seed", &seed.to_string(), "--binary"])
        .arg(weir)
        .arg("--store")
        .arg(home.join("store"))
        .env("TMPDIR", temporary)
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    if case.loopback {
        command.arg("--loopback");
    }
    command.spawn().unwrap()
}

fn send(run: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(run.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// The names of the folders that runs have made here.
fn scratch_names(temporary: &Path) -> Vec<String> {
    let entries = fs::read_dir(temporary).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Waits until nothing is left that has one of these names; with `temporary` no folder and no control group either.
fn wait_gone(names: &[String], temporary: Option<&Path>, case: Case) {
    let began = Instant::now();
    loop {
        let mut left: Vec<String> = names.iter().flat_map(|name| leftovers(name)).collect();
        if let Some(temporary) = temporary {
            left.extend(scratch_names(temporary));
            left.extend(names.iter().flat_map(|name| control_groups(name)));
        }
        if left.is_empty() {
            return;
        }
        assert!(began.elapsed() < GONE_LIMIT, "{case:?} leaves {left:#?}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// Control groups with this name in theirs.
fn control_groups(name: &str) -> Vec<String> {
    let mut groups = Vec::new();
    for folder in ["/sys/fs/cgroup/blkio", "/sys/fs/cgroup"] {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let found = names.filter(|group| group.contains(name));
        groups.extend(found.map(|group| format!("control group {group}")));
    }
    groups
}

/// What there is with this name: processes, mounts, loop devices, networks.
fn leftovers(name: &str) -> Vec<String> {
    let mut left = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let is_process = entry.file_name().to_str().is_some_and(|pid| pid.parse::<u32>().is_ok());
        let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
        let holds = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(name);
        // The harness inside has the folder's name in a variable, nodes have it on their command line.
        if is_process && (holds(&read("cmdline")) || holds(&read("environ"))) {
            let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            left.push(format!("process {:?} {line}", entry.file_name()));
        }
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    left.extend(mounts.lines().filter(|line| line.contains(name)).map(str::to_owned));
    for entry in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
        let file = fs::read_to_string(entry.path().join("loop/backing_file")).unwrap_or_default();
        if file.contains(name) {
            left.push(format!("loop device {:?} {}", entry.file_name(), file.trim()));
        }
    }
    // Networks are in namespaces of their own; were one left in ours, it would be seen here.
    let links = Command::new("ip").args(["-o", "link"]).output();
    let links = links
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    left.extend(links.lines().filter(|line| line.contains(": weir")).map(str::to_owned));
    left
}
