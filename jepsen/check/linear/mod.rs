//! A search for a linearization, where there is no closed form: create, delete and recreate, refusals, producers.
//!
//! Each stream is searched by itself (linearizability is local). Streams with one life have the closed forms of `tail`,
//! `append_order`, `close` and `exactly_once` besides; there the search is a cross-check on those that are small.

mod model;
mod search;
#[cfg(test)]
mod tests;

use super::verdict::{Check, Findings};
use super::view::{Stream, View};
use crate::history::{Op, Outcome};

use model::Call;
use search::{Finding, search};

/// Streams with more operations are left to the closed forms.
const MAX_CALLS: usize = 400;

/// So many steps are tried per stream before the search gives up.
const MAX_STEPS: u64 = 300_000;

pub(crate) fn check(view: &View<'_>) -> Check {
    let mut findings = Findings::new("linearizable");
    for stream in view.streams.values() {
        if !is_modelled(view, stream) {
            findings.figure("streams-not-modelled", 1);
            continue;
        }
        let calls = Call::of(stream);
        if calls.len() > MAX_CALLS {
            findings.figure("streams-too-long", 1);
            if !stream.one_life {
                findings.undecided(format!(
                    "{}: {} operations are too many for the search",
                    stream.name,
                    calls.len()
                ));
            }
            continue;
        }
        match search(&calls, MAX_STEPS) {
            Finding::Linearizable => findings.checked("streams", 1),
            Finding::TooLong => {
                findings.figure("searches-given-up", 1);
                if !stream.one_life {
                    findings.undecided(format!("{}: the search took too long", stream.name));
                }
            }
            Finding::Impossible { done, stuck } => {
                let events: Vec<u64> = stuck.iter().map(|call| calls[*call].index).collect();
                findings.error("not-linearizable", &events, || {
                    let next: Vec<String> = stuck.iter().take(4).map(|call| calls[*call].to_string()).collect();
                    format!(
                        "{}: after {done} of {} operations none of these fits: {}",
                        stream.name,
                        calls.len(),
                        next.join("; ")
                    )
                });
            }
        }
    }
    findings.finish()
}

/// A TTL ends lives by itself, and a fork's source lives on for its forks: the model has neither.
fn is_modelled(view: &View<'_>, stream: &Stream<'_>) -> bool {
    let has_ttl = stream
        .operations
        .iter()
        .any(|operation| matches!(operation.op, Op::Create { ttl_ms: Some(_), .. }));
    let refused = |operation: &&crate::history::Operation| matches!(operation.outcome, Outcome::Fail(_));
    let mut forks = view
        .streams
        .values()
        .flat_map(|stream| &stream.forks)
        .filter(|fork| !refused(fork));
    let is_source = forks.any(|fork| matches!(&fork.op, Op::Fork { source, .. } if source == stream.name));
    !has_ttl && !is_source && stream.forks.is_empty()
}
