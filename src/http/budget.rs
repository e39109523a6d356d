//! Memory that many requests take together: their bodies, and the answers that clients have not taken yet.
//!
//! A budget is one number that is counted up and down: nobody waits for memory, so nothing has to be queued or locked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// So many bytes may be taken together.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    used: AtomicU64,
    /// What may be taken soon by those who have been promised some.
    promised: AtomicU64,
}

/// Others have taken too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OverBudget;

impl Budget {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicU64::new(0),
            promised: AtomicU64::new(0),
        })
    }

    /// How much there is in all, in bytes.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// How much is neither taken nor promised, in bytes.
    pub(crate) fn free(&self) -> u64 {
        let used = self.used.load(Ordering::Relaxed);
        self.limit
            .saturating_sub(used)
            .saturating_sub(self.promised.load(Ordering::Relaxed))
    }
}

/// What one request has taken of a budget; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Reservation {
    /// Nothing yet.
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            bytes: 0,
        }
    }

    /// Nothing yet, of the same budget.
    pub(crate) fn another(&self) -> Self {
        Self::new(&self.budget)
    }

    /// As [`Reservation::force`], unless others have taken too much. Where they have taken nothing, anything fits.
    pub(crate) fn resize(&mut self, bytes: u64) -> Result<(), OverBudget> {
        let Some(missing) = bytes.checked_sub(self.bytes) else {
            self.force(bytes);
            return Ok(());
        };
        let used = self.budget.used.fetch_add(missing, Ordering::Relaxed);
        if used > self.bytes && used.saturating_add(missing) > self.budget.limit {
            self.budget.used.fetch_sub(missing, Ordering::Relaxed);
            return Err(OverBudget);
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Takes `bytes` in all, which may be more or less than before, whatever others have taken.
    pub(crate) fn force(&mut self, bytes: u64) {
        if bytes != self.bytes {
            // It wraps around where this is less than before.
            let change = bytes.wrapping_sub(self.bytes);
            self.budget.used.fetch_add(change, Ordering::Relaxed);
            self.bytes = bytes;
        }
    }

    #[cfg(test)]
    fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What one request may take of a budget, once it knows how much it needs.
#[derive(Debug)]
pub(crate) struct Promise {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Promise {
    pub(crate) fn new(budget: &Arc<Budget>, bytes: u64) -> Self {
        budget.promised.fetch_add(bytes, Ordering::Relaxed);
        Self {
            budget: Arc::clone(budget),
            bytes,
        }
    }

    /// How much it is, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes `bytes`, for which there is room if it is not more than was promised.
    pub(crate) fn keep(self, bytes: u64) -> Result<Reservation, OverBudget> {
        let mut room = Reservation::new(&self.budget);
        if bytes <= self.bytes {
            room.force(bytes);
        } else {
            room.resize(bytes)?;
        }
        Ok(room)
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.budget.promised.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The same bytes with something that is kept as long as anybody has a part of them.
pub(crate) fn hold(bytes: Bytes, kept: impl Send + 'static) -> Bytes {
    struct Owner<K> {
        bytes: Bytes,
        _kept: K,
    }
    impl<K> AsRef<[u8]> for Owner<K> {
        fn as_ref(&self) -> &[u8] {
            &self.bytes
        }
    }
    Bytes::from_owner(Owner { bytes, _kept: kept })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back_by_the_last_who_has_the_bytes() {
        let budget = Budget::new(10);
        let mut first = Reservation::new(&budget);
        assert_eq!(first.resize(8), Ok(()));
        let mut second = Reservation::new(&budget);
        assert_eq!(second.resize(3), Err(OverBudget));
        assert_eq!((second.bytes(), budget.free()), (0, 2));
        second.force(3);
        assert_eq!(budget.free(), 0);
        drop(second);
        assert_eq!(first.resize(4), Ok(()));
        assert_eq!(budget.free(), 6);
        let bytes = hold(Bytes::from_static(b"abcd"), first);
        let part = bytes.slice(1..2);
        drop(bytes);
        assert_eq!((&part[..], budget.free()), (&b"b"[..], 6));
        drop(part);
        assert_eq!(budget.free(), 10);
    }

    #[test]
    fn who_is_alone_may_take_more_than_there_is() {
        let budget = Budget::new(10);
        let mut alone = Reservation::new(&budget);
        assert_eq!(alone.resize(7), Ok(()));
        assert_eq!(alone.resize(20), Ok(()));
        let mut other = Reservation::new(&budget);
        assert_eq!(other.resize(1), Err(OverBudget));
        assert_eq!(alone.resize(9), Ok(()));
        assert_eq!(other.resize(1), Ok(()));
        assert_eq!(alone.resize(10), Err(OverBudget));
    }

    #[test]
    fn a_promise_keeps_nobody_from_taking_what_is_there() {
        let budget = Budget::new(10);
        let promise = Promise::new(&budget, 8);
        assert_eq!(budget.free(), 2);
        let mut other = Reservation::new(&budget);
        assert_eq!(other.resize(9), Ok(()));
        assert_eq!(promise.bytes(), 8);
        let kept = promise.keep(8).unwrap();
        assert_eq!((kept.bytes(), budget.free()), (8, 0));
        drop((kept, other));
        assert_eq!(budget.free(), 10);
        let mut other = Reservation::new(&budget);
        other.force(5);
        assert!(Promise::new(&budget, 2).keep(6).is_err());
        assert_eq!(budget.free(), 5);
    }
}
