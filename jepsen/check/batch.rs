//! Batches are whole: the messages of one write are adjacent and in order, and no tail lies within them.

use super::verdict::{Check, Findings};
use super::view::{Order, Stream, View};
use crate::history::{Op, Outcome};

pub(crate) fn check(view: &View<'_>) -> Check {
    let mut findings = Findings::new("batch");
    for stream in view.streams.values() {
        for order in stream.orders.values() {
            adjacent(view, stream, order, &mut findings);
        }
        for segment in &stream.segments {
            // A page may end anywhere, but what ends at the tail ends where a write ends.
            if segment.answer.up_to_date
                && let Some(last) = segment.messages().last()
            {
                ends_whole(view, stream, *last, segment.index(), &mut findings);
            }
        }
        if let Some(order) = stream.orders.get("").filter(|_| stream.one_life) {
            tails(view, stream, order, &mut findings);
        }
    }
    findings.finish()
}

fn adjacent(view: &View<'_>, stream: &Stream<'_>, order: &Order, findings: &mut Findings) {
    let mut rank = 0;
    while let Some(message) = order.messages.get(rank) {
        let Some((write, place)) = view.written.get(message).copied() else {
            rank += 1;
            continue;
        };
        let write = &view.writes[write];
        let rest = &write.messages[place..];
        let there = &order.messages[rank..];
        let same = rest.iter().zip(there).take_while(|(due, found)| due == found).count();
        let starts_late = place > 0 && !(rank > 0 && order.gaps.contains(&(rank - 1)));
        // At the end of what was read the rest may be unread, or before a gap; up-to-date reads are looked at apart.
        let cut = same < rest.len() && same < there.len() && !order.gaps.contains(&(rank + same));
        if (starts_late || cut) && !(write.stream != stream.name && cut) {
            findings.error("torn", &[write.index, order.shown_by[rank].0], || {
                format!(
                    "{}: of the batch {}..{} only a part is there, or other messages are in it",
                    stream.name,
                    write.messages[0],
                    write.messages[write.messages.len() - 1]
                )
            });
        }
        findings.checked("batches", 1);
        findings.figure("batches-of-several", u64::from(write.messages.len() > 1));
        rank += same.max(1);
    }
}

fn ends_whole(
    view: &View<'_>,
    stream: &Stream<'_>,
    last: crate::history::MessageId,
    read: u64,
    findings: &mut Findings,
) {
    let Some((write, place)) = view.written.get(&last).copied() else {
        return;
    };
    let write = &view.writes[write];
    // A fork may be cut within its source's batch.
    if place + 1 < write.messages.len() && write.stream == stream.name {
        findings.error("tail-in-a-batch", &[write.index, read], || {
            format!(
                "{}: a read ends at the tail, and that within a batch after {last}",
                stream.name
            )
        });
    }
}

/// HEADs and acknowledgements name tails, too.
fn tails(view: &View<'_>, stream: &Stream<'_>, order: &Order, findings: &mut Findings) {
    for operation in &stream.operations {
        let is_tail = matches!(operation.op, Op::Head { .. } | Op::Append { .. } | Op::Close { .. });
        let (true, Outcome::Ok(answer)) = (is_tail, &operation.outcome) else {
            continue;
        };
        let Some(tail) = answer.next else {
            continue;
        };
        if let Some(write) = within(view, stream, order, tail) {
            findings.error("tail-in-a-batch", &[operation.index, write], || {
                format!(
                    "{}: {} answered the tail {tail}, which lies within a batch",
                    stream.name,
                    operation.op.f()
                )
            });
        }
    }
}

/// The write whose batch surely has `offset` inside.
fn within(view: &View<'_>, stream: &Stream<'_>, order: &Order, offset: u64) -> Option<u64> {
    let (_, (low, _)) = order.offsets.range(..=offset).next_back()?;
    let (_, (high, _)) = order.offsets.range(offset..).next()?;
    // The message before and the message after the offset, as near as known.
    let (before, after) = if low == high {
        (low.checked_sub(1)?, *low)
    } else {
        (*low, high - 1)
    };
    let (first, _) = view.written.get(order.messages.get(before)?)?;
    let (second, _) = view.written.get(order.messages.get(after)?)?;
    let write = &view.writes[*first];
    (first == second && write.stream == stream.name).then_some(write.index)
}
