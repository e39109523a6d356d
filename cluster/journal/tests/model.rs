//! What the journal must hold, kept the simple way.

use std::collections::BTreeMap;

use bytes::Bytes;
use weir_journal::{Entry, Journal, LogId, Recovered, ReplicaKey};

/// One change; a submission of several entries is several changes.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Append(ReplicaKey, Entry),
    Truncate(ReplicaKey, Option<u64>),
    Vote(ReplicaKey, Bytes),
    Purge(ReplicaKey, LogId),
    Remove(ReplicaKey),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Replica {
    pub(crate) vote: Option<Bytes>,
    pub(crate) purged: Option<LogId>,
    pub(crate) entries: BTreeMap<u64, Entry>,
}

impl Replica {
    pub(crate) fn next_index(&self) -> u64 {
        let last = self.entries.keys().next_back().copied();
        last.or(self.purged.map(|purged| purged.index))
            .map_or(0, |last| last + 1)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) replicas: BTreeMap<ReplicaKey, Replica>,
}

impl Model {
    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Append(key, entry) => {
                self.replicas
                    .entry(*key)
                    .or_default()
                    .entries
                    .insert(entry.id.index, entry.clone());
            }
            Change::Truncate(key, keep) => {
                let entries = &mut self.replicas.entry(*key).or_default().entries;
                entries.retain(|index, _| keep.is_some_and(|keep| *index <= keep));
            }
            Change::Vote(key, vote) => self.replicas.entry(*key).or_default().vote = Some(vote.clone()),
            Change::Purge(key, upto) => {
                let replica = self.replicas.entry(*key).or_default();
                if replica.purged.is_none_or(|purged| purged.index < upto.index) {
                    replica.purged = Some(*upto);
                    replica.entries.retain(|index, _| *index > upto.index);
                }
            }
            Change::Remove(key) => {
                self.replicas.remove(key);
            }
        }
        // A replica without anything is as good as none.
        self.replicas.retain(|_, replica| *replica != Replica::default());
    }

    /// What an opened journal holds, read back in full.
    pub(crate) fn read(journal: &Journal, recovered: &Recovered) -> Model {
        let keys = recovered.replicas.iter().map(|(key, _)| *key);
        let replicas = keys.map(|key| (key, Model::read_replica(journal, key)));
        Model {
            replicas: replicas.filter(|(_, replica)| *replica != Replica::default()).collect(),
        }
    }

    pub(crate) fn read_replica(journal: &Journal, key: ReplicaKey) -> Replica {
        let state = journal.state(key);
        let entries = journal.read(key, 0..u64::MAX, u64::MAX).unwrap();
        assert_eq!(state.first_index, entries.first().map(|entry| entry.id.index));
        assert_eq!(state.last, entries.last().map(|entry| entry.id).or(state.last_purged));
        for entry in &entries {
            assert_eq!(journal.leader_at(key, entry.id.index), Some(entry.id.leader));
        }
        Replica {
            vote: state.vote,
            purged: state.last_purged,
            entries: entries.into_iter().map(|entry| (entry.id.index, entry)).collect(),
        }
    }
}
