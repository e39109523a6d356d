//! Nothing is read that was not written to the stream (or to what it is forked from), nothing whose write was refused,
//! nothing before its write began, and no torn bytes.

use std::collections::HashSet;

use super::verdict::{Check, Findings};
use super::view::{Fate, Stream, View};
use crate::history::{MessageId, Operation};

pub(crate) fn check(view: &View<'_>) -> Check {
    let mut findings = Findings::new("phantom");
    for stream in view.streams.values() {
        let ancestors = view.ancestors(stream);
        let mut known = HashSet::new();
        for segment in &stream.segments {
            let unconfirmed = segment.answer.unconfirmed.iter();
            for message in segment.messages().iter().chain(unconfirmed) {
                too_early(view, stream, *message, segment.operation, &mut findings);
                // Whether it may be there at all is asked once.
                if known.insert(*message) {
                    source(view, &ancestors, stream, *message, segment.index(), &mut findings);
                }
            }
            if segment.answer.garbage > 0 {
                findings.error("garbage", &[segment.index()], || {
                    format!(
                        "{}: {} messages or offsets were none of ours",
                        stream.name, segment.answer.garbage
                    )
                });
            }
        }
        findings.checked("messages", known.len() as u64);
    }
    findings.finish()
}

fn source(
    view: &View<'_>,
    ancestors: &HashSet<&str>,
    stream: &Stream<'_>,
    message: MessageId,
    read: u64,
    findings: &mut Findings,
) {
    let Some(write) = view.write_of(message) else {
        findings.error("never-written", &[read], || {
            format!("{}: {message} was read and never written", stream.name)
        });
        return;
    };
    let mut events = write.events();
    events.push(read);
    if !ancestors.contains(write.stream) {
        findings.error("foreign", &events, || {
            format!("{}: {message} was read, but written to {}", stream.name, write.stream)
        });
    } else if write.fate == Fate::Refused {
        findings.error("refused-but-read", &events, || {
            format!("{}: {message} was read, but its write was refused", stream.name)
        });
    }
}

fn too_early(view: &View<'_>, stream: &Stream<'_>, message: MessageId, read: &Operation, findings: &mut Findings) {
    let Some(write) = view.write_of(message) else {
        return;
    };
    if write.fate != Fate::Refused && write.from_ns > read.return_ns {
        findings.error("from-the-future", &[read.index, write.index], || {
            format!("{}: {message} was read before its write began", stream.name)
        });
    }
}
