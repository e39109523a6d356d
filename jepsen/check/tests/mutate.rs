//! A long good history with everything in it, and single changes to it anywhere: each must be found.

use std::collections::{HashMap, HashSet};

use super::build::*;
use crate::check::{Verdict, check};
use crate::history::{Answer, Body, Event, From, History, LiveMode, MessageId, Op, Outcome};

/// A server that does everything right, one operation after the other.
struct Server {
    build: Build,
    now: u64,
    rng: fastrand::Rng,
    messages: u64,
    streams: HashMap<&'static str, Stream>,
}

#[derive(Default, Clone)]
struct Stream {
    messages: Vec<u64>,
    closed: bool,
    seq: u64,
    readers: [u64; 2],
}

const STREAMS: [&str; 3] = ["a", "b", "c"];

/// Every message has ten bytes.
fn tail(stream: &Stream) -> u64 {
    10 * stream.messages.len() as u64
}

impl Server {
    fn play(seed: u64) -> History {
        let mut server = Self {
            build: Build::new(),
            now: 10,
            rng: fastrand::Rng::with_seed(seed),
            messages: 0,
            streams: HashMap::new(),
        };
        for name in STREAMS {
            server.build.create(name, server.now..server.now + 1);
            server.streams.insert(name, Stream::default());
            server.now += 2;
        }
        for round in 0..400 {
            server.step(round);
        }
        server.end()
    }

    fn step(&mut self, round: u64) {
        let name = STREAMS[self.rng.usize(..STREAMS.len())];
        let mut stream = self.streams[name].clone();
        let times = self.now..self.now + 2;
        let node = self.rng.u32(1..=3);
        let own = self.messages..self.messages + self.rng.u64(1..=3);
        match self.rng.u32(..10) {
            0..3 if !stream.closed => {
                self.messages = own.end;
                stream.messages.extend(own.clone());
                self.build.append(name, times, &own.collect::<Vec<_>>(), tail(&stream));
            }
            3..5 if !stream.closed => {
                self.messages = own.end;
                stream.messages.extend(own.clone());
                let op = produced(name, ("p", 0, stream.seq), &own.collect::<Vec<_>>());
                stream.seq += 1;
                self.build.op(times, node, op, produced_ok(200, tail(&stream)));
            }
            5 if round > 300 && !stream.closed => {
                stream.closed = true;
                self.build.op(times, node, close(name), ok_closed(204, tail(&stream)));
            }
            6 => {
                let body = if stream.closed { ok_closed } else { ok };
                self.build.op(times, node, head(name), body(200, tail(&stream)));
            }
            7 => {
                let reader = self.rng.usize(..2);
                let from = stream.readers[reader];
                stream.readers[reader] = tail(&stream);
                let session = 2 * STREAMS.iter().position(|known| *known == name).unwrap() + reader;
                let op = live(name, session as u64, LiveMode::Sse, from);
                self.build.op(times, node, op, slice(&stream, from));
            }
            _ => {
                let from = 10 * self.rng.u64(..=stream.messages.len() as u64);
                self.build
                    .op(times, node, read(name, From::At(from)), slice(&stream, from));
            }
        }
        self.streams.insert(name, stream);
        self.now += 3;
    }

    /// A fork of each stream, and final reads of all.
    fn end(mut self) -> History {
        for (name, forked) in STREAMS.into_iter().zip(["fa", "fb", "fc"]) {
            let stream = &self.streams[name];
            let times = self.now..self.now + 1;
            self.build
                .op(times, 1, fork(forked, name, Some(tail(stream))), ok(201, tail(stream)));
            self.now += 2;
            for node in 1..=3 {
                let at = HEALED + 1_000 + u64::from(node);
                self.build.op(at..at + 1, node, last(name), slice(stream, 0));
                let mut open = stream.clone();
                open.closed = false;
                self.build.op(at..at + 1, node, last(forked), slice(&open, 0));
            }
        }
        self.build.history()
    }
}

/// An answer with everything from an offset on.
fn slice(stream: &Stream, from: u64) -> Body {
    let rank = usize::try_from(from / 10).unwrap();
    let Body::Ok(mut answer) = page(from, &stream.messages[rank..], tail(stream), true) else {
        unreachable!("a page is an answer")
    };
    answer.closed = stream.closed;
    answer.etag = (from < tail(stream)).then(|| format!("\"1.a:{from}:{}:{}\"", tail(stream), stream.closed));
    Body::Ok(answer)
}

/// A change to the answer of one operation; `false` if it is none there.
type Change = fn(&Op, &mut Answer) -> bool;

const fn is_read(op: &Op) -> bool {
    matches!(op, Op::Read { .. } | Op::FinalRead { .. } | Op::Live { .. })
}

const CHANGES: [(&str, Change); 9] = [
    ("a message is left out", |op, answer| {
        let middle = answer.messages.len() / 2;
        is_read(op) && !answer.messages.is_empty() && {
            answer.messages.remove(middle);
            true
        }
    }),
    ("the last message is left out", |op, answer| {
        is_read(op) && answer.messages.pop().is_some()
    }),
    ("two messages change places", |op, answer| {
        let count = answer.messages.len();
        is_read(op) && count > 1 && {
            answer.messages.swap(count / 2, count / 2 - 1);
            true
        }
    }),
    ("a message comes twice", |op, answer| {
        let last = answer.messages.last().copied();
        answer.messages.extend(last);
        is_read(op) && last.is_some()
    }),
    ("a message becomes another", |op, answer| {
        let first = answer.messages.first_mut();
        is_read(op) && first.is_some_and(|first| std::mem::replace(first, MessageId(1, 1)) != MessageId(1, 1))
    }),
    ("an answer ends some bytes further on", |op, answer| {
        // An append's offset that nobody else is given and nobody uses contradicts nothing.
        let moves = !matches!(op, Op::Create { .. } | Op::Fork { .. } | Op::Append { .. });
        answer.next = answer.next.map(|next| next + 3);
        moves
    }),
    ("an acknowledged write is a message short", |op, answer| {
        let next = answer.next.unwrap_or(0);
        // Of a batch: nobody else may have been told where it ends, as above.
        let tells = match op {
            Op::Append { messages, .. } => messages.len() == 1,
            _ => matches!(op, Op::Head { .. }),
        };
        tells && next > 0 && {
            answer.next = Some(next - 10);
            true
        }
    }),
    ("a closed stream is open", |_, answer| {
        std::mem::take(&mut answer.closed)
    }),
    ("an open stream is closed", |op, answer| {
        let opens = !matches!(op, Op::Create { .. } | Op::Fork { .. });
        opens && !std::mem::replace(&mut answer.closed, true)
    }),
];

fn changed(history: &History, place: usize, change: Change) -> Option<History> {
    let operation = &history.operations[place];
    let Outcome::Ok(_) = operation.outcome else {
        return None;
    };
    let mut events: Vec<Event> = history.events.clone();
    let event = &mut events[usize::try_from(operation.completion?).unwrap()];
    let Body::Ok(answer) = &mut event.body else {
        return None;
    };
    change(&operation.op, answer).then(|| History::from_events(history.run.clone(), events).unwrap())
}

#[test]
fn any_single_change_to_a_good_history_is_found() {
    let history = Server::play(3);
    assert_eq!(check(&history).verdict, Verdict::Valid);
    let mut missed = Vec::new();
    let mut found_by: HashSet<&str> = HashSet::new();
    for (what, change) in CHANGES {
        let mut made = 0;
        for place in (0..history.operations.len()).step_by(7) {
            let Some(changed) = changed(&history, place, change) else {
                continue;
            };
            made += 1;
            let judgement = check(&changed);
            if judgement.verdict != Verdict::Invalid {
                let operation = &changed.operations[place];
                missed.push(format!("{what}: {:?} {:?}", operation.op, operation.outcome));
            }
            let invalid = judgement
                .checks
                .iter()
                .filter(|check| check.verdict == Verdict::Invalid);
            found_by.extend(invalid.map(|check| check.name));
        }
        assert!(made > 5, "{what}: {made}");
    }
    assert!(
        missed.is_empty(),
        "{} missed: {:#?}",
        missed.len(),
        &missed[..missed.len().min(8)]
    );
    assert!(found_by.len() > 8, "{found_by:?}");
}
