//! Live readers get every message once, in order, without a gap, over all their connections.

use std::collections::BTreeMap;

use super::verdict::{Check, Findings};
use super::view::{Kind, Order, Segment, Stream, View};
use crate::history::{From, MessageId, Op};

pub(crate) fn check(view: &View<'_>) -> Check {
    let mut findings = Findings::new("live");
    for stream in view.streams.values() {
        let mut sessions: BTreeMap<u64, Vec<&Segment<'_>>> = BTreeMap::new();
        for segment in &stream.segments {
            if let (Kind::Live(_), Op::Live { session, .. }) = (segment.kind, &segment.operation.op) {
                sessions.entry(*session).or_default().push(segment);
            }
        }
        for (session, pieces) in &sessions {
            findings.figure("sessions", 1);
            findings.figure("reconnects", pieces.len() as u64 - 1);
            goes_on(stream, *session, pieces, &mut findings);
            once(stream, *session, pieces, &mut findings);
            for piece in pieces {
                if let Some(order) = order_of(stream, piece) {
                    fits(stream, order, piece, &mut findings);
                }
            }
        }
    }
    findings.finish()
}

/// The order that a piece belongs to: by its tag; else by its messages, which no other life has.
fn order_of<'s>(stream: &'s Stream<'_>, piece: &Segment<'_>) -> Option<&'s Order> {
    stream.order_of(piece).or_else(|| {
        let first = piece.messages().first()?;
        stream.orders.values().find(|order| order.rank.contains_key(first))
    })
}

/// The reader itself keeps to its part: each piece begins where the last one ended.
fn goes_on(stream: &Stream<'_>, session: u64, pieces: &[&Segment<'_>], findings: &mut Findings) {
    for pair in pieces.windows(2) {
        let from = match &pair[1].operation.op {
            Op::Live {
                from: From::At(from), ..
            } => Some(*from),
            _ => None,
        };
        if from.is_some_and(|from| from != pair[0].next) {
            findings.undecided(format!(
                "{}: reader {session} went on at another offset than it was given (event {})",
                stream.name,
                pair[1].index()
            ));
        }
    }
}

/// No message comes twice to one reader.
fn once(stream: &Stream<'_>, session: u64, pieces: &[&Segment<'_>], findings: &mut Findings) {
    let mut seen: BTreeMap<MessageId, u64> = BTreeMap::new();
    for piece in pieces {
        findings.checked("messages", piece.messages().len() as u64);
        for message in piece.messages() {
            if let Some(first) = seen.insert(*message, piece.index()) {
                findings.error("repeated", &[first, piece.index()], || {
                    format!("{}: reader {session} got {message} twice", stream.name)
                });
            }
        }
        // What lacked its control event comes again; that it does is seen by `fits`.
        for message in &piece.answer.unconfirmed {
            if let Some(first) = seen.get(message) {
                findings.error("repeated", &[*first, piece.index()], || {
                    format!("{}: reader {session} got {message} twice", stream.name)
                });
            }
        }
    }
}

/// What came between two offsets is exactly what lies there.
fn fits(stream: &Stream<'_>, order: &Order, piece: &Segment<'_>, findings: &mut Findings) {
    // From `now` the reader may not have been told where it is: then its first message says so.
    let first = || {
        piece
            .messages()
            .first()
            .and_then(|first| order.rank.get(first))
            .copied()
    };
    let base = match piece.start {
        Some(start) => order.rank_at(start),
        None => first(),
    };
    let Some(base) = base else {
        findings.figure("pieces-at-unknown-places", 1);
        return;
    };
    findings.checked("pieces", 1);
    let messages = piece.messages();
    for (i, message) in messages.iter().enumerate() {
        let Some(due) = order.messages.get(base + i) else {
            break;
        };
        if due != message {
            wrong(stream, order, piece, base + i, *message, findings);
            return;
        }
    }
    if let Some(end) = order.rank_at(piece.next)
        && end != base + messages.len()
    {
        let kind = if end > base + messages.len() {
            "skipped"
        } else {
            "control-behind"
        };
        findings.error(kind, &[piece.index()], || {
            format!(
                "{}: {} messages came, and the offset {} given lies after {}",
                stream.name,
                messages.len(),
                piece.next,
                end.saturating_sub(base)
            )
        });
    }
    let after = order.messages.get(base + messages.len()..).unwrap_or_default();
    if let Some((due, found)) = after
        .iter()
        .zip(&piece.answer.unconfirmed)
        .find(|(due, found)| due != found)
    {
        findings.error("skipped", &[piece.index()], || {
            format!("{}: {found} came where {due} lies", stream.name)
        });
    }
}

fn wrong(
    stream: &Stream<'_>,
    order: &Order,
    piece: &Segment<'_>,
    rank: usize,
    found: MessageId,
    findings: &mut Findings,
) {
    let due = order.messages[rank];
    let kind = match order.rank.get(&found) {
        Some(place) if *place > rank => "skipped",
        Some(_) => "repeated",
        None => "unordered",
    };
    findings.error(kind, &[piece.index(), order.shown_by[rank].0], || {
        format!("{}: {found} came where {due} lies", stream.name)
    });
}
