//! A piece of a stream that somebody read.

use crate::history::{Answer, Consistency, From, LiveMode, MessageId, Op, Operation, Outcome};

/// How it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Strong,
    Eventual,
    Live(LiveMode),
    Final,
}

/// Messages between two offsets, as one answer gave them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment<'h> {
    pub(crate) operation: &'h Operation,
    pub(crate) answer: &'h Answer,
    pub(crate) kind: Kind,
    /// Where it begins; `None` for a live reader from `now` that was not told.
    pub(crate) start: Option<u64>,
    pub(crate) next: u64,
    /// Which life its entity tag names.
    pub(crate) life: Option<&'h str>,
}

impl<'h> Segment<'h> {
    /// What `operation` read, if it read anything and says between which offsets.
    pub(crate) fn of(operation: &'h Operation) -> Option<Self> {
        let Outcome::Ok(answer) = &operation.outcome else {
            return None;
        };
        let (kind, from) = match &operation.op {
            Op::Read {
                from,
                consistency: Consistency::Strong,
                ..
            } => (Kind::Strong, *from),
            Op::Read { from, .. } => (Kind::Eventual, *from),
            Op::Live { from, mode, .. } => (Kind::Live(*mode), *from),
            Op::FinalRead { .. } => (Kind::Final, From::Start),
            _ => return None,
        };
        let next = answer.next?;
        // A 304 has no messages, though its offsets are those of an answer that had.
        if answer.status == 304 {
            return None;
        }
        let asked = match from {
            From::Start => Some(0),
            From::At(position) => Some(position),
            From::Now => answer.messages.is_empty().then_some(next),
        };
        Some(Self {
            operation,
            answer,
            kind,
            start: answer.start.or(asked),
            next,
            life: answer.etag.as_deref().map(life),
        })
    }

    pub(crate) fn messages(&self) -> &'h [MessageId] {
        &self.answer.messages
    }

    pub(crate) fn index(&self) -> u64 {
        self.operation.index
    }
}

/// The part of an entity tag that names the life.
fn life(tag: &str) -> &str {
    let tag = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
    tag.split(':').next().unwrap_or(tag)
}
