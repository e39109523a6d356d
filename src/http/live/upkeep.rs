//! A stream with a TTL does not expire while a client waits for it (protocol section 5.1, `Stream-TTL`).
//!
//! The request's first read begins the TTL anew. Where that ends sooner than the answer may, the client's waiting goes on
//! renewing it, by reads that take nothing.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use weir_protocol::{Consistency, Incarnation, Read, ReadFrom, ReadResult, StreamName, Timestamp};

use crate::app::Shared;
use crate::limits::LEAST_RENEWAL_PAUSE;

/// Waits for no other node: the renewals of all who wait for a stream on this one become one write.
const RENEWAL: Read = Read {
    from: ReadFrom::Now,
    max_bytes: 1,
    consistency: Consistency::Eventual,
    renews: true,
};

/// Renews until it is dropped.
pub(crate) struct Upkeep {
    _task: JoinSet<()>,
}

impl Upkeep {
    /// For an answer that begins with `first` and ends at `until`.
    pub(crate) fn new(app: &Shared, name: &StreamName, first: &ReadResult, until: Instant) -> Self {
        let mut task = JoinSet::new();
        // The deadline is the one that the first read has found, and what it renews comes later still.
        let pause = first.ttl_deadline.map(|deadline| pause(app, deadline));
        if let Some(pause) = pause.filter(|pause| Instant::now() + *pause < until) {
            let renewing = renew(Shared::clone(app), name.clone(), first.incarnation, pause);
            // The answer itself may outlast its time: a client that takes nothing of it does not listen.
            task.spawn(async move {
                let _ = timeout_at(until, renewing).await;
            });
        }
        Self { _task: task }
    }
}

async fn renew(app: Shared, name: StreamName, incarnation: Incarnation, mut next: Duration) {
    loop {
        sleep(next).await;
        next = match app.streams.read(&name, RENEWAL).await {
            Ok(result) if result.incarnation != incarnation => return,
            Ok(result) => match result.ttl_deadline {
                Some(deadline) => pause(&app, deadline),
                None => return,
            },
            // If it is gone, the watch tells the client so and ends this. A replica that lags may only think so.
            Err(_) => LEAST_RENEWAL_PAUSE,
        };
    }
}

/// Half of what is left. A renewal shows in the next read's deadline at the earliest, so that becomes a third of the TTL.
fn pause(app: &Shared, deadline: Timestamp) -> Duration {
    let left_ms = deadline.as_millis().saturating_sub(app.clock.now().as_millis());
    Duration::from_millis(left_ms / 2).max(LEAST_RENEWAL_PAUSE)
}
