//! Within the limit after healing everything works again: every node serves, every stream takes writes or says why not,
//! all replicas show the same, and nothing goes unanswered.

use std::collections::{BTreeMap, BTreeSet};

use super::verdict::{Check, Findings};
use super::view::{Fate, Segment, Stream, View};
use crate::history::{CRASH, Ended, Mark, MessageId, Op, Operation, Outcome};

const NS_PER_MS: u64 = 1_000_000;

pub(crate) fn check(view: &View<'_>) -> Check {
    let mut findings = Findings::new("liveness");
    let history = view.history;
    let Some(healed_ns) = history.marked(Mark::Healed) else {
        findings.undecided("the run was never healed");
        return findings.finish();
    };
    let limit_ns = healed_ns + history.run.limits.liveness_ms * NS_PER_MS;
    let after: Vec<&Operation> = history
        .operations
        .iter()
        .filter(|operation| operation.invoke_ns >= healed_ns)
        .collect();
    findings.checked("operations-after-healing", after.len() as u64);
    unanswered(&after, limit_ns, &mut findings);
    nodes(view, &after, limit_ns, &mut findings);
    for stream in view.streams.values() {
        converged(view, stream, &mut findings);
    }
    written(view, &after, healed_ns, &mut findings);
    match history.marked(Mark::Converged) {
        Some(converged_ns) if converged_ns > limit_ns => {
            findings.error("slow-convergence", &[], || {
                format!(
                    "the replicas agreed only {} ms after healing",
                    (converged_ns - healed_ns) / NS_PER_MS
                )
            });
        }
        Some(converged_ns) => findings.largest("converged-after-ms", (converged_ns - healed_ns) / NS_PER_MS),
        None => {}
    }
    if history.marked(Mark::NotConverged).is_some() {
        findings.error("never-converged", &[], || {
            "the replicas did not agree, however long they were given".to_owned()
        });
    }
    for (index, _, fault) in &history.faults {
        if fault.name == CRASH {
            findings.error("crash", &[*index], || {
                format!("{} ended by itself: {}", fault.targets.join(" "), fault.evidence)
            });
        }
    }
    findings.finish()
}

/// Some write is answered after healing; a refusal is an answer.
fn written(view: &View<'_>, after: &[&Operation], healed_ns: u64, findings: &mut Findings) {
    let is_write =
        |operation: &Operation| matches!(operation.op, Op::Append { .. } | Op::Create { .. } | Op::Fork { .. });
    let writes: Vec<&&Operation> = after.iter().filter(|operation| is_write(operation)).collect();
    let answers = writes.iter().filter(|write| match &write.outcome {
        Outcome::Ok(_) => true,
        Outcome::Fail(failure) => failure.status.is_some(),
        Outcome::Info(_) => false,
    });
    match answers.map(|write| write.return_ns).min() {
        Some(first_ns) => findings.largest("first-write-after-ms", (first_ns - healed_ns) / NS_PER_MS),
        None if !writes.is_empty() => findings.error("no-write", &[writes[0].index], || {
            format!("none of {} writes was answered after healing", writes.len())
        }),
        None if view.history.operations.iter().any(is_write) => findings.undecided("no write was tried after healing"),
        None => {}
    }
}

/// What is asked after the limit is answered; final reads always.
fn unanswered(after: &[&Operation], limit_ns: u64, findings: &mut Findings) {
    for operation in after {
        let Outcome::Info(failure) = &operation.outcome else {
            continue;
        };
        let is_final = matches!(operation.op, Op::FinalRead { .. });
        // A final read that fails may have been repeated: `nodes` and `converged` see whether one succeeded.
        if operation.invoke_ns > limit_ns && !is_final {
            findings.error("unanswered", &[operation.index], || {
                let code = failure.as_ref().map_or("nothing", |failure| failure.code.as_str());
                format!(
                    "{} of {}: {code}, long after healing",
                    operation.op.f(),
                    operation.op.stream()
                )
            });
        }
    }
}

/// Every node that is asked after healing answers within the limit.
fn nodes(view: &View<'_>, after: &[&Operation], limit_ns: u64, findings: &mut Findings) {
    let mut answered: BTreeMap<u32, u64> = BTreeMap::new();
    let broken = |operation: &Operation| matches!(&operation.outcome, Outcome::Ok(answer) if answer.ended == Some(Ended::Broken));
    for operation in after {
        if let (Some(node), Outcome::Ok(_) | Outcome::Fail(_), false) =
            (operation.node, &operation.outcome, broken(operation))
        {
            let refused = matches!(&operation.outcome, Outcome::Fail(failure) if failure.status.is_none());
            let at = answered.entry(node).or_insert(u64::MAX);
            if !refused {
                *at = operation.return_ns.min(*at);
            }
        }
    }
    let asked: BTreeSet<u32> = after.iter().filter_map(|operation| operation.node).collect();
    for node in &asked {
        findings.figure("nodes-asked", 1);
        if answered.get(node).is_none_or(|at| *at > limit_ns) {
            findings.error("silent-node", &[], || {
                format!("n{node} answered nothing within the limit after healing")
            });
        }
    }
    let missing = (1..=view.history.run.nodes)
        .filter(|node| !asked.contains(node))
        .count();
    if missing > 0 {
        findings.undecided(format!("{missing} of the nodes were not asked after healing"));
    }
}

/// The nodes' last final reads are the same.
fn converged(view: &View<'_>, stream: &Stream<'_>, findings: &mut Findings) {
    let asked = stream
        .operations
        .iter()
        .filter(|operation| matches!(operation.op, Op::FinalRead { .. }));
    let mut last: BTreeMap<u32, &Operation> = BTreeMap::new();
    for operation in asked {
        if let Some(node) = operation.node {
            last.insert(node, operation);
        }
    }
    for (node, operation) in &last {
        if matches!(operation.outcome, Outcome::Info(_)) {
            findings.error("no-final-read", &[operation.index], || {
                format!("{}: n{node} did not give it after healing", stream.name)
            });
        }
    }
    let mut reads: Vec<(u32, &Segment<'_>)> = view.final_reads(stream).into_iter().collect();
    reads.sort_by_key(|(_, read)| read.index());
    let Some((first_node, first)) = reads.first().copied() else {
        return;
    };
    findings.figure("streams-compared", 1);
    let gone = last
        .values()
        .find(|operation| matches!(operation.outcome, Outcome::Fail(_)));
    if let Some(gone) = gone.filter(|_| !may_go(stream)) {
        findings.error("not-converged", &[first.index(), gone.index], || {
            format!("{}: on n{first_node} it is there, on another node not", stream.name)
        });
    }
    for pair in reads.windows(2) {
        let [(before_node, before), (node, read)] = pair else {
            continue;
        };
        if !agree(view, stream, before, read) {
            findings.error("not-converged", &[before.index(), read.index()], || {
                let (ends, then) = (before.next, read.next);
                format!(
                    "{}: it ends at {ends} on n{before_node}, at {then} on n{node}",
                    stream.name
                )
            });
        }
    }
}

/// Whether the stream may go while it is read: it may expire, or a delete of unknown outcome may come late.
fn may_go(stream: &Stream<'_>) -> bool {
    stream
        .operations
        .iter()
        .any(|operation| match (&operation.op, &operation.outcome) {
            (Op::Create { ttl_ms, .. } | Op::Fork { ttl_ms, .. }, _) if ttl_ms.is_some() => true,
            (Op::Delete { .. } | Op::Create { .. } | Op::Fork { .. }, Outcome::Info(_)) => true,
            _ => false,
        })
}

/// Whether two final reads show the same, or the later one besides what was of unknown outcome until then.
fn agree(view: &View<'_>, stream: &Stream<'_>, before: &Segment<'_>, read: &Segment<'_>) -> bool {
    let (had, has) = (before.messages(), read.messages());
    if (before.next, before.answer.closed, had) == (read.next, read.answer.closed, has) {
        return true;
    }
    let is_late = |message: &MessageId| view.write_of(*message).is_some_and(|write| write.fate == Fate::Unknown);
    let Some(more) = has.strip_prefix(had).filter(|more| more.iter().all(is_late)) else {
        return before.life != read.life && may_go(stream);
    };
    let closes = |operation: &&Operation| matches!(operation.op, Op::Close { .. } | Op::Append { close: true, .. });
    let unknown = |operation: &&Operation| matches!(operation.outcome, Outcome::Info(_));
    let late_close = stream
        .operations
        .iter()
        .copied()
        .filter(|op| closes(op))
        .any(|op| unknown(&op));
    let closed_since = read.answer.closed && !before.answer.closed;
    (closed_since && late_close) || (!more.is_empty() && read.answer.closed == before.answer.closed)
}
