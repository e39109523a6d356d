//! Latencies, errors and counts.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// The longest latency that is told apart from longer ones, in microseconds: an hour.
const MAX_LATENCY_MICROS: u64 = 3_600_000_000;

/// What the clients of one thread have seen. One thread takes the lock, and now and then whoever shows the progress.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<Tally>);

impl Shared {
    /// The tally. Counting leaves it whole at every step, so a panic elsewhere does not spoil it.
    pub(super) fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What some clients have seen.
#[derive(Debug)]
pub(super) struct Tally {
    /// Microseconds.
    pub(super) latency: Histogram<u64>,
    /// Of the measured operations that succeeded.
    pub(super) bytes: u64,
    /// Measured operations that failed, by status or by what happened.
    pub(super) errors: BTreeMap<Cow<'static, str>, u64>,
    /// Operations that failed before the measurement.
    pub(super) warm_up_errors: u64,
    /// What else there is to count in this kind of work.
    pub(super) counts: BTreeMap<&'static str, u64>,
    /// All operations, measured or not: the progress.
    pub(super) seen: u64,
    /// When the last measured operation ended.
    pub(super) last_end: Option<Instant>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            latency: histogram(),
            bytes: 0,
            errors: BTreeMap::new(),
            warm_up_errors: 0,
            counts: BTreeMap::new(),
            seen: 0,
            last_end: None,
        }
    }
}

fn histogram() -> Histogram<u64> {
    match Histogram::new_with_bounds(1, MAX_LATENCY_MICROS, 3) {
        Ok(histogram) => histogram,
        Err(error) => unreachable!("the bounds are constants: {error}"),
    }
}

impl Tally {
    /// A measured operation succeeded.
    pub(super) fn done(&mut self, latency: Duration, bytes: u64) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.latency.saturating_record(micros.max(1));
        self.bytes += bytes;
    }

    /// Measured operations failed.
    pub(super) fn failed(&mut self, why: Cow<'static, str>, operations: u64) {
        if operations > 0 {
            *self.errors.entry(why).or_default() += operations;
        }
    }

    /// Counts something else.
    pub(super) fn count(&mut self, what: &'static str, more: u64) {
        *self.counts.entry(what).or_default() += more;
    }

    /// How many measured operations succeeded.
    pub(super) fn operations(&self) -> u64 {
        self.latency.len()
    }

    /// Adds what other clients have seen.
    pub(super) fn add(&mut self, other: &Self) {
        if let Err(error) = self.latency.add(&other.latency) {
            unreachable!("all histograms have the same bounds: {error}");
        }
        self.bytes += other.bytes;
        self.warm_up_errors += other.warm_up_errors;
        self.seen += other.seen;
        self.last_end = self.last_end.max(other.last_end);
        for (why, count) in &other.errors {
            self.failed(why.clone(), *count);
        }
        for (what, count) in &other.counts {
            self.count(what, *count);
        }
    }
}
