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
}

/// Others have taken too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OverBudget;

impl Budget {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        let used = AtomicU64::new(0);
        Arc::new(Self { limit, used })
    }

    /// How much there is in all, in bytes.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// How much is not taken, in bytes.
    pub(crate) fn free(&self) -> u64 {
        self.limit.saturating_sub(self.used.load(Ordering::Relaxed))
    }

    fn take(&self, bytes: u64) -> Result<(), OverBudget> {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed);
        if used.saturating_add(bytes) > self.limit {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(OverBudget);
        }
        Ok(())
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

    /// Takes `bytes` in all, which may be more or less than before.
    pub(crate) fn resize(&mut self, bytes: u64) -> Result<(), OverBudget> {
        match bytes.checked_sub(self.bytes) {
            Some(missing) => self.budget.take(missing)?,
            None => drop(self.budget.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed)),
        }
        self.bytes = bytes;
        Ok(())
    }

    /// As [`Reservation::resize`], whatever others have taken.
    pub(crate) fn force(&mut self, bytes: u64) {
        self.budget.used.fetch_add(bytes, Ordering::Relaxed);
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }

    /// What it is taken of.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// How much it is, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
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
}
