//! `weir bench`: every kind of work on a server, and what it makes of servers that answer badly.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Done, Server, run, weir};

fn bench(work: &str, urls: &[&str], args: &[&str]) -> Done {
    let mut command = weir(&["bench", work, "--json"]);
    for url in urls {
        command.args(["--url", url]);
    }
    Done::of(command.args(args).output().unwrap())
}

fn report(done: Done) -> Value {
    serde_json::from_str(&done.ok()).unwrap()
}

/// A second of measurement is enough to see that it works.
const BRIEFLY: [&str; 4] = ["--duration", "1s", "--warm-up", "100ms"];

fn briefly(work: &str, server: &Server, args: &[&str]) -> Value {
    let report = report(bench(work, &[&server.url], &[args, &BRIEFLY].concat()));
    assert_eq!(report["errors"], json!({}), "{report}");
    assert_eq!(report["errors_in_warm_up"], 0);
    assert_eq!(report["work"], work);
    assert_eq!(report["seconds"], 1.0);
    let latency = |name: &str| report["latency_us"][name].as_u64().unwrap();
    let ascending = ["p50", "p90", "p99", "p99_9", "max"].map(latency);
    assert!(ascending[0] > 0 && ascending.is_sorted(), "{report}");
    assert!(report["client_cpu_seconds"].as_f64().unwrap() > 0.0);
    report
}

#[test]
fn appends_are_measured_and_are_really_there() {
    let server = Server::start();
    let closed = briefly(
        "append",
        &server,
        &["--connections", "4", "--streams", "3", "--threads", "2"],
    );
    assert_eq!(closed["loop"], "closed");
    let operations = closed["operations"].as_u64().unwrap();
    assert_eq!(closed["bytes_per_second"], (operations * 256) as f64);

    let counted = ["--count", "50", "--size", "10", "--streams", "3", "--prefix", "counted"];
    let counted = report(bench("append", &[&server.url], &counted));
    assert_eq!(counted["operations"], 50);
    let stored = (0..3).map(|number| server.stream(&["read", &format!("counted-{number}")]).ok().len());
    assert_eq!(stored.sum::<usize>(), 500);

    let json = [
        "--count",
        "5",
        "--size",
        "10",
        "--streams",
        "1",
        "--prefix",
        "json",
        "--content-type",
    ];
    report(bench(
        "append",
        &[&server.url],
        &[&json[..], &["application/json"]].concat(),
    ));
    let lines = server.stream(&["read", "json-0"]).ok();
    assert!(
        lines.lines().count() == 5 && lines.lines().all(|line| line.len() == 10),
        "{lines}"
    );
}

#[test]
fn a_rate_is_kept() {
    let server = Server::start();
    let open = briefly("append", &server, &["--connections", "3", "--rate", "50"]);
    assert_eq!((&open["loop"], &open["operations"]), (&json!("open"), &json!(50)));
}

#[test]
fn whole_streams_are_read() {
    let server = Server::start();
    let streams = [
        "--connections",
        "3",
        "--streams",
        "2",
        "--stream-bytes",
        "100001",
        "--size",
        "30000",
    ];
    let report = briefly("catch-up", &server, &streams);
    let operations = report["operations"].as_u64().unwrap();
    assert_eq!(report["bytes_per_second"], (operations * 100_001) as f64);
}

#[test]
fn every_message_is_delivered_to_every_reader() {
    let server = Server::start();
    for work in ["sse", "long-poll"] {
        let readers = ["--connections", "6", "--streams", "2", "--rate", "40", "--size", "100"];
        let report = briefly(work, &server, &readers);
        assert_eq!(report["counts"]["written"], 40, "{report}");
        assert_eq!(report["operations"], 40 * 3, "{report}");
    }
}

#[test]
fn streams_are_created() {
    let server = Server::start();
    briefly("create", &server, &["--connections", "4"]);
    let counted = ["--count", "20", "--size", "5", "--prefix", "made"];
    assert_eq!(report(bench("create", &[&server.url], &counted))["operations"], 20);
    assert_eq!(server.stream(&["list", "made-"]).ok().lines().count(), 20);
    assert_eq!(server.stream(&["read", "made-19"]).ok().len(), 5);
}

/// A server that gives the answers it is told to, and remembers the requests.
struct Fake {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// `answer` gets the request's first line and how many requests there were before.
    fn start(answer: impl Fn(&str, usize) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || serve(connection.unwrap(), &seen, &*answer));
            }
        });
        Self { url, requests }
    }

    fn count(&self, method: &str) -> usize {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|line| line.starts_with(method)).count()
    }
}

/// Answers requests until the client has gone.
fn serve(connection: TcpStream, seen: &Mutex<Vec<String>>, answer: &dyn Fn(&str, usize) -> String) -> Option<()> {
    let mut writer = connection.try_clone().ok()?;
    let mut reader = BufReader::new(connection);
    loop {
        let mut first = String::new();
        reader.read_line(&mut first).ok().filter(|bytes| *bytes > 0)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.trim().parse().ok()?;
            }
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        let before = {
            let mut seen = seen.lock().unwrap();
            seen.push(first.clone());
            seen.len() - 1
        };
        writer.write_all(answer(&first, before).as_bytes()).ok()?;
    }
}

const CREATED: &str = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
const APPENDED: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";

#[test]
fn errors_are_counted_by_what_they_are() {
    let fake = Fake::start(|request, before| match before % 3 {
        _ if request.starts_with("PUT") => CREATED.to_owned(),
        0 => BUSY.to_owned(),
        1 => "nonsense\r\n\r\n".to_owned(),
        _ => APPENDED.to_owned(),
    });
    let args = ["--connections", "1", "--streams", "3", "--count", "9"];
    let some = report(bench("append", &[&fake.url], &args));
    assert_eq!(some["operations"], 3);
    assert_eq!(some["errors"], json!({"503": 3, "malformed answer": 3}));

    let fake = Fake::start(|request, _| if request.starts_with("PUT") { CREATED } else { BUSY }.to_owned());
    let done = bench("append", &[&fake.url], &args);
    assert_eq!((done.code, done.err.as_str()), (1, "error: no operation succeeded\n"));
    let report: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(
        (&report["operations"], &report["errors"]),
        (&json!(0), &json!({"503": 9}))
    );
}

#[test]
fn a_server_that_stalls_cannot_hide_it_at_a_rate() {
    let stall = |request: &str, before: usize| {
        if before == 10 {
            thread::sleep(Duration::from_millis(600));
        }
        if request.starts_with("PUT") { CREATED } else { APPENDED }.to_owned()
    };
    let args = [
        "--connections",
        "1",
        "--streams",
        "1",
        "--duration",
        "1s",
        "--warm-up",
        "0s",
    ];
    // 100 operations should begin, and about 60 of them wait for that one answer.
    let open = [&args[..], &["--rate", "100"]].concat();
    let open = report(bench("append", &[&Fake::start(stall).url], &open));
    assert!(open["latency_us"]["p50"].as_u64().unwrap() > 20_000, "{open}");
    let closed = report(bench("append", &[&Fake::start(stall).url], &args));
    assert!(closed["latency_us"]["max"].as_u64().unwrap() > 600_000, "{closed}");
    assert!(closed["latency_us"]["p50"].as_u64().unwrap() < 20_000, "{closed}");
}

#[test]
fn what_a_rate_leaves_undone_is_an_error() {
    let slow = |request: &str, _: usize| {
        if request.starts_with("PUT") {
            return CREATED.to_owned();
        }
        thread::sleep(Duration::from_millis(50));
        APPENDED.to_owned()
    };
    let args = [
        "--connections",
        "1",
        "--streams",
        "1",
        "--duration",
        "1s",
        "--warm-up",
        "0s",
        "--rate",
        "100",
    ];
    let report = report(bench("append", &[&Fake::start(slow).url], &args));
    let (done, late) = (&report["operations"], &report["errors"]["not sent in time"]);
    assert_eq!(done.as_u64().unwrap() + late.as_u64().unwrap(), 100, "{report}");
    assert!(done.as_u64().unwrap() <= 21, "{report}");
}

#[test]
fn a_stream_of_ursula_is_appended_to_at_its_leader() {
    let leader = Fake::start(|request, _| if request.starts_with("PUT") { CREATED } else { APPENDED }.to_owned());
    let elsewhere = leader.url.clone();
    let follower = Fake::start(move |request, _| {
        let path = request.split(' ').nth(1).unwrap();
        format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {elsewhere}{path}\r\nContent-Length: 0\r\n\r\n")
    });
    let args = [
        "--target",
        "ursula",
        "--connections",
        "4",
        "--streams",
        "4",
        "--count",
        "12",
    ];
    let report = report(bench("append", &[&follower.url, &leader.url], &args));
    assert_eq!((&report["operations"], &report["errors"]), (&json!(12), &json!({})));
    assert_eq!((leader.count("POST"), follower.count("POST")), (12, 0));
}

#[test]
fn what_cannot_be_measured_is_told() {
    let cases: [(&[&str], i32, &str); 8] = [
        (
            &["append", "--url", "https://127.0.0.1"],
            2,
            "error: 'https://127.0.0.1' is not a server's address",
        ),
        (
            &["append", "--count", "5", "--duration", "3s"],
            2,
            "error: the argument '--count <OPERATIONS>' cannot be used",
        ),
        (
            &["append", "--rate", "0"],
            2,
            "error: invalid value '0' for '--rate <PER_SECOND>'",
        ),
        (
            &["append", "--prefix", "a/b/c"],
            2,
            "error: invalid value 'a/b/c' for '--prefix <NAME>'",
        ),
        (
            &["sse", "--count", "5"],
            2,
            "error: --count cannot be used where messages are delivered",
        ),
        (
            &["create", "--target", "etcd"],
            2,
            "error: etcd can only be appended to",
        ),
        // Nothing listens on port 9 of a machine that runs tests; a privileged port is never given out by chance.
        (
            &["append", "--url", "http://127.0.0.1:9"],
            3,
            "error: no answer from 127.0.0.1:9: ",
        ),
        (
            &["create", "--url", "http://127.0.0.1:9"],
            3,
            "error: no answer from 127.0.0.1:9: ",
        ),
    ];
    for (args, code, start) in cases {
        let complaint = run(&[&["bench"], args].concat()).refused(code);
        assert!(complaint.starts_with(start), "{args:?}: {complaint}");
    }
    let refusing = Fake::start(|_, _| "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_owned());
    let complaint = bench("append", &[&refusing.url], &["--prefix", "mine"]).refused(1);
    assert!(
        complaint.ends_with(" cannot be created: the server answers 403\n"),
        "{complaint}"
    );
}
