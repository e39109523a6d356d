//! One order for all readers: any two reads of a life agree wherever they overlap.

use super::verdict::{Check, Findings};
use super::view::View;

pub(crate) fn check(view: &View<'_>) -> Check {
    let mut findings = Findings::new("order");
    for stream in view.streams.values() {
        for order in stream.orders.values() {
            for conflict in &order.conflicts {
                findings.error(conflict.kind, &conflict.events, || {
                    format!("{}: {}", stream.name, conflict.text)
                });
            }
            findings.checked("reads", order.reads);
            findings.figure("messages", order.messages.len() as u64);
            findings.figure("unread-gaps", order.gaps.len() as u64);
        }
    }
    findings.finish()
}
