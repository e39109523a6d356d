//! All that a store in memory knows of its streams but their bytes: shared by the memory and the file backend.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use weir_protocol::producer::ProducerState;
use weir_protocol::{StreamName, Timestamp};

use crate::record::StreamRecord;
use crate::reference::ForkKey;
use crate::rows::{Mutations, VisitFork, VisitStream};

/// Records, producers, forks and deadlines, in maps.
#[derive(Debug, Default)]
pub(crate) struct Meta {
    pub(crate) streams: BTreeMap<StreamName, StreamRecord>,
    producers: HashMap<u64, BTreeMap<Arc<str>, ProducerState>>,
    forks: HashMap<u64, BTreeSet<ForkKey>>,
    deadlines: BTreeSet<(Timestamp, StreamName)>,
    next_id: u64,
    pub(crate) applied: Option<Bytes>,
}

impl Meta {
    /// Takes over what a batch changed, rows excepted.
    pub(crate) fn commit(&mut self, mutations: Mutations) {
        for (name, record) in mutations.streams {
            match record {
                Some(record) => self.streams.insert(name, record),
                None => self.streams.remove(&name),
            };
        }
        for ((id, producer), state) in mutations.producers {
            self.set_producer(id, producer, state);
        }
        for ((id, fork), is_fork) in mutations.forks {
            if is_fork {
                self.forks.entry(id).or_default().insert(fork);
            } else if let Some(forks) = self.forks.get_mut(&id) {
                forks.remove(&fork);
                if forks.is_empty() {
                    self.forks.remove(&id);
                }
            }
        }
        for (entry, is_there) in mutations.deadlines {
            if is_there {
                self.deadlines.insert(entry);
            } else {
                self.deadlines.remove(&entry);
            }
        }
        for id in mutations.discarded {
            self.producers.remove(&id);
        }
        if let Some(next_id) = mutations.next_id {
            self.raise_next_id(next_id);
        }
        self.applied = mutations.applied.or(self.applied.take());
    }

    /// Enters a stream that was found on disk, and what follows from its record. Returns whether the name was free.
    pub(crate) fn restore(&mut self, name: StreamName, record: StreamRecord) -> bool {
        if let Some(fork) = record.fork.as_ref().filter(|fork| fork.remote.is_none()) {
            let key = ForkKey::Local(name.clone());
            self.forks.entry(fork.source_id).or_default().insert(key);
        }
        if let Some(deadline) = record.indexed_deadline {
            self.deadlines.insert((deadline, name.clone()));
        }
        self.raise_next_id(record.id.saturating_add(1));
        self.streams.insert(name, record).is_none()
    }

    pub(crate) fn set_producer(&mut self, id: u64, producer: Arc<str>, state: ProducerState) {
        self.producers.entry(id).or_default().insert(producer, state);
    }

    /// Ids below `next_id` are given away.
    pub(crate) fn raise_next_id(&mut self, next_id: u64) {
        self.next_id = self.next_id.max(next_id);
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.max(1)
    }

    pub(crate) fn producer(&self, id: u64, producer: &str) -> Option<ProducerState> {
        self.producers.get(&id).and_then(|states| states.get(producer)).copied()
    }

    /// All that a stream remembers of producers, in order.
    pub(crate) fn producers(&self, id: u64) -> impl Iterator<Item = (&Arc<str>, ProducerState)> {
        let states = self.producers.get(&id).into_iter().flatten();
        states.map(|(producer, state)| (producer, *state))
    }

    pub(crate) fn visit_forks(&self, id: u64, visit: VisitFork<'_>) {
        for fork in self.forks.get(&id).into_iter().flatten() {
            if visit(fork.clone()).is_break() {
                break;
            }
        }
    }

    /// See [`crate::rows::Rows::due`].
    pub(crate) fn due(&self, cutoff: Timestamp, limit: usize) -> Vec<(Timestamp, StreamName)> {
        let due = self.deadlines.iter().take_while(|(at, _)| *at <= cutoff);
        due.take(limit).cloned().collect()
    }

    /// See [`crate::rows::Rows::streams`].
    pub(crate) fn visit_streams(&self, prefix: &str, after: Option<&str>, visit: VisitStream<'_>) {
        let begin = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        for (name, record) in self.streams.range::<str, _>((begin, Bound::Unbounded)) {
            if !name.as_str().starts_with(prefix) || visit(name.clone(), record.clone()).is_break() {
                break;
            }
        }
    }
}
