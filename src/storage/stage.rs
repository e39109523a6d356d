//! A batch in the making: what its commands have changed so far, over the view that it began with.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use weir_protocol::producer::ProducerState;
use weir_protocol::{Payload, StreamName, TailEvent, Timestamp};

use crate::command::Change;
use crate::error::StorageError;
use crate::record::StreamRecord;
use crate::reference::{ForkKey, Reference};
use crate::row::{Packer, Row};
use crate::rows::{Lookup, Mutations, Rows, VisitRow};

/// Reads see the view with the batch's changes over it; nothing reaches the backend before [`Stage::finish`].
pub(crate) struct Stage<'a, R: Rows> {
    view: &'a R,
    /// Records as they are now, and whether they differ from the view's.
    streams: BTreeMap<StreamName, Staged>,
    /// Appended messages by stream id, in order.
    appended: BTreeMap<u64, Vec<(u64, Payload)>>,
    producers: BTreeMap<(u64, Arc<str>), ProducerState>,
    forks: BTreeMap<(u64, ForkKey), bool>,
    outbox: BTreeMap<u64, Option<Reference>>,
    deadlines: BTreeMap<(Timestamp, StreamName), bool>,
    discarded: BTreeSet<u64>,
    next_id: Option<u64>,
    changes: Vec<Change>,
}

struct Staged {
    record: Option<StreamRecord>,
    changed: bool,
}

impl<'a, R: Rows> Stage<'a, R> {
    pub(crate) fn new(view: &'a R) -> Self {
        Self {
            view,
            streams: BTreeMap::new(),
            appended: BTreeMap::new(),
            producers: BTreeMap::new(),
            forks: BTreeMap::new(),
            outbox: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            discarded: BTreeSet::new(),
            next_id: None,
            changes: Vec::new(),
        }
    }

    /// A stream's record as the batch has it now. Records read once stay at hand.
    pub(crate) fn load(&mut self, name: &StreamName) -> Result<Option<StreamRecord>, StorageError> {
        if let Some(staged) = self.streams.get(name) {
            return Ok(staged.record.clone());
        }
        let record = self.view.stream(name)?;
        let staged = Staged {
            record: record.clone(),
            changed: false,
        };
        self.streams.insert(name.clone(), staged);
        Ok(record)
    }

    pub(crate) fn put_stream(&mut self, name: &StreamName, record: StreamRecord) {
        let staged = Staged {
            record: Some(record),
            changed: true,
        };
        self.streams.insert(name.clone(), staged);
    }

    /// Takes a stream out: its record, its place in the expiry index, its rows and producers.
    pub(crate) fn remove_stream(&mut self, name: &StreamName, record: &StreamRecord) {
        self.set_deadline(name, record.indexed_deadline, None);
        self.appended.remove(&record.id);
        self.producers.retain(|(id, _), _| *id != record.id);
        self.discarded.insert(record.id);
        let staged = Staged {
            record: None,
            changed: true,
        };
        self.streams.insert(name.clone(), staged);
    }

    pub(crate) fn append(&mut self, id: u64, start: u64, payload: Payload) {
        if !payload.is_empty() {
            self.appended.entry(id).or_default().push((start, payload));
        }
    }

    pub(crate) fn put_producer(&mut self, id: u64, producer: &Arc<str>, state: ProducerState) {
        self.producers.insert((id, Arc::clone(producer)), state);
    }

    /// Adds or removes `fork` as a fork of the stream with id `source`.
    pub(crate) fn set_fork(&mut self, source: u64, fork: ForkKey, is_fork: bool) {
        self.forks.insert((source, fork), is_fork);
    }

    /// Has another group told that the fork of `reference` is gone.
    pub(crate) fn post(&mut self, reference: Reference) {
        self.outbox.insert(reference.fork_id, Some(reference));
    }

    /// Takes an entry out of the outbox.
    pub(crate) fn settle(&mut self, fork_id: u64) {
        self.outbox.insert(fork_id, None);
    }

    /// Moves a stream's entry in the expiry index.
    pub(crate) fn set_deadline(&mut self, name: &StreamName, old: Option<Timestamp>, new: Option<Timestamp>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.deadlines.insert((old, name.clone()), false);
        }
        if let Some(new) = new {
            self.deadlines.insert((new, name.clone()), true);
        }
    }

    pub(crate) fn allocate_id(&mut self) -> Result<u64, StorageError> {
        let id = match self.next_id {
            Some(id) => id,
            None => self.view.next_id()?,
        };
        let used_up = || StorageError::Failed("all stream ids are used up".to_owned());
        self.next_id = Some(id.checked_add(1).ok_or_else(used_up)?);
        Ok(id)
    }

    /// Tells those who watch the stream.
    pub(crate) fn tell(&mut self, name: &StreamName, event: TailEvent) {
        self.changes.push(Change {
            name: name.clone(),
            event,
        });
    }

    /// What to commit, and what to tell.
    pub(crate) fn finish(self) -> (Mutations, Vec<Change>) {
        let changed = self.streams.into_iter().filter(|(_, staged)| staged.changed);
        let mutations = Mutations {
            streams: changed.map(|(name, staged)| (name, staged.record)).collect(),
            rows: self
                .appended
                .into_iter()
                .map(|(id, parts)| (id, pack(&parts)))
                .collect(),
            producers: self.producers,
            forks: self.forks,
            outbox: self.outbox,
            deadlines: self.deadlines,
            discarded: self.discarded.into_iter().collect(),
            next_id: self.next_id,
            applied: None,
        };
        (mutations, self.changes)
    }
}

fn pack(parts: &[(u64, Payload)]) -> Vec<Row> {
    let mut packer = Packer::default();
    for (start, payload) in parts {
        packer.add(*start, false, payload.lengths(), payload.bytes());
    }
    packer.finish()
}

impl<R: Rows> Stage<'_, R> {
    pub(crate) fn producer(&self, id: u64, producer: &Arc<str>) -> Result<Option<ProducerState>, StorageError> {
        match self.producers.get(&(id, Arc::clone(producer))) {
            Some(state) => Ok(Some(*state)),
            None => self.view.producer(id, producer),
        }
    }

    pub(crate) fn has_forks(&self, id: u64) -> Result<bool, StorageError> {
        let staged = self
            .forks
            .iter()
            .any(|((source, _), is_fork)| *source == id && *is_fork);
        let mut found = staged;
        if !staged {
            self.view.forks(id, &mut |fork| {
                found = self.forks.get(&(id, fork)).copied().unwrap_or(true);
                if found {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })?;
        }
        Ok(found)
    }

    /// Up to `limit` entries of the expiry index at or before `cutoff`, in order.
    pub(crate) fn due(&self, cutoff: Timestamp, limit: usize) -> Result<Vec<(Timestamp, StreamName)>, StorageError> {
        let mut due = self.view.due(cutoff, limit.saturating_add(self.deadlines.len()))?;
        due.retain(|entry| self.deadlines.get(entry) != Some(&false));
        let added = self
            .deadlines
            .iter()
            .filter(|((at, _), is_there)| **is_there && *at <= cutoff);
        due.extend(added.map(|(entry, _)| entry.clone()));
        due.sort();
        due.dedup();
        due.truncate(limit);
        Ok(due)
    }
}

impl<R: Rows> Lookup for Stage<'_, R> {
    fn stream(&self, name: &StreamName) -> Result<Option<StreamRecord>, StorageError> {
        match self.streams.get(name) {
            Some(staged) => Ok(staged.record.clone()),
            None => self.view.stream(name),
        }
    }

    fn rows(&self, id: u64, from: u64, visit: VisitRow<'_>) -> Result<(), StorageError> {
        let mut ended = false;
        self.view.rows(id, from, &mut |row| {
            let flow = visit(row);
            ended = flow.is_break();
            flow
        })?;
        let Some(parts) = self.appended.get(&id).filter(|_| !ended) else {
            return Ok(());
        };
        for row in pack(parts).iter().filter(|row| row.end() > from) {
            if visit(row.as_ref()).is_break() {
                break;
            }
        }
        Ok(())
    }
}
