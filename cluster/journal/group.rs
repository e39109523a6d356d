//! What is held in memory of one replica: the log as submitted, and the log as it stands on disk.
//!
//! The two differ by what the writer has not synced yet. Callers see the submitted log; segments are freed and records
//! moved by the synced one only. An entry of the submitted log that is not in the cache is in the index, and the index
//! then speaks of that very entry: entries leave the cache only when they are synced, and the index changes in the
//! order of submission.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard},
};

use bytes::Bytes;

use crate::{
    format::record::{Meta, RECORD_HEADER_BYTES},
    index::{Index, Place},
    limits::{CACHE_ENTRY_OVERHEAD, KEPT_ENTRIES},
    shared::lock,
    types::{Entry, Leader, LogId, ReplicaKey, ReplicaState},
};

/// One replica.
pub(crate) struct Group {
    pub(crate) key: ReplicaKey,
    inner: Mutex<Inner>,
}

impl Group {
    pub(crate) fn new(key: ReplicaKey, inner: Inner) -> Self {
        Group {
            key,
            inner: Mutex::new(inner),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

/// The two sides of a replica.
#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) view: View,
    pub(crate) disk: DiskState,
}

/// The log as submitted.
#[derive(Default)]
pub(crate) struct View {
    pub(crate) meta: Meta,
    /// Index of the first entry; meaningless without a last one.
    pub(crate) first: u64,
    pub(crate) last: Option<LogId>,
    pub(crate) removed: bool,
    /// A lazy committed record waits in the queue and will carry the newest position.
    pub(crate) committed_queued: bool,
    /// The newest entries, a gapless run that ends with the last.
    cache: VecDeque<Cached>,
}

struct Cached {
    entry: Entry,
    /// The submission it belongs to.
    stamp: u64,
}

/// The log as synced.
#[derive(Default)]
pub(crate) struct DiskState {
    pub(crate) meta: Meta,
    /// Segment of the newest record of `meta`, if one was written.
    pub(crate) meta_segment: Option<u32>,
    pub(crate) index: Index,
    /// Live entries per segment.
    pub(crate) usage: BTreeMap<u32, Usage>,
}

/// Live entries of one replica in one segment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

pub(crate) fn record_bytes(payload: usize) -> u64 {
    (RECORD_HEADER_BYTES + payload) as u64
}

fn cached_bytes(payload: &Bytes) -> u64 {
    payload.len() as u64 + CACHE_ENTRY_OVERHEAD
}

impl Inner {
    /// Who proposed the entry at `index` of the submitted log.
    pub(crate) fn leader_at(&self, index: u64) -> Option<Leader> {
        let last = self.view.last?.index;
        if index < self.view.first || index > last {
            return None;
        }
        match self.view.cached(index) {
            Some(entry) => Some(entry.id.leader),
            None => self.disk.index.get(index).map(|(_, leader)| leader),
        }
    }

    /// Drops entries after `keep` from the submitted log; returns the bytes that left the cache.
    pub(crate) fn view_truncate(&mut self, keep: Option<u64>) -> u64 {
        let Some(last) = self.view.last else { return 0 };
        if keep.is_some_and(|keep| keep >= last.index) {
            return 0;
        }
        let new_last = keep.filter(|keep| *keep >= self.view.first).and_then(|keep| {
            let leader = self.leader_at(keep)?;
            Some(LogId { leader, index: keep })
        });
        let mut freed = 0;
        while let Some(cached) = self.view.cache.back() {
            if new_last.is_some_and(|keep| cached.entry.id.index <= keep.index) {
                break;
            }
            freed += cached_bytes(&cached.entry.payload);
            self.view.cache.pop_back();
        }
        self.view.last = new_last;
        freed
    }

    /// Takes the synced log for the submitted one, after recovery.
    pub(crate) fn adopt_disk(&mut self) {
        let disk = &self.disk;
        self.view.meta = disk.meta.clone();
        self.view.first = disk.index.first().unwrap_or(0);
        self.view.last = disk
            .index
            .last()
            .and_then(|index| disk.index.get(index).map(|(_, leader)| LogId { leader, index }));
        // The hint may have been written before the entry it speaks of, and that may be lost. Another one may still stand
        // in its place then, which nobody committed.
        let purged = self.view.meta.purged;
        let is_held = |hint: &LogId| match disk.index.get(hint.index) {
            Some((_, leader)) => leader == hint.leader,
            None => purged.is_some_and(|purged| hint.index <= purged.index),
        };
        let clamped = self.view.meta.committed.filter(is_held);
        self.view.meta.committed = clamped;
        self.disk.meta.committed = clamped;
    }
}

impl View {
    /// The index that the next entry must have; `None` means any.
    pub(crate) fn next_index(&self) -> Option<u64> {
        self.last_or_purged().map(|id| id.index + 1)
    }

    pub(crate) fn last_or_purged(&self) -> Option<LogId> {
        match (self.last, self.meta.purged) {
            (Some(last), _) => Some(last),
            (None, purged) => purged,
        }
    }

    pub(crate) fn state(&self) -> ReplicaState {
        ReplicaState {
            vote: self.meta.vote.clone(),
            last_purged: self.meta.purged,
            first_index: self.last.map(|_| self.first),
            last: self.last_or_purged(),
            committed: self.meta.committed,
        }
    }

    /// Adds checked entries; returns the bytes that the cache took.
    pub(crate) fn append(&mut self, entries: &[Entry], stamp: u64) -> u64 {
        let mut added = 0;
        for entry in entries {
            if self.last.is_none() {
                self.first = entry.id.index;
            }
            self.last = Some(entry.id);
            added += cached_bytes(&entry.payload);
            self.cache.push_back(Cached {
                entry: entry.clone(),
                stamp,
            });
        }
        added
    }

    /// Drops entries up to and including `upto`; returns the bytes that left the cache.
    pub(crate) fn purge(&mut self, upto: LogId) -> u64 {
        self.meta.purged = Some(upto);
        let mut freed = 0;
        while let Some(cached) = self.cache.front() {
            if cached.entry.id.index > upto.index {
                break;
            }
            freed += cached_bytes(&cached.entry.payload);
            self.cache.pop_front();
        }
        if self.last.is_some_and(|last| last.index <= upto.index) {
            self.last = None;
        } else {
            self.first = self.first.max(upto.index + 1);
        }
        freed
    }

    pub(crate) fn cached(&self, index: u64) -> Option<&Entry> {
        let last = self.last?.index;
        let behind = last.checked_sub(index)? as usize;
        let at = self.cache.len().checked_sub(behind + 1)?;
        self.cache.get(at).map(|cached| &cached.entry)
    }

    /// Drops cached entries of submissions up to `stamp`, which are synced; returns the bytes that left the cache.
    pub(crate) fn evict(&mut self, stamp: u64) -> u64 {
        let mut freed = 0;
        while let Some(cached) = self.cache.front() {
            if cached.stamp > stamp {
                break;
            }
            freed += cached_bytes(&cached.entry.payload);
            self.cache.pop_front();
        }
        if self.cache.is_empty() && self.cache.capacity() > KEPT_ENTRIES {
            self.cache.shrink_to(KEPT_ENTRIES);
        }
        freed
    }

    /// Drops the whole cache; returns the bytes that left it.
    pub(crate) fn clear_cache(&mut self) -> u64 {
        self.evict(u64::MAX)
    }
}

impl DiskState {
    /// Puts an entry where its record stands; for a new entry and for a moved one.
    pub(crate) fn place(&mut self, id: LogId, place: Place) {
        let usage = self.usage.entry(place.segment).or_default();
        usage.entries += 1;
        usage.bytes += record_bytes(place.length as usize);
        if let Some(old) = self.index.set(id.index, place, id.leader) {
            release(&mut self.usage, old);
        }
    }

    /// Drops entries after `keep`.
    pub(crate) fn truncate(&mut self, keep: Option<u64>) {
        let from = keep.map_or(0, |keep| keep.saturating_add(1));
        let usage = &mut self.usage;
        self.index.remove_from(from, |place| release(usage, place));
    }

    /// Takes over a state record that stands in `segment`.
    pub(crate) fn set_meta(&mut self, meta: Meta, segment: u32) {
        if let Some(upto) = meta.purged {
            let usage = &mut self.usage;
            self.index.remove_upto(upto.index, |place| release(usage, place));
        }
        self.meta = meta;
        self.meta_segment = Some(segment);
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        *self = DiskState::default();
    }

    /// The oldest segment that holds live entries.
    pub(crate) fn oldest_entries(&self) -> Option<u32> {
        self.usage.first_key_value().map(|(segment, _)| *segment)
    }
}

fn release(usage: &mut BTreeMap<u32, Usage>, place: Place) {
    if let Some(found) = usage.get_mut(&place.segment) {
        found.entries -= 1;
        found.bytes -= record_bytes(place.length as usize);
        if found.entries == 0 {
            usage.remove(&place.segment);
        }
    }
}
