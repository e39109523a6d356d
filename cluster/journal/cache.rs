//! The budget of the entry cache. The entries themselves hang on their replicas.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{group::Group, limits::CACHE_ENTRY_OVERHEAD, shared::lock};

/// Bytes in use, and submissions in the order in which their entries are given up.
pub(crate) struct Cache {
    budget: u64,
    bytes: AtomicU64,
    tickets: Mutex<VecDeque<Ticket>>,
}

struct Ticket {
    group: Arc<Group>,
    stamp: u64,
}

impl Cache {
    pub(crate) fn new(budget: u64) -> Self {
        Cache {
            budget,
            bytes: AtomicU64::new(0),
            tickets: Mutex::default(),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Accounts for the entries of one submission. The ticket itself counts too, so that tickets of purged entries
    /// cannot pile up.
    pub(crate) fn add(&self, group: &Arc<Group>, stamp: u64, bytes: u64) {
        self.bytes.fetch_add(bytes + CACHE_ENTRY_OVERHEAD, Ordering::Relaxed);
        lock(&self.tickets).push_back(Ticket {
            group: group.clone(),
            stamp,
        });
    }

    /// Accounts for entries that left.
    pub(crate) fn release(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Gives up the oldest synced submissions until the budget holds.
    pub(crate) fn evict(&self, synced_stamp: u64) {
        self.evict_to(self.budget, synced_stamp);
    }

    /// Gives up all synced submissions.
    pub(crate) fn clear(&self, synced_stamp: u64) {
        self.evict_to(0, synced_stamp);
        lock(&self.tickets).shrink_to_fit();
    }

    fn evict_to(&self, bytes: u64, synced_stamp: u64) {
        while self.bytes() > bytes {
            let ticket = {
                let mut tickets = lock(&self.tickets);
                match tickets.front() {
                    Some(ticket) if ticket.stamp <= synced_stamp => tickets.pop_front(),
                    _ => None,
                }
            };
            let Some(ticket) = ticket else { return };
            let freed = ticket.group.lock().view.evict(ticket.stamp);
            self.release(freed + CACHE_ENTRY_OVERHEAD);
        }
    }
}
