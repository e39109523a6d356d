//! One node becomes three, and loses nothing.

use crate::support::{Done, Server, cluster_json, eventually, replicas_are_equal, run};

/// Enough that every group has some.
const STREAMS: usize = 16;

fn name(stream: usize) -> String {
    format!("grown/{stream}")
}

fn read(server: &Server, stream: usize) -> Done {
    server.stream(&["read", &name(stream)])
}

fn append(server: &Server, stream: usize, data: &str) {
    server
        .stream(&["append", &name(stream), data, "--retry-for", "60s"])
        .ok();
}

/// Waits until a node gives just this.
fn until_it_reads(server: &Server, stream: usize, expected: &str) {
    let mut last = String::new();
    eventually(&format!("stream {stream} is {expected:?}"), || {
        let done = read(server, stream);
        // No answer is the only excuse: a wrong one is never right later.
        assert!(
            done.code != 0 || done.out == expected,
            "stream {stream} is {:?}",
            done.out
        );
        last = done.err;
        done.code == 0
    });
}

fn peer_address(server: &Server, node: u64) -> String {
    let nodes = cluster_json(&server.admin, &["nodes", "--json"]);
    let nodes = nodes["nodes"].as_array().unwrap();
    let node = nodes.iter().find(|known| known["id"] == node).unwrap();
    node["peer_address"].as_str().unwrap().to_owned()
}

#[test]
fn one_node_grows_to_three_without_losing_a_stream() {
    let home = tempfile::tempdir().unwrap();
    let dir = |name: &str| home.path().join(name);
    let mut first = Server::start_with(&dir("1"), &[]);
    for stream in 0..STREAMS {
        let text = ["--content-type", "text/plain", "--data", "before "];
        first.stream(&[&["create", &name(stream)], &text[..]].concat()).ok();
    }
    let peer = peer_address(&first, 1);
    let second = Server::serve(&dir("2"), &["--join", &peer]);
    let third = Server::serve(&dir("3"), &["--join", &peer]);
    // Nothing is lost or unavailable while they take their share.
    for stream in 0..STREAMS {
        append(&second, stream, "meanwhile ");
        assert_eq!(read(&third, stream).ok(), "before meanwhile ");
    }

    third.cluster(&["status", "--wait"]).ok();
    let groups = cluster_json(&third.admin, &["groups", "--json"]);
    for group in groups["groups"].as_array().unwrap() {
        let nodes = group["replicas"]
            .as_array()
            .unwrap()
            .iter()
            .map(|replica| replica["node"].as_u64().unwrap());
        let mut nodes: Vec<u64> = nodes.collect();
        nodes.sort_unstable();
        assert_eq!(nodes, [1, 2, 3], "{group}");
    }

    first.kill();
    for stream in 0..STREAMS {
        until_it_reads(&second, stream, "before meanwhile ");
        append(&third, stream, "after");
        until_it_reads(&second, stream, "before meanwhile after");
    }
    let first = first.start_again(&["--peer-listen", &peer]);
    first.cluster(&["status", "--wait"]).ok();
    for stream in 0..STREAMS {
        until_it_reads(&first, stream, "before meanwhile after");
    }
    replicas_are_equal(&second.admin);
}

#[test]
fn what_cannot_be_replicated_does_not_join() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("1");
    let args = [
        "serve",
        "--storage",
        "memory",
        "--join",
        "127.0.0.1:1",
        "--data-dir",
        dir.to_str().unwrap(),
    ];
    let complaint = run(&args).refused(2);
    assert!(
        complaint.starts_with("error: storage: impossible value 'memory'"),
        "{complaint}"
    );
}
