//! A coherent view of changes that are not in the file yet, over a view of what is under them.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use bytes::Bytes;
use weir_protocol::producer::ProducerState;
use weir_protocol::{StreamName, Timestamp};

use super::held::Held;
use super::tables::APPLIED_KEY;
use super::view::View;
use crate::error::StorageError;
use crate::record::StreamRecord;
use crate::reference::Reference;
use crate::rows::{Lookup, Rows, VisitFork, VisitRow, VisitStream};

/// `held` over `under`. What is held may be under it already, as while it is being written to the file.
pub(super) struct Layered<R> {
    pub(super) held: Held,
    pub(super) under: R,
}

impl<R: Rows> Lookup for Layered<R> {
    fn stream(&self, name: &StreamName) -> Result<Option<StreamRecord>, StorageError> {
        match self.held.streams.get(name) {
            Some(record) => Ok(record.as_deref().cloned()),
            None => self.under.stream(name),
        }
    }

    /// A stream only grows, so what is held of it follows on what is under it.
    fn rows(&self, id: u64, from: u64, visit: VisitRow<'_>) -> Result<(), StorageError> {
        let Some(held) = self.held.rows.get(&id) else {
            return self.under.rows(id, from, visit);
        };
        let mut next = from;
        // What is wanted may begin in what is held.
        let is_held = held.get_min().is_some_and(|(start, _)| *start <= from);
        if !is_held {
            let mut ended = false;
            self.under.rows(id, from, &mut |row| {
                next = next.max(row.end());
                let flow = visit(row);
                ended = flow.is_break();
                flow
            })?;
            if ended {
                return Ok(());
            }
        }
        let first = held.get_prev(&next).map_or(next, |(start, _)| *start);
        for (_, row) in held.range(first..) {
            if row.end() > next && visit(row.as_ref().as_ref()).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl<R: Rows> Rows for Layered<R> {
    fn producer(&self, id: u64, producer: &str) -> Result<Option<ProducerState>, StorageError> {
        match self.held.producers.get(&id).and_then(|held| held.get(producer)) {
            Some(state) => Ok(Some(*state)),
            None => self.under.producer(id, producer),
        }
    }

    fn forks(&self, id: u64, visit: VisitFork<'_>) -> Result<(), StorageError> {
        let Some(held) = self.held.forks.get(&id) else {
            return self.under.forks(id, visit);
        };
        for (fork, is_fork) in held {
            if *is_fork && visit(fork.clone()).is_break() {
                return Ok(());
            }
        }
        self.under.forks(id, &mut |fork| match held.contains_key(&fork) {
            true => ControlFlow::Continue(()),
            false => visit(fork),
        })
    }

    fn due(&self, cutoff: Timestamp, limit: usize) -> Result<Vec<(Timestamp, StreamName)>, StorageError> {
        let mut due = self
            .under
            .due(cutoff, limit.saturating_add(self.held.deadlines.len()))?;
        due.retain(|entry| self.held.deadlines.get(entry) != Some(&false));
        let held = self.held.deadlines.iter().take_while(|((at, _), _)| *at <= cutoff);
        due.extend(held.filter(|(_, is_there)| **is_there).map(|(entry, _)| entry.clone()));
        due.sort();
        due.dedup();
        due.truncate(limit);
        Ok(due)
    }

    fn streams(&self, prefix: &str, after: Option<&str>, visit: VisitStream<'_>) -> Result<(), StorageError> {
        let begin = match after.filter(|after| *after >= prefix) {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        let held = self.held.streams.range::<_, str>((begin, Bound::Unbounded));
        let mut held = held
            .take_while(|(name, _)| name.as_str().starts_with(prefix))
            .peekable();
        let mut ended = false;
        self.under.streams(prefix, after, &mut |name, record| {
            while let Some((before, held_record)) = held.next_if(|(before, _)| **before < name) {
                if let Some(record) = held_record
                    && visit(before.clone(), record.as_ref().clone()).is_break()
                {
                    ended = true;
                    return ControlFlow::Break(());
                }
            }
            let record = match held.next_if(|(same, _)| **same == name) {
                Some((_, held_record)) => held_record.as_deref().cloned(),
                None => Some(record),
            };
            let flow = record.map_or(ControlFlow::Continue(()), |record| visit(name, record));
            ended = flow.is_break();
            flow
        })?;
        for (name, record) in held.take_while(|_| !ended) {
            if let Some(record) = record
                && visit(name.clone(), record.as_ref().clone()).is_break()
            {
                break;
            }
        }
        Ok(())
    }

    fn next_id(&self) -> Result<u64, StorageError> {
        match self.held.next_id {
            Some(next_id) => Ok(next_id),
            None => self.under.next_id(),
        }
    }
}

impl Layered<Layered<View>> {
    /// See [`crate::Storage::outbox`].
    pub(super) fn outbox(&self, limit: usize) -> Result<Vec<Reference>, StorageError> {
        let (newer, older) = (&self.held.outbox, &self.under.held.outbox);
        let mut outbox = BTreeMap::new();
        for reference in self.under.under.outbox(limit + newer.len() + older.len())? {
            outbox.insert(reference.fork_id, Some(reference));
        }
        let held = older.iter().chain(newer);
        outbox.extend(held.map(|(fork_id, reference)| (*fork_id, reference.clone())));
        Ok(outbox.into_values().flatten().take(limit).collect())
    }

    /// See [`crate::Storage::applied`].
    pub(super) fn applied(&self) -> Result<Option<Bytes>, StorageError> {
        match self.held.applied.as_ref().or(self.under.held.applied.as_ref()) {
            Some(applied) => Ok(Some(applied.clone())),
            None => Ok(self.under.under.meta(APPLIED_KEY)?.map(Bytes::from)),
        }
    }

    /// Whether any fork was added or removed that the file does not know of.
    pub(super) fn holds_forks(&self) -> bool {
        !self.held.forks.is_empty() || !self.under.held.forks.is_empty()
    }
}
