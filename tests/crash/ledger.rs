//! What the server acknowledged, and the comparison with what it has.

use std::collections::BTreeMap;

use reqwest::blocking::Client;

use crate::harness::Weir;

/// How many streams the producers share.
const STREAMS: usize = 4;
/// How many producers there are; each writes to one stream.
const PRODUCERS: usize = 12;
/// How many writers there are without producer headers.
const PLAIN_WRITERS: usize = 2;

/// A message's size in bytes: long enough to be torn, and all of one size, so that offsets tell positions.
pub(crate) const MESSAGE_BYTES: usize = 200;

/// One writer's view of its stream.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    pub(crate) id: usize,
    pub(crate) stream: String,
    /// With producer headers: an unanswered write is repeated until it is answered.
    pub(crate) is_producer: bool,
    /// The number of the next message, which is also the producer's sequence number.
    pub(crate) next: u64,
    /// Each acknowledged message, with the offset that the answer named: where the stream ended after it.
    pub(crate) acknowledged: BTreeMap<u64, String>,
}

/// What happened to a stream that is created, closed and deleted again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Absent,
    Open,
    Closed,
}

/// A stream's life, as far as answers told it.
#[derive(Debug, Clone)]
pub(super) struct Churned {
    pub(super) stream: String,
    pub(super) known: Life,
    /// What an unanswered request wanted it to be: it is either that or still `known`.
    pub(super) wanted: Option<Life>,
    pub(super) answers: usize,
}

/// Everything that was acknowledged.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) writers: Vec<Writer>,
    pub(super) churned: Churned,
}

/// A message: who, which, and padding that shows a tear.
pub(crate) fn message(writer: usize, number: u64) -> String {
    let head = format!("{writer:04}:{number:010}:");
    format!("{head}{:.<width$}\n", "", width = MESSAGE_BYTES - head.len() - 1)
}

fn parse(bytes: &[u8]) -> Option<(usize, u64)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut parts = text.split(':');
    let (writer, number) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (message(writer, number) == text).then_some((writer, number))
}

impl Ledger {
    /// Creates the streams.
    pub(super) fn create(weir: &Weir) -> Self {
        let client = Client::new();
        for stream in 0..STREAMS {
            let url = weir.stream_url(&format!("crash/{stream}"));
            let created = client.put(url).header("content-type", "text/plain").send().unwrap();
            assert_eq!(created.status(), 201);
        }
        let writers =
            (0..PRODUCERS + PLAIN_WRITERS).map(|id| Writer::new(id, format!("crash/{}", id % STREAMS), id < PRODUCERS));
        let churned = Churned {
            stream: "crash/churned".to_owned(),
            known: Life::Absent,
            wanted: None,
            answers: 0,
        };
        Self {
            writers: writers.collect(),
            churned,
        }
    }

    /// How many writes were answered with success.
    pub(super) fn acknowledged(&self) -> usize {
        self.writers
            .iter()
            .map(|writer| writer.acknowledged.len())
            .sum::<usize>()
            + self.churned.answers
    }

    /// Compares every stream with what was acknowledged.
    pub(super) fn check(&mut self, weir: &Weir, round: usize) {
        let client = Client::new();
        let context = format!("round {round}");
        for stream in 0..STREAMS {
            check_stream(
                &client,
                &weir.url(),
                &format!("crash/{stream}"),
                &self.writers,
                &context,
            );
        }
        self.churned.check(&client, weir, round);
    }
}

/// Compares a stream with what its writers were acknowledged, as the server at `url` has it.
pub(crate) fn check_stream(client: &Client, url: &str, name: &str, writers: &[Writer], context: &str) -> Vec<u8> {
    let body = read_all(client, url, name);
    let found = messages(&body, name, context);
    for writer in writers.iter().filter(|writer| writer.stream == name) {
        writer.check(&found, context);
    }
    body
}

/// All bytes of a stream, page by page.
pub(crate) fn read_all(client: &Client, url: &str, name: &str) -> Vec<u8> {
    let (mut offset, mut body) = ("-1".to_owned(), Vec::new());
    loop {
        let answer = client
            .get(format!("{url}/v1/stream/{name}?offset={offset}"))
            .send()
            .unwrap();
        assert_eq!(answer.status(), 200, "{name} on {url}");
        offset = answer.headers()["stream-next-offset"].to_str().unwrap().to_owned();
        let is_last = answer.headers().contains_key("stream-up-to-date");
        body.extend_from_slice(&answer.bytes().unwrap());
        if is_last {
            return body;
        }
    }
}

/// The messages in a stream, each with its number and the position of its end. None may be torn.
fn messages(body: &[u8], name: &str, context: &str) -> Vec<(usize, u64, u64)> {
    let mut position = 0;
    let whole = body.chunks(MESSAGE_BYTES).map(|bytes| {
        position += bytes.len() as u64;
        let Some((writer, number)) = parse(bytes) else {
            panic!(
                "{context}: {name} has a torn message before {position}: {:?}",
                String::from_utf8_lossy(bytes)
            );
        };
        (writer, number, position)
    });
    whole.collect()
}

impl Writer {
    pub(crate) fn new(id: usize, stream: String, is_producer: bool) -> Self {
        Self {
            id,
            stream,
            is_producer,
            next: 0,
            acknowledged: BTreeMap::new(),
        }
    }

    /// Each acknowledged message is there once, at the place that its answer named, in the order of writing; beside
    /// them there is at most what is unanswered.
    fn check(&self, found: &[(usize, u64, u64)], context: &str) {
        let mine: Vec<_> = found.iter().filter(|(writer, _, _)| *writer == self.id).collect();
        let context = format!("{context}, writer {} in {}", self.id, self.stream);
        for pair in mine.windows(2) {
            assert!(
                pair[0].1 < pair[1].1,
                "{context}: {} comes before {}",
                pair[0].1,
                pair[1].1
            );
        }
        let places: BTreeMap<u64, u64> = mine.iter().map(|(_, number, end)| (*number, *end)).collect();
        for (number, offset) in &self.acknowledged {
            let end = places
                .get(number)
                .unwrap_or_else(|| panic!("{context}: acknowledged message {number} is lost"));
            let named = format!("0000000000000000_{end:016}");
            assert_eq!(
                &named, offset,
                "{context}: message {number} is not where its answer said"
            );
        }
        let last = places.keys().last().copied();
        assert!(last <= Some(self.next), "{context}: {last:?} was never sent");
        if self.is_producer {
            // No gap: a producer goes on only after an answer.
            assert_eq!(
                places.len() as u64,
                last.map_or(0, |last| last + 1),
                "{context}: there is a gap"
            );
            assert!(
                places.len() as u64 >= self.next,
                "{context}: {} were answered, {last:?} is the last",
                self.next
            );
        }
    }
}

impl Churned {
    fn check(&mut self, client: &Client, weir: &Weir, round: usize) {
        let head = client.head(weir.stream_url(&self.stream)).send().unwrap();
        let is_closed = head.headers().contains_key("stream-closed");
        let found = match (head.status().as_u16(), is_closed) {
            (404, _) => Life::Absent,
            (200, false) => Life::Open,
            (200, true) => Life::Closed,
            other => panic!("round {round}: {} answers {other:?}", self.stream),
        };
        let is_allowed = found == self.known || Some(found) == self.wanted;
        assert!(is_allowed, "round {round}: {} is {found:?}, but {self:?}", self.stream);
        let body = if found == Life::Absent {
            Vec::new()
        } else {
            read_all(client, &weir.url(), &self.stream)
        };
        let expected = if found == Life::Closed { "first+last" } else { "first" };
        assert!(
            found == Life::Absent || body == expected.as_bytes(),
            "round {round}: {found:?} with {body:?}"
        );
        (self.known, self.wanted) = (found, None);
    }
}
