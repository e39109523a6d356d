//! The streams of a group as a replicated state machine: entries become batches of the Storage contract.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use prost::Message as _;
use weir_proto::{entry as pb, raft};
use weir_protocol::Timestamp;
use weir_storage::{
    Applied, Batch, Command, Export, Import, Outcome, ProducerTable, RedbOptions, RedbStorage, Storage, StorageError,
    StoreFiles,
};
use xxhash_rust::xxh3::Xxh3;

use super::memory::{Memory, Seen};
use super::staging::{StagedFile, Staging};
use super::watch::Watchers;
use crate::codec::{Malformed, op_from_pb};
use crate::raft::{
    Answer, LogEntry, Machine, PendingCheckpoint, Position, SnapshotMark, SnapshotSink, SnapshotSource, Staged,
    StateHash,
};

/// How a group's store is opened, and replaced by a snapshot.
#[derive(Debug, Clone)]
pub(crate) enum StoreKind {
    /// A store that is there already and cannot be replaced.
    Fixed,
    /// A redb file.
    Redb(RedbOptions, Arc<dyn StoreFiles>),
}

/// The streams of one replica.
pub(crate) struct StreamsMachine {
    store: RwLock<Arc<dyn Storage>>,
    kind: StoreKind,
    memory: Mutex<Replicated>,
    /// Both of a store that can be replaced by a snapshot.
    mark: Option<Arc<SnapshotMark>>,
    staging: Option<Arc<Staging>>,
    watchers: Arc<Watchers>,
    /// Whether what is committed waits for space.
    is_short: AtomicBool,
}

/// What is replicated beside the streams.
#[derive(Debug, Clone, Default)]
struct Replicated {
    position: Position,
    memory: Memory,
}

/// Entries on their way into the store.
#[derive(Default)]
struct Piece {
    commands: Vec<Command>,
    /// By entry, by proposal.
    slots: Vec<Vec<Slot>>,
    /// Proposals whose command is not applied yet, by origin and id: the number of the command.
    pending: HashMap<(u64, u64), usize>,
}

impl Piece {
    /// What this origin proposed before is not remembered any more, whether that was in this piece or in an earlier one.
    fn forget(&mut self, forgotten: u64) {
        self.pending.retain(|(origin, _), _| *origin != forgotten);
        for slot in self.slots.iter_mut().flatten() {
            if let Slot::Command { origin, .. } = slot
                && *origin == forgotten
            {
                *origin = 0;
            }
        }
    }
}

/// One proposal's place among the answers.
enum Slot {
    /// The command with this number in the batch answers it. Remembered unless the origin is 0.
    Command { number: usize, origin: u64, id: u64 },
    /// It has its answer.
    Known(Option<Outcome>),
}

fn io_error(error: StorageError) -> io::Error {
    match error {
        StorageError::Full => io::Error::new(io::ErrorKind::StorageFull, error),
        error => io::Error::other(error),
    }
}

fn malformed(_: Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a log entry is none of ours")
}

impl StreamsMachine {
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn open(store: Arc<dyn Storage>, kind: StoreKind, watchers: Arc<Watchers>) -> io::Result<Self> {
        let replicated = load(&*store)?;
        let (mark, staging) = match &kind {
            StoreKind::Fixed => (None, None),
            StoreKind::Redb(options, files) => {
                let mark = SnapshotMark::at(options.path.with_extension("snapshot"))?;
                (Some(Arc::new(mark)), Some(Staging::open(&options.path, files)?))
            }
        };
        Ok(Self {
            store: RwLock::new(store),
            kind,
            memory: Mutex::new(replicated),
            mark,
            staging,
            watchers,
            is_short: AtomicBool::new(false),
        })
    }

    /// The store as it is now. Whoever holds it across a snapshot's installation goes on reading the old one.
    pub(crate) fn store(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.store.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether what is committed waits for space on this node: then no more should be proposed.
    pub(crate) fn is_short(&self) -> bool {
        self.is_short.load(Ordering::Relaxed)
    }

    fn replicated(&self) -> MutexGuard<'_, Replicated> {
        // A panic while it is held ends the process soon after: the state machine's task is gone.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the streams remember of their producers: for simulations. Reads much of the store.
    pub(crate) fn producers(&self) -> io::Result<ProducerTable> {
        let (export, _) = self.export()?;
        export.producers().map_err(io_error)
    }

    /// All that the store holds, and what was replicated beside it, at one moment. None of it becomes durable by this, as
    /// the log may not be yet.
    fn export(&self) -> io::Result<(Box<dyn Export>, Replicated)> {
        // Nothing is applied while it is held, so the two belong together.
        let replicated = self.replicated();
        let export = self.store().export().map_err(io_error)?;
        let export =
            export.ok_or_else(|| io::Error::other("this backend serves one node only: there is nothing to compare"))?;
        Ok((export, replicated.clone()))
    }

    /// Applies the commands and puts their outcomes into the slots that wait for them.
    fn commit(&self, replicated: &mut Replicated, piece: &mut Piece, position: &Position) -> io::Result<()> {
        // A store that is not replaced by snapshots keeps a log of its own, and what a crash leaves of that is taken: so
        // each of its batches has the whole memory.
        let memory = match self.mark {
            Some(_) => Vec::new(),
            None => replicated.memory.origins_to_pb(piece.pending.keys().copied()),
        };
        let batch = Batch {
            commands: std::mem::take(&mut piece.commands),
            applied: Some(encode(position, replicated.memory.last_at(), memory)),
            durable: false,
        };
        let Applied { outcomes, changes } = self.store().apply(batch).map_err(io_error)?;
        self.watchers.tell(changes);
        piece.pending.clear();
        for slot in piece.slots.iter_mut().flatten() {
            let Slot::Command { number, origin, id } = *slot else {
                continue;
            };
            let outcome = outcomes.get(number).cloned();
            if let (Some(outcome), true) = (&outcome, origin != 0) {
                replicated.memory.answered(origin, id, outcome.clone());
            }
            *slot = Slot::Known(outcome);
        }
        Ok(())
    }

    /// Adds an entry's proposals.
    fn add(replicated: &mut Replicated, piece: &mut Piece, entry: Bytes) -> io::Result<()> {
        let batch = pb::Batch::decode(entry).map_err(|error| malformed(error.into()))?;
        let (at, origin) = (replicated.memory.advance(batch.at), batch.origin);
        if origin != 0 && replicated.memory.heard_of(origin) {
            piece.forget(origin);
        }
        let mut slots = Vec::with_capacity(batch.proposals.len());
        for proposal in batch.proposals {
            let id = proposal.id;
            let seen = match origin {
                0 => Seen::New,
                origin => replicated.memory.seen(origin, id),
            };
            let first = piece.pending.get(&(origin, id)).copied();
            slots.push(match (seen, first) {
                (Seen::Answered(outcome), _) => Slot::Known(Some(outcome)),
                (Seen::Forgotten, _) => Slot::Known(None),
                // It came before in this very piece, and has the same answer.
                (Seen::New, Some(number)) => Slot::Command { number, origin, id },
                (Seen::New, None) => {
                    let op = op_from_pb(proposal.op.ok_or_else(|| malformed(Malformed))?).map_err(malformed)?;
                    piece.commands.push(Command {
                        at: Timestamp::from_millis(proposal.at.unwrap_or(at).min(at)),
                        op,
                    });
                    let number = piece.commands.len() - 1;
                    if origin != 0 {
                        piece.pending.insert((origin, id), number);
                    }
                    Slot::Command { number, origin, id }
                }
            });
        }
        piece.slots.push(slots);
        if origin != 0 {
            replicated.memory.raise_floor(origin, batch.floor);
        }
        Ok(())
    }
}

/// What the store keeps for us. The memory of proposals is large and redb gets it with checkpoints only: between them
/// nothing there is durable, so a crash never leaves a state without the memory that belongs to it.
fn encode(position: &Position, last_at: u64, origins: Vec<raft::Origin>) -> Bytes {
    let applied = raft::Applied {
        log_id: position.log_id,
        membership: Some(position.membership.clone()),
        last_at,
        origins,
    };
    applied.encode_to_vec().into()
}

/// The same with all that is remembered, while no command is on its way into the store.
fn encode_whole(replicated: &Replicated) -> Bytes {
    let memory = &replicated.memory;
    encode(&replicated.position, memory.last_at(), memory.origins_to_pb([]))
}

fn load(store: &dyn Storage) -> io::Result<Replicated> {
    let Some(bytes) = store.applied().map_err(io_error)? else {
        return Ok(Replicated::default());
    };
    let applied = raft::Applied::decode(bytes).map_err(|error| malformed(error.into()))?;
    Ok(Replicated {
        position: Position {
            log_id: applied.log_id,
            membership: applied.membership.unwrap_or_default(),
        },
        memory: Memory::from_pb(applied.last_at, applied.origins).map_err(malformed)?,
    })
}

impl Machine for StreamsMachine {
    fn position(&self) -> io::Result<Position> {
        Ok(self.replicated().position.clone())
    }

    fn has_room(&self, bytes: u64) -> io::Result<bool> {
        let has_room = self.store().has_room(bytes).map_err(io_error)?;
        if self.is_short.swap(!has_room, Ordering::Relaxed) == has_room {
            tracing::warn!(
                has_room,
                "the disk has no room for what is to be applied, or has it again"
            );
        }
        Ok(has_room)
    }

    fn apply(&self, entries: Vec<LogEntry>, position: Position) -> io::Result<Vec<Answer>> {
        let mut replicated = self.replicated();
        let mut piece = Piece::default();
        let mut is_ours = Vec::with_capacity(entries.len());
        for entry in entries {
            is_ours.push(entry.command.is_some());
            match entry.command {
                Some(command) => Self::add(&mut replicated, &mut piece, command)?,
                None => piece.slots.push(Vec::new()),
            }
        }
        self.commit(&mut replicated, &mut piece, &position)?;
        replicated.position = position;
        let answer = |(slots, is_ours): (Vec<Slot>, bool)| {
            if !is_ours {
                return Answer::Nothing;
            }
            let outcome = |slot| match slot {
                Slot::Known(outcome) => outcome,
                Slot::Command { .. } => None,
            };
            Answer::Streams(slots.into_iter().map(outcome).collect())
        };
        Ok(piece.slots.into_iter().zip(is_ours).map(answer).collect())
    }

    fn may_block(&self) -> bool {
        // Whoever looks at all of the state holds the first, whoever replaces it the second.
        self.memory.try_lock().is_err() || self.store.try_read().map_or(true, |store| store.may_block())
    }

    fn begin_checkpoint(&self, log_end: u64) -> io::Result<PendingCheckpoint> {
        let replicated = self.replicated();
        let applied = encode_whole(&replicated);
        let pending = self.store().begin_checkpoint(applied).map_err(io_error)?;
        let mark = self.mark.clone().filter(|_| replicated.position.index() <= log_end);
        let times_set = mark.as_ref().map_or(0, |mark| mark.times_set());
        Ok(Box::new(move || {
            pending().map_err(io_error)?;
            mark.map_or(Ok(()), |mark| mark.clear(times_set))
        }))
    }

    fn snapshot(&self) -> io::Result<(Position, Arc<dyn SnapshotSource>)> {
        let export = self.store().export().map_err(io_error)?;
        let export = export.ok_or_else(|| io::Error::other("this backend cannot send its streams to another node"));
        let position = self.replicated().position.clone();
        let source: Arc<dyn SnapshotSource> = match export {
            Ok(export) => Arc::new(Outgoing(export)),
            Err(reason) => Arc::new(Impossible(reason.to_string())),
        };
        Ok((position, source))
    }

    fn came_by_snapshot(&self) -> bool {
        self.mark.as_ref().is_some_and(|mark| mark.is_set())
    }

    fn state_hash(&self) -> io::Result<StateHash> {
        let (export, replicated) = self.export()?;
        let mut hash = Xxh3::new();
        hash.update(&encode_whole(&replicated));
        hash.update(&export.digest().map_err(io_error)?.to_le_bytes());
        Ok(StateHash {
            applied: replicated.position.index(),
            hash: hash.digest128(),
        })
    }

    fn receive(&self) -> io::Result<Box<dyn SnapshotSink>> {
        let (StoreKind::Redb(options, files), Some(staging)) = (&self.kind, &self.staging) else {
            return Err(io::Error::other("this backend cannot take streams from another node"));
        };
        let file = staging.file()?;
        let options = RedbOptions {
            path: file.path().to_owned(),
            cache_bytes: options.cache_bytes,
            waits_for_space: options.waits_for_space,
        };
        let import = RedbStorage::import_in(&options, Arc::clone(files)).map_err(io_error)?;
        Ok(Box::new(Sink { import, file }))
    }

    fn install(&self, staged: Staged, position: Position) -> io::Result<()> {
        let StoreKind::Redb(options, files) = &self.kind else {
            return Err(io::Error::other("this backend cannot take streams from another node"));
        };
        let other = |_| io::Error::other("a snapshot of another kind");
        let staged = staged.0.downcast::<StagedFile>().map_err(other)?;
        let mut replicated = self.replicated();
        self.mark.as_ref().map_or(Ok(()), |mark| mark.set())?;
        files.replace(staged.path(), &options.path)?;
        let store = RedbStorage::open_in(options, Arc::clone(files)).map_err(io_error)?;
        let loaded = load(&store)?;
        if loaded.position != position {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a snapshot holds another state than it said",
            ));
        }
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(store);
        *replicated = loaded;
        drop(replicated);
        // Whoever watches looks again, at the new state.
        self.watchers.tell_all_gone();
        Ok(())
    }
}

struct Outgoing(Box<dyn Export>);

impl SnapshotSource for Outgoing {
    fn piece(&self, cursor: &Bytes, max_bytes: usize) -> io::Result<(Bytes, Option<Bytes>)> {
        self.0.piece(cursor, max_bytes).map_err(io_error)
    }
}

/// Of a backend that serves one node only. Raft asks for a snapshot there too, to let go of its log.
struct Impossible(String);

impl SnapshotSource for Impossible {
    fn piece(&self, _cursor: &Bytes, _max_bytes: usize) -> io::Result<(Bytes, Option<Bytes>)> {
        Err(io::Error::other(self.0.clone()))
    }
}

struct Sink {
    import: Box<dyn Import>,
    file: StagedFile,
}

impl SnapshotSink for Sink {
    fn put(&mut self, piece: Bytes) -> io::Result<()> {
        // What is kept of the disk is kept for the stores that are there.
        if !self.file.has_room(piece.len() as u64)? {
            return Err(io_error(StorageError::Full));
        }
        self.import.put(piece).map_err(io_error)
    }

    fn finish(self: Box<Self>) -> io::Result<Staged> {
        self.import.finish().map_err(io_error)?;
        Ok(Staged(Box::new(self.file)))
    }
}

#[cfg(test)]
mod tests {
    use weir_storage::MemoryStorage;

    use super::*;

    #[test]
    fn whoever_looks_at_the_whole_state_or_replaces_it_is_waited_for() {
        let machine = StreamsMachine::open(Arc::new(MemoryStorage::new()), StoreKind::Fixed, Arc::default()).unwrap();
        assert!(!machine.may_block());
        let looking = machine.replicated();
        assert!(machine.may_block());
        drop(looking);
        let replacing = machine.store.write().unwrap();
        assert!(machine.may_block());
        drop(replacing);
        assert!(!machine.may_block());
    }
}
