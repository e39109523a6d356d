//! Histories written down by hand: operations with their times, in milliseconds.

use std::ops::Range;

use crate::history::{
    Answer, Body, Consistency, Event, Failure, Fault, From, History, LiveMode, Mark, MessageId, Op, Process, Producer,
    Run, Stage, StateHash,
};

/// When everything is healed. What is planted comes before, final reads come after.
pub(super) const HEALED: u64 = 100_000;

/// A message, by a short number.
pub(super) const fn m(n: u64) -> MessageId {
    MessageId(7, n)
}

pub(super) fn ms(numbers: &[u64]) -> Vec<MessageId> {
    numbers.iter().copied().map(m).collect()
}

pub(super) fn producer(id: &str, epoch: u64, seq: u64) -> Option<Producer> {
    let id = id.to_owned();
    Some(Producer { id, epoch, seq })
}

/// A history under construction.
pub(super) struct Build {
    pub(super) run: Run,
    pub(super) heals: bool,
    lines: Vec<(u64, Line)>,
}

enum Line {
    Invoke(usize, Option<u32>, Op),
    Complete(usize, Option<u32>, &'static str, Body),
    Other(Option<u32>, &'static str, Body),
}

impl Build {
    pub(super) fn new() -> Self {
        let mut run = Run {
            nodes: 3,
            ..Run::default()
        };
        run.limits.min_ok = 0;
        Self {
            run,
            heals: true,
            lines: Vec::new(),
        }
    }

    /// One operation. Each has a process of its own.
    pub(super) fn op(&mut self, times: Range<u64>, node: u32, op: Op, body: Body) {
        let (number, node, f) = (self.lines.len(), Some(node), op.f());
        self.lines.push((times.start, Line::Invoke(number, node, op)));
        self.lines.push((times.end, Line::Complete(number, node, f, body)));
    }

    /// One that never completes.
    pub(super) fn open(&mut self, start: u64, node: u32, op: Op) {
        let number = self.lines.len();
        self.lines.push((start, Line::Invoke(number, Some(node), op)));
    }

    pub(super) fn other(&mut self, time: u64, node: Option<u32>, f: &'static str, body: Body) {
        self.lines.push((time, Line::Other(node, f, body)));
    }

    pub(super) fn create(&mut self, stream: &str, times: Range<u64>) {
        self.op(times, 1, create(stream), ok(201, 0));
    }

    /// An acknowledged append after which the tail is `next`.
    pub(super) fn append(&mut self, stream: &str, times: Range<u64>, messages: &[u64], next: u64) {
        self.op(times, 1, append(stream, messages), ok(204, next));
    }

    /// An append of unknown outcome.
    pub(super) fn maybe(&mut self, stream: &str, times: Range<u64>, messages: &[u64]) {
        self.op(times, 1, append(stream, messages), unknown());
    }

    /// A producer's append; `status` 200 is new, 204 a duplicate.
    pub(super) fn produce(
        &mut self,
        times: Range<u64>,
        tuple: (&str, u64, u64),
        messages: &[u64],
        status: u16,
        next: u64,
    ) {
        let op = produced("s", tuple, messages);
        self.op(times, 1, op, produced_ok(status, next));
    }

    pub(super) fn head(&mut self, stream: &str, times: Range<u64>, node: u32, next: u64) {
        self.op(times, node, head(stream), ok(200, next));
    }

    /// A strong read of the whole stream up to its tail.
    pub(super) fn read(&mut self, stream: &str, times: Range<u64>, node: u32, messages: &[u64], next: u64) {
        self.op(times, node, read(stream, From::Start), page(0, messages, next, true));
    }

    /// An eventual read of the whole replica.
    pub(super) fn glance(&mut self, stream: &str, times: Range<u64>, node: u32, messages: &[u64], next: u64) {
        self.op(times, node, eventual(stream), page(0, messages, next, true));
    }

    /// One poll or connection of the reader `session`.
    pub(super) fn live(
        &mut self,
        times: Range<u64>,
        session: u64,
        mode: LiveMode,
        from: u64,
        messages: &[u64],
        next: u64,
    ) {
        let op = live("s", session, mode, from);
        self.op(times, 2, op, page(from, messages, next, true));
    }

    /// The same final read on every node.
    pub(super) fn finals(&mut self, stream: &str, messages: &[u64], next: u64) {
        for node in 1..=3 {
            self.last(stream, node, messages, next);
        }
    }

    /// As [`Build::finals`], of a closed stream.
    pub(super) fn finals_closed(&mut self, stream: &str, messages: &[u64], next: u64) {
        for node in 1..=3 {
            let at = HEALED + 1_000 * u64::from(node);
            let body = page_with(0, messages, next, |answer| answer.closed = true);
            self.op(at..at + 10, node, last(stream), body);
        }
    }

    /// One node's final read.
    pub(super) fn last(&mut self, stream: &str, node: u32, messages: &[u64], next: u64) {
        let at = HEALED + 1_000 * u64::from(node);
        self.op(at..at + 10, node, last(stream), page(0, messages, next, true));
    }

    pub(super) fn fault(&mut self, time: u64, name: &str, stage: Stage, target: &str, effect: Option<bool>) {
        let fault = Fault {
            id: 1,
            name: name.to_owned(),
            stage,
            targets: vec![target.to_owned()],
            effect,
            evidence: String::new(),
        };
        self.other(time, None, "fault", Body::Fault(fault));
    }

    pub(super) fn hash(&mut self, time: u64, node: u32, applied: u64, hash: &str) {
        let hash = StateHash {
            group: 1,
            applied,
            hash: hash.to_owned(),
        };
        self.other(time, Some(node), "state-hash", Body::StateHash(hash));
    }

    pub(super) fn mark(&mut self, time: u64, mark: Mark) {
        self.other(time, None, "mark", Body::Mark(mark));
    }

    /// The whole. Unless told not to, everything heals at last: every node takes a write.
    pub(super) fn history(mut self) -> History {
        if self.heals {
            self.mark(HEALED, Mark::Healed);
            for node in 1..=3 {
                let at = HEALED + 10 * u64::from(node);
                self.op(at..at + 5, node, create(&format!("after-{node}")), ok(201, 0));
            }
        }
        let end = self.lines.iter().map(|(time, _)| *time).max().unwrap_or(0);
        self.mark(end + 1, Mark::Ended);
        self.lines.sort_by_key(|(time, _)| *time);
        let mut invokes = std::collections::HashMap::new();
        let mut events = Vec::new();
        for (index, (time, line)) in (0..).zip(self.lines) {
            let (process, node, f, of, body) = match line {
                Line::Invoke(number, node, op) => {
                    invokes.insert(number, index);
                    (Process::Client(number as u64), node, op.f(), None, Body::Invoke(op))
                }
                Line::Complete(number, node, f, body) => {
                    let of = invokes.get(&number).copied();
                    (Process::Client(number as u64), node, f, of, body)
                }
                Line::Other(node, f, body) => (Process::Nemesis, node, f, None, body),
            };
            events.push(Event {
                index,
                time_ns: time * 1_000_000,
                process,
                node,
                f: f.to_owned(),
                of,
                body,
            });
        }
        History::from_events(self.run, events).unwrap()
    }
}

pub(super) fn create(stream: &str) -> Op {
    Op::Create {
        stream: stream.to_owned(),
        messages: Vec::new(),
        ttl_ms: None,
        close: false,
    }
}

pub(super) fn create_ttl(stream: &str, ttl_ms: u64) -> Op {
    Op::Create {
        stream: stream.to_owned(),
        messages: Vec::new(),
        ttl_ms: Some(ttl_ms),
        close: false,
    }
}

pub(super) fn append(stream: &str, messages: &[u64]) -> Op {
    Op::Append {
        stream: stream.to_owned(),
        messages: ms(messages),
        producer: None,
        close: false,
    }
}

/// Append and close in one step.
pub(super) fn append_close(stream: &str, messages: &[u64]) -> Op {
    Op::Append {
        stream: stream.to_owned(),
        messages: ms(messages),
        producer: None,
        close: true,
    }
}

pub(super) fn produced(stream: &str, (id, epoch, seq): (&str, u64, u64), messages: &[u64]) -> Op {
    Op::Append {
        stream: stream.to_owned(),
        messages: ms(messages),
        producer: producer(id, epoch, seq),
        close: false,
    }
}

pub(super) fn produced_ok(status: u16, next: u64) -> Body {
    Body::Ok(Answer {
        status,
        next: Some(next),
        duplicate: status == 204,
        ..Answer::default()
    })
}

pub(super) fn close(stream: &str) -> Op {
    Op::Close {
        stream: stream.to_owned(),
        producer: None,
    }
}

pub(super) fn delete(stream: &str) -> Op {
    Op::Delete {
        stream: stream.to_owned(),
    }
}

pub(super) fn head(stream: &str) -> Op {
    Op::Head {
        stream: stream.to_owned(),
    }
}

pub(super) fn read(stream: &str, from: From) -> Op {
    Op::Read {
        stream: stream.to_owned(),
        from,
        consistency: Consistency::Strong,
        max: None,
        if_none_match: None,
    }
}

pub(super) fn eventual(stream: &str) -> Op {
    Op::Read {
        stream: stream.to_owned(),
        from: From::Start,
        consistency: Consistency::Eventual,
        max: None,
        if_none_match: None,
    }
}

pub(super) fn live(stream: &str, session: u64, mode: LiveMode, from: u64) -> Op {
    Op::Live {
        stream: stream.to_owned(),
        from: From::At(from),
        mode,
        session,
    }
}

pub(super) fn fork(stream: &str, source: &str, at: Option<u64>) -> Op {
    Op::Fork {
        stream: stream.to_owned(),
        source: source.to_owned(),
        at,
        sub: None,
        ttl_ms: None,
    }
}

pub(super) fn last(stream: &str) -> Op {
    Op::FinalRead {
        stream: stream.to_owned(),
    }
}

pub(super) fn ok(status: u16, next: u64) -> Body {
    Body::Ok(Answer {
        status,
        next: Some(next),
        ..Answer::default()
    })
}

/// As [`ok`], and the stream is closed.
pub(super) fn ok_closed(status: u16, next: u64) -> Body {
    Body::Ok(Answer {
        status,
        next: Some(next),
        closed: true,
        ..Answer::default()
    })
}

/// An answer with messages.
pub(super) fn page(start: u64, messages: &[u64], next: u64, up_to_date: bool) -> Body {
    Body::Ok(Answer {
        status: 200,
        start: Some(start),
        next: Some(next),
        messages: ms(messages),
        up_to_date,
        ..Answer::default()
    })
}

/// As [`page`] to the tail, changed by `change`.
pub(super) fn page_with(start: u64, messages: &[u64], next: u64, change: fn(&mut Answer)) -> Body {
    let Body::Ok(mut answer) = page(start, messages, next, true) else {
        unreachable!("a page is an answer")
    };
    change(&mut answer);
    Body::Ok(answer)
}

pub(super) fn unknown() -> Body {
    Body::Info(Failure::transport("timeout"))
}

pub(super) fn refused(status: u16, code: &str) -> Body {
    Body::Fail(Failure::refusal(status, code))
}

/// 409 of a closed stream.
pub(super) fn refused_closed(next: u64) -> Body {
    Body::Fail(Failure {
        next: Some(next),
        closed: true,
        ..Failure::refusal(409, "stream-closed")
    })
}

/// 409 of a producer whose numbers have a gap.
pub(super) fn refused_gap(expected: u64) -> Body {
    Body::Fail(Failure {
        expected: Some(expected),
        ..Failure::refusal(409, "producer-gap")
    })
}

/// 403 of a producer that a newer epoch has fenced.
pub(super) fn refused_fenced(epoch: u64) -> Body {
    Body::Fail(Failure {
        epoch: Some(epoch),
        ..Failure::refusal(403, "producer-fenced")
    })
}
