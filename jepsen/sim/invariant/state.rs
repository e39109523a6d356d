//! Every replica's state is what its log says: the log is replayed into a state machine of its own, and at equal index
//! the two have equal hashes. The hash covers streams, producers, forks, and the memory of proposals.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use weir_cluster::Replay;
use weir_journal::LogId;

use super::producers::Producers;
use super::{Checked, Replica, Violation, violated};
use crate::disk::SimDisk;
use crate::files::SimFiles;

/// The place of replayed logs among the traced disks.
const REPLAY_DISK: u64 = 100;

/// Of so many entries of a group one is followed by a look at its producer table.
const PRODUCERS_ONE_OF: u64 = 50;

/// A group's log, replayed.
struct Replayed {
    replay: Replay,
    producers: Producers,
    entries: u64,
}

pub(super) struct States {
    disk: SimDisk,
    groups: BTreeMap<u64, Replayed>,
    /// Producers compared.
    producers: u64,
    /// By group and index.
    hashes: BTreeMap<(u64, u64), u128>,
    /// By node and group: the last index looked at.
    seen: BTreeMap<(usize, u64), u64>,
    changes: u64,
    /// Of so many changes of a replica's state one is looked at: hashing reads all of it, and makes a checkpoint.
    one_of: u64,
    /// Whether the next look leaves out none.
    all: bool,
}

impl States {
    pub(super) fn new(seed: u64, one_of: u64) -> Self {
        Self {
            disk: SimDisk::new(REPLAY_DISK, seed),
            groups: BTreeMap::new(),
            producers: 0,
            hashes: BTreeMap::new(),
            seen: BTreeMap::new(),
            changes: 0,
            one_of,
            all: false,
        }
    }

    pub(super) fn forget(&mut self, node: usize) {
        self.seen.retain(|(of, _), _| *of != node);
    }

    /// Looks at every replica's state the next time.
    pub(super) fn again(&mut self) {
        self.seen.clear();
        self.all = true;
    }

    /// Applies the next committed entry of a group.
    pub(super) fn apply(&mut self, group: u64, id: LogId, payload: Bytes) -> Checked {
        let failed =
            |error: std::io::Error| violated("logs can be replayed", format!("group {group} at {id:?}: {error}"));
        if !self.groups.contains_key(&group) {
            let path = PathBuf::from(format!("/replay/{group}.redb"));
            let replay = match group {
                0 => Replay::meta(),
                _ => Replay::streams(Arc::new(SimFiles(self.disk.clone())), path, 1 << 20),
            };
            let replayed = Replayed {
                replay: replay.map_err(failed)?,
                producers: Producers::default(),
                entries: 0,
            };
            self.groups.insert(group, replayed);
        }
        if let Some(replayed) = self.groups.get_mut(&group) {
            let done = replayed.replay.apply(id, payload).map_err(failed)?;
            replayed.producers.fold(group, &done)?;
            replayed.entries += 1;
            self.hashes
                .insert((group, id.index), replayed.replay.state_hash().map_err(failed)?);
            if replayed.entries.is_multiple_of(PRODUCERS_ONE_OF) {
                let table = replayed.replay.producers().map_err(failed)?;
                self.producers += replayed.producers.compare(group, &table)?;
            }
        }
        Ok(())
    }

    /// Looks at the producer table of every group.
    pub(super) fn check_producers(&mut self) -> Checked {
        for (group, replayed) in &self.groups {
            let table = replayed.replay.producers();
            let table = table.map_err(|error| violated("logs can be replayed", format!("group {group}: {error}")))?;
            self.producers += replayed.producers.compare(*group, &table)?;
        }
        Ok(())
    }

    /// How many producers were compared.
    pub(super) const fn producers(&self) -> u64 {
        self.producers
    }

    /// Compares a replica's state, if it is its turn; says whether it was.
    pub(super) fn check(&mut self, replica: &Replica<'_>) -> Result<bool, Violation> {
        let group = replica.view.group;
        let Some(applied) = replica.view.applied.map(|applied| applied.index) else {
            return Ok(false);
        };
        if self.seen.insert((replica.node, group), applied) == Some(applied) {
            return Ok(false);
        }
        self.changes += 1;
        if !self.all && !self.changes.is_multiple_of(self.one_of) {
            return Ok(false);
        }
        let (index, hash) = match replica.probe.state_hash(group) {
            Ok(read) => read,
            // The checkpoint was one change too much for a machine that is to stop, or one sync for a disk that is to
            // fail. Its process ends with the next step.
            Err(_) if replica.machine.disk.has_stopped() || replica.machine.disk.has_failed() => return Ok(false),
            // Or one more than a full disk has room for, which is to be so until the end, when all faults are over.
            Err(error) if error.kind() == ErrorKind::StorageFull && !self.all => return Ok(false),
            Err(error) => return Err(violated("states can be read", format!("{}: {error}", replica.name()))),
        };
        match self.hashes.get(&(group, index)) {
            Some(expected) if *expected != hash => Err(violated(
                "the state is the fold of the log",
                format!(
                    "{} at {index} has {hash:032x}, its log gives {expected:032x}",
                    replica.name()
                ),
            )),
            Some(_) => Ok(true),
            // Applied since the step ended: looked at with the next change.
            None => Ok(false),
        }
    }
}
