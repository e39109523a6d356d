//! The official suite of the protocol (npm `@durable-streams/server-conformance-tests`): once for each backend, against
//! each node of a cluster, and through a proxy that sends each request to another node than the one before.

use std::process::Command;

use serde_json::Value;

use crate::harness::cluster::DevCluster;
use crate::harness::nginx::Nginx;
use crate::harness::{Storage, Weir, announce, packages};

/// How many tests the pinned version of the suite has for the base protocol.
const BASE_TESTS: usize = 332;
/// The group of tests for `__ds` subscriptions, which the suite itself leaves out unless it is asked for them.
const SUBSCRIPTIONS_GROUP: &str = "Reserved subscription APIs";
/// How many those are.
const SUBSCRIPTION_TESTS: usize = 6;

#[test]
fn memory_passes_the_official_suite() {
    passes(Storage::Memory);
}

#[test]
fn file_passes_the_official_suite() {
    passes(Storage::File);
}

#[test]
fn redb_passes_the_official_suite() {
    passes(Storage::Redb);
}

/// The suite tests the server's own timeout of long-polls, and waits for it.
const FLAGS: [&str; 2] = ["--long-poll-timeout", "1s"];

#[test]
fn each_node_of_a_cluster_passes_the_official_suite() {
    let cluster = DevCluster::start(&FLAGS);
    for (number, url) in (1..).zip(cluster.urls()) {
        passes_at(&format!("node-{number}-of-3"), &url);
    }
    cluster.assert_replicas_equal();
}

#[test]
fn a_cluster_behind_a_round_robin_proxy_passes_the_official_suite() {
    let cluster = DevCluster::start(&FLAGS);
    let proxy = Nginx::start(&cluster.urls());
    passes_at("nginx-over-3", &proxy.url());
    let requests = proxy.requests();
    let (least, most) = (requests.values().min().copied(), requests.values().max().copied());
    announce(&format!("requests by node: {requests:?}"));
    // Each went to the next node; nginx logs a request when it ends, and a few may not have.
    assert_eq!(requests.len(), 3);
    assert!(
        least.unwrap() > 300 && most.unwrap() - least.unwrap() < 20,
        "{requests:?}"
    );
    cluster.assert_replicas_equal();
}

fn passes(storage: Storage) {
    let weir = Weir::start_with(storage, &FLAGS, None);
    passes_at(storage.name(), &weir.url());
}

fn passes_at(what: &str, url: &str) {
    let tests = run_suite(url);
    let (subscriptions, base): (Vec<_>, Vec<_>) = tests.into_iter().partition(|test| test.group == SUBSCRIPTIONS_GROUP);
    let count = |status: &str| base.iter().filter(|test| test.status == status).count();
    let (passed, failed) = (count("passed"), count("failed"));
    let skipped = base.len() - passed - failed;
    announce(&format!(
        "conformance-{what}: {passed} passed, {failed} failed, {skipped} skipped"
    ));
    for test in base.iter().filter(|test| test.status != "passed") {
        eprintln!("{}: {}\n    {}", test.status, test.name, test.message);
    }
    assert_eq!((passed, failed, skipped), (BASE_TESTS, 0, 0), "passed, failed, skipped");
    assert_eq!(
        subscriptions.len(),
        SUBSCRIPTION_TESTS,
        "tests that the suite leaves out by itself"
    );
}

#[derive(Debug)]
struct Test {
    group: String,
    name: String,
    status: String,
    message: String,
}

/// One run, without retries, as vitest's own JSON report tells it.
fn run_suite(url: &str) -> Vec<Test> {
    let directory = packages::npm("conformance");
    let scratch = crate::harness::scratch();
    let report = scratch.path().join("report.json");
    let output = Command::new("node")
        .args([
            "node_modules/vitest/vitest.mjs",
            "run",
            "--config",
            "vitest.config.mjs",
            "--reporter=json",
        ])
        .arg(format!("--outputFile={}", report.display()))
        .current_dir(&directory)
        .env("WEIR_URL", url)
        .output()
        .unwrap();
    // A failed test is a failure of vitest too, so its status says less than the report.
    let Ok(report) = std::fs::read(&report) else {
        panic!("vitest wrote no report\n{}", String::from_utf8_lossy(&output.stderr));
    };
    let report: Value = serde_json::from_slice(&report).unwrap();
    let files = report["testResults"].as_array().unwrap();
    assert_eq!(files.len(), 1, "test files: {report}");
    files[0]["assertionResults"]
        .as_array()
        .unwrap()
        .iter()
        .map(Test::read)
        .collect()
}

impl Test {
    fn read(result: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            group: text(&result["ancestorTitles"][0]),
            name: text(&result["fullName"]),
            status: text(&result["status"]),
            message: text(&result["failureMessages"][0]),
        }
    }
}
