//! Appends are in real-time order: what was acknowledged before another write began lies before it.

use super::verdict::{Check, Findings};
use super::view::View;

pub(crate) fn check(view: &View<'_>) -> Check {
    let mut findings = Findings::new("append-order");
    for stream in view.streams.values() {
        for order in stream.orders.values() {
            // Along the order, the latest beginning so far: nobody after it may have been over before it.
            let mut latest: Option<(u64, u64)> = None;
            for message in &order.messages {
                let Some(write) = view.write_of(*message).filter(|write| write.stream == stream.name) else {
                    continue;
                };
                findings.checked("messages", 1);
                if let Some((from_ns, index)) = latest
                    && write.by_ns < from_ns
                {
                    findings.error("out-of-order", &[index, write.index], || {
                        format!(
                            "{}: {message} was acknowledged before another write began that lies before it",
                            stream.name
                        )
                    });
                }
                if latest.is_none_or(|(from_ns, _)| from_ns < write.from_ns) && write.from_ns != u64::MAX {
                    latest = Some((write.from_ns, write.index));
                }
            }
        }
    }
    findings.finish()
}
