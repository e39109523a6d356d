//! Close is final: one last offset for all time, nothing after it, and nobody who sees the stream open again.

use std::collections::BTreeMap;

use super::observe::{Claim, Observation, observations};
use super::verdict::{Check, Findings};
use super::view::{Fate, Stream, View};
use crate::history::{Op, Operation, Outcome, Producer};

pub(crate) fn check(view: &View<'_>) -> Check {
    let mut findings = Findings::new("close");
    for stream in view.streams.values().filter(|stream| stream.one_life) {
        let observations = observations(view, stream);
        let closed: Vec<&Observation> = observations.iter().filter(|seen| seen.closed).collect();
        let closers: Vec<&Operation> = stream.operations.iter().copied().filter(|op| closes(op)).collect();
        findings.checked("closed-observations", closed.len() as u64);
        findings.figure("streams-closed", u64::from(!closed.is_empty()));
        unasked(stream, &closed, &closers, &mut findings);
        unanswered(stream, &closers, &mut findings);
        whole(view, stream, &observations, &mut findings);
        let Some(first) = closed.iter().copied().min_by_key(|seen| seen.return_ns) else {
            continue;
        };
        for seen in closed.iter().filter(|seen| seen.tail != first.tail) {
            findings.error("two-ends", &[first.index, seen.index], || {
                format!("{}: it is closed at {} and at {}", stream.name, first.tail, seen.tail)
            });
        }
        for seen in &observations {
            after(stream, first, seen, &mut findings);
        }
        reopened(stream, &observations, &mut findings);
    }
    findings.finish()
}

/// Whether the operation closes the stream, if it takes effect.
const fn closes(operation: &Operation) -> bool {
    matches!(
        operation.op,
        Op::Close { .. } | Op::Append { close: true, .. } | Op::Create { close: true, .. }
    )
}

/// It is seen closed only after somebody began to close it.
fn unasked(stream: &Stream<'_>, closed: &[&Observation], closers: &[&Operation], findings: &mut Findings) {
    let began = closers
        .iter()
        .filter(|closer| !matches!(closer.outcome, Outcome::Fail(_)))
        .map(|closer| closer.invoke_ns)
        .min();
    for seen in closed
        .iter()
        .filter(|seen| began.is_none_or(|began| seen.return_ns < began))
    {
        findings.error("closed-by-nobody", &[seen.index], || {
            format!(
                "{}: {} found it closed before anybody closed it",
                stream.name, seen.what
            )
        });
    }
}

/// An acknowledged close says that the stream is closed.
fn unanswered(stream: &Stream<'_>, closers: &[&Operation], findings: &mut Findings) {
    let producer = |operation: &Operation| match &operation.op {
        Op::Append { producer, .. } | Op::Close { producer, .. } => producer.clone(),
        _ => None,
    };
    // Under a tuple that another write had before, it is a duplicate of that one.
    let is_reused = |own: Option<Producer>| {
        let mut others = stream.operations.iter().filter(|operation| !closes(operation));
        own.is_some() && others.any(|operation| producer(operation) == own)
    };
    for closer in closers {
        if matches!(&closer.outcome, Outcome::Ok(answer) if !answer.closed) && !is_reused(producer(closer)) {
            findings.error("close-without-effect", &[closer.index], || {
                format!(
                    "{}: a {} was to close it and was acknowledged open",
                    stream.name,
                    closer.op.f()
                )
            });
        }
    }
}

/// What came after the first that saw it closed.
fn after(stream: &Stream<'_>, first: &Observation, seen: &Observation, findings: &mut Findings) {
    if seen.tail > first.tail {
        findings.error("beyond-the-end", &[first.index, seen.index], || {
            format!(
                "{}: it is closed at {}, and {} was answered with {}",
                stream.name, first.tail, seen.what, seen.tail
            )
        });
    }
    if seen.invoke_ns <= first.return_ns {
        return;
    }
    if seen.claim == Claim::After {
        findings.error("write-after-close", &[first.index, seen.index], || {
            format!("{}: a write was accepted as new after it had been closed", stream.name)
        });
    } else if seen.claim != Claim::Some && seen.would_tell && !seen.closed {
        findings.error("open-again", &[first.index, seen.index], || {
            format!("{}: {} found it open after it had been closed", stream.name, seen.what)
        });
    }
}

/// On one node, a reader at the end keeps seeing the end.
fn reopened(stream: &Stream<'_>, observations: &[Observation], findings: &mut Findings) {
    let mut closed_at: BTreeMap<u32, &Observation> = BTreeMap::new();
    for seen in observations.iter().filter(|seen| seen.closed) {
        if let Some(node) = seen.node {
            let first = closed_at.entry(node).or_insert(seen);
            if seen.return_ns < first.return_ns {
                *first = seen;
            }
        }
    }
    for seen in observations
        .iter()
        .filter(|seen| seen.claim == Claim::Some && seen.would_tell && !seen.closed)
    {
        let Some(first) = seen.node.and_then(|node| closed_at.get(&node)) else {
            continue;
        };
        if seen.tail == first.tail && seen.invoke_ns > first.return_ns {
            findings.error("open-again", &[first.index, seen.index], || {
                format!(
                    "{}: {} at the end found it open after its node had shown it closed",
                    stream.name, seen.what
                )
            });
        }
    }
}

/// Append and close are one step: where the messages are, the stream is closed right after them.
fn whole(view: &View<'_>, stream: &Stream<'_>, observations: &[Observation], findings: &mut Findings) {
    let Some(order) = stream.orders.get("") else {
        return;
    };
    for write in stream.writes.iter().map(|write| &view.writes[*write]) {
        let closing = write.attempts.iter().all(|attempt| closes(attempt)) && write.fate != Fate::Refused;
        let Some(rank) = write
            .messages
            .last()
            .and_then(|last| order.rank.get(last))
            .filter(|_| closing)
        else {
            continue;
        };
        if rank + 1 < order.messages.len() {
            findings.error(
                "append-without-its-close",
                &[write.index, order.shown_by[rank + 1].0],
                || {
                    format!(
                        "{}: the messages of an append-and-close are there, and others after them",
                        stream.name
                    )
                },
            );
        }
        let end = write.end.or_else(|| order.offset_of(rank + 1));
        let open = |seen: &&Observation| Some(seen.tail) == end && seen.would_tell && !seen.closed;
        for seen in observations.iter().filter(open) {
            findings.error("append-without-its-close", &[write.index, seen.index], || {
                format!(
                    "{}: {} saw the messages of an append-and-close, and the stream open",
                    stream.name, seen.what
                )
            });
        }
    }
}
