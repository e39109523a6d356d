//! `weir stream tail`.

use std::io::Write as _;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::support::{LONG, Running, Server, eventually};

#[test]
fn tail_shows_the_last_lines() {
    let server = Server::start();
    server.stream(&["create", "log", "--content-type", "text/plain"]).ok();
    let text: String = (0..40_000).map(|number| format!("line {number}\n")).collect();
    server.stream_with(text.as_bytes(), &["append", "log"]).ok();
    let expected = |count: usize| text.split_inclusive('\n').skip(40_000 - count).collect::<String>();
    assert_eq!(server.stream(&["tail", "log"]).ok(), expected(10));
    assert_eq!(server.stream(&["tail", "log", "-n", "20000"]).ok(), expected(20_000));
    assert_eq!(server.stream(&["tail", "log", "-n", "50000"]).ok(), text);
    assert_eq!(server.stream(&["tail", "log", "-n", "0"]).ok(), "");
    assert_eq!(server.stream(&["tail", "log", "--offset", "-1"]).ok(), text);
}

#[test]
fn following_ends_with_the_stream() {
    let server = Server::start();
    server
        .stream(&["create", "log", "--content-type", "text/plain", "--data", "old\n"])
        .ok();
    let mut tail = Running::start(server.command(&["tail", "-f", "log"]));
    assert_eq!(tail.out.recv_timeout(LONG).unwrap(), "old");
    server.stream(&["append", "log", "new\n"]).ok();
    assert_eq!(tail.out.recv_timeout(LONG).unwrap(), "new");
    server.stream(&["append", "log", "last\n", "--close"]).ok();
    assert_eq!(tail.out.recv_timeout(LONG).unwrap(), "last");
    assert_eq!(tail.wait(), 0);
    assert!(tail.err.recv().is_err(), "it complained");
}

#[test]
fn following_survives_restarts_and_shows_every_line_once() {
    for storage in ["redb", "file"] {
        let home = tempfile::tempdir().unwrap();
        let args = ["--storage", storage, "--long-poll-timeout", "500ms"];
        let mut server = Server::start_with(home.path(), &args);
        server
            .stream(&["create", "log", "--content-type", "application/json"])
            .ok();
        let mut tail = Running::start(server.command(&["tail", "-f", "log", "--offset", "-1"]));
        for round in 0..4 {
            for number in 0..5 {
                server
                    .stream(&["append", "log", &format!("{}", round * 5 + number)])
                    .ok();
            }
            // Only the first: of the others, some may be read only after the restart.
            assert_eq!(tail.out.recv_timeout(LONG).unwrap(), (round * 5).to_string());
            if round == 1 {
                server.signal("-TERM");
                assert!(server.wait(LONG).0.success());
            } else {
                server.kill();
            }
            tail.until_it_says("trying again until there is an answer");
            server = server.start_again(&args);
            tail.until_it_says("connected again, reading on from ");
            for number in 1..5 {
                assert_eq!(tail.out.recv_timeout(LONG).unwrap(), (round * 5 + number).to_string());
            }
        }
        server.stream(&["close", "log"]).ok();
        assert_eq!(tail.wait(), 0);
        assert!(tail.out.recv().is_err(), "it printed more than was appended");
        assert!(tail.err.recv().is_err(), "it complained without a cause");
    }
}

#[test]
fn an_append_waits_for_the_server_to_come_back() {
    let home = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(home.path(), &[]);
    server.stream(&["create", "log", "--content-type", "text/plain"]).ok();
    let mut command = server.command(&["append", "log"]);
    command.stdin(Stdio::piped());
    let mut append = Running::start(command);
    let mut input = append.stdin.take().unwrap();
    input.write_all(b"one\n").unwrap();
    let mut tail = Running::start(server.command(&["tail", "-f", "log"]));
    assert_eq!(tail.out.recv_timeout(LONG).unwrap(), "one");
    server.kill();
    input.write_all(b"two\n").unwrap();
    append.until_it_says("trying again in");
    let server = server.start_again(&[]);
    assert_eq!(tail.out.recv_timeout(LONG).unwrap(), "two");
    drop(input);
    assert_eq!(append.wait(), 0);
    assert_eq!(server.stream(&["read", "log"]).ok(), "one\ntwo\n");
    server.stream(&["close", "log"]).ok();
    assert_eq!(tail.wait(), 0);
}

#[test]
fn an_append_goes_on_when_the_server_comes_back() {
    let home = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(home.path(), &[]);
    server.stream(&["create", "log", "--content-type", "text/plain"]).ok();
    let file = home.path().join("input");
    let text: String = (0..400_000).map(|number| format!("line {number}\n")).collect();
    std::fs::write(&file, &text).unwrap();
    let path = file.to_str().unwrap();
    let args = ["append", "log", "--file", path, "--append-bytes", "4096", "--close"];
    let mut append = Running::start(server.command(&args));
    // Its first question is whether the stream is there, and a server that does not answer that is not waited for.
    eventually("it has begun", || !server.stream(&["read", "log"]).ok().is_empty());
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(150));
        server.kill();
        server = server.start_again(&[]);
    }
    let code = append.wait();
    assert_eq!(code, 0, "{:?}", append.err.iter().collect::<Vec<_>>());
    assert_eq!(server.stream(&["read", "log"]).ok(), text);
}
