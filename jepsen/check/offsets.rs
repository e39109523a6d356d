//! An offset is one place for all time: on every node, after restarts and snapshots; it grows along the stream, and
//! whoever was given one may go on from there. An offset that only one answer has and nobody uses cannot be judged.

use std::collections::HashMap;

use super::verdict::{Check, Findings};
use super::view::{Order, Segment, Stream, View};
use crate::history::{Consistency, From, Op, Operation, Outcome};

pub(crate) fn check(view: &View<'_>) -> Check {
    let mut findings = Findings::new("offsets");
    for stream in view.streams.values() {
        for order in stream.orders.values() {
            for shift in &order.shifts {
                findings.error(shift.kind, &shift.events, || format!("{}: {}", stream.name, shift.text));
            }
            findings.checked("offsets", order.offsets.len() as u64);
            grows(stream, order, &mut findings);
        }
        for segment in &stream.segments {
            moves(stream, segment, &mut findings);
        }
        if stream.one_life {
            acknowledged(view, stream, &mut findings);
            honoured(view, stream, &mut findings);
        }
    }
    findings.finish()
}

fn grows(stream: &Stream<'_>, order: &Order, findings: &mut Findings) {
    let pairs = order.offsets.iter().zip(order.offsets.iter().skip(1));
    for ((low, (before, first)), (high, (after, second))) in pairs {
        if before >= after {
            findings.error("does-not-grow", &[*first, *second], || {
                format!(
                    "{}: offset {low} lies after {before} messages, {high} after {after}",
                    stream.name
                )
            });
        }
    }
}

/// An answer goes on by what is in it: nothing for nothing.
fn moves(stream: &Stream<'_>, segment: &Segment<'_>, findings: &mut Findings) {
    let Some(start) = segment.start.filter(|_| segment.answer.garbage == 0) else {
        return;
    };
    let (next, count) = (segment.next, segment.messages().len());
    if next < start || (next == start) != (count == 0) {
        findings.error("moves-otherwise-than-its-messages", &[segment.index()], || {
            format!("{}: an answer from {start} to {next} has {count} messages", stream.name)
        });
    }
}

/// Two writes never end at one offset, read or not.
fn acknowledged(view: &View<'_>, stream: &Stream<'_>, findings: &mut Findings) {
    let writes = stream.writes.iter().map(|write| &view.writes[*write]);
    let mut ends: Vec<(u64, u64)> = writes
        .filter_map(|write| write.end.map(|end| (end, write.index)))
        .collect();
    ends.sort_unstable();
    findings.figure("acknowledged-ends", ends.len() as u64);
    for pair in ends.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        findings.error("two-writes-one-offset", &[pair[0].1, pair[1].1], || {
            format!("{}: two writes were told to end at {}", stream.name, pair[0].0)
        });
    }
}

/// An offset that an answer gave is not refused later, by no node.
fn honoured(view: &View<'_>, stream: &Stream<'_>, findings: &mut Findings) {
    let mut given: HashMap<u64, (u64, u64)> = HashMap::new();
    for operation in &stream.operations {
        let Outcome::Ok(answer) = &operation.outcome else {
            continue;
        };
        for offset in answer
            .next
            .into_iter()
            .chain(answer.marks.iter().map(|(_, offset)| *offset))
        {
            let first = given.entry(offset).or_insert((operation.return_ns, operation.index));
            *first = (operation.return_ns, operation.index).min(*first);
        }
    }
    let forks = view
        .streams
        .values()
        .flat_map(|stream| &stream.operations)
        .filter(|operation| matches!(&operation.op, Op::Fork { source, .. } if source == stream.name));
    for operation in stream.operations.iter().chain(forks) {
        let Some((return_ns, index)) = asked(operation, stream.name).and_then(|offset| given.get(&offset)) else {
            continue;
        };
        findings.figure("given-offsets-used", 1);
        let refused = matches!(&operation.outcome, Outcome::Fail(failure) if failure.status == Some(400));
        if refused && *return_ns < operation.invoke_ns {
            findings.error("given-and-refused", &[*index, operation.index], || {
                format!(
                    "{}: a {} from an offset that the server had given was refused",
                    stream.name,
                    operation.op.f()
                )
            });
        }
    }
}

/// The offset of this stream that an operation begins at. A replica that lags may refuse it to an eventual read, and a
/// fork some messages further on may be refused for them.
fn asked(operation: &Operation, stream: &str) -> Option<u64> {
    match &operation.op {
        Op::Read {
            from: From::At(offset),
            consistency: Consistency::Strong,
            ..
        }
        | Op::Live {
            from: From::At(offset), ..
        } => Some(*offset),
        Op::Fork {
            source,
            at: Some(offset),
            sub: None,
            ..
        } if source == stream => Some(*offset),
        _ => None,
    }
}
