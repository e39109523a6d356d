//! A stream with a TTL is never gone early; and it does go.
//!
//! The TTL slides: writes and reads begin it anew, HEAD does not. A read's renewal may take `renew_lag_ms` to count
//! everywhere; clocks may be `clock_error_ms` wrong.

use super::verdict::{Check, Findings};
use super::view::{Stream, View};
use crate::history::{Limits, Op, Operation, Outcome};

const NS_PER_MS: u64 = 1_000_000;

pub(crate) fn check(view: &View<'_>) -> Check {
    let mut findings = Findings::new("ttl");
    for stream in view.streams.values() {
        if let Some(ttl_ms) = ttl_ms(stream) {
            findings.figure("streams", 1);
            expiry(stream, ttl_ms * NS_PER_MS, &view.history.run.limits, &mut findings);
        }
    }
    findings.finish()
}

/// The stream's TTL, if it has the same one in all its lives and nobody deletes it.
fn ttl_ms(stream: &Stream<'_>) -> Option<u64> {
    let mut found = None;
    let done = stream
        .operations
        .iter()
        .filter(|operation| !matches!(operation.outcome, Outcome::Fail(_)));
    for operation in done {
        let ttl_ms = match &operation.op {
            Op::Create { ttl_ms, .. } | Op::Fork { ttl_ms, .. } => (*ttl_ms)?,
            Op::Delete { .. } => return None,
            _ => continue,
        };
        if *found.get_or_insert(ttl_ms) != ttl_ms {
            return None;
        }
    }
    found
}

/// How an operation speaks of expiry.
enum Sign {
    /// It began the TTL anew, at some moment from invoke to return.
    Touch { is_read: bool },
    /// It may have.
    MayTouch,
    /// It found the stream, and changed nothing.
    Seen,
    /// It found the stream gone.
    Gone,
    /// It made a stream where there was none.
    Made,
}

fn sign(operation: &Operation) -> Option<Sign> {
    let reads = matches!(operation.op, Op::Read { .. } | Op::Live { .. });
    Some(match (&operation.op, &operation.outcome) {
        // What a replica shows by itself may lag and says nothing of the stream, but a read is a use.
        (Op::FinalRead { .. }, Outcome::Ok(_)) => Sign::MayTouch,
        (Op::FinalRead { .. }, _) => return None,
        // There it is the source that was not found.
        (Op::Fork { .. }, Outcome::Fail(_)) => return None,
        (Op::Head { .. }, Outcome::Ok(_)) => Sign::Seen,
        (Op::Head { .. }, Outcome::Info(_)) => return None,
        (Op::Create { .. } | Op::Fork { .. }, Outcome::Ok(answer)) if answer.status == 201 => Sign::Made,
        (_, Outcome::Ok(_)) => Sign::Touch { is_read: reads },
        (_, Outcome::Info(_)) => Sign::MayTouch,
        (_, Outcome::Fail(failure)) if matches!(failure.status, Some(404 | 410)) => Sign::Gone,
        (_, Outcome::Fail(_)) => return None,
    })
}

fn expiry(stream: &Stream<'_>, ttl_ns: u64, limits: &Limits, findings: &mut Findings) {
    let clock_ns = limits.clock_error_ms * NS_PER_MS;
    let read_ns = limits.renew_lag_ms * NS_PER_MS;
    let signs: Vec<(&Operation, Sign)> = stream
        .operations
        .iter()
        .filter_map(|operation| sign(operation).map(|sign| (*operation, sign)))
        .collect();
    for (now, sign) in &signs {
        match sign {
            Sign::Gone | Sign::Made => {
                early(stream, now, &signs, ttl_ns, (clock_ns, read_ns), findings);
            }
            Sign::Seen => {
                let lag_ns = clock_ns + limits.expiry_lag_ms * NS_PER_MS;
                late(stream, now, &signs, ttl_ns, lag_ns, findings);
            }
            Sign::Touch { .. } | Sign::MayTouch => {}
        }
    }
}

/// Gone before the last touch that was over when it was asked had run out.
fn early(
    stream: &Stream<'_>,
    gone: &Operation,
    signs: &[(&Operation, Sign)],
    ttl_ns: u64,
    (clock_ns, read_ns): (u64, u64),
    findings: &mut Findings,
) {
    let due = signs
        .iter()
        .filter(|(touch, _)| touch.return_ns < gone.invoke_ns)
        .filter_map(|(touch, sign)| match sign {
            Sign::Touch { is_read: true } => Some((touch.invoke_ns.saturating_sub(read_ns), touch.index)),
            Sign::Touch { is_read: false } | Sign::Made => Some((touch.invoke_ns, touch.index)),
            _ => None,
        });
    let Some((touched_ns, index)) = due.max() else {
        return;
    };
    findings.checked("expiries", 1);
    let until_ns = (touched_ns + ttl_ns).saturating_sub(clock_ns);
    if gone.return_ns < until_ns {
        findings.error("early", &[index, gone.index], || {
            format!(
                "{}: gone {} ms before the {} ms after its last use were over",
                stream.name,
                (until_ns - gone.return_ns) / NS_PER_MS,
                ttl_ns / NS_PER_MS
            )
        });
    }
}

/// Still there long after every touch that may have counted had run out.
fn late(
    stream: &Stream<'_>,
    seen: &Operation,
    signs: &[(&Operation, Sign)],
    ttl_ns: u64,
    lag_ns: u64,
    findings: &mut Findings,
) {
    let touches = signs
        .iter()
        .filter(|(touch, _)| touch.invoke_ns < seen.return_ns)
        .filter_map(|(touch, sign)| match sign {
            Sign::Touch { .. } | Sign::Made | Sign::MayTouch => Some((touch.return_ns, touch.index)),
            Sign::Seen | Sign::Gone => None,
        });
    let Some((touched_ns, index)) = touches.max() else {
        return;
    };
    // A use of unknown outcome may have come at any time.
    let Some(until_ns) = touched_ns.checked_add(ttl_ns + lag_ns) else {
        findings.figure("unknown-uses", 1);
        return;
    };
    findings.checked("sightings", 1);
    findings.largest(
        "largest-lateness-ms",
        seen.invoke_ns.saturating_sub(until_ns - lag_ns) / NS_PER_MS,
    );
    if seen.invoke_ns > until_ns {
        findings.error("late", &[index, seen.index], || {
            format!(
                "{}: still there {} ms after it should have expired",
                stream.name,
                (seen.invoke_ns - (until_ns - lag_ns)) / NS_PER_MS
            )
        });
    }
}
