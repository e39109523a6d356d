//! The official clients, unmodified, against the real binary. Each program says what went well, line by line, and has
//! the server restarted in its middle; its steps are compared with a list, so none is left out quietly.

mod failover;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::harness::program::Program;
use crate::harness::{Storage, Weir, packages};

/// How long a program may take from one line to the next.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);

#[test]
fn npm_client_works_across_restarts() {
    let steps = [
        "create and append",
        "json batch",
        "idempotent producer",
        "live long-poll",
        "live long-poll goes on after restarts",
        "resume long-poll",
        "live sse",
        "live sse goes on after restarts",
        "resume sse",
        "delete",
    ];
    run_npm("client.mjs", &steps);
}

#[test]
fn npm_state_works_across_a_restart() {
    let steps = ["state preload", "state follows", "state goes on after a restart"];
    run_npm("state.mjs", &steps);
}

#[test]
fn pypi_client_works_across_restarts() {
    let (directory, python) = packages::python("clients");
    let steps = [
        "create and append",
        "json batch",
        "idempotent producer",
        "live long-poll",
        "resume long-poll",
        "live sse",
        "resume sse",
        "async client",
        "delete",
    ];
    let mut command = Command::new(python);
    command.arg("-u").arg("client.py");
    run(command, &directory, "client.py", &steps);
}

fn run_npm(script: &str, steps: &[&str]) {
    let directory = packages::npm("clients");
    let mut command = Command::new("node");
    command.arg(script);
    run(command, &directory, script, steps);
}

fn run(mut command: Command, directory: &Path, name: &str, steps: &[&str]) {
    let mut weir = Weir::start_with(Storage::Redb, &["--long-poll-timeout", "2s"], None);
    let mut program = Program::start(name, command.current_dir(directory).arg(weir.url()));
    let mut went_well = Vec::new();
    while let Some(line) = program.line(STEP_TIMEOUT) {
        match line.split_once(' ') {
            Some(("ok", step)) => went_well.push(step.to_owned()),
            Some(("restart", how)) => {
                match how {
                    "term" => weir.stop(),
                    "kill" => weir.kill(),
                    _ => panic!("{name} asked for '{line}'"),
                }
                weir.restart();
                program.tell("restarted");
            }
            _ => panic!("{name} said '{line}'"),
        }
    }
    program.finish(STEP_TIMEOUT);
    assert_eq!(went_well, steps);
}
