//! Processes that end or stand still at random moments, under load.

use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::harness::announce;
use crate::harness::cluster::{Cluster, NODES};

use super::load::Load;

/// Longer than any election takes with default timers.
const PAUSE: Duration = Duration::from_secs(5);

/// Every kind of fault happens in each so many rounds.
const ROUNDS: usize = 12;

/// What happens in a round.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// SIGKILL of any node.
    KillOne,
    /// SIGKILL of the node that leads a group.
    KillLeader,
    /// SIGKILL of all nodes at once.
    KillAll,
    /// SIGSTOP of the node that leads a group, for longer than an election; then SIGCONT.
    PauseLeader,
}

const FAULTS: [Fault; 4] = [Fault::KillLeader, Fault::PauseLeader, Fault::KillAll, Fault::KillOne];

#[test]
fn killed_and_paused_nodes_lose_nothing() {
    let seed = fastrand::u64(..);
    // Shown by the runner when the test fails.
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let mut cluster = Cluster::start(&["--groups", "4", "--long-poll-timeout", "1s"]);
    let urls = cluster.urls();
    let mut load = Load::create(&urls[0]);
    let started = Instant::now();
    for round in 0..ROUNDS {
        let fault = FAULTS[round % FAULTS.len()];
        println!("{:?}: round {round}, {fault:?}", started.elapsed());
        load.during(&urls, &mut rng, |rng| inflict(&mut cluster, fault, rng));
        load.check(&urls[rng.usize(..NODES)], &format!("round {round}, after {fault:?}"));
    }
    cluster.wait_until_settled();
    for url in &urls {
        load.check(url, "at the end");
    }
    load.finish(&urls, &mut rng);
    cluster.assert_replicas_equal();
    let (acknowledged, unanswered, slowest) = (load.acknowledged(), load.unanswered, load.slowest);
    announce(&format!(
        "cluster-faults: {ROUNDS} faults, {acknowledged} acknowledged writes kept, {unanswered} requests unanswered, \
         longest wait of a producer {slowest:?}"
    ));
    assert!(
        acknowledged > 100 * ROUNDS,
        "only {acknowledged} writes: the load did not run"
    );
}

/// How long a write may wait for the next leader. An attempt with one leader alone may take 5 s.
const TAKEOVER: Duration = Duration::from_secs(4);

#[test]
fn a_leader_that_stands_still_is_not_waited_for_when_another_one_leads() {
    let timers = ["--heartbeat-interval", "100ms", "--election-timeout", "500ms"];
    let cluster = Cluster::start(&[&["--groups", "1"], &timers[..]].concat());
    let client = super::load::client();
    let urls = cluster.urls();
    let leader = cluster.leader_of(cluster.groups()[0]);
    let stream = format!("{}/v1/stream/still", urls[(leader + 1) % NODES]);
    let created = client.put(&stream).header("content-type", "text/plain").send().unwrap();
    assert_eq!(created.status(), 201);
    cluster.pause(leader);
    let started = Instant::now();
    let append = client
        .post(&stream)
        .header("content-type", "text/plain")
        .body("one more");
    let answer = append.send().unwrap();
    let took = started.elapsed();
    cluster.resume(leader);
    assert_eq!(answer.status(), 204);
    assert!(took < TAKEOVER, "the write was answered after {took:?}");
}

/// Does it in the middle of the load, and undoes it.
fn inflict(cluster: &mut Cluster, fault: Fault, rng: &mut Rng) {
    let pause = |rng: &mut Rng, range: std::ops::Range<u64>| thread::sleep(Duration::from_millis(rng.u64(range)));
    pause(rng, 100..1500);
    let groups = cluster.groups();
    let leader = |cluster: &Cluster, rng: &mut Rng| cluster.leader_of(groups[rng.usize(..groups.len())]);
    match fault {
        Fault::KillOne => {
            let node = rng.usize(..NODES);
            cluster.kill(node);
            pause(rng, 0..3000);
        }
        Fault::KillLeader => {
            let node = leader(cluster, rng);
            cluster.kill(node);
            pause(rng, 0..3000);
        }
        Fault::KillAll => {
            cluster.kill_all();
            pause(rng, 0..500);
        }
        Fault::PauseLeader => {
            let node = leader(cluster, rng);
            cluster.pause(node);
            thread::sleep(PAUSE);
            cluster.resume(node);
        }
    }
    cluster.start_all();
    pause(rng, 200..1500);
}
