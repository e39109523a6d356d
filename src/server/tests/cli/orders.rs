//! `weir cluster` on several nodes.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::many::{Ports, kill, process, three};
use crate::support::{Server, cluster, cluster_json, eventually};

fn groups(admin: &str) -> Vec<Value> {
    cluster_json(admin, &["groups", "--json"])["groups"]
        .as_array()
        .unwrap()
        .clone()
}

fn nodes_of(group: &Value) -> Vec<u64> {
    let replicas = group["replicas"].as_array().unwrap();
    replicas
        .iter()
        .map(|replica| replica["node"].as_u64().unwrap())
        .collect()
}

/// How many replicas each node has.
fn loads(groups: &[Value]) -> BTreeMap<u64, usize> {
    let mut loads = BTreeMap::new();
    for node in groups.iter().flat_map(nodes_of) {
        *loads.entry(node).or_default() += 1;
    }
    loads
}

fn state(admin: &str, node: u64) -> String {
    let nodes = cluster_json(admin, &["nodes", "--json"]);
    let nodes = nodes["nodes"].as_array().unwrap();
    let known = nodes.iter().find(|known| known["id"] == node).unwrap();
    known["state"].as_str().unwrap().to_owned()
}

/// Runs an order that waits.
fn waiting(admin: &str, args: &[&str]) -> String {
    cluster(admin, &[args, &["--wait"]].concat()).ok()
}

#[test]
fn leaders_and_replicas_go_where_they_are_sent() {
    let (home, ports) = (tempfile::tempdir().unwrap(), Ports::choose());
    // 15 replicas: of four nodes one has one less than the others.
    let _nodes = three(&ports, &home.path().join("three"), &["--groups", "5"]);
    let (first, second) = (ports.admin(1), ports.admin(2));
    waiting(&first, &["status"]);

    let led = groups(&first)
        .into_iter()
        .find(|group| group["leader_node"] != 3)
        .unwrap();
    let id = led["id"].to_string();
    let said = waiting(&second, &["transfer", &id, "--to", "3"]);
    assert_eq!(said, format!("node 3 leads group {id}\n"));

    let fourth = Server::serve(&home.path().join("4"), &["--join", &ports.peer(2)]);
    waiting(&fourth.admin, &["status"]);
    let known = groups(&fourth.admin);
    let loads = loads(&known);
    assert_eq!(loads.len(), 4, "{loads:?}");
    let to = *loads.iter().min_by_key(|(_, load)| **load).unwrap().0;
    let group = known.iter().find(|group| !nodes_of(group).contains(&to)).unwrap();
    let from = nodes_of(group)[0];
    let (id, from_text, to_text) = (group["id"].to_string(), from.to_string(), to.to_string());
    let move_args = ["move", &id, "--from", &from_text, "--to", &to_text];
    let said = waiting(&first, &move_args);
    assert_eq!(
        said,
        format!("the move of group {id} from node {from} to node {to} is over\n")
    );
    let after = groups(&first)
        .into_iter()
        .find(|known| known["id"] == group["id"])
        .unwrap();
    let after = nodes_of(&after);
    assert!(after.contains(&to) && !after.contains(&from), "{after:?}");
    // It has one already.
    let complaint = cluster(&first, &move_args).refused(4);
    assert!(
        complaint.contains(&format!("group {id} has no replica on node {from}")),
        "{complaint}"
    );
}

#[test]
fn nodes_are_replaced_and_decommissioned_and_removed() {
    let (home, ports) = (tempfile::tempdir().unwrap(), Ports::choose());
    let dir = home.path().join("three");
    let nodes = three(&ports, &dir, &[]);
    let first = ports.admin(1);
    let fourth = Server::serve(&home.path().join("4"), &["--join", &ports.peer(1)]);
    fourth
        .stream(&["create", "log", "--content-type", "text/plain", "--data", "kept"])
        .ok();

    let said = waiting(&fourth.admin, &["replace", "2", "--with", "4"]);
    assert_eq!(said, "node 2 may be removed: end it, then `weir cluster remove 2`\n");
    assert!(groups(&first).iter().all(|group| !nodes_of(group).contains(&2)));
    kill("-TERM", &process(&dir, 2));
    nodes.until_it_says("weir: node 2 ended (exit status: 0)");
    cluster(&first, &["remove", "2"]).ok();
    eventually("node 2 is removed", || state(&fourth.admin, 2) == "removed");
    waiting(&first, &["status"]);
    assert_eq!(fourth.stream(&["read", "log"]).ok(), "kept");

    // Of three nodes none can go, until there is a fourth.
    cluster(&first, &["decommission", "3"]).ok();
    eventually("node 3 drains", || state(&first, 3) == "draining");
    assert_eq!(cluster(&first, &["remove", "3"]).code, 5);
    let fifth = Server::serve(&home.path().join("5"), &["--join", &ports.peer(3)]);
    let said = waiting(&fifth.admin, &["decommission", "3"]);
    assert_eq!(said, "node 3 may be removed: end it, then `weir cluster remove 3`\n");
    kill("-KILL", &process(&dir, 3));
    cluster(&fifth.admin, &["remove", "3"]).ok();
    waiting(&fifth.admin, &["status"]);
    for group in groups(&first) {
        let mut nodes = nodes_of(&group);
        nodes.sort_unstable();
        assert_eq!(nodes, [1, 4, 5], "{group}");
    }
    assert_eq!(fifth.stream(&["read", "log"]).ok(), "kept");
}
