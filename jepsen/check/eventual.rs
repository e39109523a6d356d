//! Eventual reads are prefixes (`order` sees to that), and on one replica they never go backwards.

use std::collections::BTreeMap;

use super::verdict::{Check, Findings};
use super::view::{Kind, Segment, Stream, View};
use crate::history::{Consistency, Op, Stage};

pub(crate) fn check(view: &View<'_>) -> Check {
    let mut findings = Findings::new("eventual");
    let run = &view.history.run;
    // With fewer replicas than nodes, a node may ask now this replica, now that one.
    let own_replica = run.replication == 0 || run.replication >= run.nodes;
    let moves = moves(view);
    for stream in view.streams.values().filter(|stream| stream.one_life) {
        let mut nodes: BTreeMap<u32, Vec<&Segment<'_>>> = BTreeMap::new();
        for segment in stream
            .segments
            .iter()
            .filter(|segment| !matches!(segment.kind, Kind::Live(_)))
        {
            if let Some(node) = segment.operation.node {
                nodes.entry(node).or_default().push(segment);
            }
        }
        for (node, segments) in nodes.iter().filter(|_| own_replica) {
            backwards(view, stream, *node, &moves, segments, &mut findings);
        }
        lag(view, stream, &mut findings);
    }
    findings.finish()
}

/// From when until when replicas were moved, or made anew on an empty disk.
fn moves(view: &View<'_>) -> Vec<(u64, u64)> {
    let faults = &view.history.faults;
    let begins = faults.iter().filter(|(_, _, fault)| {
        let moves = ["member", "replace", "wipe"]
            .iter()
            .any(|kind| fault.name.starts_with(kind));
        moves && fault.stage == Stage::Begin
    });
    let end = |id: u64| {
        let mut ends = faults
            .iter()
            .filter(|(_, _, fault)| fault.id == id && fault.stage == Stage::End);
        ends.next().map_or(u64::MAX, |(_, time_ns, _)| *time_ns)
    };
    begins.map(|(_, time_ns, fault)| (*time_ns, end(fault.id))).collect()
}

/// Since when a node has had the same replicas as at `at_ns`; in the future while they are moved.
fn same_since(moves: &[(u64, u64)], at_ns: u64) -> u64 {
    let begun = moves.iter().filter(|(begin_ns, _)| *begin_ns <= at_ns);
    begun.map(|(_, end_ns)| *end_ns).max().unwrap_or(0)
}

const fn is_eventual(segment: &Segment<'_>) -> bool {
    matches!(
        segment.operation.op,
        Op::Read {
            consistency: Consistency::Eventual,
            ..
        }
    )
}

/// An eventual read that claims the tail shows no less than an earlier read on the same node.
fn backwards(
    view: &View<'_>,
    stream: &Stream<'_>,
    node: u32,
    moves: &[(u64, u64)],
    segments: &[&Segment<'_>],
    findings: &mut Findings,
) {
    let mut by_return = segments.to_vec();
    by_return.sort_by_key(|segment| segment.operation.return_ns);
    let mut returned = by_return.iter().copied().peekable();
    let mut highest: Option<&Segment<'_>> = None;
    let mut same_since_ns = 0;
    for now in segments {
        let since_ns = same_since(moves, now.operation.return_ns);
        if since_ns > same_since_ns {
            // Another replica may answer since then: what was shown before does not bind it.
            same_since_ns = since_ns;
            highest = None;
            returned = by_return.iter().copied().peekable();
            while returned
                .next_if(|before| before.operation.return_ns < since_ns)
                .is_some()
            {}
        }
        while let Some(before) = returned.next_if(|before| before.operation.return_ns < now.operation.invoke_ns) {
            if before.operation.invoke_ns >= same_since_ns && highest.is_none_or(|highest| highest.next < before.next) {
                highest = Some(before);
            }
        }
        if !is_eventual(now) || !now.answer.up_to_date {
            continue;
        }
        findings.checked("reads", 1);
        if let Some(before) = highest.filter(|before| now.next < before.next) {
            let kind = if restarted(view, node, before, now) {
                "backwards-after-restart"
            } else {
                "backwards"
            };
            findings.error(kind, &[before.index(), now.index()], || {
                format!(
                    "{}: n{node} showed the tail {} after it had shown {}",
                    stream.name, now.next, before.next
                )
            });
        }
    }
}

/// Whether a fault named the node between the two reads.
fn restarted(view: &View<'_>, node: u32, before: &Segment<'_>, now: &Segment<'_>) -> bool {
    let name = format!("n{node}");
    let between = before.operation.invoke_ns..=now.operation.return_ns;
    let restarts = |fault: &str| {
        ["kill", "power", "restart", "disk", "pause-kill"]
            .iter()
            .any(|kind| fault.starts_with(kind))
    };
    view.history.faults.iter().any(|(_, time_ns, fault)| {
        between.contains(time_ns)
            && restarts(&fault.name)
            && fault.targets.iter().any(|target| target.starts_with(&name))
    })
}

/// How far eventual reads were behind what was acknowledged before them.
fn lag(view: &View<'_>, stream: &Stream<'_>, findings: &mut Findings) {
    let mut acknowledged: Vec<(u64, u64)> = stream
        .writes
        .iter()
        .map(|write| &view.writes[*write])
        .filter_map(|write| write.end.map(|end| (write.by_ns, end)))
        .collect();
    acknowledged.sort_unstable();
    let mut highest = 0;
    for (_, end) in &mut acknowledged {
        highest = highest.max(*end);
        *end = highest;
    }
    for segment in stream
        .segments
        .iter()
        .filter(|segment| is_eventual(segment) && segment.answer.up_to_date)
    {
        let known = acknowledged.partition_point(|(by_ns, _)| *by_ns < segment.operation.invoke_ns);
        let due = known.checked_sub(1).map_or(0, |last| acknowledged[last].1);
        findings.largest("largest-lag-bytes", due.saturating_sub(segment.next));
    }
}
