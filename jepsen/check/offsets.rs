//! An offset is one place for all time: on every node, after restarts and snapshots; it grows along the stream.

use super::verdict::{Check, Findings};
use super::view::{Order, Stream, View};

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
        if stream.one_life {
            acknowledged(view, stream, &mut findings);
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
