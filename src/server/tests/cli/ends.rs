//! How a server begins and how it ends.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{ANY, LONG, Server, eventually, get, run};

fn start_refused(dir: &Path, listen: &str, admin_listen: &str, code: i32) -> String {
    let dir = dir.to_str().unwrap();
    run(&[
        "dev",
        "--log-filter",
        "off",
        "--data-dir",
        dir,
        "--listen",
        listen,
        "--admin-listen",
        admin_listen,
        "--peer-listen",
        ANY,
    ])
    .refused(code)
}

#[test]
fn the_admin_port_tells_health_and_metrics() {
    let server = Server::start();
    server.stream(&["create", "a-name-that-no-label-may-have"]).ok();
    server.stream(&["append", "a-name-that-no-label-may-have", "data"]).ok();
    assert_eq!(server.admin("/livez").0, 200);
    eventually("it is ready", || server.admin("/readyz").0 == 200);
    assert_eq!(server.admin("/nothing").0, 404);
    let (status, metrics) = server.admin("/metrics");
    assert_eq!(status, 200);
    for expected in [
        "content-type: text/plain; version=0.0.4",
        "weir_build_info{version=\"",
        "weir_http_requests_total{operation=\"append\",status=\"200\"} 1\n",
        "weir_http_request_duration_seconds_bucket{operation=\"create\",le=\"",
        "# TYPE weir_http_request_duration_seconds histogram",
        "process_resident_memory_bytes ",
        "process_open_fds ",
        "process_start_time_seconds ",
    ] {
        assert!(metrics.contains(expected), "{metrics}\nlacks {expected}");
    }
    assert!(!metrics.contains("a-name-that-no-label-may-have"));
    // The clients' port has none of it.
    assert_eq!(get(&server.url, "/metrics").unwrap().0, 404);
}

#[test]
fn a_data_directory_has_one_process() {
    let home = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(home.path(), &[]);
    let complaint = start_refused(home.path(), "127.0.0.1:0", "127.0.0.1:0", 11);
    let expected = format!(
        "error: the data directory {} is in use by another process",
        home.path().display()
    );
    assert!(complaint.starts_with(&expected), "{complaint}");
    server.kill();
    Server::start_with(home.path(), &[]);
}

#[test]
fn a_data_directory_keeps_its_storage() {
    let home = tempfile::tempdir().unwrap();
    Server::start_with(home.path(), &["--storage", "redb"]).kill();
    let complaint = run(&[
        "dev",
        "--log-filter",
        "off",
        "--storage",
        "file",
        "--data-dir",
        home.path().to_str().unwrap(),
        "--listen",
        ANY,
        "--admin-listen",
        ANY,
        "--peer-listen",
        ANY,
    ])
    .refused(11);
    assert!(
        complaint.ends_with("holds streams with storage 'redb', not 'file'\n"),
        "{complaint}"
    );
}

/// All files under a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let (dirs, mut files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.extend(dirs.iter().flat_map(|dir| self::files(dir)));
    files
}

#[test]
fn a_damaged_store_is_refused() {
    for part in ["identity.json", "journal/", "groups/"] {
        let home = tempfile::tempdir().unwrap();
        Server::start_with(home.path(), &[]).kill();
        let files = files(home.path());
        let is_meant = |path: &&PathBuf| path.strip_prefix(home.path()).unwrap().starts_with(part);
        let damaged: Vec<_> = files.iter().filter(is_meant).collect();
        assert!(!damaged.is_empty(), "{files:?}");
        for path in damaged {
            std::fs::write(path, [b'x'; 100_000]).unwrap();
        }
        let complaint = start_refused(home.path(), ANY, ANY, 12);
        assert!(
            complaint.starts_with("error: the storage could not be opened: "),
            "{part}: {complaint}"
        );
    }
}

#[test]
fn a_storage_that_fails_ends_it_and_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    // A part of the journal has 64 MiB. No file may grow much larger, and who tries gets an error instead of a signal.
    let mut server = Server::start_limited(home.path(), "trap '' XFSZ; ulimit -f 140000");
    server.stream(&["create", "log", "--content-type", "text/plain"]).ok();
    let input = vec![b'x'; 150_000_000];
    let append = ["append", "log", "--retry-for", "0s"];
    let complaint = server.stream_with(&input, &append).err;
    let (status, log) = server.wait(LONG);
    assert_eq!(status.code(), Some(13), "{log}");
    let last = log.lines().last().unwrap();
    assert!(
        last.starts_with("error: the storage failed, and the process stopped: "),
        "{log}"
    );

    let (_, told) = complaint.split_once("(the first ").unwrap();
    let acknowledged: usize = told.split(' ').next().unwrap().parse().unwrap();
    let server = Server::start_with(home.path(), &[]);
    let stored = server.stream(&["read", "log"]).ok();
    assert!(
        stored.len() >= acknowledged && input.starts_with(stored.as_bytes()),
        "{acknowledged}, {}",
        stored.len()
    );
}

#[test]
fn the_limit_of_open_files_is_raised() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start_limited(home.path(), "ulimit -Sn 64");
    let (_, metrics) = server.admin("/metrics");
    let value = metrics
        .lines()
        .find_map(|line| line.strip_prefix("process_max_fds "))
        .unwrap();
    assert!(value.parse::<f64>().unwrap() > 64.0, "{value}");
}

#[test]
fn it_goes_on_when_nobody_reads_its_log() {
    let home = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(home.path(), &["--storage", "memory", "--log-filter", "debug"]);
    server.stop_reading();
    server
        .stream(&["create", "log", "--content-type", "text/plain", "--data", "served"])
        .ok();
    assert_eq!(server.stream(&["read", "log"]).ok(), "served");
    server.signal("-TERM");
    assert_eq!(server.wait(LONG).0.code(), Some(0));
}

#[test]
fn a_port_in_use_is_told() {
    let home = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let complaint = start_refused(home.path(), &address, "127.0.0.1:0", 10);
    assert!(complaint.starts_with(&format!(
        "error: listen: {address} cannot be listened on: the port is in use"
    )));
    let complaint = start_refused(home.path(), "127.0.0.1:0", &address, 10);
    assert!(
        complaint.starts_with(&format!("error: admin_listen: {address} cannot be listened on")),
        "{complaint}"
    );
}

#[test]
fn a_data_directory_that_cannot_be_made_is_told() {
    let complaint = start_refused(Path::new("/dev/null/weir"), "127.0.0.1:0", "127.0.0.1:0", 11);
    assert!(
        complaint.starts_with("error: the data directory /dev/null/weir cannot be used: "),
        "{complaint}"
    );
}

#[test]
fn a_signal_ends_it_with_0_and_loses_nothing() {
    for (signal, storage) in [
        ("-TERM", "redb"),
        ("-INT", "redb"),
        ("-TERM", "file"),
        ("-INT", "memory"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let args = ["--storage", storage];
        let mut server = Server::start_with(home.path(), &args);
        server
            .stream(&["create", "log", "--content-type", "text/plain", "--data", "kept"])
            .ok();
        // A live read that would last much longer than the end may take.
        let mut live = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
        write!(
            live,
            "GET /v1/stream/log?offset=-1&live=sse HTTP/1.1\r\nHost: weir\r\n\r\n"
        )
        .unwrap();
        let mut first = [0; 16];
        live.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK\r");
        server.signal(signal);
        let (status, log) = server.wait(Duration::from_secs(5));
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(!log.contains("ERROR"), "{log}");
        if storage != "memory" {
            let server = server.start_again(&args);
            assert_eq!(server.stream(&["read", "log"]).ok(), "kept");
        }
    }
}

/// A request that the server has begun to read and that does not go on by itself.
fn stuck_request(server: &Server) -> TcpStream {
    server.stream(&["create", "log", "--content-type", "text/plain"]).ok();
    let mut stuck = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    let head = "POST /v1/stream/log HTTP/1.1\r\nHost: weir\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\
                Expect: 100-continue\r\n\r\n";
    stuck.write_all(head.as_bytes()).unwrap();
    let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut answer = vec![0; go_on.len()];
    stuck.read_exact(&mut answer).unwrap();
    assert_eq!(answer, go_on);
    stuck.write_all(b"abc").unwrap();
    stuck
}

/// Waits until the server has taken the signal.
fn until_draining(server: &Server) {
    let deadline = Instant::now() + LONG;
    while server.admin("/readyz").0 != 503 {
        assert!(Instant::now() < deadline, "still ready");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until the server accepts nothing more. It is not ready a moment before that.
fn until_refusing(server: &Server) {
    let deadline = Instant::now() + Duration::from_millis(800);
    while TcpStream::connect(server.url.trim_start_matches("http://")).is_ok() {
        assert!(Instant::now() < deadline, "it still accepts");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_request_in_flight_gets_its_time_and_no_more() {
    let home = tempfile::tempdir().unwrap();
    let args = ["--drain-timeout", "1s", "--storage", "memory"];
    let mut server = Server::start_with(home.path(), &args);
    let mut finishing = stuck_request(&server);
    let _stuck = stuck_request(&server);
    let begin = Instant::now();
    server.signal("-TERM");
    until_draining(&server);
    until_refusing(&server);
    finishing.write_all(b"defghi").unwrap();
    let mut answer = String::new();
    finishing.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    let (status, _) = server.wait(LONG);
    assert_eq!(status.code(), Some(0));
    let took = begin.elapsed();
    assert!(
        (Duration::from_secs(1)..Duration::from_secs(4)).contains(&took),
        "it took {took:?}"
    );
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let home = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(home.path(), &["--drain-timeout", "1h", "--storage", "memory"]);
    let _stuck = stuck_request(&server);
    server.signal("-TERM");
    until_draining(&server);
    server.signal("-INT");
    let (status, log) = server.wait(Duration::from_secs(5));
    assert_eq!((status.code(), status.signal()), (Some(130), None), "{log}");
    assert!(
        log.ends_with("error: a second signal (SIGINT) ended the process at once\n"),
        "{log}"
    );
}

#[test]
fn logs_are_lines_of_json_when_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(home.path(), &["--storage", "memory", "--log-format", "json"]);
    server.signal("-TERM");
    let (_, log) = server.wait(LONG);
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(
        lines
            .iter()
            .any(|line| line["message"] == "serving" && line["level"] == "INFO"),
        "{log}"
    );
}
