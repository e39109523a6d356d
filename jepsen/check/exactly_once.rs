//! Every producer tuple is stored once, in order, and fenced epochs stay out.

use std::collections::{BTreeMap, HashMap};

use super::verdict::{Check, Findings};
use super::view::{Order, Stream, View, stored};
use crate::history::{Failure, MessageId, Op, Operation, Outcome, Producer};

pub(crate) fn check(view: &View<'_>) -> Check {
    let mut findings = Findings::new("exactly-once");
    for stream in view.streams.values() {
        repeats(view, stream, &mut findings);
        for order in stream.orders.values() {
            sequences(view, stream, order, &mut findings);
        }
        if stream.one_life {
            answers(stream, &mut findings);
        }
    }
    for write in &view.writes {
        twice_new(write.stream, &write.attempts, &mut findings);
    }
    findings.finish()
}

/// No answer has a message twice.
fn repeats(view: &View<'_>, stream: &Stream<'_>, findings: &mut Findings) {
    for segment in &stream.segments {
        let mut seen: HashMap<MessageId, usize> = HashMap::with_capacity(segment.messages().len());
        for (place, message) in segment.messages().iter().enumerate() {
            if let Some(first) = seen.insert(*message, place) {
                let mut events = view.write_of(*message).map_or_else(Vec::new, |write| write.events());
                events.push(segment.index());
                findings.error("duplicate", &events, || {
                    format!("{}: {message} is there twice, {} apart", stream.name, place - first)
                });
            }
        }
    }
    for order in stream.orders.values() {
        findings.checked("messages", order.messages.len() as u64);
    }
}

/// Along the stream, a producer's epochs never fall, and within an epoch the numbers are 0, 1, 2, ...
fn sequences(view: &View<'_>, stream: &Stream<'_>, order: &Order, findings: &mut Findings) {
    let mut last: HashMap<&str, (&Producer, u64)> = HashMap::new();
    let mut unbroken = true;
    for (rank, message) in order.messages.iter().enumerate() {
        unbroken &= !order.gaps.contains(&rank);
        let Some((write, place)) = view.written.get(message) else {
            continue;
        };
        let write = &view.writes[*write];
        let Some(producer) = write.producer.filter(|_| *place == 0 && write.stream == stream.name) else {
            continue;
        };
        findings.checked("producer-tuples", 1);
        let before = last.insert(&producer.id, (producer, write.index));
        let fits = match before {
            Some((before, _)) if before.epoch == producer.epoch => {
                producer.seq == before.seq + 1 || (!unbroken && producer.seq > before.seq)
            }
            Some((before, _)) => producer.epoch > before.epoch && producer.seq == 0,
            None => producer.seq == 0 || !unbroken,
        };
        if !fits {
            let events = before.map_or(vec![write.index], |(_, index)| vec![index, write.index]);
            findings.error("out-of-sequence", &events, || {
                let before = before.map_or("nothing".to_owned(), |(before, _)| tuple(before));
                format!("{}: {} follows {before}", stream.name, tuple(producer))
            });
        }
    }
}

/// One write was not called new twice.
fn twice_new(stream: &str, attempts: &[&Operation], findings: &mut Findings) {
    let new: Vec<u64> = attempts
        .iter()
        .filter(|attempt| matches!(&attempt.outcome, Outcome::Ok(answer) if stored(attempt, answer)))
        .map(|attempt| attempt.index)
        .collect();
    if new.len() > 1 {
        findings.error("accepted-twice", &new, || {
            format!("{stream}: one write was answered as new {} times", new.len())
        });
    }
}

/// What one producer has shown so far.
#[derive(Default)]
struct Seen {
    /// Acknowledged tuples by when they were known: (return, epoch, seq, event).
    done: Vec<(u64, u64, u64, u64)>,
    /// The highest tuple invoked so far, over time: (invoke, epoch, seq).
    asked: Vec<(u64, u64, u64)>,
}

/// Refusals are true: a fence needs a newer epoch, a gap needs a missing number; and who is fenced stays fenced.
fn answers(stream: &Stream<'_>, findings: &mut Findings) {
    let mut producers: BTreeMap<&str, Seen> = BTreeMap::new();
    for (operation, producer) in producing(stream) {
        let seen = producers.entry(&producer.id).or_default();
        seen.asked.push((operation.invoke_ns, producer.epoch, producer.seq));
        if matches!(operation.outcome, Outcome::Ok(_)) {
            seen.done
                .push((operation.return_ns, producer.epoch, producer.seq, operation.index));
        }
    }
    for seen in producers.values_mut() {
        seen.done.sort_unstable();
        let mut highest = (0, 0, 0);
        for (_, epoch, seq, event) in &mut seen.done {
            highest = highest.max((*epoch, *seq, *event));
            (*epoch, *seq, *event) = highest;
        }
        let mut highest = (0, 0);
        for (_, epoch, seq) in &mut seen.asked {
            highest = highest.max((*epoch, *seq));
            (*epoch, *seq) = highest;
        }
    }
    for (operation, producer) in producing(stream) {
        let seen = &producers[producer.id.as_str()];
        let known = seen.done.partition_point(|(ret, ..)| *ret < operation.invoke_ns);
        let known = known.checked_sub(1).map(|last| seen.done[last]);
        findings.figure("producer-answers", 1);
        match &operation.outcome {
            Outcome::Ok(answer) => accepted(stream, operation, producer, answer.duplicate, known, findings),
            Outcome::Fail(failure) => refused(stream, operation, producer, failure, seen, known, findings),
            Outcome::Info(_) => {}
        }
    }
}

fn producing<'s, 'h>(stream: &'s Stream<'h>) -> impl Iterator<Item = (&'h Operation, &'h Producer)> + 's {
    stream.operations.iter().filter_map(|operation| match &operation.op {
        Op::Append {
            producer: Some(producer),
            ..
        }
        | Op::Close {
            producer: Some(producer),
            ..
        } => Some((*operation, producer)),
        _ => None,
    })
}

type Known = Option<(u64, u64, u64, u64)>;

fn accepted(
    stream: &Stream<'_>,
    operation: &Operation,
    producer: &Producer,
    duplicate: bool,
    known: Known,
    findings: &mut Findings,
) {
    let Some((_, epoch, seq, event)) = known else {
        return;
    };
    if epoch > producer.epoch {
        findings.error("fenced-but-accepted", &[event, operation.index], || {
            format!(
                "{}: {} was accepted after epoch {epoch} had written",
                stream.name,
                tuple(producer)
            )
        });
    } else if (epoch, seq) >= (producer.epoch, producer.seq) && !duplicate && !closes_only(operation) {
        findings.error("old-but-new", &[event, operation.index], || {
            format!(
                "{}: {} was answered as new after number {seq} of epoch {epoch}",
                stream.name,
                tuple(producer)
            )
        });
    }
}

const fn closes_only(operation: &Operation) -> bool {
    matches!(operation.op, Op::Close { .. })
}

fn refused(
    stream: &Stream<'_>,
    operation: &Operation,
    producer: &Producer,
    failure: &Failure,
    seen: &Seen,
    known: Known,
    findings: &mut Findings,
) {
    let asked = seen.asked.partition_point(|(invoke, ..)| *invoke < operation.return_ns);
    let asked = asked.checked_sub(1).map(|last| seen.asked[last]);
    if let (Some(epoch), "producer-fenced") = (failure.epoch, failure.code.as_str()) {
        let possible = asked.is_some_and(|(_, asked, _)| asked >= epoch) && epoch > producer.epoch;
        if !possible {
            findings.error("fenced-by-nobody", &[operation.index], || {
                format!(
                    "{}: {} was fenced by epoch {epoch}, which nobody used",
                    stream.name,
                    tuple(producer)
                )
            });
        }
    }
    let expected = match failure.code.as_str() {
        "producer-gap" => failure.expected,
        "producer-epoch-start" => Some(0),
        _ => None,
    };
    if let Some(expected) = expected {
        forgotten(stream, operation, producer, expected, known, findings);
    }
}

/// A gap is answered only where the number expected is one that was not acknowledged before.
fn forgotten(
    stream: &Stream<'_>,
    operation: &Operation,
    producer: &Producer,
    expected: u64,
    known: Known,
    findings: &mut Findings,
) {
    let Some((_, epoch, seq, event)) = known else {
        return;
    };
    if epoch == producer.epoch && seq >= expected {
        findings.error("producer-forgotten", &[event, operation.index], || {
            format!(
                "{}: {} was refused as number {expected} were missing, but {seq} had been acknowledged",
                stream.name,
                tuple(producer)
            )
        });
    }
}

fn tuple(producer: &Producer) -> String {
    format!("({}, {}, {})", producer.id, producer.epoch, producer.seq)
}
