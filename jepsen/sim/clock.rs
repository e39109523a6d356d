//! Wall clocks: each node has its own, which may be wrong and may jump.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use weir_protocol::{Clock, Timestamp};

/// When simulations begin, in milliseconds since 1970.
const BEGIN_MS: i64 = 1_700_000_000_000;

/// A node's wall clock; clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct SimClock(Arc<AtomicI64>);

impl SimClock {
    /// How far ahead it is, in milliseconds.
    pub fn set_skew(&self, skew_ms: i64) {
        self.0.store(skew_ms, Ordering::Relaxed);
    }

    /// See [`SimClock::set_skew`].
    #[must_use]
    pub fn skew(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let elapsed = turmoil::sim_elapsed().unwrap_or_default().as_millis();
        let now = BEGIN_MS + i64::try_from(elapsed).unwrap_or(i64::MAX) + self.skew();
        Timestamp::from_millis(u64::try_from(now).unwrap_or_default())
    }
}
