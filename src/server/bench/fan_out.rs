//! Messages that tell when they were sent: what the live kinds of work have in common.
//!
//! One writer appends to the streams in turn. Readers learn from each message how long it took, and whether one is
//! missing, repeated or out of order. The last message of each stream says so.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use super::client::{Client, Failed, connect, unreachable_at};
use super::connection::Connection;
use super::error::BenchError;
use super::gate::Window;
use super::options;
use super::pace::Pace;
use super::prepare::Streams;
use super::tally::Shared;
use super::target;
use super::threads::Start;

/// How the messages come about.
#[derive(Debug, Args)]
pub(super) struct WriterArgs {
    /// How many messages are appended per second, to all streams together
    #[arg(long, value_name = "PER_SECOND", default_value = "20", value_parser = options::positive)]
    pub(super) rate: f64,
    /// How many streams there are
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) streams: u32,
    /// How long each message is, in bytes
    #[arg(long, value_name = "BYTES", default_value = "256", value_parser = clap::value_parser!(u32).range(48..=1 << 20))]
    pub(super) size: u32,
    /// The node that the writer appends at; the first of --url when absent
    #[arg(long, value_name = "URL")]
    pub(super) write_url: Option<String>,
}

/// Text is not encoded in Server-Sent Events.
pub(super) const CONTENT_TYPE: &str = "text/plain";
const BUFFER_BYTES: usize = 16 * 1024;

/// How long an append may take that ends a stream, and how often it is tried.
const LAST_TIMEOUT: Duration = Duration::from_secs(5);
const LAST_ATTEMPTS: u32 = 3;

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Note {
    /// When it should have been sent: nanoseconds since the clients began.
    sent_nanos: u64,
    /// Its number in its stream, from 0.
    number: u64,
    /// Whether it is the stream's last.
    is_last: bool,
}

impl Note {
    /// The message, in `size` bytes.
    fn write(self, size: usize, message: &mut Vec<u8>) {
        let flag = if self.is_last { 'L' } else { '-' };
        message.clear();
        message.extend_from_slice(format!("{:020} {:012} {flag} ", self.sent_nanos, self.number).as_bytes());
        message.resize(size, b'x');
    }

    fn read(message: &[u8]) -> Option<Self> {
        let mut words = message.split(|byte| *byte == b' ');
        let mut word = || std::str::from_utf8(words.next()?).ok();
        Some(Self {
            sent_nanos: word()?.parse().ok()?,
            number: word()?.parse().ok()?,
            is_last: word()? == "L",
        })
    }
}

/// What a reader makes of the messages of its stream.
#[derive(Debug)]
pub(super) struct Receiver {
    tally: Arc<Shared>,
    size: usize,
    /// A message that has not come in full.
    part: Vec<u8>,
    next_number: u64,
    /// Whether the last message has come.
    pub(super) is_over: bool,
}

impl Receiver {
    pub(super) fn new(tally: Arc<Shared>, size: usize) -> Self {
        Self {
            tally,
            size,
            part: Vec::with_capacity(size),
            next_number: 0,
            is_over: false,
        }
    }

    /// Takes bytes of the stream, as they arrive.
    pub(super) fn take(&mut self, window: &Window, mut bytes: &[u8]) {
        let now = Instant::now();
        while !bytes.is_empty() {
            let missing = self.size - self.part.len();
            let (piece, rest) = bytes.split_at(missing.min(bytes.len()));
            self.part.extend_from_slice(piece);
            bytes = rest;
            if self.part.len() == self.size {
                self.message(window, now);
                self.part.clear();
            }
        }
    }

    fn message(&mut self, window: &Window, now: Instant) {
        let note = Note::read(&self.part);
        let mut tally = self.tally.lock();
        tally.seen += 1;
        let Some(note) = note else {
            tally.failed(Cow::Borrowed("not what was sent"), 1);
            return;
        };
        if note.number < self.next_number {
            tally.failed(Cow::Borrowed("repeated or out of order"), 1);
            return;
        }
        tally.failed(Cow::Borrowed("missing"), note.number - self.next_number);
        self.next_number = note.number + 1;
        self.is_over = note.is_last;
        let sent = window.opened + Duration::from_nanos(note.sent_nanos);
        if !note.is_last && window.measures(sent) {
            tally.done(now.saturating_duration_since(sent), self.size as u64);
        }
    }
}

/// The writer.
pub(super) struct Writer {
    client: Client,
    streams: Arc<Streams>,
    /// Where all streams are written, when that was said.
    write_address: Option<String>,
    size: usize,
}

impl Writer {
    /// The writer as one of a run's clients.
    pub(super) fn start(streams: &Arc<Streams>, write_address: Option<String>, size: usize) -> Start {
        let streams = Arc::clone(streams);
        Box::new(move |client| {
            let writer = Self {
                client,
                streams,
                write_address,
                size,
            };
            Box::pin(writer.run())
        })
    }
    /// Appends until the time is over, then ends each stream.
    ///
    /// # Errors
    /// When the first connection cannot be made: later ones may fail, and are counted.
    async fn run(self) -> Result<(), BenchError> {
        let mut links: Vec<Option<Connection>> = self.streams.streams.iter().map(|_| None).collect();
        let mut numbers = vec![0; links.len()];
        let mut message = Vec::new();
        let first = connect(self.address(0), BUFFER_BYTES).await;
        links[0] = Some(first.map_err(|failed| unreachable_at(self.address(0), &failed))?);
        let window = self.client.gate.ready().await;
        let mut pace = Pace::new(self.client.rate, 0, 1, window.opened).map_err(BenchError::Thread)?;
        for stream in (0..links.len()).cycle() {
            let start = pace.turn().await.map_err(BenchError::Thread)?;
            if window.is_over(start) {
                break;
            }
            let note = Note {
                sent_nanos: nanos(start.saturating_duration_since(window.opened)),
                number: numbers[stream],
                is_last: false,
            };
            numbers[stream] += 1;
            note.write(self.size, &mut message);
            let written = self
                .append(stream, &mut links[stream], &message, self.client.timeout)
                .await;
            let mut tally = self.client.tally.lock();
            match written {
                Ok(()) if window.measures(start) => tally.count("written", 1),
                Ok(()) => {}
                Err(failed) => tally.failed(format!("append: {}", failed.name()).into(), 1),
            }
        }
        for (stream, link) in links.iter_mut().enumerate() {
            let note = Note {
                sent_nanos: 0,
                number: numbers[stream],
                is_last: true,
            };
            note.write(self.size, &mut message);
            self.end(stream, link, &message).await;
        }
        Ok(())
    }

    /// Readers that never get it give up by themselves, and count that.
    async fn end(&self, stream: usize, link: &mut Option<Connection>, message: &[u8]) {
        for _ in 0..LAST_ATTEMPTS {
            if self.append(stream, link, message, LAST_TIMEOUT).await.is_ok() {
                return;
            }
        }
    }

    fn address(&self, stream: usize) -> &str {
        let leader = self.streams.streams[stream].leader.unwrap_or(0);
        self.write_address.as_deref().unwrap_or(&self.streams.addresses[leader])
    }

    async fn append(
        &self,
        stream: usize,
        link: &mut Option<Connection>,
        message: &[u8],
        timeout: Duration,
    ) -> Result<(), Failed> {
        let address = self.address(stream);
        let request = target::request_with_body(
            "POST",
            address,
            &self.streams.streams[stream].path,
            CONTENT_TYPE,
            message,
        );
        let append = async {
            let connection = match link {
                Some(connection) => connection,
                None => link.insert(connect(address, BUFFER_BYTES).await?),
            };
            let head = connection.exchange(&request, |_, _| {}, |_| {}).await?;
            head.expect(&[200, 204], 0)
        };
        let outcome = tokio::time::timeout(timeout, append)
            .await
            .unwrap_or(Err(Failed::Timeout));
        match outcome {
            Ok(done) if !done.closes => Ok(()),
            Err(failed) if !failed.closes() => Err(failed),
            other => {
                *link = None;
                other.map(|_| ())
            }
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(notes: &[Note]) -> Vec<u8> {
        let mut message = Vec::new();
        let mut write = |note: &Note| {
            note.write(48, &mut message);
            message.clone()
        };
        notes.iter().flat_map(&mut write).collect()
    }

    fn note(number: u64, is_last: bool) -> Note {
        Note {
            sent_nanos: 1_000_000,
            number,
            is_last,
        }
    }

    #[test]
    fn a_reader_finds_what_is_missing_or_repeated_however_it_is_cut() {
        let opened = Instant::now() - Duration::from_secs(1);
        let window = Window {
            opened,
            from: opened,
            until: Some(opened + Duration::from_secs(1)),
        };
        let all = messages(&[
            note(0, false),
            note(1, false),
            note(3, false),
            note(3, false),
            note(4, true),
        ]);
        for size in [1, 47, 48, 49, all.len()] {
            let tally = Arc::new(Shared::default());
            let mut receiver = Receiver::new(Arc::clone(&tally), 48);
            for piece in all.chunks(size) {
                assert!(!receiver.is_over);
                receiver.take(&window, piece);
            }
            assert!(receiver.is_over);
            let tally = tally.lock();
            assert_eq!(tally.operations(), 3);
            assert!(tally.latency.min() > 990_000 && tally.latency.max() < 5_000_000);
            let errors: Vec<_> = tally.errors.iter().map(|(why, count)| (why.as_ref(), *count)).collect();
            assert_eq!(errors, [("missing", 1), ("repeated or out of order", 1)]);
        }
    }

    #[test]
    fn what_was_not_sent_by_the_writer_is_an_error() {
        let opened = Instant::now();
        let window = Window {
            opened,
            from: opened,
            until: None,
        };
        let tally = Arc::new(Shared::default());
        Receiver::new(Arc::clone(&tally), 48).take(&window, &[b'x'; 48]);
        assert_eq!(tally.lock().errors.get("not what was sent"), Some(&1));
    }
}
