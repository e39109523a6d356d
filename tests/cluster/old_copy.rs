//! A follower whose directory is an older copy is brought up to date by the leader that knew it to have more.

use std::fs;
use std::process::Command;

use reqwest::blocking::Client;

use crate::harness::cluster::{Cluster, NODES};
use crate::harness::scratch;

/// How many messages are appended before the copy, and after it.
const MESSAGES: usize = 30;

#[test]
fn a_follower_that_lost_the_end_of_its_log_gets_it_again() {
    let home = scratch();
    let copy = home.path().join("copy");
    let mut cluster = Cluster::start(&["--groups", "1"]);
    let leader = cluster.leader_of(cluster.groups()[0]);
    let follower = (leader + 1) % NODES;
    let url = format!("{}/v1/stream/old", cluster.urls()[leader]);
    let client = super::load::client();
    let created = client.put(&url).header("content-type", "text/plain").send().unwrap();
    assert_eq!(created.status(), 201);
    append(&client, &url);
    cluster.kill(follower);
    same(cluster.data_dir(follower), &copy);
    cluster.start_all();
    append(&client, &url);
    cluster.wait_until_settled();
    cluster.assert_replicas_equal();
    cluster.kill(follower);
    fs::remove_dir_all(cluster.data_dir(follower)).unwrap();
    same(&copy, cluster.data_dir(follower));
    // The leader still leads: for another one the follower would begin anew in any case.
    assert_eq!(cluster.leader_of(cluster.groups()[0]), leader);
    cluster.start_all();
    append(&client, &url);
    cluster.wait_until_settled();
    cluster.assert_replicas_equal();
}

fn append(client: &Client, url: &str) {
    for number in 0..MESSAGES {
        let append = client.post(url).header("content-type", "text/plain");
        let answer = append.body(format!("message {number}\n")).send().unwrap();
        assert_eq!(answer.status(), 204);
    }
}

/// Segments are mostly zeros.
fn same(from: &std::path::Path, to: &std::path::Path) {
    let copied = Command::new("cp")
        .args(["-a", "--sparse=always"])
        .arg(from)
        .arg(to)
        .status();
    assert!(copied.unwrap().success());
}
