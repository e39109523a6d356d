//! Starts on a data directory of which something is damaged or missing: what is served is right, or nothing is.
//!
//! Not found, because it cannot be told from what a crash leaves: damage to the journal's very last frame, on a node that is
//! alone. Of a cluster, others have that frame.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use reqwest::blocking::Client;

use crate::harness::weir::{drain, program, read_addresses, wait_at_most};
use crate::harness::{Storage, Weir, announce, scratch};

/// How many streams there are; every group has some.
const STREAMS: usize = 12;
/// What is appended to each before the checkpoint, and after it.
const MESSAGES: usize = 40;
/// The least time in which everything written is in a checkpoint.
const CHECKPOINT: Duration = Duration::from_secs(6);
/// How long a start may take, and an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What each stream holds.
type Contents = BTreeMap<String, Vec<u8>>;

/// A way to spoil a data directory. The file's path is relative to it; `*` stands for any one name.
struct Damage {
    file: &'static str,
    how: How,
    must: Must,
}

#[derive(Debug, Clone, Copy)]
enum How {
    Missing,
    Empty,
    /// Cut in the middle.
    Halved,
    /// A byte at this position is another one.
    Flipped(u64),
    /// A byte anywhere in the written part is another one.
    FlippedAnywhere,
    /// As it was some time before.
    Old,
}

/// What must come of it; that nothing wrong is served goes without saying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Must {
    Refuse,
    Serve,
    Either,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Came {
    /// The process ended; its last line.
    Refused(String),
    /// Everything is there.
    Served,
    /// Some requests were answered with an error of the server's, none with anything wrong.
    Partly(usize),
}

const fn damage(file: &'static str, how: How, must: Must) -> Damage {
    Damage { file, how, must }
}

const DAMAGES: [Damage; 35] = [
    damage("identity.json", How::Missing, Must::Refuse),
    damage("identity.json", How::Empty, Must::Refuse),
    damage("identity.json", How::Halved, Must::Refuse),
    damage("identity.json", How::Flipped(20), Must::Refuse),
    damage("identity.json", How::Flipped(70), Must::Refuse),
    damage("identity.json", How::FlippedAnywhere, Must::Refuse),
    damage("STORAGE", How::Missing, Must::Serve),
    damage("STORAGE", How::Empty, Must::Serve),
    damage("STORAGE", How::Flipped(0), Must::Refuse),
    damage("LOCK", How::Missing, Must::Serve),
    damage("journal", How::Missing, Must::Refuse),
    damage("journal/0000000001.seg", How::Missing, Must::Refuse),
    damage("journal/0000000001.seg", How::Empty, Must::Refuse),
    damage("journal/0000000001.seg", How::Halved, Must::Refuse),
    damage("journal/0000000001.seg", How::Flipped(40), Must::Refuse),
    damage("journal/0000000001.seg", How::Flipped(4096), Must::Refuse),
    damage("journal/0000000001.seg", How::Flipped(9000), Must::Refuse),
    damage("journal/0000000001.seg", How::FlippedAnywhere, Must::Refuse),
    damage("journal/0000000001.seg", How::Old, Must::Refuse),
    damage("journal/0000000002.seg", How::Missing, Must::Serve),
    damage("meta", How::Missing, Must::Serve),
    damage("meta/1.state", How::Missing, Must::Serve),
    damage("meta/1.state", How::Empty, Must::Refuse),
    damage("meta/1.state", How::Halved, Must::Refuse),
    damage("meta/1.state", How::FlippedAnywhere, Must::Refuse),
    damage("meta/1.state", How::Old, Must::Serve),
    damage("groups", How::Missing, Must::Serve),
    damage("groups/*/streams.redb", How::Missing, Must::Serve),
    damage("groups/*/streams.redb", How::Empty, Must::Serve),
    damage("groups/*/streams.redb", How::Halved, Must::Either),
    damage("groups/*/streams.redb", How::Flipped(0), Must::Refuse),
    damage("groups/*/streams.redb", How::Flipped(70), Must::Either),
    damage("groups/*/streams.redb", How::FlippedAnywhere, Must::Either),
    damage("groups/*/streams.redb", How::FlippedAnywhere, Must::Either),
    damage("groups/*/streams.redb", How::Old, Must::Serve),
];

#[test]
fn what_is_damaged_or_missing_is_noticed() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let (home, expected) = prepare();
    let (new, old) = (home.path().join("new"), home.path().join("old"));
    let (mut came, mut wrong) = (Vec::new(), Vec::new());
    for damage in &DAMAGES {
        let case = home.path().join("case");
        copy(&new, &case);
        let file = find(&case, damage.file);
        let place = file.strip_prefix(&case).unwrap().to_owned();
        let what = format!("{} {:?}", place.display(), damage.how);
        spoil(&file, &old.join(&place), damage.how, &mut rng);
        // All cases are tried, so that one run shows all that is wrong.
        let outcome = catch_unwind(AssertUnwindSafe(|| try_start(&case, &expected, &what)));
        println!("{what}: {outcome:?}");
        let is_right = match (&outcome, damage.must) {
            (Err(_), _) => false,
            (Ok(outcome), Must::Refuse) => matches!(outcome, Came::Refused(_)),
            (Ok(outcome), Must::Serve) => *outcome == Came::Served,
            (Ok(_), Must::Either) => true,
        };
        if !is_right {
            wrong.push(what);
        }
        came.extend(outcome);
        fs::remove_dir_all(&case).unwrap();
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let count = |is: fn(&Came) -> bool| came.iter().filter(|came| is(came)).count();
    announce(&format!(
        "damage: {} cases, {} refused, {} served whole, {} served in part with errors, none wrong",
        came.len(),
        count(|came| matches!(came, Came::Refused(_))),
        count(|came| *came == Came::Served),
        count(|came| matches!(came, Came::Partly(_))),
    ));
}

/// What is appended to one stream, so that the log lets go of its beginning.
const BIG_BYTES: usize = 8 << 20;
const BIG_MESSAGES: usize = 16;

#[test]
fn a_lost_store_is_not_served_when_the_log_lacks_its_beginning() {
    let home = scratch();
    let mut weir = Weir::start(Storage::Redb);
    let client = Client::new();
    let url = weir.stream_url("damage/big");
    let created = client.put(&url).header("content-type", "text/plain").send().unwrap();
    assert_eq!(created.status(), 201);
    let mut contents = Vec::new();
    for number in 0..BIG_MESSAGES {
        let message = vec![b'a' + number as u8; BIG_BYTES];
        contents.extend_from_slice(&message);
        let appended = client.post(&url).header("content-type", "text/plain").body(message);
        assert_eq!(appended.send().unwrap().status(), 204);
        // Every so much is a checkpoint, and only checkpoints let go of the log.
        thread::sleep(Duration::from_millis(300));
    }
    thread::sleep(CHECKPOINT);
    weir.kill();
    let case = home.path().join("case");
    copy(&weir.data_dir(), &case);
    let stores = fs::read_dir(case.join("groups")).unwrap();
    let stores = stores.map(|entry| entry.unwrap().path().join("streams.redb"));
    let store = stores.max_by_key(|store| fs::metadata(store).unwrap().len()).unwrap();
    assert!(fs::metadata(&store).unwrap().len() >= contents.len() as u64);
    fs::remove_file(store).unwrap();
    let expected = Contents::from([("damage/big".to_owned(), contents)]);
    let outcome = try_start(&case, &expected, "a lost store");
    println!("{outcome:?}");
    assert!(
        matches!(&outcome, Came::Refused(line) if line.contains("the state was lost")),
        "{outcome:?}"
    );
}

/// A data directory as a crash leaves it (`new`), one of the same node of some time before (`old`), and what is in it.
fn prepare() -> (tempfile::TempDir, Contents) {
    let home = scratch();
    let mut weir = Weir::start(Storage::Redb);
    let client = Client::new();
    let mut contents = Contents::new();
    let mut append = |weir: &Weir, from: usize| {
        for stream in 0..STREAMS {
            let name = format!("damage/{stream}");
            let url = weir.stream_url(&name);
            if from == 0 {
                let created = client.put(&url).header("content-type", "text/plain").send().unwrap();
                assert_eq!(created.status(), 201);
            }
            for number in from..from + MESSAGES {
                let text = format!("{name}: message {number} {}\n", "x".repeat(number * 7));
                let appended = client
                    .post(&url)
                    .header("content-type", "text/plain")
                    .body(text.clone());
                assert_eq!(appended.send().unwrap().status(), 204);
                contents
                    .entry(name.clone())
                    .or_default()
                    .extend_from_slice(text.as_bytes());
            }
        }
    };
    append(&weir, 0);
    thread::sleep(CHECKPOINT);
    weir.kill();
    copy(&weir.data_dir(), &home.path().join("old"));
    weir.restart();
    append(&weir, MESSAGES);
    // One checkpoint of everything, so that stores are ahead of old journals, and a bit that is in the journal only.
    thread::sleep(CHECKPOINT);
    append(&weir, 2 * MESSAGES);
    weir.kill();
    copy(&weir.data_dir(), &home.path().join("new"));
    (home, contents)
}

/// Segments are mostly zeros.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp")
        .args(["-r", "--sparse=always"])
        .arg(from)
        .arg(to)
        .status();
    assert!(copied.unwrap().success());
}

/// The file that a path means; `*` is the first name that there is, which is the same in every copy.
fn find(dir: &Path, path: &str) -> PathBuf {
    path.split('/').fold(dir.to_owned(), |dir, name| match name {
        "*" => {
            let names = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name());
            dir.join(names.min().unwrap())
        }
        name => dir.join(name),
    })
}

fn spoil(file: &Path, old: &Path, how: How, rng: &mut Rng) {
    let is_dir = file.is_dir();
    let open = || File::options().read(true).write(true).open(file).unwrap();
    match how {
        How::Missing if is_dir => fs::remove_dir_all(file).unwrap(),
        How::Missing => fs::remove_file(file).unwrap(),
        How::Empty => open().set_len(0).unwrap(),
        How::Halved => {
            let file = open();
            file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        }
        How::Flipped(at) => flip(&mut open(), at, rng),
        How::FlippedAnywhere => {
            let written = fs::read(file).unwrap();
            // Not in the last tenth, where the journal's last frame is.
            let end = written.iter().rposition(|byte| *byte != 0).unwrap() * 9 / 10;
            flip(&mut open(), rng.u64(..end as u64), rng);
        }
        How::Old => drop(fs::copy(old, file).unwrap()),
    }
}

fn flip(file: &mut File, at: u64, rng: &mut Rng) {
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    byte[0] ^= 1 << rng.u8(..8);
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&byte).unwrap();
}

/// Starts a server on the directory and compares what it serves.
fn try_start(data: &Path, expected: &Contents, what: &str) -> Came {
    let log = data.with_extension("log");
    let mut process = program()
        .args([
            "dev",
            "--storage",
            "redb",
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
        ])
        .args(["--peer-listen", "127.0.0.1:0", "--data-dir"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let lines = drain(&mut process);
    let outcome = match read_addresses(&lines) {
        Ok(addresses) => compare(&format!("http://{}", addresses.listen), expected, what),
        Err(_) => None,
    };
    // The end of the process is the only excuse for no answer.
    let outcome = outcome.unwrap_or_else(|| Came::Refused(refusal(&mut process, &log, what)));
    let _ = process.kill();
    process.wait().unwrap();
    outcome
}

/// How a process ended that should have said why.
fn refusal(process: &mut Child, log: &Path, what: &str) -> String {
    let text = || fs::read_to_string(log).unwrap();
    let Some(status) = wait_at_most(process, PATIENCE) else {
        let _ = process.kill();
        panic!("{what}: it neither serves nor ends:\n{}", text());
    };
    let text = text();
    let last = text.lines().last().unwrap_or_default().to_owned();
    // Data directory, storage, storage while serving, cluster: see the README's exit codes.
    let is_told = matches!(status.code(), Some(11..=13 | 15)) && last.starts_with("error: ");
    assert!(is_told, "{what}: it ended with {status}, and said\n{text}");
    last
}

/// Compares all streams; `None` when the server is gone.
fn compare(url: &str, expected: &Contents, what: &str) -> Option<Came> {
    let client = Client::builder().timeout(PATIENCE).build().unwrap();
    let mut errors = 0;
    for (name, contents) in expected {
        let stream = format!("{url}/v1/stream/{name}");
        match read(&client, &stream, contents, what)? {
            true => {}
            false => errors += 1,
        }
        let (text, end) = ("one more", contents.len() + "one more".len());
        let append = client.post(&stream).header("content-type", "text/plain").body(text);
        let answer = answered(append.send())?;
        match answer.status().as_u16() {
            204 => {
                let next = answer.headers()["stream-next-offset"].to_str().unwrap();
                assert!(
                    next.ends_with(&format!("_{end:016}")),
                    "{what}: {name} ends at {next}, not {end}"
                );
                let whole = [contents, text.as_bytes()].concat();
                errors += usize::from(!read(&client, &stream, &whole, what)?);
            }
            status => {
                assert!(status >= 500, "{what}: {name}: {answer:?}");
                errors += 1;
            }
        }
    }
    Some(if errors == 0 {
        Came::Served
    } else {
        Came::Partly(errors)
    })
}

/// Reads a stream; whether it came whole, or an error came instead. What came must be right.
fn read(client: &Client, url: &str, expected: &[u8], what: &str) -> Option<bool> {
    let (mut offset, mut body) = ("-1".to_owned(), Vec::new());
    loop {
        let answer = answered(client.get(format!("{url}?offset={offset}")).send())?;
        if answer.status().is_server_error() {
            return Some(false);
        }
        assert_eq!(answer.status(), 200, "{what}: {url}");
        offset = answer.headers()["stream-next-offset"].to_str().unwrap().to_owned();
        let is_last = answer.headers().contains_key("stream-up-to-date");
        body.extend_from_slice(&answer.bytes().ok()?);
        assert!(expected.starts_with(&body), "{what}: {url} has something else");
        if is_last {
            assert!(body.len() == expected.len(), "{what}: {url} has lost its end");
            return Some(true);
        }
    }
}

fn answered(sent: reqwest::Result<reqwest::blocking::Response>) -> Option<reqwest::blocking::Response> {
    let started = Instant::now();
    match sent {
        Ok(answer) => Some(answer),
        Err(error) => {
            assert!(
                !error.is_timeout() && started.elapsed() < PATIENCE,
                "the server hung: {error:?}"
            );
            None
        }
    }
}
