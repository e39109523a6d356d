//! `weir serve` before it belongs to a cluster.

use crate::support::{ANY, LONG, Running, Server, eventually, get, run, weir};

#[test]
fn a_wildcard_is_not_advertised() {
    let home = tempfile::tempdir().unwrap();
    let serve = |more: &[&str]| {
        let args = [
            "serve",
            "--log-filter",
            "off",
            "--data-dir",
            home.path().to_str().unwrap(),
        ];
        run(&[&args, more].concat()).refused(2)
    };
    let ports = ["--listen", "0.0.0.0:0", "--admin-listen", ANY];
    let complaint = serve(&ports);
    assert!(
        complaint.starts_with("error: peer_advertise is needed: this node listens on 0.0.0.0:"),
        "{complaint}"
    );
    let complaint = serve(&[&ports[..], &["--peer-advertise", "[::]:1"]].concat());
    assert!(
        complaint.starts_with("error: peer_advertise: impossible value '[::]:1'"),
        "{complaint}"
    );
}

#[test]
fn dev_on_every_address_is_reached_on_loopback() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start_with(home.path(), &["--listen", "0.0.0.0:0", "--peer-listen", "0.0.0.0:0"]);
    let nodes = server.cluster(&["nodes"]).ok();
    assert!(!nodes.contains("0.0.0.0"), "{nodes}");
}

/// A port for the admin API that nothing else has now.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind(ANY).unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn a_node_that_waits_for_others_is_alive_and_not_ready_and_ends_when_asked() {
    let home = tempfile::tempdir().unwrap();
    for waiting in [["--join", "127.0.0.1:1"], ["--nodes", "127.0.0.1:1,127.0.0.1:2"]] {
        let admin = free_address();
        let mut command = weir(&["serve", "--listen", ANY, "--peer-listen", ANY, "--admin-listen", &admin]);
        command.arg("--data-dir").arg(home.path()).args(waiting);
        command.stdin(std::process::Stdio::piped()).arg("--end-with-stdin");
        let mut node = Running::start(command);
        node.until_it_says("joining a cluster");
        assert_eq!(get(&admin, "/livez").unwrap().0, 200);
        let (status, text) = get(&admin, "/readyz").unwrap();
        assert_eq!(status, 503);
        assert!(
            text.ends_with("starting: the node recovers, or waits for the others\n"),
            "{text}"
        );
        let (status, text) = get(&admin, "/v1/cluster").unwrap();
        assert_eq!(status, 503);
        assert!(text.contains("\r\nretry-after: "), "{text}");
        assert!(text.contains("\"type\":\"urn:weir:problem:unavailable\""), "{text}");
        // Its parent ends.
        node.stdin = None;
        assert_eq!(node.wait(), 0);
        eventually("nothing was said on stdout", || node.out.recv_timeout(LONG).is_err());
    }
}

#[test]
fn a_node_that_is_not_listed_joins_those_that_are() {
    let home = tempfile::tempdir().unwrap();
    let first = Server::serve(&home.path().join("1"), &[]);
    let nodes: serde_json::Value = serde_json::from_str(&first.cluster(&["nodes", "--json"]).ok()).unwrap();
    let peer = nodes["nodes"][0]["peer_address"].as_str().unwrap();
    let second = Server::serve(&home.path().join("2"), &["--nodes", peer, "--zone", "cellar"]);
    eventually("both know both", || {
        let known = |server: &Server| server.cluster(&["nodes"]).ok();
        known(&first).contains("cellar") && known(&second).contains("cellar")
    });
    let status = second.cluster(&["status"]).ok();
    assert!(status.contains("answered by   node 2\n"), "{status}");
    assert!(status.contains("groups        16, "), "{status}");
}
