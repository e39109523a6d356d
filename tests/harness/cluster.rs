//! Three `weir serve` processes that form a cluster: each can be killed, paused and started again by itself.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::blocking::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::weir::{LOG_TAIL_BYTES, drain, program, read_addresses};

/// How many nodes there are.
pub(crate) const NODES: usize = 3;

/// How long anything may take that needs elections and copies, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(120);

/// The longest answer of the admin port.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(20);

/// Ports of several nodes, below those that the system gives to anybody, so that a node that starts again finds its own.
#[derive(Debug)]
pub(crate) struct Ports {
    base: u16,
    /// Taken while the ports are, so that no other test chooses the same ones.
    _claim: TcpListener,
}

/// How many ports three nodes lie across, with one before the base and the claim among them.
const SPAN: u16 = 30;
const CLAIM: u16 = 5;

impl Ports {
    pub(crate) fn choose() -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "no ports are free");
            let base = 8_001 + fastrand::u16(..400) * SPAN;
            let bind = |port: u16| TcpListener::bind(("127.0.0.1", port));
            let Ok(claim) = bind(base + CLAIM) else { continue };
            let all = (0..NODES as u16).flat_map(|node| [9, 10, 12].map(|port| base + node * 10 + port - 10));
            if all.map(bind).all(|bound| bound.is_ok()) {
                return Self { base, _claim: claim };
            }
        }
    }

    /// Where clients of a node connect; nodes count from 0.
    pub(crate) fn client(&self, node: usize) -> String {
        format!("127.0.0.1:{}", self.base + node as u16 * 10)
    }

    pub(crate) fn admin(&self, node: usize) -> String {
        format!("127.0.0.1:{}", self.base + node as u16 * 10 + 2)
    }

    fn peer(&self, node: usize) -> String {
        format!("127.0.0.1:{}", self.base + node as u16 * 10 - 1)
    }

    /// As `--base-port` wants it.
    pub(crate) fn base(&self) -> u16 {
        self.base
    }
}

/// The nodes. Dropping them kills the processes and removes their data; a test that fails shows the ends of their logs.
#[derive(Debug)]
pub(crate) struct Cluster {
    flags: Vec<String>,
    ports: Ports,
    dirs: Vec<PathBuf>,
    processes: Vec<Option<Child>>,
    scratch: TempDir,
}

impl Cluster {
    /// Starts the nodes on empty data directories and waits until all is settled.
    pub(crate) fn start(flags: &[&str]) -> Self {
        let scratch = super::scratch();
        let dirs = (1..=NODES).map(|node| scratch.path().join(format!("node-{node}")));
        let dirs = dirs.collect();
        Self::start_in(scratch, dirs, flags)
    }

    /// As [`Cluster::start`], with each node's data in the directory that is given for it.
    pub(crate) fn start_in(scratch: TempDir, dirs: Vec<PathBuf>, flags: &[&str]) -> Self {
        let mut cluster = Self {
            flags: flags.iter().map(ToString::to_string).collect(),
            ports: Ports::choose(),
            dirs,
            processes: (0..NODES).map(|_| None).collect(),
            scratch,
        };
        cluster.start_all();
        cluster.wait_until_settled();
        cluster
    }

    /// Base URLs, without a path.
    pub(crate) fn urls(&self) -> Vec<String> {
        (0..NODES).map(|node| self.url(node)).collect()
    }

    pub(crate) fn url(&self, node: usize) -> String {
        format!("http://{}", self.ports.client(node))
    }

    pub(crate) fn admin_urls(&self) -> Vec<String> {
        (0..NODES)
            .map(|node| format!("http://{}", self.ports.admin(node)))
            .collect()
    }

    pub(crate) fn is_running(&self, node: usize) -> bool {
        self.processes[node].is_some()
    }

    /// Ends a node as a crash does: SIGKILL, no chance to finish anything.
    pub(crate) fn kill(&mut self, node: usize) {
        let mut process = self.processes[node].take().expect("the node runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Ends all nodes that run, as a power cut of their rack would: all are gone before any is waited for.
    pub(crate) fn kill_all(&mut self) {
        let mut ended: Vec<Child> = self.processes.iter_mut().filter_map(Option::take).collect();
        ended.iter_mut().for_each(|process| process.kill().unwrap());
        for process in &mut ended {
            process.wait().unwrap();
        }
    }

    /// Stops a node's clock, so to speak: SIGSTOP.
    pub(crate) fn pause(&self, node: usize) {
        self.signal(node, Signal::STOP);
    }

    /// It goes on as if nothing had been.
    pub(crate) fn resume(&self, node: usize) {
        self.signal(node, Signal::CONT);
    }

    fn signal(&self, node: usize, signal: Signal) {
        let process = self.processes[node].as_ref().expect("the node runs");
        kill_process(Pid::from_child(process), signal).unwrap();
    }

    /// Starts whatever does not run, at the same time, and waits until all serve.
    pub(crate) fn start_all(&mut self) {
        let absent: Vec<usize> = (0..NODES).filter(|node| !self.is_running(*node)).collect();
        let started: Vec<_> = absent.into_iter().map(|node| (node, self.spawn(node))).collect();
        for (node, lines) in started {
            if let Err(problem) = read_addresses(&lines) {
                panic!("node {} did not start: {problem}", node + 1);
            }
        }
    }

    /// Starts a node that does not run, without waiting: it may have to wait for others.
    pub(crate) fn spawn(&mut self, node: usize) -> std::sync::mpsc::Receiver<String> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path(node))
            .unwrap();
        let nodes: Vec<String> = (0..NODES).map(|node| self.ports.peer(node)).collect();
        let mut process = program()
            .current_dir(self.scratch.path())
            .arg("serve")
            .args(["--listen", &self.ports.client(node)])
            .args(["--admin-listen", &self.ports.admin(node)])
            .args(["--peer-listen", &self.ports.peer(node)])
            .args(["--nodes", &nodes.join(",")])
            .arg("--data-dir")
            .arg(&self.dirs[node])
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let lines = drain(&mut process);
        self.processes[node] = Some(process);
        lines
    }

    /// The node that leads a group; waits until one does, asking nodes that run.
    pub(crate) fn leader_of(&self, group: u64) -> usize {
        let client = admin_client();
        let mut leader = None;
        eventually(&format!("group {group} has a leader"), || {
            let running = (0..NODES).filter(|node| self.is_running(*node));
            leader = running
                .filter_map(|node| get(&client, &format!("http://{}/v1/cluster/groups", self.ports.admin(node))))
                .find_map(|groups| {
                    let groups = groups["groups"].as_array()?.clone();
                    groups.iter().find(|known| known["id"] == group)?["leader_node"].as_u64()
                });
            leader.is_some()
        });
        // Nodes were numbered in the order of the list that they formed the cluster with.
        leader.map(|node| node as usize - 1).expect("it was waited for")
    }

    /// The groups' ids.
    pub(crate) fn groups(&self) -> Vec<u64> {
        group_replicas(&self.admin_urls()[0]).into_keys().collect()
    }

    pub(crate) fn wait_until_settled(&self) {
        wait_until_settled(&self.admin_urls());
    }

    /// Checks that the replicas of every group hold the same. All nodes must run.
    pub(crate) fn assert_replicas_equal(&self) {
        assert_replicas_equal(&self.admin_urls());
    }

    /// A node's files.
    pub(crate) fn data_dir(&self, node: usize) -> &Path {
        &self.dirs[node]
    }

    pub(crate) fn log_path(&self, node: usize) -> PathBuf {
        self.scratch.path().join(format!("node-{}.log", node + 1))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().flatten() {
            let _ = process.kill();
        }
        for process in self.processes.iter_mut().flatten() {
            let _ = process.wait();
        }
        if thread::panicking() {
            for node in 0..NODES {
                show_log(&self.log_path(node));
            }
        }
    }
}

fn show_log(path: &Path) {
    let log = fs::read(path).unwrap_or_default();
    let tail = &log[log.len().saturating_sub(LOG_TAIL_BYTES)..];
    eprintln!("--- {} ends with\n{}", path.display(), String::from_utf8_lossy(tail));
}

/// `weir dev --nodes 3`: three nodes by one command. Dropping it ends them all.
#[derive(Debug)]
pub(crate) struct DevCluster {
    process: Child,
    ports: Ports,
    scratch: TempDir,
}

impl DevCluster {
    /// Starts it on an empty data directory and waits until all is settled.
    pub(crate) fn start(flags: &[&str]) -> Self {
        let (scratch, ports) = (super::scratch(), Ports::choose());
        let log = fs::File::create(scratch.path().join("weir.log")).unwrap();
        let mut process = program()
            .current_dir(scratch.path())
            .args([
                "dev",
                "--nodes",
                &NODES.to_string(),
                "--base-port",
                &ports.base().to_string(),
            ])
            .arg("--data-dir")
            .arg(scratch.path().join("data"))
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let lines = drain(&mut process);
        let cluster = Self {
            process,
            ports,
            scratch,
        };
        for node in 0..NODES {
            if let Err(problem) = read_addresses(&lines) {
                panic!("node {} did not start: {problem}", node + 1);
            }
        }
        wait_until_settled(&cluster.admin_urls());
        cluster
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        (0..NODES)
            .map(|node| format!("http://{}", self.ports.client(node)))
            .collect()
    }

    pub(crate) fn admin_urls(&self) -> Vec<String> {
        (0..NODES)
            .map(|node| format!("http://{}", self.ports.admin(node)))
            .collect()
    }

    pub(crate) fn assert_replicas_equal(&self) {
        assert_replicas_equal(&self.admin_urls());
    }
}

impl Drop for DevCluster {
    fn drop(&mut self) {
        // The nodes end with whoever started them.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            show_log(&self.scratch.path().join("weir.log"));
        }
    }
}

/// Waits until something is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn admin_client() -> Client {
    Client::builder().timeout(ADMIN_TIMEOUT).build().unwrap()
}

/// An answer of the admin port; `None` when there is none, or an error.
fn get(client: &Client, url: &str) -> Option<Value> {
    let answer = client.get(url).send().ok()?.error_for_status().ok()?;
    serde_json::from_slice(&answer.bytes().ok()?).ok()
}

fn wait_until_settled(admin_urls: &[String]) {
    let client = admin_client();
    eventually("the cluster is settled", || {
        let status = get(&client, &format!("{}/v1/cluster", admin_urls[0]));
        status.is_some_and(|status| {
            let nodes = status["nodes"].as_array().unwrap();
            let voters = nodes.iter().filter(|node| node["votes_in_meta_group"] == true);
            status["settled"] == true && voters.count() == admin_urls.len()
        })
    });
}

/// The nodes of each group's replicas.
fn group_replicas(admin_url: &str) -> BTreeMap<u64, Vec<u64>> {
    let groups = get(&admin_client(), &format!("{admin_url}/v1/cluster/groups")).expect("the node answers");
    let replicas = |group: &Value| {
        let replicas = group["replicas"].as_array().unwrap().iter();
        replicas.map(|replica| replica["node"].as_u64().unwrap()).collect()
    };
    let groups = groups["groups"].as_array().unwrap().iter();
    groups
        .map(|group| (group["id"].as_u64().unwrap(), replicas(group)))
        .collect()
}

/// Waits until all replicas of each group are at the same index, and checks that they hold the same: see
/// `GET /v1/cluster/groups/{group}/hash`. Replicas at equal indexes are compared on the way, too. The URLs are those of
/// the nodes 1, 2, ...
pub(crate) fn assert_replicas_equal(admin_urls: &[String]) {
    let client = admin_client();
    let all = (1..=admin_urls.len() as u64).collect();
    let groups = std::iter::once((0, all)).chain(group_replicas(&admin_urls[0]));
    for (group, nodes) in groups {
        eventually(&format!("the replicas of group {group} are at the same index"), || {
            let mut hashes: BTreeMap<u64, String> = BTreeMap::new();
            let mut answers = 0;
            for node in &nodes {
                let admin = &admin_urls[*node as usize - 1];
                let Some(state) = get(&client, &format!("{admin}/v1/cluster/groups/{group}/hash")) else {
                    continue;
                };
                assert_eq!(
                    (&state["group"], &state["node"]),
                    (&group.into(), &(*node).into()),
                    "{state}"
                );
                let (applied, hash) = (state["applied"].as_u64().unwrap(), state["hash"].as_str().unwrap());
                let known = hashes.entry(applied).or_insert_with(|| hash.to_owned());
                assert_eq!(
                    known, hash,
                    "group {group}: node {node} holds another state at index {applied}"
                );
                answers += 1;
            }
            answers == nodes.len() && hashes.len() == 1
        });
    }
}
