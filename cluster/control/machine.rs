//! The meta group's state machine: a small state, kept whole in memory and in one file.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message as _;
use tokio::sync::watch;
use weir_journal::Disk;
use weir_meta::{MetaCommand, MetaState};
use weir_proto::{control as pb, raft};
use xxhash_rust::xxh3::xxh3_128;

use super::identity::{read, write_atomically};
use crate::raft::{
    Answer, LogEntry, Machine, PendingCheckpoint, Position, SnapshotMark, SnapshotSink, SnapshotSource, Staged,
    StateHash,
};

/// The file's layout: checksum of the rest, length of the position, position, state.
const HEAD_BYTES: usize = 8;

/// The control plane's replicated state.
pub(crate) struct MetaMachine {
    /// Where the state is kept; nowhere, on a node that keeps everything in memory.
    place: Option<Place>,
    current: Mutex<Current>,
    /// Where there is a place.
    mark: Option<SnapshotMark>,
    states: watch::Sender<Arc<MetaState>>,
    /// Held by whoever writes the file.
    saving: Mutex<()>,
}

/// A file on a disk.
pub(crate) struct Place {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) file: String,
}

#[derive(Debug, Clone, Default)]
struct Current {
    position: Position,
    state: MetaState,
}

fn invalid(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl MetaMachine {
    /// Opens the state of a meta replica; a replica without a file begins with an empty one.
    pub(crate) fn open(place: Option<Place>) -> io::Result<Self> {
        let current = match &place {
            Some(place) => load(place)?,
            None => Current::default(),
        };
        Ok(Self {
            mark: match &place {
                Some(place) => Some(SnapshotMark::at(place.dir.join(format!("{}.snapshot", place.file)))?),
                None => None,
            },
            place,
            states: watch::Sender::new(Arc::new(current.state.clone())),
            current: Mutex::new(current),
            saving: Mutex::default(),
        })
    }

    /// The state as it changes.
    pub(crate) fn states(&self) -> watch::Receiver<Arc<MetaState>> {
        self.states.subscribe()
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One at a time, from the moment at which the state is taken: two would write the same file, and the older could come
    /// last. When a replica is closed, a checkpoint of before may still be under way.
    fn turn_to_save(&self) -> MutexGuard<'_, ()> {
        self.saving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, bytes: &[u8]) -> io::Result<()> {
        match &self.place {
            Some(place) => write_atomically(&*place.disk, &place.dir, &place.file, bytes),
            None => Ok(()),
        }
    }

    fn publish(&self, state: &MetaState) {
        self.states.send_replace(Arc::new(state.clone()));
    }
}

fn load(place: &Place) -> io::Result<Current> {
    place.disk.create_dir(&place.dir)?;
    match read(&*place.disk, &place.dir.join(&place.file)) {
        Ok(bytes) => decode(&bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Current::default()),
        Err(error) => Err(error),
    }
}

fn encode(current: &Current) -> Bytes {
    let applied = raft::Applied {
        log_id: current.position.log_id,
        membership: Some(current.position.membership.clone()),
        ..raft::Applied::default()
    };
    let position = applied.encode_to_vec();
    let state = current.state.encode();
    let mut bytes = BytesMut::with_capacity(HEAD_BYTES + position.len() + state.len());
    bytes.put_u32_le(0);
    bytes.put_u32_le(u32::try_from(position.len()).unwrap_or(u32::MAX));
    bytes.put_slice(&position);
    bytes.put_slice(&state);
    let sum = crc32c::crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&sum.to_le_bytes());
    bytes.freeze()
}

fn decode(bytes: &[u8]) -> io::Result<Current> {
    let damaged = || invalid("the meta group's state is damaged");
    let (sum, rest) = bytes.split_first_chunk::<4>().ok_or_else(damaged)?;
    if u32::from_le_bytes(*sum) != crc32c::crc32c(rest) {
        return Err(damaged());
    }
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
    let split = rest.split_at_checked(u32::from_le_bytes(*length) as usize);
    let (position, state) = split.ok_or_else(damaged)?;
    let applied = raft::Applied::decode(position).map_err(invalid)?;
    Ok(Current {
        position: Position {
            log_id: applied.log_id,
            membership: applied.membership.unwrap_or_default(),
        },
        state: MetaState::decode(state).map_err(invalid)?,
    })
}

impl Machine for MetaMachine {
    fn position(&self) -> io::Result<Position> {
        Ok(self.current().position.clone())
    }

    fn apply(&self, entries: Vec<LogEntry>, position: Position) -> io::Result<Vec<Answer>> {
        let mut current = self.current();
        let before = current.state.version();
        let mut answers = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(command) = entry.command else {
                answers.push(Answer::Nothing);
                continue;
            };
            let entry = pb::MetaEntry::decode(command).map_err(invalid)?;
            let command = MetaCommand::decode(&entry.command).map_err(invalid)?;
            let reply = match current.state.apply(command) {
                Ok(outcome) => pb::meta_reply::Reply::Outcome(outcome.encode().into()),
                Err(error) => pb::meta_reply::Reply::Error(error.encode().into()),
            };
            let reply = pb::MetaReply { reply: Some(reply) };
            answers.push(Answer::Meta(reply.encode_to_vec().into()));
        }
        current.position = position;
        if current.state.version() != before {
            self.publish(&current.state);
        }
        Ok(answers)
    }

    /// All of it at once: the state is small and changes rarely.
    fn begin_checkpoint(&self, log_end: u64) -> io::Result<PendingCheckpoint> {
        let _turn = self.turn_to_save();
        let current = self.current().clone();
        self.save(&encode(&current))?;
        let mark = self.mark.as_ref().filter(|_| current.position.index() <= log_end);
        mark.map_or(Ok(()), |mark| mark.clear(mark.times_set()))?;
        Ok(Box::new(|| Ok(())))
    }

    fn snapshot(&self) -> io::Result<(Position, Arc<dyn SnapshotSource>)> {
        let current = self.current();
        Ok((current.position.clone(), Arc::new(Whole(encode(&current)))))
    }

    fn came_by_snapshot(&self) -> bool {
        self.mark.as_ref().is_some_and(SnapshotMark::is_set)
    }

    fn state_hash(&self) -> io::Result<StateHash> {
        let current = self.current().clone();
        Ok(StateHash {
            applied: current.position.index(),
            hash: xxh3_128(&encode(&current)),
        })
    }

    fn receive(&self) -> io::Result<Box<dyn SnapshotSink>> {
        Ok(Box::new(Gathered(BytesMut::new())))
    }

    fn install(&self, staged: Staged, position: Position) -> io::Result<()> {
        let bytes = staged
            .0
            .downcast::<Bytes>()
            .map_err(|_| invalid("a snapshot of another kind"))?;
        let received = decode(&bytes)?;
        if received.position != position {
            return Err(invalid("a snapshot holds another state than it said"));
        }
        let _turn = self.turn_to_save();
        self.mark.as_ref().map_or(Ok(()), SnapshotMark::set)?;
        self.save(&bytes)?;
        let mut current = self.current();
        *current = received;
        self.publish(&current.state);
        Ok(())
    }
}

/// A state small enough to be one piece.
struct Whole(Bytes);

impl SnapshotSource for Whole {
    fn piece(&self, _cursor: &Bytes, _max_bytes: usize) -> io::Result<(Bytes, Option<Bytes>)> {
        Ok((self.0.clone(), None))
    }
}

struct Gathered(BytesMut);

impl SnapshotSink for Gathered {
    fn put(&mut self, piece: Bytes) -> io::Result<()> {
        self.0.put_slice(&piece);
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<Staged> {
        Ok(Staged(Box::new(self.0.freeze())))
    }
}

#[cfg(test)]
mod tests {
    use weir_journal::RealDisk;

    use super::*;

    #[test]
    fn checkpoints_at_the_same_time_do_not_get_in_each_others_way() {
        let dir = tempfile::tempdir().unwrap();
        let place = || Place {
            disk: Arc::new(RealDisk),
            dir: dir.path().to_owned(),
            file: "1.state".to_owned(),
        };
        let machine = MetaMachine::open(Some(place())).unwrap();
        let position = |index| Position {
            log_id: Some(raft::LogId { leader: None, index }),
            ..Position::default()
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        machine.begin_checkpoint(0).unwrap()().unwrap();
                    }
                });
            }
            for index in 1..=100 {
                machine.apply(Vec::new(), position(index)).unwrap();
            }
        });
        machine.begin_checkpoint(0).unwrap()().unwrap();
        assert_eq!(
            MetaMachine::open(Some(place())).unwrap().position().unwrap().index(),
            100
        );
    }
}
