//! Committed entries on their way into a [`Machine`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::type_config::alias::SnapshotOf;
use openraft::vote::RaftLeaderId as _;
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};

use super::encode;
use super::log_store::LogStore;
use super::machine::{Answer, LogEntry, Machine, PendingCheckpoint, Position, SnapshotSource, Staged};
use super::types::{Entry, LeaderId, LogId, SnapshotMeta, StoredMembership, TypeConfig};
use crate::blocking::blocking;

/// Entries are applied in pieces of about so many payload bytes, and at most so many entries.
const MAX_PIECE_BYTES: usize = 16 * 1024 * 1024;
const MAX_PIECE_ENTRIES: usize = 4096;

/// How long something waits before it looks for space again.
const SPACE_PAUSE: Duration = Duration::from_millis(100);

/// A piece of at most so many payload bytes is applied on the spot, unless the machine says that it may have to wait: that
/// changes memory only and reads a few pages at most, while handing it to another thread and back is a third of the time
/// that a single write takes.
const MAX_INLINE_BYTES: u64 = 64 * 1024;

/// What a snapshot is to openraft: one to be sent, or one that was received.
pub(super) enum SnapshotData {
    Outgoing(Arc<dyn SnapshotSource>),
    Incoming(Staged),
}

/// Feeds a machine, and makes its state durable from time to time.
pub(super) struct StateMachine {
    machine: Arc<dyn Machine>,
    log: LogStore,
    position: Position,
    /// The index of the last checkpoint that was begun.
    checkpoint_index: u64,
    /// Payload bytes applied since then.
    bytes_since_checkpoint: u64,
    /// What the store held when it was opened, as long as the replica is being opened.
    opening: Opening,
}

/// A replica that is being opened: openraft applies what the log is known to have committed, and asks which snapshot there
/// is, to know how far it goes. Nobody sends that one, so none is written: it would take time, and space where maybe none
/// is.
#[derive(Clone)]
pub(super) struct Opening {
    stored: Position,
    is_over: Arc<AtomicBool>,
}

impl Opening {
    /// From now on snapshots are sent.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }
}

/// See [`Opening`].
struct NotSent;

impl SnapshotSource for NotSent {
    fn piece(&self, _cursor: &bytes::Bytes, _max_bytes: usize) -> io::Result<(bytes::Bytes, Option<bytes::Bytes>)> {
        Err(io::Error::other("the replica is being opened"))
    }
}

/// What a checkpoint reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checkpoint {
    /// The index of the last entry in it.
    pub(super) index: u64,
    /// Payload bytes applied since the one before.
    pub(super) bytes: u64,
}

type Responder = openraft::storage::ApplyResponder<TypeConfig>;

/// Entries that are applied together.
#[derive(Default)]
struct Piece {
    entries: Vec<LogEntry>,
    responders: Vec<Option<Responder>>,
    bytes: usize,
}

/// An entry as a machine takes it; `position` then includes it.
fn add(position: &mut Position, entry: Entry) -> LogEntry {
    position.log_id = Some(encode::log_id_to_pb(&entry.log_id));
    let command = match entry.payload {
        EntryPayload::Blank => None,
        EntryPayload::Normal(command) => Some(command.0.slice(1..)),
        EntryPayload::Membership(membership) => {
            let stored = StoredMembership::new(Some(entry.log_id), membership);
            position.membership = encode::stored_to_pb(&stored);
            None
        }
    };
    LogEntry { command }
}

/// As [`add`], of an entry as the journal has it.
///
/// # Errors
/// When it is none of ours.
pub(crate) fn advance(position: &mut Position, id: weir_journal::LogId, payload: bytes::Bytes) -> io::Result<LogEntry> {
    let entry = Entry {
        log_id: LogId::new(LeaderId::new(id.leader.term, id.leader.node), id.index),
        payload: encode::payload_from_bytes(payload)?,
    };
    Ok(add(position, entry))
}

impl StateMachine {
    pub(super) fn open(machine: Arc<dyn Machine>, log: LogStore) -> io::Result<Self> {
        let position = machine.position()?;
        Ok(Self {
            machine,
            log,
            checkpoint_index: position.index(),
            opening: Opening {
                stored: position.clone(),
                is_over: Arc::default(),
            },
            position,
            bytes_since_checkpoint: 0,
        })
    }

    /// Ends the time of opening; see [`Opening`].
    pub(super) fn opening(&self) -> Opening {
        self.opening.clone()
    }

    /// The index of the last entry applied.
    pub(super) fn index(&self) -> u64 {
        self.position.index()
    }

    /// Adds an entry, which `self.position` then includes.
    fn add(&mut self, piece: &mut Piece, (entry, responder): EntryResponder<TypeConfig>) {
        let entry = add(&mut self.position, entry);
        piece.bytes += entry.command.as_ref().map_or(0, bytes::Bytes::len);
        piece.entries.push(entry);
        piece.responders.push(responder);
    }

    async fn apply_piece(&mut self, piece: Piece) -> io::Result<()> {
        if piece.entries.is_empty() {
            return Ok(());
        }
        self.bytes_since_checkpoint += piece.bytes as u64;
        let (mut entries, bytes) = (piece.entries, piece.bytes as u64);
        let answers = loop {
            let (machine, position) = (Arc::clone(&self.machine), self.position.clone());
            let apply = move || match machine.has_room(bytes)? {
                true => machine.apply(entries, position).map(Ok),
                false => Ok(Err(entries)),
            };
            let is_quick = bytes <= MAX_INLINE_BYTES && !self.machine.may_block();
            let applied = match is_quick {
                true => apply(),
                false => blocking(apply).await?,
            };
            match applied? {
                Ok(answers) => break answers,
                Err(waiting) => entries = waiting,
            }
            tokio::time::sleep(SPACE_PAUSE).await;
        };
        let mut answers = answers.into_iter();
        for responder in piece.responders {
            let answer = answers.next().unwrap_or(Answer::Nothing);
            if let Some(responder) = responder {
                responder.send(answer);
            }
        }
        Ok(())
    }

    /// Begins to make durable what was applied, if that is more than before and at least `min_bytes` of payload. What is
    /// returned ends it, and blocks.
    ///
    /// The log is made durable first: a state that is ahead of its own log would be taken for a corrupt one.
    pub(super) async fn begin_checkpoint(
        &mut self,
        min_bytes: u64,
    ) -> io::Result<Option<(Checkpoint, PendingCheckpoint)>> {
        if self.position.index() == self.checkpoint_index || self.bytes_since_checkpoint < min_bytes {
            return Ok(None);
        }
        self.log.barrier().await?;
        let (machine, (_, log_end)) = (Arc::clone(&self.machine), self.log.bounds());
        let pending = match blocking(move || machine.begin_checkpoint(log_end)).await? {
            // The log still has what the store has not.
            Err(error) if is_full(&error) => return Ok(None),
            result => result?,
        };
        self.checkpoint_index = self.position.index();
        let bytes = std::mem::take(&mut self.bytes_since_checkpoint);
        let checkpoint = Checkpoint {
            index: self.checkpoint_index,
            bytes,
        };
        Ok(Some((checkpoint, pending)))
    }

    async fn snapshot(&mut self) -> io::Result<SnapshotOf<TypeConfig, SnapshotData>> {
        let is_checkpointed = self.position.index() == self.checkpoint_index;
        if !is_checkpointed {
            self.log.barrier().await?;
        }
        let (position, source) = loop {
            let (machine, (_, log_end)) = (Arc::clone(&self.machine), self.log.bounds());
            // Whoever calls this is the one that applies, so nothing comes between the two.
            let snapshot = blocking(move || {
                if !is_checkpointed {
                    machine.begin_checkpoint(log_end)?()?;
                }
                machine.snapshot()
            });
            match snapshot.await? {
                Err(error) if is_full(&error) => tokio::time::sleep(SPACE_PAUSE).await,
                result => break result?,
            }
        };
        self.checkpoint_index = position.index();
        outgoing(&position, source)
    }
}

/// Whether it can be tried again when there is space.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn outgoing(position: &Position, source: Arc<dyn SnapshotSource>) -> io::Result<SnapshotOf<TypeConfig, SnapshotData>> {
    Ok(openraft::storage::Snapshot {
        meta: SnapshotMeta {
            last_log_id: encode::maybe_log_id(position.log_id.as_ref())?,
            last_membership: encode::stored_from_pb(&position.membership)?,
        },
        snapshot: SnapshotData::Outgoing(source),
    })
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        let log_id = encode::maybe_log_id(self.position.log_id.as_ref())?;
        Ok((log_id, encode::stored_from_pb(&self.position.membership)?))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        let mut piece = Piece::default();
        while let Some(entry) = entries.next().await {
            self.add(&mut piece, entry?);
            if piece.bytes >= MAX_PIECE_BYTES || piece.entries.len() >= MAX_PIECE_ENTRIES {
                self.apply_piece(std::mem::take(&mut piece)).await?;
            }
        }
        self.apply_piece(piece).await
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<Builder> {
        Some(Builder(Some(self.snapshot().await)))
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder(Some(self.snapshot().await))
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: SnapshotData) -> Result<(), io::Error> {
        // What it makes durable must not be ahead of the log's last truncation, as above.
        self.log.barrier().await?;
        let machine = Arc::clone(&self.machine);
        let staged = match snapshot {
            SnapshotData::Incoming(staged) => staged,
            SnapshotData::Outgoing(source) => {
                let copied = blocking(move || copy(&*machine, &*source)).await;
                copied??
            }
        };
        let position = Position {
            log_id: meta.last_log_id.as_ref().map(encode::log_id_to_pb),
            membership: encode::stored_to_pb(&meta.last_membership),
        };
        let (machine, wanted) = (Arc::clone(&self.machine), position.clone());
        let installed = blocking(move || machine.install(staged, wanted)).await;
        installed??;
        self.checkpoint_index = position.index();
        self.position = position;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<TypeConfig, Self::SnapshotData>>, io::Error> {
        if self.position.log_id.is_none() {
            return Ok(None);
        }
        if !self.opening.is_over.load(Ordering::Acquire) {
            let stored = &self.opening.stored;
            return match stored.log_id {
                None => Ok(None),
                Some(_) => outgoing(stored, Arc::new(NotSent)).map(Some),
            };
        }
        self.snapshot().await.map(Some)
    }
}

/// Stages a snapshot that never left the process.
fn copy(machine: &dyn Machine, source: &dyn SnapshotSource) -> io::Result<Staged> {
    let mut sink = machine.receive()?;
    let mut cursor = bytes::Bytes::new();
    loop {
        let (piece, next) = source.piece(&cursor, MAX_PIECE_BYTES)?;
        sink.put(piece)?;
        match next {
            Some(next) => cursor = next,
            None => return sink.finish(),
        }
    }
}

/// A snapshot that was taken when this was made.
pub(super) struct Builder(Option<io::Result<SnapshotOf<TypeConfig, SnapshotData>>>);

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<TypeConfig, SnapshotData>, io::Error> {
        self.0
            .take()
            .unwrap_or_else(|| Err(io::Error::other("a snapshot was built already")))
    }
}
