//! A fork begins with its source's messages up to its boundary, for ever, and neither sees what the other gets later.

use super::verdict::{Check, Findings};
use super::view::{Fate, Kind, Order, Segment, Stream, View};
use crate::history::{MessageId, Op, Operation, Outcome};

pub(crate) fn check(view: &View<'_>) -> Check {
    let mut findings = Findings::new("fork");
    for stream in view.streams.values().filter(|stream| !stream.forks.is_empty()) {
        let made: Vec<&Operation> = stream.forks.iter().copied().filter(|fork| is_made(fork)).collect();
        findings.figure("forks-made", made.len() as u64);
        for order in stream.orders.values() {
            inherited(view, stream, order, &mut findings);
        }
        // What name and life an answer belongs to is certain only if there was one of each.
        if let ([fork], true) = (made.as_slice(), stream.forks.len() == 1 && never_replaced(stream)) {
            boundary(view, stream, fork, &mut findings);
        }
    }
    for stream in view.streams.values() {
        leaks(view, stream, &mut findings);
    }
    findings.finish()
}

fn is_made(fork: &Operation) -> bool {
    matches!(&fork.outcome, Outcome::Ok(answer) if answer.status == 201)
}

/// Whether the name certainly had one life that was written to.
fn never_replaced(stream: &Stream<'_>) -> bool {
    let made = stream.operations.iter().filter(|operation| {
        matches!(operation.op, Op::Create { .. } | Op::Fork { .. }) && !matches!(operation.outcome, Outcome::Fail(_))
    });
    let again = |operation: &&&Operation| match &operation.outcome {
        Outcome::Ok(answer) => answer.status == 201,
        _ => true,
    };
    made.filter(again).count() == 1
}

/// The messages of others come first, and are the beginning of the source's order.
fn inherited(view: &View<'_>, stream: &Stream<'_>, order: &Order, findings: &mut Findings) {
    let own = |message: &MessageId| view.write_of(*message).is_none_or(|write| write.stream == stream.name);
    let first_own = order.messages.iter().position(own).unwrap_or(order.messages.len());
    findings.checked("inherited-messages", first_own as u64);
    for (rank, message) in order.messages.iter().enumerate().skip(first_own) {
        if !own(message) {
            findings.error("leak-into-fork", &[order.shown_by[rank].0], || {
                format!(
                    "{}: {message} of the source came after the fork's own messages",
                    stream.name
                )
            });
        }
    }
    for fork in &stream.forks {
        let Op::Fork { source, .. } = &fork.op else {
            continue;
        };
        let Some(origin) = view.streams.get(source.as_str()) else {
            continue;
        };
        for from in origin.orders.values() {
            compare(stream, origin, order, from, first_own, findings);
        }
    }
}

fn compare(
    stream: &Stream<'_>,
    origin: &Stream<'_>,
    order: &Order,
    from: &Order,
    first_own: usize,
    findings: &mut Findings,
) {
    let mine = &order.messages[..first_own];
    // Another life of the source has nothing in common with the fork.
    if !mine.iter().any(|message| from.rank.contains_key(message)) {
        return;
    }
    let gap = |order: &Order, rank: usize| order.gaps.contains(&rank);
    for (rank, (mine, theirs)) in mine.iter().zip(&from.messages).enumerate() {
        if gap(order, rank) || gap(from, rank) {
            return;
        }
        findings.figure("compared-messages", 1);
        if mine != theirs {
            findings.error(
                "prefix-differs",
                &[order.shown_by[rank].0, from.shown_by[rank].0],
                || {
                    format!(
                        "{}: message {rank} is {mine}, and {theirs} in its source {}",
                        stream.name, origin.name
                    )
                },
            );
            return;
        }
    }
    for (offset, (rank, by)) in order.offsets.iter().filter(|(_, (rank, _))| *rank <= first_own) {
        if let Some(there) = from.offset_of(*rank).filter(|there| there != offset) {
            findings.error("inherited-offset-differs", &[*by], || {
                format!(
                    "{}: after {rank} messages the offset is {offset}, and {there} in its source",
                    stream.name
                )
            });
        }
    }
}

/// The fork ends where it was asked to, and everything before is on every node, whatever became of the source.
fn boundary(view: &View<'_>, stream: &Stream<'_>, fork: &Operation, findings: &mut Findings) {
    let (Op::Fork { source, at, sub, .. }, Outcome::Ok(answer)) = (&fork.op, &fork.outcome) else {
        return;
    };
    let Some(end) = answer.next else {
        return;
    };
    findings.checked("boundaries", 1);
    if let (Some(at), None) = (at, sub)
        && *at != end
    {
        findings.error("another-boundary", &[fork.index], || {
            format!("{}: it was to fork at {at}, and did at {end}", stream.name)
        });
    }
    let Some(origin) = view
        .streams
        .get(source.as_str())
        .filter(|origin| never_replaced(origin))
    else {
        return;
    };
    let due: Vec<MessageId> = origin
        .writes
        .iter()
        .map(|write| &view.writes[*write])
        .filter(|write| write.fate == Fate::Done && write.end.is_some_and(|written| written <= end))
        .flat_map(|write| write.messages.iter().copied())
        .collect();
    for segment in whole_reads(view, stream) {
        let there: std::collections::HashSet<MessageId> = segment.messages().iter().copied().collect();
        findings.figure("forks-read-whole", 1);
        if segment.next < end {
            findings.error("shorter-than-its-boundary", &[fork.index, segment.index()], || {
                format!("{}: it was forked at {end} and ends at {}", stream.name, segment.next)
            });
        }
        for message in due.iter().filter(|message| !there.contains(message)) {
            findings.error("inherited-lost", &[fork.index, segment.index()], || {
                format!(
                    "{}: {message} lies before the boundary in {source} and is not there",
                    stream.name
                )
            });
        }
    }
}

/// Reads of all of the fork: the final ones, and strong ones that reached the tail.
fn whole_reads<'v, 'h>(view: &'v View<'h>, stream: &'v Stream<'h>) -> Vec<&'v Segment<'h>> {
    let strong =
        |segment: &&Segment<'_>| segment.start == Some(0) && segment.answer.up_to_date && segment.kind == Kind::Strong;
    let mut whole: Vec<_> = stream.segments.iter().rev().filter(strong).take(2).collect();
    whole.extend(view.final_reads(stream).into_values());
    whole
}

/// A source never shows what was written to its fork.
fn leaks(view: &View<'_>, stream: &Stream<'_>, findings: &mut Findings) {
    let ancestors = view.ancestors(stream);
    for order in stream.orders.values() {
        for (rank, message) in order.messages.iter().enumerate() {
            let written_to = view.write_of(*message).map_or(stream.name, |write| write.stream);
            if ancestors.contains(written_to) {
                continue;
            }
            let is_fork = view.streams.get(written_to).is_some_and(|writer| {
                writer
                    .forks
                    .iter()
                    .any(|fork| matches!(&fork.op, Op::Fork { source, .. } if source == stream.name))
            });
            if is_fork {
                findings.error("leak-into-source", &[order.shown_by[rank].0], || {
                    format!("{}: {message} was written to its fork {written_to}", stream.name)
                });
            }
        }
    }
}
