//! An entity tag names one answer: the same messages and range, and the same said of what follows, on every node, for
//! all time; and one such answer has one tag.

use std::collections::HashMap;

use super::verdict::{Check, Findings};
use super::view::View;
use crate::history::{Answer, From, LiveMode, MessageId, Op, Operation, Outcome};

/// What a tag stands for.
type Meaning<'h> = (Range, &'h [MessageId]);

/// Where an answer begins and ends, whether the stream is closed there, and whether it said to be up to date.
type Range = (u64, u64, bool, bool);

pub(crate) fn check(view: &View<'_>) -> Check {
    let mut findings = Findings::new("etag");
    for stream in view.streams.values() {
        let mut meanings: HashMap<&str, (Meaning<'_>, u64)> = HashMap::new();
        let mut tags: HashMap<Range, (&str, u64)> = HashMap::new();
        let mut lives: Option<(&str, u64)> = None;
        for segment in &stream.segments {
            let (Some(tag), Some(start)) = (tag(segment.operation, segment.answer), segment.start) else {
                continue;
            };
            findings.checked("tags", 1);
            let answer = segment.answer;
            let range = (start, segment.next, answer.closed, answer.up_to_date);
            let meaning = (range, segment.messages());
            let (known, first) = *meanings.entry(tag).or_insert((meaning, segment.index()));
            if known != meaning {
                findings.error("tag-names-two-answers", &[first, segment.index()], || {
                    format!("{}: {tag} came with two different answers", stream.name)
                });
            }
            if !stream.one_life {
                continue;
            }
            let (known, first) = *tags.entry(range).or_insert((tag, segment.index()));
            if known != tag {
                findings.error("range-has-two-tags", &[first, segment.index()], || {
                    format!(
                        "{}: {}..{} came with {known} and with {tag}",
                        stream.name, range.0, range.1
                    )
                });
            }
            if let Some(life) = segment.life {
                let (known, first) = *lives.get_or_insert((life, segment.index()));
                if known != life {
                    findings.error("another-life", &[first, segment.index()], || {
                        format!(
                            "{}: it was never deleted, and has the lives {known} and {life}",
                            stream.name
                        )
                    });
                }
            }
        }
        for operation in &stream.operations {
            not_modified(stream.name, operation, &meanings, &mut findings);
        }
    }
    findings.finish()
}

/// A 304 says that the answer with the tag asked for is still the answer.
fn not_modified(
    stream: &str,
    operation: &Operation,
    meanings: &HashMap<&str, (Meaning<'_>, u64)>,
    findings: &mut Findings,
) {
    let (Op::Read { if_none_match, .. }, Outcome::Ok(answer)) = (&operation.op, &operation.outcome) else {
        return;
    };
    if answer.status != 304 {
        return;
    }
    let asked = if_none_match.as_deref().map(strip);
    let known = asked.and_then(|tag| meanings.get(tag));
    findings.figure("not-modified", 1);
    if let (Some(asked), Some(sent)) = (asked, answer.etag.as_deref().map(strip))
        && asked != sent
    {
        findings.error("another-tag-in-304", &[operation.index], || {
            format!("{stream}: asked for {asked}, the 304 says {sent}")
        });
    }
    let Some((((_, next, closed, up_to_date), _), first)) = known else {
        return;
    };
    if answer.next.is_some_and(|answered| answered != *next)
        || (answer.closed, answer.up_to_date) != (*closed, *up_to_date)
    {
        findings.error("false-304", &[*first, operation.index], || {
            format!("{stream}: a 304 ends at {:?}, the tagged answer at {next}", answer.next)
        });
    }
}

/// The tag of an answer that is one response: not of pages put together, and not of events.
fn tag<'h>(operation: &Operation, answer: &'h Answer) -> Option<&'h str> {
    let single = match &operation.op {
        Op::Read { from, .. } => *from != From::Now,
        Op::Live { mode, .. } => *mode == LiveMode::LongPoll,
        _ => false,
    };
    answer
        .etag
        .as_deref()
        .filter(|_| single && answer.marks.is_empty())
        .map(strip)
}

fn strip(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}
