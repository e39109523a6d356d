//! When the measurement begins and ends.
//!
//! It begins when all clients are ready, and the warm-up with it. A run ends after a time or after a count.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Barrier;

/// What all clients of a run begin and end by.
#[derive(Debug)]
pub(super) struct Gate {
    barrier: Barrier,
    end: End,
    window: OnceLock<Window>,
}

/// What ends a run.
#[derive(Debug)]
enum End {
    After {
        warm_up: Duration,
        duration: Duration,
    },
    /// How many operations have begun, and how many may.
    Count {
        begun: AtomicU64,
        count: u64,
    },
}

/// The measured time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// When the clients began.
    pub(super) opened: Instant,
    /// From when on they are measured.
    pub(super) from: Instant,
    /// Until when; a count ends without one.
    pub(super) until: Option<Instant>,
}

impl Window {
    /// Whether an operation that begins then is measured.
    pub(super) fn measures(&self, start: Instant) -> bool {
        start >= self.from && !self.is_over(start)
    }

    /// Whether nothing begins any more.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

impl Gate {
    /// For this many clients, ending after a time.
    pub(super) fn timed(clients: usize, warm_up: Duration, duration: Duration) -> Self {
        Self::new(clients, End::After { warm_up, duration })
    }

    /// For this many clients, ending after so many operations of them all.
    pub(super) fn counted(clients: usize, count: u64) -> Self {
        let begun = AtomicU64::new(0);
        Self::new(clients, End::Count { begun, count })
    }

    fn new(clients: usize, end: End) -> Self {
        Self {
            barrier: Barrier::new(clients),
            end,
            window: OnceLock::new(),
        }
    }

    /// Says that a client is ready, and waits for the others.
    pub(super) async fn ready(&self) -> Window {
        self.barrier.wait().await;
        *self.window.get_or_init(|| {
            let opened = Instant::now();
            match self.end {
                End::After { warm_up, duration } => Window {
                    opened,
                    from: opened + warm_up,
                    until: Some(opened + warm_up + duration),
                },
                End::Count { .. } => Window {
                    opened,
                    from: opened,
                    until: None,
                },
            }
        })
    }

    /// The measured time, once all clients are ready.
    pub(super) fn window(&self) -> Option<Window> {
        self.window.get().copied()
    }

    /// Whether one more operation may begin; asking takes its place.
    pub(super) fn may_begin(&self) -> bool {
        match &self.end {
            End::After { .. } => true,
            End::Count { begun, count } => begun.fetch_add(1, Ordering::Relaxed) < *count,
        }
    }

    /// How many operations there will be, when that is known.
    pub(super) fn count(&self) -> Option<u64> {
        match self.end {
            End::After { .. } => None,
            End::Count { count, .. } => Some(count),
        }
    }
}
