//! Tails are linearizable: appends, strong reads and HEADs of one stream.
//!
//! No search is needed. Offsets fix the order of appends; put each read right after the append at whose end its tail
//! lies, reads of one place by their beginning. That order is a linearization unless two of them contradict real time,
//! and there are only these pairs: append before append and append before read (`stale`), read before read (`stale`),
//! and read before append (`from-the-future`). `linearizable` runs a search on small histories as a cross-check.

use super::observe::{Claim, Observation, observations};
use super::verdict::{Check, Findings};
use super::view::{Order, Stream, View};

pub(crate) fn check(view: &View<'_>) -> Check {
    let mut findings = Findings::new("tail");
    for stream in view.streams.values().filter(|stream| stream.one_life) {
        let observations = observations(view, stream);
        stale(stream, &observations, &mut findings);
        if let Some(order) = stream.orders.get("") {
            future(view, stream, order, &observations, &mut findings);
            beyond(view, stream, &observations, &mut findings);
        }
    }
    findings.finish()
}

/// What is seen is never less than what was seen before.
fn stale(stream: &Stream<'_>, observations: &[Observation], findings: &mut Findings) {
    let mut by_invoke: Vec<&Observation> = observations.iter().collect();
    by_invoke.sort_by_key(|observation| observation.invoke_ns);
    let mut by_return = by_invoke.clone();
    by_return.sort_by_key(|observation| observation.return_ns);
    let mut returned = by_return.into_iter().peekable();
    let mut highest: Option<&Observation> = None;
    for now in by_invoke {
        while let Some(before) = returned.next_if(|before| before.return_ns < now.invoke_ns) {
            if highest.is_none_or(|highest| highest.tail < before.tail) {
                highest = Some(before);
            }
        }
        let least = match now.claim {
            Claim::Some => continue,
            Claim::Tail | Claim::AtLeast => 0,
            // An append lies after whatever was there.
            Claim::After => 1,
        };
        findings.checked("observations", 1);
        if let Some(before) = highest.filter(|before| now.tail < before.tail + least) {
            findings.error("stale", &[before.index, now.index], || {
                format!(
                    "{}: {} was answered with {}, after {} had been answered with {}",
                    stream.name, now.what, now.tail, before.what, before.tail
                )
            });
        }
    }
}

/// Whatever lies before an observed tail had begun by then.
fn future(view: &View<'_>, stream: &Stream<'_>, order: &Order, observations: &[Observation], findings: &mut Findings) {
    // For each rank, the latest beginning of what lies before it.
    let mut latest: Vec<(u64, u64)> = vec![(0, 0)];
    for message in &order.messages {
        let before = latest[latest.len() - 1];
        let own = view.write_of(*message).filter(|write| write.from_ns != u64::MAX);
        latest.push(own.map_or(before, |write| before.max((write.from_ns, write.index))));
    }
    for now in observations {
        let rank = order.rank_floor(now.tail);
        let (from_ns, index) = latest[rank];
        if from_ns > now.return_ns {
            findings.error("from-the-future", &[now.index, index], || {
                format!(
                    "{}: {} was answered with {}, which holds a write that began later",
                    stream.name, now.what, now.tail
                )
            });
        }
    }
}

/// Nothing observed lies beyond the end that every node has at last.
fn beyond(view: &View<'_>, stream: &Stream<'_>, observations: &[Observation], findings: &mut Findings) {
    let finals = view.final_reads(stream);
    let Some(last) = finals.values().max_by_key(|segment| segment.next).copied() else {
        return;
    };
    let over = |now: &&Observation| now.return_ns < last.operation.invoke_ns && now.tail > last.next;
    for now in observations.iter().filter(over) {
        findings.error("beyond-the-end", &[now.index, last.index()], || {
            format!(
                "{}: {} was answered with {}, and at last every node ends at {} or before",
                stream.name, now.what, now.tail, last.next
            )
        });
    }
}
