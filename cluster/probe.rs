//! What simulations look at. Nothing here changes anything, and nothing in production calls it.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use weir_journal::{Leader, LogId};
use weir_proto::entry as pb;
use weir_storage::{Op, Outcome, ProducerTable, RedbOptions, RedbStorage, StoreFiles};

use crate::codec::op_from_pb;
use crate::control::{Hosting, MetaMachine};
use crate::group::{StoreKind, StreamsMachine};
use crate::raft::{Answer, Machine, Position, Replica, advance};

/// One replica on a node, as Raft has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaView {
    /// The group; 0 is the meta group.
    pub group: u64,
    /// The replica.
    pub replica: u64,
    /// For whom it voted last, durably, and whether that one leads.
    pub vote: (Leader, bool),
    /// Whether it leads.
    pub leads: bool,
    /// The last entry that its state includes.
    pub applied: Option<LogId>,
}

/// The replicas on a node.
#[derive(Clone)]
pub struct Probe {
    meta: Arc<Replica>,
    meta_machine: Arc<MetaMachine>,
    hosting: Arc<Hosting>,
}

impl Probe {
    pub(crate) fn new(meta: Arc<Replica>, meta_machine: Arc<MetaMachine>, hosting: Arc<Hosting>) -> Self {
        Self {
            meta,
            meta_machine,
            hosting,
        }
    }

    /// All replicas here, the meta group's first.
    #[must_use]
    pub fn replicas(&self) -> Vec<ReplicaView> {
        let groups = self.hosting.groups();
        let hosted = groups.iter().filter_map(|group| group.hosted());
        let mut views = vec![self.meta.view()];
        views.extend(hosted.map(|hosted| hosted.replica.view()));
        views
    }

    /// The voters of a group as its replica here has them; two sets during a change.
    #[must_use]
    pub fn voters(&self, group: u64) -> Vec<BTreeSet<u64>> {
        self.replica(group)
            .map(|replica| replica.status().voters)
            .unwrap_or_default()
    }

    /// A hash of the state of a group's replica here, and the index of the last entry that it includes.
    ///
    /// # Errors
    /// When it cannot be read, or there is no such replica.
    pub fn state_hash(&self, group: u64) -> io::Result<(u64, u128)> {
        let hash = if group == 0 {
            self.meta_machine.state_hash()?
        } else {
            let hosted = self.hosting.group(group).and_then(|group| group.hosted());
            hosted.ok_or(io::ErrorKind::NotFound)?.machine.state_hash()?
        };
        Ok((hash.applied, hash.hash))
    }

    /// The group of each slot, as this node has it.
    #[must_use]
    pub fn slots(&self) -> Vec<u64> {
        crate::control::view(&self.meta_machine.states().borrow()).slots
    }

    fn replica(&self, group: u64) -> Option<Arc<Replica>> {
        if group == 0 {
            return Some(Arc::clone(&self.meta));
        }
        let hosted = self.hosting.group(group)?.hosted()?;
        Some(Arc::clone(&hosted.replica))
    }
}

/// A proposal of a log entry, and what came of it.
#[derive(Debug, Clone)]
pub struct Done {
    /// Which front end's it is; 0: none's that would repeat it.
    pub origin: u64,
    /// Its number there.
    pub id: u64,
    /// What was asked.
    pub op: Op,
    /// The answer; none where nobody waits for it any more.
    pub outcome: Option<Outcome>,
}

fn done(command: Bytes, outcomes: Vec<Option<Outcome>>) -> io::Result<Vec<Done>> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "a log entry is none of ours");
    let batch = pb::Batch::decode(command).map_err(io::Error::other)?;
    let proposals = batch.proposals.into_iter().zip(outcomes);
    proposals
        .map(|(proposal, outcome)| {
            let op = proposal.op.and_then(|op| op_from_pb(op).ok());
            Ok(Done {
                origin: batch.origin,
                id: proposal.id,
                op: op.ok_or_else(invalid)?,
                outcome,
            })
        })
        .collect()
}

/// A state machine that is fed with a log, entry by entry: what the state of every replica has to be.
pub struct Replay {
    machine: Arc<dyn Machine>,
    /// The same, unless it is the meta group's.
    streams: Option<Arc<StreamsMachine>>,
    position: Position,
}

impl Replay {
    /// Of the meta group.
    ///
    /// # Errors
    /// None in practice: everything is in memory.
    pub fn meta() -> io::Result<Self> {
        Ok(Self {
            machine: Arc::new(MetaMachine::open(None)?),
            streams: None,
            position: Position::default(),
        })
    }

    /// Of a group of streams, with a store of its own.
    ///
    /// # Errors
    /// When the store cannot be made.
    pub fn streams(files: Arc<dyn StoreFiles>, path: PathBuf, cache_bytes: usize) -> io::Result<Self> {
        let options = RedbOptions {
            path,
            cache_bytes,
            waits_for_space: false,
        };
        let store = RedbStorage::open_in(&options, Arc::clone(&files)).map_err(io::Error::other)?;
        let kind = StoreKind::Redb(options, files);
        let machine = Arc::new(StreamsMachine::open(Arc::new(store), kind, Arc::default())?);
        Ok(Self {
            machine: Arc::clone(&machine) as Arc<dyn Machine>,
            streams: Some(machine),
            position: Position::default(),
        })
    }

    /// Applies the next entry of the log; gives what was asked of a group of streams, and answered.
    ///
    /// # Errors
    /// When it is none of ours, or the store fails.
    pub fn apply(&mut self, id: LogId, payload: Bytes) -> io::Result<Vec<Done>> {
        let entry = advance(&mut self.position, id, payload)?;
        let command = entry.command.clone();
        let answers = self.machine.apply(vec![entry], self.position.clone())?;
        match (command, answers.into_iter().next()) {
            (Some(command), Some(Answer::Streams(outcomes))) => done(command, outcomes),
            _ => Ok(Vec::new()),
        }
    }

    /// What streams remember of their producers; nothing in the meta group.
    ///
    /// # Errors
    /// When the store fails.
    pub fn producers(&self) -> io::Result<ProducerTable> {
        self.streams
            .as_ref()
            .map_or_else(|| Ok(ProducerTable::new()), |streams| streams.producers())
    }

    /// As [`Probe::state_hash`].
    ///
    /// # Errors
    /// When the store fails.
    pub fn state_hash(&self) -> io::Result<u128> {
        Ok(self.machine.state_hash()?.hash)
    }
}
