//! Submissions: every change of a replica, checked, made visible and queued for the writer.

use bytes::Bytes;

use crate::{
    error::{Failure, SubmitError},
    group::record_bytes,
    journal::Journal,
    limits::MAX_VOTE_BYTES,
    shared::{Change, SUBMISSION_OVERHEAD, Wake},
    types::{Callback, Entry, LogId, ReplicaKey},
};

/// Bytes that these payload sizes take in the queue; a submission may have at most [`Journal::max_append_bytes`].
pub fn append_bytes(payloads: impl IntoIterator<Item = usize>) -> u64 {
    payloads.into_iter().map(record_bytes).sum::<u64>() + SUBMISSION_OVERHEAD
}

impl Journal {
    /// Adds entries to the end of a replica's log; the first may have any index if the log was never written, else it
    /// continues the log. They can be read at once and are durable when `done` is called. Waits while the queue is
    /// full.
    ///
    /// # Errors
    /// A refused submission has no effect and its `done` is not called.
    pub fn append(&self, key: ReplicaKey, entries: Vec<Entry>, done: Callback) -> Result<(), SubmitError> {
        let bytes = append_bytes(entries.iter().map(|entry| entry.payload.len()));
        self.shared.reserve_entries(bytes)?;
        let alone = self.shared.alone.get().filter(|_| self.shared.is_alone(bytes));
        let wake = if alone.is_some() { Wake::Alone } else { Wake::Writer };
        let result = self.append_reserved(key, entries, (bytes, wake), done);
        match (&result, alone) {
            (Err(_), _) => self.shared.unreserve(bytes),
            (Ok(()), Some(wake)) => wake(),
            (Ok(()), None) => {}
        }
        result
    }

    fn append_reserved(
        &self,
        key: ReplicaKey,
        entries: Vec<Entry>,
        (bytes, wake): (u64, Wake),
        done: Callback,
    ) -> Result<(), SubmitError> {
        let group = self.shared.group_or_new(key);
        let mut inner = group.lock();
        if inner.view.removed {
            return Err(SubmitError::Removed);
        }
        let mut expected = inner.view.next_index();
        for entry in &entries {
            let found = entry.id.index;
            match expected {
                Some(expected) if expected != found => return Err(SubmitError::NotContiguous { expected, found }),
                _ => expected = Some(found + 1),
            }
        }
        // The handles are cloned before the writer can see them; payloads are not copied.
        let kept = entries.clone();
        let stamp = self
            .shared
            .push(&group, Change::Append(entries), (bytes, wake), Some(done))?;
        let added = inner.view.append(&kept, stamp);
        self.shared.cache.add(&group, stamp, added);
        Ok(())
    }

    /// Saves a vote of at most [`MAX_VOTE_BYTES`].
    ///
    /// # Errors
    /// A refused submission has no effect and its `done` is not called.
    pub fn save_vote(&self, key: ReplicaKey, vote: Bytes, done: Callback) -> Result<(), SubmitError> {
        if vote.len() > MAX_VOTE_BYTES {
            return Err(SubmitError::TooLarge {
                bytes: vote.len() as u64,
                max: MAX_VOTE_BYTES as u64,
            });
        }
        self.control(key, done, |inner| {
            let mut meta = inner.view.meta.clone();
            meta.vote = Some(vote);
            Ok((
                Change::State(meta.clone()),
                Box::new(move |inner| {
                    inner.view.meta.vote = meta.vote;
                    0
                }),
            ))
        })
    }

    /// Drops the entries after `keep`, or all entries. A position at or past the last entry changes nothing.
    ///
    /// # Errors
    /// A refused submission has no effect and its `done` is not called.
    pub fn truncate_after(&self, key: ReplicaKey, keep: Option<u64>, done: Callback) -> Result<(), SubmitError> {
        self.control(key, done, |_| {
            Ok((Change::Truncate(keep), Box::new(move |inner| inner.view_truncate(keep))))
        })
    }

    /// Drops the entries up to and including `upto`, which may lie past the last entry; a position before the last
    /// purge point changes nothing.
    ///
    /// # Errors
    /// A refused submission has no effect and its `done` is not called.
    pub fn purge(&self, key: ReplicaKey, upto: LogId, done: Callback) -> Result<(), SubmitError> {
        self.control(key, done, |inner| {
            if inner.view.meta.purged.is_some_and(|purged| purged.index >= upto.index) {
                return Ok((Change::Append(Vec::new()), Box::new(|_| 0)));
            }
            if inner.view.last.is_some() && upto.index + 1 < inner.view.first {
                return Err(SubmitError::NotContiguous {
                    expected: inner.view.first - 1,
                    found: upto.index,
                });
            }
            let mut meta = inner.view.meta.clone();
            meta.purged = Some(upto);
            Ok((Change::State(meta), Box::new(move |inner| inner.view.purge(upto))))
        })
    }

    /// Remembers a committed position. It is written with whatever is written next, and may be lost until then.
    ///
    /// # Errors
    /// A refused submission has no effect.
    pub fn save_committed(&self, key: ReplicaKey, committed: Option<LogId>) -> Result<(), SubmitError> {
        let group = self.shared.group_or_new(key);
        {
            let mut inner = group.lock();
            if inner.view.removed {
                return Err(SubmitError::Removed);
            }
            if inner.view.committed_queued {
                inner.view.meta.committed = committed;
                return Ok(());
            }
        }
        let bytes = record_bytes(0) + SUBMISSION_OVERHEAD;
        self.shared.reserve_control(bytes)?;
        let mut inner = group.lock();
        // Another caller may have come first while this one waited for room.
        let pushed = match inner.view.removed {
            true => Err(SubmitError::Removed),
            false => self.shared.push(&group, Change::Committed, (bytes, Wake::Never), None),
        };
        match pushed {
            Ok(_) => {
                inner.view.meta.committed = committed;
                inner.view.committed_queued = true;
                Ok(())
            }
            Err(refused) => {
                self.shared.unreserve(bytes);
                Err(refused)
            }
        }
    }

    /// Forgets a replica. Its key must not be used again.
    ///
    /// # Errors
    /// A refused submission has no effect and its `done` is not called.
    pub fn remove_replica(&self, key: ReplicaKey, done: Callback) -> Result<(), SubmitError> {
        self.control(key, done, |_| {
            Ok((
                Change::Remove,
                Box::new(|inner| {
                    inner.view.removed = true;
                    0
                }),
            ))
        })
    }

    /// Calls `done` when everything submitted before is durable.
    ///
    /// # Errors
    /// A refused submission has no effect and its `done` is not called.
    pub fn barrier(&self, key: ReplicaKey, done: Callback) -> Result<(), SubmitError> {
        self.control(key, done, |_| Ok((Change::Append(Vec::new()), Box::new(|_| 0))))
    }

    /// Queues anything but entries. `change` decides under the replica's lock; what it returns is applied to the
    /// submitted log once the change is queued, and says how many bytes left the cache.
    fn control(
        &self,
        key: ReplicaKey,
        done: Callback,
        change: impl FnOnce(&crate::group::Inner) -> Result<(Change, ApplyToView), SubmitError>,
    ) -> Result<(), SubmitError> {
        let bytes = record_bytes(MAX_VOTE_BYTES + 64) + SUBMISSION_OVERHEAD;
        self.shared.reserve_control(bytes)?;
        let result = (|| {
            let group = self.shared.group_or_new(key);
            let mut inner = group.lock();
            if inner.view.removed {
                return Err(SubmitError::Removed);
            }
            let (change, apply) = change(&inner)?;
            self.shared.push(&group, change, (bytes, Wake::Writer), Some(done))?;
            let freed = apply(&mut inner);
            self.shared.cache.release(freed);
            Ok(())
        })();
        if result.is_err() {
            self.shared.unreserve(bytes);
        }
        result
    }

    /// Why the journal stopped, if it did.
    pub fn failed(&self) -> Option<Failure> {
        self.shared.core().failed.clone()
    }
}

type ApplyToView = Box<dyn FnOnce(&mut crate::group::Inner) -> u64>;
