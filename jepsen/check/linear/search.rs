//! The search of Wing and Gong, with Lowe's memory of what was tried.
//!
//! A step takes one operation that no other one must precede: it was invoked before any operation still to be placed had
//! returned. A configuration (what is placed, and the state) is tried once. Operations of unknown outcome may be placed,
//! and may be left out.

use std::collections::HashSet;

use super::model::{Call, State};

/// What the search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// There is a linearization.
    Linearizable,
    /// There is none: at most `done` operations can be placed, and then none of `stuck` fits.
    Impossible { done: usize, stuck: Vec<usize> },
    /// Not decided within the steps.
    TooLong,
}

/// One place in the search: a state, and which call to try next.
struct Frame {
    state: State,
    candidates: Vec<usize>,
    tried: usize,
    /// The call that led here.
    placed: Option<usize>,
}

/// Searches for a linearization of `calls`, which are sorted by invoke.
pub(crate) fn search(calls: &[Call<'_>], max_steps: u64) -> Finding {
    let mut placed = Placed::new(calls.len());
    let mut seen: HashSet<(Placed, State)> = HashSet::new();
    let mut certain_left = calls.iter().filter(|call| call.is_certain()).count();
    let mut deepest = (0, candidates(calls, &placed));
    let mut frames = vec![Frame {
        state: None,
        candidates: deepest.1.clone(),
        tried: 0,
        placed: None,
    }];
    let mut steps = 0;
    while certain_left > 0 {
        let Some(frame) = frames.last_mut() else {
            let (done, stuck) = deepest;
            return Finding::Impossible { done, stuck };
        };
        let Some(call) = frame.candidates.get(frame.tried).copied() else {
            if let Some(call) = frame.placed {
                placed.set(call, false);
                certain_left += usize::from(calls[call].is_certain());
            }
            frames.pop();
            continue;
        };
        frame.tried += 1;
        steps += 1;
        if steps > max_steps {
            return Finding::TooLong;
        }
        let Some(state) = calls[call].apply(&frame.state) else {
            continue;
        };
        placed.set(call, true);
        if !seen.insert((placed.clone(), state.clone())) {
            placed.set(call, false);
            continue;
        }
        certain_left -= usize::from(calls[call].is_certain());
        let candidates = candidates(calls, &placed);
        if frames.len() > deepest.0 {
            deepest = (frames.len(), candidates.clone());
        }
        frames.push(Frame {
            state,
            candidates,
            tried: 0,
            placed: Some(call),
        });
    }
    Finding::Linearizable
}

/// The calls that may come next: those invoked before every call still to be placed has returned. Certain ones first,
/// so that unknown ones are tried only where they are needed.
fn candidates(calls: &[Call<'_>], placed: &Placed) -> Vec<usize> {
    let mut first_return = u64::MAX;
    let mut found = Vec::new();
    for (place, call) in calls.iter().enumerate().skip(placed.prefix) {
        if call.invoke_ns > first_return {
            break;
        }
        if !placed.has(place) {
            first_return = first_return.min(call.return_ns);
            found.push(place);
        }
    }
    found.retain(|place| calls[*place].invoke_ns <= first_return);
    found.sort_by_key(|place| (!calls[*place].is_certain(), calls[*place].return_ns));
    found
}

/// A set of calls: all below `prefix`, and the bits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Placed {
    prefix: usize,
    bits: Vec<u64>,
}

impl Placed {
    fn new(calls: usize) -> Self {
        Self {
            prefix: 0,
            bits: vec![0; calls.div_ceil(64)],
        }
    }

    fn has(&self, call: usize) -> bool {
        self.bits[call / 64] >> (call % 64) & 1 == 1
    }

    fn set(&mut self, call: usize, on: bool) {
        let bit = 1 << (call % 64);
        if on {
            self.bits[call / 64] |= bit;
        } else {
            self.bits[call / 64] &= !bit;
        }
        self.prefix = self
            .bits
            .iter()
            .position(|word| *word != u64::MAX)
            .map_or(self.bits.len() * 64, |word| {
                word * 64 + self.bits[word].trailing_ones() as usize
            });
    }
}
