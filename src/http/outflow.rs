//! Answers on their way out: how much of them is in memory, and whether their clients take them.
//!
//! An answer is as large as there is room: what a read leaves out, the client's next one gets. So with many slow clients
//! answers become smaller, and none has to be refused but those that cannot be small, as they have a single large
//! message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Extensions;
use tokio::time::sleep;

use crate::budget::{Budget, OverBudget, Promise, Reservation, hold};
use crate::limits::{ANSWER_SHARES, CONNECTION_SHARES, LEAST_TAKEN_BYTES, SMALL_ANSWER_BYTES};
use crate::live::hub::Batch;

/// One connection's way out. It is an extension of the requests that read.
#[derive(Debug, Default)]
pub(crate) struct Outflow {
    /// How many of its answers are in memory.
    held: AtomicU64,
    /// Their bytes, but for those that others have as well, and the bytes of those that are being read.
    bytes: AtomicU64,
    /// How often it was none.
    emptied: AtomicU64,
    /// Bytes that the client's system has taken.
    taken: AtomicU64,
}

impl Outflow {
    /// The client's system has taken so many bytes more.
    pub(crate) fn took(&self, bytes: usize) {
        self.taken.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Returns when there has been an answer to take throughout two such pauses at most, and next to nothing of it was
    /// taken. On HTTP/2 a client may take none of its answers and yet be there, say in answer to pings.
    pub(crate) async fn stalled(&self, pause: Duration) {
        loop {
            let before = (self.emptied.load(Ordering::Relaxed), self.taken.load(Ordering::Relaxed));
            let has_some = self.held.load(Ordering::Relaxed) > 0;
            sleep(pause).await;
            let was_never_empty = has_some && self.emptied.load(Ordering::Relaxed) == before.0;
            let taken = self.taken.load(Ordering::Relaxed) - before.1;
            if was_never_empty && taken < LEAST_TAKEN_BYTES {
                return;
            }
        }
    }
}

/// A part of one connection's bytes.
struct Part {
    outflow: Option<Arc<Outflow>>,
    bytes: u64,
}

impl Part {
    fn new(outflow: Option<Arc<Outflow>>, bytes: u64) -> Self {
        if let Some(outflow) = &outflow {
            outflow.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        Self { outflow, bytes }
    }

    /// What the connection has beside this.
    fn others(&self) -> u64 {
        let all = self
            .outflow
            .as_ref()
            .map(|outflow| outflow.bytes.load(Ordering::Relaxed));
        all.map_or(0, |all| all.saturating_sub(self.bytes))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(outflow) = &self.outflow {
            outflow.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

/// Room for an answer that is being read.
pub(crate) struct Share {
    promise: Promise,
    part: Part,
    most_on_connection: u64,
}

impl Share {
    /// For an answer that is to have `most` bytes at most: a part of what is free, and always some.
    pub(crate) fn new(budget: &Arc<Budget>, extensions: &Extensions, most: u64) -> Self {
        let nothing = Part::new(extensions.get::<Arc<Outflow>>().cloned(), 0);
        let most_on_connection = budget.limit() / CONNECTION_SHARES;
        let left = most_on_connection.saturating_sub(nothing.others());
        let share = (budget.free() / ANSWER_SHARES).min(left / (ANSWER_SHARES / CONNECTION_SHARES));
        let share = share.max(SMALL_ANSWER_BYTES).min(most);
        Self {
            promise: Promise::new(budget, share),
            part: Part::new(nothing.outflow.clone(), share),
            most_on_connection,
        }
    }

    /// How large the answer may be, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.promise.bytes()
    }

    /// Room for what was read, which may be more where it is a single message.
    pub(crate) fn keep(self, bytes: u64) -> Result<Reservation, OverBudget> {
        let others = self.part.others();
        if bytes > self.bytes() && others > 0 && others.saturating_add(bytes) > self.most_on_connection {
            return Err(OverBudget);
        }
        self.promise.keep(bytes)
    }

    /// The same for the one answer to which it is read.
    pub(crate) fn claim(self, bytes: u64) -> Result<Claim, OverBudget> {
        let outflow = self.part.outflow.clone();
        Ok(Claim {
            _room: Room::Own(self.keep(bytes)?),
            part: Part::new(outflow, bytes),
        })
    }
}

/// Room for an answer as long as it is in memory.
pub(crate) struct Claim {
    _room: Room,
    part: Part,
}

/// Whose room it is.
enum Room {
    Own(#[expect(dead_code, reason = "it is kept for what its end does")] Reservation),
    /// That of a read that others have as well.
    Shared(#[expect(dead_code, reason = "as above")] Arc<Batch>),
}

impl Claim {
    /// Of a read that others have as well, and that has its room already.
    pub(crate) fn shared(batch: &Arc<Batch>, extensions: &Extensions) -> Self {
        Self {
            _room: Room::Shared(Arc::clone(batch)),
            part: Part::new(extensions.get::<Arc<Outflow>>().cloned(), 0),
        }
    }

    /// Keeps the room until the last of these pieces has left.
    pub(crate) fn held_by(self, pieces: &mut [Bytes]) {
        if let Some(last) = pieces.last_mut() {
            let outflow = self.part.outflow.clone();
            *last = hold(std::mem::take(last), (self, Held::new(outflow)));
        }
    }
}

/// An answer that its client has not taken yet.
#[derive(Debug)]
pub(crate) struct Held(Option<Arc<Outflow>>);

impl Held {
    fn new(outflow: Option<Arc<Outflow>>) -> Self {
        if let Some(outflow) = &outflow {
            outflow.held.fetch_add(1, Ordering::Relaxed);
        }
        Self(outflow)
    }

    /// Of bytes that others may have as well, and that have their room already.
    pub(crate) fn shared(extensions: &Extensions) -> Self {
        Self::new(extensions.get::<Arc<Outflow>>().cloned())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(outflow) = &self.0
            && outflow.held.fetch_sub(1, Ordering::Relaxed) == 1
        {
            outflow.emptied.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, timeout};

    use super::*;

    const KIB: u64 = 1024;

    fn claim(budget: &Arc<Budget>, extensions: &Extensions, bytes: u64) -> Result<Claim, OverBudget> {
        Share::new(budget, extensions, 1).claim(bytes)
    }

    #[test]
    fn answers_become_smaller_as_room_runs_out() {
        let budget = Budget::new(64 * 1024 * KIB);
        let none = Extensions::new();
        let shares: Vec<Share> = (0..2000).map(|_| Share::new(&budget, &none, 256 * KIB)).collect();
        let sizes: Vec<u64> = shares.iter().map(Share::bytes).collect();
        assert_eq!(sizes[0], 256 * KIB);
        assert!(sizes.windows(2).all(|pair| pair[0] >= pair[1]));
        assert_eq!(sizes[1999], SMALL_ANSWER_BYTES);
        // What may be read holds up nobody; what was read does.
        assert!(claim(&budget, &none, 2048 * KIB).is_ok());
        let claims: Vec<Claim> = shares
            .into_iter()
            .map(|share| {
                let bytes = share.bytes();
                share.claim(bytes).unwrap()
            })
            .collect();
        assert!(budget.free() < 1024 * KIB);
        assert!(claim(&budget, &none, 2048 * KIB).is_err());
        assert!(Share::new(&budget, &none, 256 * KIB).claim(SMALL_ANSWER_BYTES).is_ok());
        drop(claims);
        assert_eq!(budget.free(), 64 * 1024 * KIB);
    }

    #[test]
    fn one_connection_leaves_room_for_others() {
        let budget = Budget::new(64 * 1024 * KIB);
        let mut own = Extensions::new();
        let outflow = Arc::<Outflow>::default();
        own.insert(Arc::clone(&outflow));
        // Large from the first on, and no two of them.
        let first = claim(&budget, &own, 40 * 1024 * KIB).unwrap();
        assert!(claim(&budget, &own, 17 * KIB).is_err());
        assert_eq!(Share::new(&budget, &own, 256 * KIB).bytes(), SMALL_ANSWER_BYTES);
        assert!(claim(&budget, &Extensions::new(), 17 * KIB).is_ok());
        drop(first);
        let shares: Vec<Share> = (0..500).map(|_| Share::new(&budget, &own, 2048 * KIB)).collect();
        assert_eq!(shares[0].bytes(), 1024 * KIB);
        assert_eq!(shares[499].bytes(), SMALL_ANSWER_BYTES);
        assert!(budget.free() > 48 * 1024 * KIB, "{}", budget.free());
        drop(shares);
        let bytes = outflow.bytes.load(Ordering::Relaxed);
        assert_eq!((budget.free(), bytes), (64 * 1024 * KIB, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_noticed_and_one_that_takes_some_is_not() {
        let pause = Duration::from_secs(60);
        let budget = Budget::new(1 << 20);
        let outflow = Arc::<Outflow>::default();
        let mut extensions = Extensions::new();
        extensions.insert(Arc::clone(&outflow));
        let limit = pause * 3;
        let reading = Share::new(&budget, &extensions, 1);
        assert!(timeout(limit, outflow.stalled(pause)).await.is_err(), "nothing to take");
        drop(reading);

        let mut pieces = vec![Bytes::from_static(b"answer")];
        claim(&budget, &extensions, 6).unwrap().held_by(&mut pieces);
        let taking = async {
            loop {
                sleep(Duration::from_secs(20)).await;
                outflow.took(64 * 1024);
            }
        };
        tokio::select! {
            () = taking => {}
            stalled = timeout(limit, outflow.stalled(pause)) => assert!(stalled.is_err(), "it takes some"),
        }
        let began = Instant::now();
        outflow.stalled(pause).await;
        assert!(began.elapsed() <= pause * 2);

        let another = async {
            loop {
                sleep(Duration::from_secs(20)).await;
                pieces.clear();
                pieces.push(Bytes::from_static(b"another"));
                claim(&budget, &extensions, 7).unwrap().held_by(&mut pieces);
            }
        };
        tokio::select! {
            () = another => {}
            stalled = timeout(limit, outflow.stalled(pause)) => assert!(stalled.is_err(), "it takes small ones"),
        }
    }
}
