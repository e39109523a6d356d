//! The admin API as anybody speaks it, and `weir cluster` on one node.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use crate::support::{LONG, Server, cluster, cluster_json, eventually};

/// Status, headers and body of a POST.
fn post(server: &Server, path: &str, headers: &str, body: &str) -> (u16, String, Value) {
    let mut connection = TcpStream::connect(server.admin.trim_start_matches("http://")).unwrap();
    connection.set_read_timeout(Some(LONG)).unwrap();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (
        status,
        head.to_ascii_lowercase(),
        serde_json::from_str(body).unwrap_or_default(),
    )
}

const JSON: &str = "Content-Type: application/json\r\n";

#[test]
fn orders_that_are_none_are_refused_and_change_nothing() {
    let server = Server::start();
    let node = "/v1/cluster/nodes/1/decommission";
    let from_a_page = format!("{JSON}Origin: http://evil.example\r\n");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let long = format!("\"{}\"", "x".repeat(20_000));
    let transfer = "/v1/cluster/groups/1/transfer";
    let move_replica = "/v1/cluster/groups/1/move";
    let cases = [
        (node, from_a_page.as_str(), "", 403, "cross-site"),
        (node, "", "", 415, "not-json"),
        (node, form, "", 415, "not-json"),
        (node, "Content-Type: text/plain\r\n", "{}", 415, "not-json"),
        (node, JSON, "{", 400, "invalid-order"),
        (node, JSON, "{\"force\": true}", 400, "invalid-order"),
        (node, JSON, &long, 400, "invalid-order"),
        ("/v1/cluster/nodes/7/decommission", JSON, "", 404, "unknown-member"),
        ("/v1/cluster/nodes/x/decommission", JSON, "", 404, "unknown-member"),
        ("/v1/cluster/nodes/-1/remove", JSON, "", 404, "unknown-member"),
        ("/v1/cluster/nodes/1/remove", JSON, "{}", 409, "refused"),
        ("/v1/cluster/nodes/1/replace", JSON, "{\"with\": 1}", 409, "refused"),
        (
            "/v1/cluster/nodes/1/replace",
            JSON,
            "{\"with\": 9}",
            404,
            "unknown-member",
        ),
        ("/v1/cluster/nodes/1/replace", JSON, "", 400, "invalid-order"),
        (transfer, JSON, "{\"node\": 2}", 404, "unknown-member"),
        (transfer, JSON, "{\"node\": \"1\"}", 400, "invalid-order"),
        (
            "/v1/cluster/groups/99/transfer",
            JSON,
            "{\"node\": 1}",
            404,
            "unknown-member",
        ),
        (move_replica, JSON, "{}", 409, "refused"),
        (
            move_replica,
            JSON,
            "{\"from_node\": 2, \"to_node\": 1}",
            404,
            "unknown-member",
        ),
        (
            move_replica,
            JSON,
            "{\"from_node\": 1, \"from_replica\": 1}",
            400,
            "invalid-order",
        ),
        ("/v1/cluster/nodes/1/explode", JSON, "", 404, "unknown-path"),
        ("/v1/cluster", JSON, "", 405, "method-not-allowed"),
    ];
    for (path, headers, body, status, kind) in cases {
        let (found, head, problem) = post(&server, path, headers, body);
        assert_eq!(found, status, "{path} {body}: {problem}");
        assert!(head.contains("content-type: application/problem+json"), "{head}");
        assert_eq!(problem["type"], format!("urn:weir:problem:{kind}"), "{path} {body}");
        assert_eq!(problem["status"], status);
        assert!(!problem["detail"].as_str().unwrap().is_empty());
    }
    let (_, _, problem) = post(&server, "/v1/cluster/nodes/1/remove", JSON, "");
    assert_eq!(problem["reasons"][0], "it is not draining");
    let nodes = cluster_json(&server.admin, &["nodes", "--json"]);
    assert_eq!(nodes["nodes"][0]["state"], "active");
    // None of it is on the clients' port.
    assert_eq!(crate::support::get(&server.url, "/v1/cluster").unwrap().0, 404);
}

#[test]
fn one_node_is_a_cluster() {
    // Only redb has more than one group.
    let home = tempfile::tempdir().unwrap();
    let server = Server::start_with(home.path(), &["--storage", "redb"]);
    let status = server.cluster(&["status", "--wait"]).ok();
    for part in [
        "answered by   node 1\n",
        "meta group    led by node 1\n",
        "groups        2, all with a leader\n",
        "replicas      1 of each group are wanted\n",
        "settled       yes\n",
    ] {
        assert!(status.contains(part), "{status}\nlacks {part}");
    }
    let status = cluster_json(&server.admin, &["status", "--json"]);
    assert_eq!(status["cluster"].as_str().unwrap().len(), 36);
    assert_eq!(status["settled"], true);

    let nodes = server.cluster(&["nodes"]).ok();
    let lines: Vec<Vec<&str>> = nodes.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines.len(), 2, "{nodes}");
    assert_eq!(
        lines[1][..5],
        ["1", "active", "2", "voter", server.url.trim_start_matches("http://")]
    );

    let groups = server.cluster(&["groups"]).ok();
    assert_eq!(groups.lines().count(), 3, "{groups}");
    assert!(
        groups.lines().skip(1).all(|line| line.contains(" on node 1")),
        "{groups}"
    );

    let compared = server.cluster(&["groups", "--hash"]).ok();
    assert_eq!(compared.lines().count(), 4, "{compared}");
    let is_equal = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        columns.len() == 5 && columns[1] == "1" && columns[3].len() == 32 && columns[4] == "equal"
    };
    assert!(compared.lines().skip(1).all(is_equal), "{compared}");
    // Without the head, which has the time.
    let hash = |group: &str| {
        let (status, answer) = server.admin(&format!("/v1/cluster/groups/{group}/hash"));
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    };
    let (status, before) = hash("1");
    assert_eq!((status, hash("1").1 == before), (200, true), "{before}");
    assert_eq!((hash("99").0, hash("x").0), (404, 404));
    for stream in 0..16 {
        server
            .stream(&["create", &format!("any/{stream}"), "--content-type", "text/plain"])
            .ok();
    }
    assert_ne!(hash("1").1, before);

    let add = server.cluster(&["add"]).ok();
    let peer = lines[1][5];
    assert!(add.contains(&format!("weir serve --join {peer} --data-dir")), "{add}");
}

#[test]
fn a_node_alone_cannot_go_and_can_stay_after_all() {
    let server = Server::start();
    assert_eq!(
        server.cluster(&["decommission", "7"]).refused(4),
        "error: There is no such node, group or replica: there is no node 7\n"
    );
    let said = server.cluster(&["decommission", "1"]).ok();
    assert!(said.starts_with("the replicas of node 1 move away"), "{said}");
    eventually("it is draining", || {
        server.cluster(&["nodes"]).ok().contains("draining")
    });
    let complaint = server.cluster(&["remove", "1"]).refused(5);
    assert!(
        complaint.starts_with("error: The cluster refuses this: node 1 cannot be removed yet: "),
        "{complaint}"
    );
    server.cluster(&["activate", "1"]).ok();
    eventually("it is active", || server.cluster(&["nodes"]).ok().contains("active"));
}

#[test]
fn whoever_does_not_answer_is_named() {
    let complaint = cluster("http://127.0.0.1:1", &["nodes"]).refused(3);
    assert!(
        complaint.starts_with("error: no answer from http://127.0.0.1:1: "),
        "{complaint}"
    );
    let complaint = cluster("https://127.0.0.1:1", &["nodes"]).refused(2);
    assert!(
        complaint.contains("'https://127.0.0.1:1' is not a server's address"),
        "{complaint}"
    );
    let server = Server::start();
    let complaint = cluster(&server.url, &["nodes"]).refused(4);
    assert!(complaint.contains("Nothing is served under this path"), "{complaint}");
}
