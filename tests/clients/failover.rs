//! The official clients through a round-robin proxy over three nodes, while the leader of their group is killed and
//! started again, over and over.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::cluster::Cluster;
use crate::harness::nginx::Nginx;
use crate::harness::program::Program;
use crate::harness::{announce, packages};

/// How long leaders are killed.
const TROUBLE: Duration = Duration::from_secs(42);
/// From one kill to the next, at least.
const KILL_INTERVAL: Duration = Duration::from_secs(7);
/// How long a killed node stays away.
const AWAY: Duration = Duration::from_secs(1);
/// How long a program may take to begin, and to check what it has.
const STEP_TIMEOUT: Duration = Duration::from_secs(120);

#[test]
fn clients_see_nothing_of_leaders_that_are_killed() {
    let npm = packages::npm("clients");
    let (pypi, python) = packages::python("clients");
    // One group, so that its leader is that of every stream.
    let mut cluster = Cluster::start(&["--groups", "1", "--long-poll-timeout", "2s"]);
    let proxy = Nginx::start(&cluster.urls());
    let node = Program::start(
        "failover.mjs",
        Command::new("node")
            .arg("failover.mjs")
            .arg(proxy.url())
            .current_dir(npm),
    );
    let python = Program::start(
        "failover.py",
        Command::new(python)
            .arg("-u")
            .arg("failover.py")
            .arg(proxy.url())
            .current_dir(pypi),
    );
    let mut programs = [node, python];
    for program in &mut programs {
        assert_eq!(program.line(STEP_TIMEOUT).as_deref(), Some("ok begin"));
    }
    let group = cluster.groups()[0];
    let (started, mut kills) = (Instant::now(), 0);
    while started.elapsed() < TROUBLE {
        let next = Instant::now() + KILL_INTERVAL;
        let leader = cluster.leader_of(group);
        cluster.kill(leader);
        kills += 1;
        thread::sleep(AWAY);
        cluster.start_all();
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    programs.iter_mut().for_each(|program| program.tell("stop"));
    let mut counts = Vec::new();
    for mut program in programs {
        let said: Vec<String> = std::iter::from_fn(|| program.line(STEP_TIMEOUT)).collect();
        // Shows what it complains about, if it does.
        program.finish(STEP_TIMEOUT);
        assert_eq!(said.last().map(String::as_str), Some("ok everything once and in order"));
        counts.extend(said[0].strip_prefix("count ").map(str::to_owned));
    }
    cluster.wait_until_settled();
    cluster.assert_replicas_equal();
    announce(&format!(
        "clients-failover: {kills} leaders killed, {} messages once and in order",
        counts.join(" and ")
    ));
}
