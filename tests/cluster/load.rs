//! Writers and readers that go on whatever happens to the nodes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use reqwest::blocking::{Client, Response};

use crate::crash::ledger::{MESSAGE_BYTES, Writer, check_stream, message};

use super::lives::Lives;

/// How many streams the writers share.
const STREAMS: usize = 4;
/// How many producers there are; each writes to one stream.
const PRODUCERS: usize = 8;
/// How many writers there are without producer headers.
const PLAIN_WRITERS: usize = 4;

/// How long a single request may take, a node that is paused included; more is a hang.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(45);

/// How long a producer may wait for its next success, whatever happened: "alive again within 30 s of healing".
const PATIENCE: Duration = Duration::from_secs(60);

/// All that clients were told, and what they do next.
#[derive(Debug)]
pub(super) struct Load {
    writers: Vec<Writer>,
    readers: Vec<Reader>,
    lives: Lives,
    /// The longest time from a producer's first try to its success.
    pub(super) slowest: Duration,
    /// Requests without an answer, or with one that says so.
    pub(super) unanswered: usize,
}

/// One who follows a stream live, on one node after the other.
#[derive(Debug)]
struct Reader {
    stream: String,
    offset: String,
    seen: Vec<u8>,
}

/// What became of a request.
pub(super) enum Told {
    /// It has an answer that counts.
    Answer(Response),
    /// Nothing was done.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// Where to send the next request.
pub(super) struct Nodes<'a> {
    urls: &'a [String],
    rng: Rng,
    pub(super) client: Client,
}

impl<'a> Nodes<'a> {
    fn new(urls: &'a [String], rng: Rng) -> Self {
        Self {
            urls,
            rng,
            client: client(),
        }
    }

    /// Any of them.
    pub(super) fn any(&mut self) -> &'a str {
        &self.urls[self.rng.usize(..self.urls.len())]
    }
}

pub(super) fn client() -> Client {
    Client::builder().timeout(REQUEST_TIMEOUT).build().unwrap()
}

/// Sorts out what an answer means. Errors that are nobody's right fail the test.
pub(super) fn told(sent: reqwest::Result<Response>) -> Told {
    let answer = match sent {
        Ok(answer) => answer,
        Err(error) => {
            assert!(!error.is_timeout(), "a request hung: {error:?}");
            return Told::Unknown;
        }
    };
    match answer.status().as_u16() {
        429 | 503 => {
            assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
            let body = answer.text().unwrap_or_default();
            // A connection that ends in the middle of an answer says nothing.
            match body.contains("urn:weir:problem:unavailable") || body.contains("urn:weir:problem:overloaded") {
                true => Told::Refused,
                false => Told::Unknown,
            }
        }
        status => {
            assert!(status < 500, "{answer:?}");
            Told::Answer(answer)
        }
    }
}

fn position(offset: &str) -> u64 {
    offset.rsplit('_').next().unwrap().parse().unwrap()
}

pub(super) fn next_offset(answer: &Response) -> String {
    answer.headers()["stream-next-offset"].to_str().unwrap().to_owned()
}

impl Load {
    /// Creates the streams.
    pub(super) fn create(url: &str) -> Self {
        let client = client();
        let stream = |number: usize| format!("faults/{number}");
        for number in 0..STREAMS {
            let url = format!("{url}/v1/stream/{}", stream(number));
            let created = client.put(url).header("content-type", "text/plain").send().unwrap();
            assert_eq!(created.status(), 201);
        }
        let writer = |id: usize| Writer::new(id, stream(id % STREAMS), id < PRODUCERS);
        let reader = |number: usize| Reader {
            stream: stream(number),
            offset: "-1".to_owned(),
            seen: Vec::new(),
        };
        Self {
            writers: (0..PRODUCERS + PLAIN_WRITERS).map(writer).collect(),
            readers: (0..STREAMS).map(reader).collect(),
            lives: Lives::default(),
            slowest: Duration::ZERO,
            unanswered: 0,
        }
    }

    /// How many writes were answered with success.
    pub(super) fn acknowledged(&self) -> usize {
        let writes = self.writers.iter().map(|writer| writer.acknowledged.len());
        writes.sum::<usize>() + self.lives.steps()
    }

    /// Runs everybody while `faults` does what it does, and ends when every producer has its answer after that.
    pub(super) fn during<T>(&mut self, urls: &[String], rng: &mut Rng, faults: impl FnOnce(&mut Rng) -> T) -> T {
        let stop = AtomicBool::new(false);
        let stop = &stop;
        thread::scope(|scope| {
            let writing: Vec<_> = self
                .writers
                .iter_mut()
                .map(|writer| {
                    let mut nodes = Nodes::new(urls, rng.fork());
                    scope.spawn(move || writer.run(&mut nodes, stop))
                })
                .collect();
            let lives = &mut self.lives;
            let mut nodes = Nodes::new(urls, rng.fork());
            let living = scope.spawn(move || lives.run(&mut nodes, stop));
            for reader in &mut self.readers {
                let mut nodes = Nodes::new(urls, rng.fork());
                scope.spawn(move || reader.run(&mut nodes, stop));
            }
            // The load must end whatever happens here, or the test would wait for it for ever.
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| faults(rng)));
            stop.store(true, Ordering::SeqCst);
            for writer in writing {
                let (slowest, unanswered) = writer.join().unwrap();
                self.slowest = self.slowest.max(slowest);
                self.unanswered += unanswered;
            }
            living.join().unwrap();
            outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Compares every stream with what was acknowledged, as one node has it.
    pub(super) fn check(&mut self, url: &str, context: &str) {
        let client = client();
        let context = format!("{context}, {url}");
        for reader in &self.readers {
            let body = check_stream(&client, url, &reader.stream, &self.writers, &context);
            assert!(
                body.starts_with(&reader.seen),
                "{context}: who followed {} was given something else",
                reader.stream
            );
        }
        self.lives.check(&client, url, &context);
    }

    /// Has those who follow streams read what is left, and checks that they have seen everything, once and in order.
    pub(super) fn finish(&mut self, urls: &[String], rng: &mut Rng) {
        let client = client();
        for reader in &mut self.readers {
            let body = check_stream(&client, &urls[0], &reader.stream, &self.writers, "at the end");
            let started = Instant::now();
            let mut nodes = Nodes::new(urls, rng.fork());
            while reader.seen.len() < body.len() {
                assert!(started.elapsed() < PATIENCE, "{} is not given whole", reader.stream);
                reader.step(&mut nodes);
            }
            assert!(
                reader.seen == body,
                "who followed {} was given something else",
                reader.stream
            );
        }
    }
}

impl Writer {
    /// Appends until it is told to stop; a producer ends with an answer. Returns the longest wait for a success, and how
    /// many requests had no answer.
    fn run(&mut self, nodes: &mut Nodes<'_>, stop: &AtomicBool) -> (Duration, usize) {
        let (mut slowest, mut unanswered, mut begun) = (Duration::ZERO, 0, Instant::now());
        loop {
            let is_done = self.append(nodes);
            if is_done {
                slowest = slowest.max(begun.elapsed());
                begun = Instant::now();
                // A machine of two cores has more to do than to take writes.
                thread::sleep(Duration::from_millis(nodes.rng.u64(1..15)));
            } else {
                unanswered += 1;
                assert!(
                    begun.elapsed() < PATIENCE,
                    "writer {} has had no answer for {PATIENCE:?}",
                    self.id
                );
                thread::sleep(Duration::from_millis(nodes.rng.u64(20..100)));
            }
            if stop.load(Ordering::SeqCst) && (is_done || !self.is_producer) {
                return (slowest, unanswered);
            }
        }
    }

    /// Appends one message; says whether it is known to be there.
    fn append(&mut self, nodes: &mut Nodes<'_>) -> bool {
        let number = self.next;
        let url = format!("{}/v1/stream/{}", nodes.any(), self.stream);
        let mut request = nodes.client.post(url).header("content-type", "text/plain");
        if self.is_producer {
            request = request
                .header("producer-id", format!("writer-{}", self.id))
                .header("producer-epoch", "0")
                .header("producer-seq", number.to_string());
        } else {
            // It may have been done, and cannot be told from another try: never send it again.
            self.next += 1;
        }
        let answer = match told(request.body(message(self.id, number)).send()) {
            Told::Answer(answer) => answer,
            Told::Refused | Told::Unknown => return false,
        };
        let status = answer.status().as_u16();
        assert!(
            matches!((status, self.is_producer), (200 | 204, true) | (204, false)),
            "writer {}, message {number}: {answer:?}",
            self.id
        );
        let offset = next_offset(&answer);
        if self.is_producer {
            self.next += 1;
        }
        if nodes.rng.u8(..) < 64 {
            self.look(nodes, &offset);
        }
        // A producer's repetition (204) names the stream's end, not the place of what was there before.
        if !self.is_producer || status == 200 {
            self.acknowledged.insert(number, offset);
        }
        true
    }

    /// What was acknowledged before this began must be seen on any node that answers.
    fn look(&self, nodes: &mut Nodes<'_>, acknowledged: &str) {
        let url = format!("{}/v1/stream/{}", nodes.any(), self.stream);
        if let Told::Answer(answer) = told(nodes.client.head(&url).send()) {
            assert_eq!(answer.status(), 200, "{url}");
            let (seen, least) = (position(&next_offset(&answer)), position(acknowledged));
            assert!(seen >= least, "{url} ends at {seen}, but {least} was acknowledged");
        }
    }
}

impl Reader {
    fn run(&mut self, nodes: &mut Nodes<'_>, stop: &AtomicBool) {
        while !stop.load(Ordering::SeqCst) {
            self.step(nodes);
        }
    }

    /// Waits for more on any node.
    fn step(&mut self, nodes: &mut Nodes<'_>) {
        let (url, offset) = (format!("{}/v1/stream/{}", nodes.any(), self.stream), &self.offset);
        let sent = nodes.client.get(format!("{url}?offset={offset}&live=long-poll")).send();
        let Told::Answer(answer) = told(sent) else {
            thread::sleep(Duration::from_millis(50));
            return;
        };
        assert!(matches!(answer.status().as_u16(), 200 | 204), "{answer:?}");
        let next = next_offset(&answer);
        let Ok(body) = answer.bytes() else {
            // The connection ended in the middle: it goes on from where it was.
            return;
        };
        assert_eq!(body.len() % MESSAGE_BYTES, 0, "{url}: a message in two parts");
        self.seen.extend_from_slice(&body);
        assert_eq!(
            position(&next),
            self.seen.len() as u64,
            "{url}: what came is not what lies before {next}"
        );
        self.offset = next;
    }
}
