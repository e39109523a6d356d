//! Nothing acknowledged is lost, on any replica after healing, and nothing that was once read disappears.
//!
//! Lost messages are classed by their place among the acknowledged writes of the stream, by time: before the first that
//! survived (`lost-prefix`), after the last (`lost-suffix`), or between (`lost-middle`); `lost-all` if none survived. A
//! stream that is gone as a whole is `stream-lost`.

use std::collections::{BTreeMap, HashSet};

use super::verdict::{Became, Check, Findings, WriteFate};
use super::view::{Fate, Kind, Segment, Stream, View, Write};
use crate::history::{Consistency, From, MessageId, Op, Outcome};

/// So many whole reads before the end are looked at besides the final ones.
const WHOLE_READS: usize = 3;

pub(crate) fn check(view: &View<'_>) -> Check {
    let mut findings = Findings::new("lost");
    for stream in view.streams.values() {
        let writes: Vec<&Write<'_>> = stream.writes.iter().map(|write| &view.writes[*write]).collect();
        let acknowledged: Vec<&Write<'_>> = writes
            .iter()
            .copied()
            .filter(|write| write.fate == Fate::Done)
            .collect();
        for write in &writes {
            findings.figure("unknown-writes", u64::from(write.fate == Fate::Unknown));
        }
        recovered(stream, &writes, &mut findings);
        gone(view, stream, &mut findings);
        let witnesses = witnesses(view, stream);
        if witnesses.is_empty() && stream.one_life && !acknowledged.is_empty() {
            findings.undecided(format!("{} was never read to its end after its writes", stream.name));
        }
        for witness in witnesses {
            against(stream, &acknowledged, witness, &mut findings);
        }
    }
    findings.finish()
}

/// A stream that was there, and that nobody can have deleted, stays: all of it was lost if somebody is told that it is not
/// there.
fn gone(view: &View<'_>, stream: &Stream<'_>, findings: &mut Findings) {
    // A fork's TTL may be its source's.
    let is_endless = |name: &&str| {
        let mut operations = view.streams.get(name).into_iter().flat_map(|stream| &stream.operations);
        operations.all(|operation| {
            !matches!(
                operation.op,
                Op::Create { ttl_ms: Some(_), .. } | Op::Fork { ttl_ms: Some(_), .. }
            )
        })
    };
    let seen = stream.operations.iter().copied();
    let seen = seen.filter(|operation| matches!(operation.outcome, Outcome::Ok(_)));
    let Some(there) = seen.min_by_key(|operation| operation.return_ns) else {
        return;
    };
    if !stream.one_life || !view.ancestors(stream).iter().all(is_endless) {
        return;
    }
    findings.figure("streams-that-stay", 1);
    // A replica that lags may not have it yet; what its last final read says is final.
    let mut last_final = BTreeMap::new();
    let mut missed = Vec::new();
    for operation in stream.operations.iter().copied() {
        match &operation.op {
            Op::FinalRead { .. } => {
                last_final.insert(operation.node, operation);
            }
            Op::Read {
                consistency: Consistency::Eventual,
                ..
            } => {}
            // There it is the source that was not found.
            Op::Fork { .. } => {}
            _ => missed.push(operation),
        }
    }
    missed.extend(last_final.into_values());
    for operation in missed {
        let is_gone = matches!(&operation.outcome, Outcome::Fail(failure) if matches!(failure.status, Some(404 | 410)));
        if is_gone && operation.invoke_ns > there.return_ns {
            findings.error("stream-lost", &[there.index, operation.index], || {
                let node = operation.node.map_or(String::new(), |node| format!(" on n{node}"));
                format!(
                    "{}: it was there, nobody deleted it, and it is not there{node} ({})",
                    stream.name,
                    operation.op.f()
                )
            });
        }
    }
}

/// How many writes of unknown outcome turned out to be there.
fn recovered(stream: &Stream<'_>, writes: &[&Write<'_>], findings: &mut Findings) {
    let read = |message: &MessageId| stream.orders.values().any(|order| order.rank.contains_key(message));
    let unknown = writes.iter().filter(|write| write.fate == Fate::Unknown);
    let found = unknown.filter(|write| write.messages.iter().any(read)).count();
    findings.figure("unknown-writes-found", found as u64);
}

/// Reads of the whole stream: each node's final one, and the last strong ones.
fn witnesses<'v, 'h>(view: &'v View<'h>, stream: &'v Stream<'h>) -> Vec<&'v Segment<'h>> {
    let whole = |segment: &&Segment<'_>| {
        segment.start == Some(0)
            && segment.answer.up_to_date
            && segment.kind == Kind::Strong
            && matches!(segment.operation.op, Op::Read { from: From::Start, .. })
    };
    let mut witnesses: Vec<_> = stream.segments.iter().rev().filter(whole).take(WHOLE_READS).collect();
    witnesses.extend(view.final_reads(stream).into_values());
    witnesses
}

fn against(stream: &Stream<'_>, acknowledged: &[&Write<'_>], witness: &Segment<'_>, findings: &mut Findings) {
    let there: HashSet<MessageId> = witness.messages().iter().copied().collect();
    let due = due(stream, acknowledged, witness);
    let survived: Vec<bool> = due.iter().map(|write| is_there(write, &there)).collect();
    findings.checked("acknowledged-writes-sought", due.len() as u64);
    let (first, last) = (
        survived.iter().position(|survived| *survived),
        survived.iter().rposition(|survived| *survived),
    );
    for (place, write) in due.iter().enumerate().filter(|(place, _)| !survived[*place]) {
        let kind = match (first, last) {
            (None, _) | (_, None) => "lost-all",
            (Some(first), _) if place < first => "lost-prefix",
            (_, Some(last)) if place > last => "lost-suffix",
            _ => "lost-middle",
        };
        findings.error(kind, &[write.index, witness.index()], || lost(stream, write, witness));
    }
    vanished(stream, &there, witness, findings);
}

fn is_there(write: &Write<'_>, there: &HashSet<MessageId>) -> bool {
    write.messages.iter().all(|message| there.contains(message))
}

/// What the witness must have: acknowledged before it began, in a life that cannot have ended since; by time.
fn due<'v, 'h>(stream: &Stream<'_>, acknowledged: &[&'v Write<'h>], witness: &Segment<'_>) -> Vec<&'v Write<'h>> {
    let gone_ns = gone_until(stream, witness);
    let before = |write: &&Write<'_>| write.by_ns < witness.operation.invoke_ns && write.from_ns >= gone_ns;
    let mut due: Vec<&Write<'_>> = acknowledged.iter().copied().filter(before).collect();
    due.sort_by_key(|write| write.by_ns);
    due
}

/// What became of every write, for the report.
pub(crate) fn fates(view: &View<'_>) -> Vec<WriteFate> {
    let mut fates = Vec::new();
    for stream in view.streams.values() {
        let writes: Vec<&Write<'_>> = stream.writes.iter().map(|write| &view.writes[*write]).collect();
        let done: Vec<&Write<'_>> = writes
            .iter()
            .copied()
            .filter(|write| write.fate == Fate::Done)
            .collect();
        let mut missing = HashSet::new();
        for witness in witnesses(view, stream) {
            let there: HashSet<MessageId> = witness.messages().iter().copied().collect();
            let absent = due(stream, &done, witness)
                .into_iter()
                .filter(|write| !is_there(write, &there));
            missing.extend(absent.map(|write| write.index));
        }
        let read = |write: &Write<'_>| {
            stream
                .orders
                .values()
                .any(|order| write.messages.iter().any(|message| order.rank.contains_key(message)))
        };
        fates.extend(writes.iter().map(|write| WriteFate {
            index: write.index,
            stream: stream.name.to_owned(),
            became: match write.fate {
                Fate::Done if missing.contains(&write.index) => Became::Lost,
                Fate::Done => Became::Stored,
                Fate::Unknown if read(write) => Became::Found,
                Fate::Unknown => Became::Absent,
                Fate::Refused => Became::Refused,
            },
        }));
    }
    fates
}

fn lost(stream: &Stream<'_>, write: &Write<'_>, witness: &Segment<'_>) -> String {
    let node = witness
        .operation
        .node
        .map_or(String::new(), |node| format!(" on n{node}"));
    format!(
        "{}: {} was acknowledged{} and is not there{node} (read up to {})",
        stream.name,
        write.messages[0],
        write.end.map_or(String::new(), |end| format!(" up to offset {end}")),
        witness.next
    )
}

/// What somebody read before must be there too, acknowledged or not.
fn vanished(stream: &Stream<'_>, there: &HashSet<MessageId>, witness: &Segment<'_>, findings: &mut Findings) {
    let Some(order) = stream.order_of(witness).filter(|_| stream.one_life) else {
        return;
    };
    for (rank, message) in order.messages.iter().enumerate() {
        let (by, shown_ns) = order.shown_by[rank];
        if shown_ns < witness.operation.invoke_ns && !order.gaps.contains(&rank) && !there.contains(message) {
            findings.error("read-then-lost", &[by, witness.index()], || {
                format!("{}: {message} was read and is not there later", stream.name)
            });
        }
    }
}

/// Until when a delete or an expiry may have taken writes away before the read: what took effect later must be there.
fn gone_until(stream: &Stream<'_>, witness: &Segment<'_>) -> u64 {
    if stream.one_life {
        return 0;
    }
    let ends = stream
        .operations
        .iter()
        .filter(|operation| match (&operation.op, &operation.outcome) {
            // There it is the source that was not found.
            (Op::Fork { .. }, _) => false,
            // Somebody found it gone: by delete or by expiry, it does not matter.
            (_, Outcome::Fail(failure)) => matches!(failure.status, Some(404 | 410)),
            (Op::Delete { .. }, _) => operation.invoke_ns < witness.operation.return_ns,
            _ => false,
        });
    ends.map(|operation| operation.return_ns).max().unwrap_or(0)
}
