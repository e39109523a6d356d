//! What each operation says of its stream's tail and of whether it is closed.

use super::view::{Stream, View, stored};
use crate::history::{Answer, Consistency, From, Op, Operation, Outcome};

/// In which sense an operation observed the tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It made it: everything before is shorter.
    After,
    /// That was the tail, at some moment between invoke and return.
    Tail,
    /// The tail was that or more, at or after the invoke; and no less than any tail known before.
    AtLeast,
    /// So much was there, on some replica: nothing follows for the tail at the time.
    Some,
}

/// One operation's word on a stream.
#[derive(Debug, Clone)]
pub(crate) struct Observation {
    pub(crate) index: u64,
    pub(crate) invoke_ns: u64,
    pub(crate) return_ns: u64,
    pub(crate) node: Option<u32>,
    pub(crate) tail: u64,
    pub(crate) claim: Claim,
    /// Whether it said that the stream is closed at `tail`.
    pub(crate) closed: bool,
    /// Whether it would have said so, had it been.
    pub(crate) would_tell: bool,
    pub(crate) what: &'static str,
}

/// Everything that was said of a stream, by invoke.
pub(crate) fn observations(view: &View<'_>, stream: &Stream<'_>) -> Vec<Observation> {
    let mut found: Vec<Observation> = stream
        .operations
        .iter()
        .filter_map(|operation| observe(operation))
        .collect();
    found.extend(forks_of(view, stream));
    found.sort_by_key(|observation| observation.index);
    found
}

fn observe(operation: &Operation) -> Option<Observation> {
    let (tail, claim, closed, would_tell) = match &operation.outcome {
        Outcome::Ok(answer) => {
            let claim = claim(operation, answer)?;
            let would_tell = claim != Claim::Some || answer.up_to_date;
            (answer.next?, claim, answer.closed, would_tell)
        }
        // A refusal because the stream is closed tells where it ends.
        Outcome::Fail(failure) if failure.closed => (failure.next?, Claim::Tail, true, true),
        _ => return None,
    };
    Some(Observation {
        index: operation.index,
        invoke_ns: operation.invoke_ns,
        return_ns: operation.return_ns,
        node: operation.node,
        tail,
        claim,
        closed,
        would_tell,
        what: operation.op.f(),
    })
}

fn claim(operation: &Operation, answer: &Answer) -> Option<Claim> {
    Some(match &operation.op {
        Op::Append { .. } if stored(operation, answer) => Claim::After,
        Op::Append { .. } | Op::Close { .. } | Op::Create { .. } | Op::Head { .. } => Claim::Tail,
        Op::Read {
            consistency: Consistency::Strong,
            from,
            ..
        } => match from {
            From::Now => Claim::Tail,
            _ if answer.up_to_date => Claim::Tail,
            _ => Claim::Some,
        },
        // What comes last may have come long after the connection began; but less than its beginning it cannot be.
        Op::Live { .. } if answer.up_to_date => Claim::AtLeast,
        Op::Read { .. } | Op::FinalRead { .. } | Op::Live { .. } => Claim::Some,
        // The fork's own tail: a fork is made with it.
        Op::Fork { .. } if answer.status == 201 => Claim::Some,
        Op::Fork { .. } => Claim::Tail,
        Op::Delete { .. } => return None,
    })
}

/// A fork without an offset is made at its source's tail, so it reads it.
fn forks_of<'a>(view: &'a View<'_>, source: &'a Stream<'_>) -> impl Iterator<Item = Observation> + 'a {
    let forks = view.streams.values().flat_map(|stream| &stream.forks);
    forks.filter_map(|operation| {
        let Op::Fork {
            source: from, at: None, ..
        } = &operation.op
        else {
            return None;
        };
        let Outcome::Ok(answer) = &operation.outcome else {
            return None;
        };
        (from == source.name && answer.status == 201).then_some(())?;
        Some(Observation {
            index: operation.index,
            invoke_ns: operation.invoke_ns,
            return_ns: operation.return_ns,
            node: operation.node,
            tail: answer.next?,
            claim: Claim::Tail,
            closed: false,
            would_tell: false,
            what: "fork",
        })
    })
}
