//! A disk that fills up under a whole node: writes are refused while there is still room for what was taken, reads go on,
//! and when there is space again the node goes on by itself, with everything that it acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use reqwest::blocking::{Client, Response};

use crate::harness::cluster::eventually;
use crate::harness::disk::Disk;
use crate::harness::{Storage, Weir, announce};

/// Large enough that a node keeps as much of it for itself as it ever does.
const DISK_BYTES: u64 = 4 << 30;
/// What is free before the node starts. Its journal takes 192 MiB at once, and its reserve 128 MiB.
const FREE_BYTES: u64 = 800 << 20;
/// What must be left when the first write is refused: it is told before the disk is full.
const LEFT_BYTES: u64 = 64 << 20;

const STREAMS: usize = 4;
const MESSAGE_BYTES: usize = 64 * 1024;
/// The least time in which stores are written out.
const CHECKPOINT: Duration = Duration::from_secs(6);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// One who writes to a stream, and how many of its messages were acknowledged.
struct Writer {
    url: String,
    id: usize,
    acknowledged: usize,
}

#[test]
fn a_node_survives_a_full_disk() {
    let disk = match Disk::mount(DISK_BYTES) {
        Ok(disk) => disk,
        Err(reason) => {
            announce(&format!("full-disk: SKIPPED: {reason}"));
            return;
        }
    };
    disk.take("ballast", disk.free_bytes() - FREE_BYTES);
    let mut weir = Weir::start_on(Storage::Redb, &disk.path().join("data"));
    let client = Client::builder().timeout(REQUEST_TIMEOUT).build().unwrap();
    let mut writers: Vec<Writer> = (0..STREAMS).map(|id| Writer::create(&client, &weir, id)).collect();

    let reader = Reader::start(&client, weir.stream_url("full/read"));
    let left = fill(&client, &disk, &mut writers);
    assert!(
        left >= LEFT_BYTES,
        "when the first write was refused, only {left} bytes were left"
    );
    let taken: usize = writers.iter().map(|writer| writer.acknowledged).sum();
    assert!(taken > 100, "only {taken} writes were taken");
    check(&client, &weir, &writers);

    // Somebody else takes the rest, before the stores are written out.
    disk.take_all("rest");
    assert!(disk.free_bytes() < 1 << 20, "{}", disk.free_bytes());
    let until = Instant::now() + CHECKPOINT;
    while Instant::now() < until {
        for writer in &writers {
            assert_refused(writer.send(&client));
        }
        thread::sleep(Duration::from_millis(100));
    }
    check(&client, &weir, &writers);
    let reads = reader.stop();
    assert!(reads > 20, "only {reads} reads");
    // A start needs no space, though much of it is only in the journal.
    weir.kill();
    weir.restart();
    for writer in &mut writers {
        writer.url = weir.stream_url(&format!("full/{}", writer.id));
        assert_refused(writer.send(&client));
    }
    check(&client, &weir, &writers);

    disk.remove("rest");
    disk.remove("ballast");
    let freed = Instant::now();
    for writer in &mut writers {
        eventually("writes are taken again", || match writer.send(&client) {
            answer if answer.status() == 200 => {
                writer.acknowledged += 1;
                true
            }
            answer => {
                assert_refused(answer);
                false
            }
        });
    }
    let again = freed.elapsed();
    for _ in 0..20 {
        for writer in &mut writers {
            assert_eq!(writer.send(&client).status(), 200);
            writer.acknowledged += 1;
        }
    }
    check(&client, &weir, &writers);
    weir.kill();
    weir.restart();
    for writer in &mut writers {
        writer.url = weir.stream_url(&format!("full/{}", writer.id));
    }
    check(&client, &weir, &writers);
    announce(&format!(
        "full-disk: {taken} writes before the first was refused, with {} MiB left; again {again:?} after space was freed; \
         all kept",
        left >> 20
    ));
    // Before the disk is unmounted.
    drop(weir);
}

/// One who reads a stream that would expire otherwise.
struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

/// Shorter than the time for which the disk is full.
const TTL: &str = "4";

impl Reader {
    fn start(client: &Client, url: String) -> Self {
        let create = client.put(&url).header("content-type", "text/plain");
        assert_eq!(create.header("stream-ttl", TTL).send().unwrap().status(), 201);
        let stop = Arc::new(AtomicBool::new(false));
        let (client, stopped) = (client.clone(), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut reads = 0;
            while !stopped.load(Ordering::Relaxed) {
                let answer = client.get(&url).send().unwrap();
                assert_eq!(answer.status(), 200, "it is read all the time: {answer:?}");
                reads += 1;
                thread::sleep(Duration::from_millis(100));
            }
            reads
        });
        Self { stop, thread }
    }

    /// How often it was read.
    fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Writes on all streams at once until each is refused. Returns what was left on the disk at the first refusal.
fn fill(client: &Client, disk: &Disk, writers: &mut [Writer]) -> u64 {
    thread::scope(|scope| {
        let filling: Vec<_> = writers
            .iter_mut()
            .map(|writer| {
                scope.spawn(move || {
                    loop {
                        let answer = writer.send(client);
                        if answer.status() != 200 {
                            assert_refused(answer);
                            return disk.free_bytes();
                        }
                        writer.acknowledged += 1;
                    }
                })
            })
            .collect();
        let left = filling.into_iter().map(|filling| filling.join().unwrap());
        left.max().unwrap()
    })
}

fn assert_refused(answer: Response) {
    assert_eq!(answer.status(), 507, "{answer:?}");
    let problem = answer.text().unwrap();
    assert!(problem.contains("urn:weir:problem:storage-full"), "{problem}");
}

/// Every stream has what was acknowledged, and nothing else: what was refused was not done.
fn check(client: &Client, weir: &Weir, writers: &[Writer]) {
    for writer in writers {
        let messages = (0..writer.acknowledged).map(|number| writer.message(number));
        let expected = messages.collect::<Vec<_>>().concat();
        let found = crate::crash::ledger::read_all(client, &weir.url(), &format!("full/{}", writer.id));
        assert!(
            found == expected,
            "stream {} has {} bytes; {} were acknowledged",
            writer.id,
            found.len(),
            expected.len()
        );
    }
}

impl Writer {
    fn create(client: &Client, weir: &Weir, id: usize) -> Self {
        let url = weir.stream_url(&format!("full/{id}"));
        let created = client.put(&url).header("content-type", "text/plain").send().unwrap();
        assert_eq!(created.status(), 201);
        Self {
            url,
            id,
            acknowledged: 0,
        }
    }

    fn message(&self, number: usize) -> Vec<u8> {
        let mut message = format!("{}:{number}:", self.id).into_bytes();
        message.resize(MESSAGE_BYTES, b'm');
        message
    }

    /// Appends the next message.
    fn send(&self, client: &Client) -> Response {
        client
            .post(&self.url)
            .header("content-type", "text/plain")
            .header("producer-id", "filler")
            .header("producer-epoch", "0")
            .header("producer-seq", self.acknowledged.to_string())
            .body(self.message(self.acknowledged))
            .send()
            .unwrap()
    }
}
