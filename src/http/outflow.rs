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

use crate::budget::{Budget, OverBudget, Reservation, hold};
use crate::limits::{ANSWER_SHARES, CONNECTION_SHARES, LEAST_TAKEN_BYTES, SMALL_ANSWER_BYTES};

/// One connection's way out. It is an extension of the requests that read.
#[derive(Debug, Default)]
pub(crate) struct Outflow {
    /// How many of its answers are in memory, and their bytes.
    held: AtomicU64,
    held_bytes: AtomicU64,
    /// How often it was none.
    emptied: AtomicU64,
    /// Bytes that the client's system has taken.
    taken: AtomicU64,
}

impl Outflow {
    fn bytes(&self) -> u64 {
        self.held_bytes.load(Ordering::Relaxed)
    }

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

/// Room for an answer, as long as it is in memory.
#[derive(Debug)]
pub(crate) struct Claim {
    room: Reservation,
    outflow: Option<Arc<Outflow>>,
}

impl Claim {
    fn new(budget: &Arc<Budget>, extensions: &Extensions) -> Self {
        let outflow = extensions.get::<Arc<Outflow>>().cloned();
        if let Some(outflow) = &outflow {
            outflow.held.fetch_add(1, Ordering::Relaxed);
        }
        let room = Reservation::new(budget);
        Self { room, outflow }
    }

    /// For an answer that is not read yet, and is to have `most` bytes at most: a part of what is free, and always some.
    pub(crate) fn share(budget: &Arc<Budget>, extensions: &Extensions, most: u64) -> Self {
        let mut claim = Self::new(budget, extensions);
        let free = budget
            .free()
            .min(claim.left_to_connection() * ANSWER_SHARES / CONNECTION_SHARES);
        claim.force((free / ANSWER_SHARES).max(SMALL_ANSWER_BYTES).min(most));
        claim
    }

    /// For an answer of so many bytes.
    pub(crate) fn exact(budget: &Arc<Budget>, extensions: &Extensions, bytes: u64) -> Result<Self, OverBudget> {
        Self::new(budget, extensions).settled(bytes)
    }

    /// How large the answer may be, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.room.bytes()
    }

    /// Now that the answer is known to have so many bytes.
    pub(crate) fn settled(mut self, bytes: u64) -> Result<Self, OverBudget> {
        let before = self.bytes();
        if bytes <= before.max(SMALL_ANSWER_BYTES) {
            self.force(bytes);
            return Ok(self);
        }
        let is_alone = self.outflow.as_ref().is_none_or(|outflow| outflow.bytes() == before);
        if !is_alone && bytes - before > self.left_to_connection() {
            return Err(OverBudget);
        }
        self.room.resize(bytes)?;
        self.count(before);
        Ok(self)
    }

    fn force(&mut self, bytes: u64) {
        let before = self.bytes();
        self.room.force(bytes);
        self.count(before);
    }

    /// Tells the connection that this is not as large any more as it was before.
    fn count(&self, before: u64) {
        if let Some(outflow) = &self.outflow {
            outflow.held_bytes.fetch_add(self.bytes(), Ordering::Relaxed);
            outflow.held_bytes.fetch_sub(before, Ordering::Relaxed);
        }
    }

    /// How much more its connection's answers may take together.
    fn left_to_connection(&self) -> u64 {
        let most = self.room.budget().limit() / CONNECTION_SHARES;
        most.saturating_sub(self.outflow.as_ref().map_or(0, |outflow| outflow.bytes()))
    }

    /// Keeps the room until the last of these pieces has left.
    pub(crate) fn held_by(self, pieces: &mut [Bytes]) {
        if let Some(last) = pieces.last_mut() {
            *last = hold(std::mem::take(last), self);
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Some(outflow) = &self.outflow else { return };
        outflow.held_bytes.fetch_sub(self.bytes(), Ordering::Relaxed);
        if outflow.held.fetch_sub(1, Ordering::Relaxed) == 1 {
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

    #[test]
    fn answers_become_smaller_as_room_runs_out() {
        let budget = Budget::new(64 * 1024 * KIB);
        let none = Extensions::new();
        let claims: Vec<Claim> = (0..2000).map(|_| Claim::share(&budget, &none, 256 * KIB)).collect();
        assert_eq!(claims[0].bytes(), 256 * KIB);
        assert!(claims.windows(2).all(|pair| pair[0].bytes() >= pair[1].bytes()));
        assert_eq!(claims[1999].bytes(), SMALL_ANSWER_BYTES);
        assert!(budget.free() < 1024 * KIB);
        assert!(Claim::exact(&budget, &none, 2048 * KIB).is_err());
        assert!(Claim::exact(&budget, &none, SMALL_ANSWER_BYTES).is_ok());
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
        let first = Claim::exact(&budget, &own, 40 * 1024 * KIB).unwrap();
        assert!(Claim::exact(&budget, &own, 17 * KIB).is_err());
        assert_eq!(Claim::share(&budget, &own, 256 * KIB).bytes(), SMALL_ANSWER_BYTES);
        assert!(Claim::exact(&budget, &Extensions::new(), 17 * KIB).is_ok());
        drop(first);
        let claims: Vec<Claim> = (0..500).map(|_| Claim::share(&budget, &own, 2048 * KIB)).collect();
        assert_eq!(claims[0].bytes(), 1024 * KIB);
        assert_eq!(claims[499].bytes(), SMALL_ANSWER_BYTES);
        assert!(budget.free() > 48 * 1024 * KIB, "{}", budget.free());
        drop(claims);
        assert_eq!((budget.free(), outflow.bytes()), (64 * 1024 * KIB, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_noticed_and_one_that_takes_some_is_not() {
        let pause = Duration::from_secs(60);
        let budget = Budget::new(1 << 20);
        let outflow = Arc::<Outflow>::default();
        let mut extensions = Extensions::new();
        extensions.insert(Arc::clone(&outflow));
        let limit = pause * 3;
        assert!(timeout(limit, outflow.stalled(pause)).await.is_err(), "nothing to take");

        let mut pieces = vec![Bytes::from_static(b"answer")];
        Claim::share(&budget, &extensions, 6).held_by(&mut pieces);
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
                Claim::share(&budget, &extensions, 7).held_by(&mut pieces);
            }
        };
        tokio::select! {
            () = another => {}
            stalled = timeout(limit, outflow.stalled(pause)) => assert!(stalled.is_err(), "it takes small ones"),
        }
    }
}
