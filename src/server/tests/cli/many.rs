//! `weir dev --nodes`: several nodes with one command.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::support::{Done, LONG, Running, cluster, cluster_json, eventually, replicas_are_equal, run, weir};

/// The ports of three nodes, below those that the system gives to anybody.
pub(crate) struct Ports {
    pub(crate) base: u16,
    /// Taken while the ports are, so that no other test chooses the same ones.
    _claim: TcpListener,
}

/// How many ports three nodes lie across, with one before the base and the claim among them.
const SPAN: u16 = 30;
const CLAIM: u16 = 5;

impl Ports {
    pub(crate) fn choose() -> Self {
        let deadline = Instant::now() + LONG;
        loop {
            assert!(Instant::now() < deadline, "no ports are free");
            let base = 20_001 + fastrand::u16(..400) * SPAN;
            let bind = |port: u16| TcpListener::bind(("127.0.0.1", port));
            let Ok(claim) = bind(base + CLAIM) else { continue };
            let all = [0, 10, 20]
                .into_iter()
                .flat_map(|node| [base + node - 1, base + node, base + node + 2]);
            if all.map(bind).all(|bound| bound.is_ok()) {
                return Self { base, _claim: claim };
            }
        }
    }

    pub(crate) fn client(&self, node: u16) -> String {
        format!("http://127.0.0.1:{}", self.base + (node - 1) * 10)
    }

    pub(crate) fn admin(&self, node: u16) -> String {
        format!("http://127.0.0.1:{}", self.base + (node - 1) * 10 + 2)
    }

    pub(crate) fn peer(&self, node: u16) -> String {
        format!("127.0.0.1:{}", self.base + (node - 1) * 10 - 1)
    }
}

/// Starts three nodes, and waits until they are ready.
pub(crate) fn three(ports: &Ports, dir: &Path, args: &[&str]) -> Running {
    let base = ports.base.to_string();
    let mut command = weir(&["dev", "--nodes", "3", "--base-port", &base, "--data-dir"]);
    command.arg(dir).args(args);
    let nodes = Running::start(command);
    for node in 1..=3 {
        for expected in [
            format!("weir: listening on {}", ports.client(node)),
            format!("weir: admin on {}", ports.admin(node)),
        ] {
            let line = nodes.out.recv_timeout(LONG * 2);
            let line = line.unwrap_or_else(|_| panic!("not started: {:?}", nodes.err.try_iter().collect::<Vec<_>>()));
            assert_eq!(line, expected);
        }
    }
    nodes
}

/// The process that has a node's data directory.
pub(crate) fn process(dir: &Path, node: u16) -> String {
    let lock = dir.join(format!("node-{node}/LOCK"));
    std::fs::read_to_string(lock).unwrap().trim().to_owned()
}

pub(crate) fn kill(signal: &str, process: &str) {
    let status = Command::new("kill").args([signal, process]).status().unwrap();
    assert!(status.success());
}

/// What the system says of a process, from its state on, which is field 3. Its name before that ends with the parenthesis.
fn stat(process: &str) -> std::io::Result<String> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    Ok(stat.rsplit(')').next().unwrap().to_owned())
}

/// Whether a process is there; one that ended and was not waited for yet is not.
fn is_there(process: &str) -> bool {
    stat(process).is_ok_and(|stat| !stat.starts_with(" Z"))
}

/// How the system schedules a process: field 41.
fn policy(process: &str) -> String {
    let stat = stat(process).unwrap();
    stat.split_whitespace().nth(41 - 3).unwrap().to_owned()
}

fn stream(url: &str, args: &[&str]) -> Done {
    let mut command = weir(&["stream", "--url", url]);
    Done::of(command.args(args).output().unwrap())
}

#[test]
fn three_nodes_start_with_one_command_and_outlive_one_of_them() {
    let (home, ports) = (tempfile::tempdir().unwrap(), Ports::choose());
    let mut nodes = three(&ports, home.path(), &["--log-format", "json"]);
    let log = nodes.err.try_iter().collect::<Vec<_>>();
    for prefix in ["node-1 | {", "node-2 | {", "node-3 | {"] {
        assert!(log.iter().any(|line| line.starts_with(prefix)), "{log:?}");
    }
    let text = ["create", "log", "--content-type", "text/plain", "--data", "written"];
    stream(&ports.client(1), &text).ok();
    assert_eq!(stream(&ports.client(3), &["read", "log"]).ok(), "written");

    const SCHED_BATCH: &str = "3";
    for node in 1..=3 {
        assert_eq!(policy(&process(home.path(), node)), SCHED_BATCH);
    }

    let second = process(home.path(), 2);
    kill("-KILL", &second);
    nodes.until_it_says("weir: node 2 ended (signal: 9 (SIGKILL)); to start it again:");
    let command = nodes.err.recv_timeout(LONG).unwrap();
    assert!(command.starts_with("  weir serve "), "{command}");
    for node in [1, 3] {
        stream(&ports.client(node), &["append", "log", " on", "--retry-for", "60s"]).ok();
    }
    eventually("it is read", || {
        stream(&ports.client(1), &["read", "log"]).out == "written on on"
    });

    // The command that was told brings it back.
    let args: Vec<&str> = command.split_whitespace().skip(1).collect();
    let mut again = Running::start(weir(&args));
    let first_line = again.out.recv_timeout(LONG * 2).unwrap();
    assert_eq!(first_line, format!("weir: listening on {}", ports.client(2)));
    eventually("it is read", || {
        stream(&ports.client(2), &["read", "log"]).out == "written on on"
    });

    replicas_are_equal(&ports.admin(1));

    let (first, third) = (process(home.path(), 1), process(home.path(), 3));
    kill("-TERM", &nodes.id());
    assert_eq!(nodes.wait(), 0);
    assert!(!is_there(&first) && !is_there(&third));
    kill("-INT", &again.id());
    assert_eq!(again.wait(), 0);
}

#[test]
fn the_nodes_end_with_whoever_started_them() {
    let (home, ports) = (tempfile::tempdir().unwrap(), Ports::choose());
    let mut nodes = three(&ports, home.path(), &[]);
    let processes = [1, 2, 3].map(|node| process(home.path(), node));
    assert!(processes.iter().all(|process| is_there(process)));
    nodes.kill();
    eventually("all nodes ended", || !processes.iter().any(|process| is_there(process)));
    // Nothing was lost of what they were, either.
    let nodes = three(&ports, home.path(), &[]);
    let status = cluster_json(&ports.admin(2), &["status", "--wait", "--json"]);
    assert_eq!(status["nodes"].as_array().unwrap().len(), 3);
    replicas_are_equal(&ports.admin(3));
    drop(nodes);
}

#[test]
fn a_second_signal_ends_all_at_once() {
    let (home, ports) = (tempfile::tempdir().unwrap(), Ports::choose());
    let mut nodes = three(&ports, home.path(), &["--drain-timeout", "1h"]);
    let processes = [1, 2, 3].map(|node| process(home.path(), node));
    stream(&ports.client(1), &["create", "log", "--content-type", "text/plain"]).ok();
    // A request that does not end by itself.
    let mut stuck = std::net::TcpStream::connect(ports.client(1).trim_start_matches("http://")).unwrap();
    let head = "POST /v1/stream/log HTTP/1.1\r\nHost: weir\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\
                Expect: 100-continue\r\n\r\n";
    std::io::Write::write_all(&mut stuck, head.as_bytes()).unwrap();
    std::io::Read::read_exact(&mut stuck, &mut [0; 12]).unwrap();
    kill("-TERM", &nodes.id());
    nodes.until_it_says("weir: SIGTERM: ending all nodes");
    nodes.until_it_says("node-1 | ");
    kill("-INT", &nodes.id());
    assert_eq!(nodes.wait(), 130);
    eventually("all nodes ended", || !processes.iter().any(|process| is_there(process)));
}

#[test]
fn what_cannot_start_ends_all_and_says_why() {
    let (home, ports) = (tempfile::tempdir().unwrap(), Ports::choose());
    let taken = TcpListener::bind(("127.0.0.1", ports.base + 10)).unwrap();
    let base = ports.base.to_string();
    let dir = home.path().to_str().unwrap();
    let dev = |more: &[&str]| run(&[&["dev", "--nodes", "3", "--base-port", &base, "--data-dir", dir], more].concat());
    let complaint = dev(&[]).refused(10);
    let told = format!(
        "node-2 | error: listen: {} cannot be listened on",
        taken.local_addr().unwrap()
    );
    assert!(complaint.contains(&told), "{complaint}");
    assert!(
        complaint.contains("error: node 2 ended before all nodes were ready (exit status: 10)"),
        "{complaint}"
    );
    drop(taken);

    let complaint = dev(&["--listen", "127.0.0.1:0"]).refused(2);
    assert!(
        complaint.starts_with("error: --listen cannot be used with --nodes"),
        "{complaint}"
    );
    let complaint = dev(&["--storage", "file"]).refused(2);
    assert!(
        complaint.starts_with("error: storage: impossible value 'file' in flag --storage"),
        "{complaint}"
    );
    assert_eq!(run(&["dev", "--nodes", "1"]).code, 2);
    assert_eq!(run(&["dev", "--base-port", "4437"]).code, 2);
    assert_eq!(cluster(&ports.admin(1), &["nodes"]).code, 3);
}
