//! Committed entries on their way into a [`Machine`].

use std::io;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::type_config::alias::SnapshotOf;
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use tokio::task::spawn_blocking;

use super::encode;
use super::log_store::LogStore;
use super::machine::{Answer, LogEntry, Machine, Position, SnapshotSource, Staged};
use super::types::{LogId, SnapshotMeta, StoredMembership, TypeConfig};

/// Entries are applied in pieces of about so many payload bytes, and at most so many entries.
const MAX_PIECE_BYTES: usize = 16 * 1024 * 1024;
const MAX_PIECE_ENTRIES: usize = 4096;

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
    /// The index of the last durable state.
    durable_index: u64,
    /// Payload bytes applied since then.
    bytes_since_checkpoint: u64,
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

impl StateMachine {
    pub(super) fn open(machine: Arc<dyn Machine>, log: LogStore) -> io::Result<Self> {
        let position = machine.position()?;
        Ok(Self {
            machine,
            log,
            durable_index: position.index(),
            position,
            bytes_since_checkpoint: 0,
        })
    }

    /// The index of the last entry applied.
    pub(super) fn index(&self) -> u64 {
        self.position.index()
    }

    /// Adds an entry, which `self.position` then includes.
    fn add(&mut self, piece: &mut Piece, (entry, responder): EntryResponder<TypeConfig>) {
        self.position.log_id = Some(encode::log_id_to_pb(&entry.log_id));
        let command = match entry.payload {
            EntryPayload::Blank => None,
            EntryPayload::Normal(command) => Some(command.0.slice(1..)),
            EntryPayload::Membership(membership) => {
                let stored = StoredMembership::new(Some(entry.log_id), membership);
                self.position.membership = encode::stored_to_pb(&stored);
                None
            }
        };
        piece.bytes += command.as_ref().map_or(0, bytes::Bytes::len);
        piece.entries.push(LogEntry { command });
        piece.responders.push(responder);
    }

    async fn apply_piece(&mut self, piece: Piece) -> io::Result<()> {
        if piece.entries.is_empty() {
            return Ok(());
        }
        self.bytes_since_checkpoint += piece.bytes as u64;
        let (machine, position) = (Arc::clone(&self.machine), self.position.clone());
        let applied = spawn_blocking(move || machine.apply(piece.entries, position)).await;
        let answers = applied.map_err(io::Error::other)??;
        let mut answers = answers.into_iter();
        for responder in piece.responders {
            let answer = answers.next().unwrap_or(Answer::Nothing);
            if let Some(responder) = responder {
                responder.send(answer);
            }
        }
        Ok(())
    }

    /// Makes durable what was applied, if that is more than before and at least `min_bytes` of payload.
    ///
    /// The log is made durable first: a state that is ahead of its own log would be taken for a corrupt one.
    pub(super) async fn checkpoint(&mut self, min_bytes: u64) -> io::Result<Option<Checkpoint>> {
        if self.position.index() == self.durable_index || self.bytes_since_checkpoint < min_bytes {
            return Ok(None);
        }
        self.log.barrier().await?;
        let machine = Arc::clone(&self.machine);
        spawn_blocking(move || machine.checkpoint())
            .await
            .map_err(io::Error::other)??;
        self.durable_index = self.position.index();
        let bytes = std::mem::take(&mut self.bytes_since_checkpoint);
        Ok(Some(Checkpoint {
            index: self.durable_index,
            bytes,
        }))
    }

    async fn snapshot(&mut self) -> io::Result<SnapshotOf<TypeConfig, SnapshotData>> {
        // openraft asks for one at every start, when there is nothing to write, and maybe no space for it.
        let is_checkpointed = self.position.index() == self.durable_index;
        if !is_checkpointed {
            self.log.barrier().await?;
        }
        let machine = Arc::clone(&self.machine);
        // Whoever calls this is the one that applies, so nothing comes between the two.
        let snapshot = spawn_blocking(move || {
            if !is_checkpointed {
                machine.checkpoint()?;
            }
            machine.snapshot()
        });
        let (position, source) = snapshot.await.map_err(io::Error::other)??;
        self.durable_index = position.index();
        Ok(openraft::storage::Snapshot {
            meta: SnapshotMeta {
                last_log_id: encode::maybe_log_id(position.log_id.as_ref())?,
                last_membership: encode::stored_from_pb(&position.membership)?,
            },
            snapshot: SnapshotData::Outgoing(source),
        })
    }
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
        let machine = Arc::clone(&self.machine);
        let staged = match snapshot {
            SnapshotData::Incoming(staged) => staged,
            SnapshotData::Outgoing(source) => {
                let copied = spawn_blocking(move || copy(&*machine, &*source)).await;
                copied.map_err(io::Error::other)??
            }
        };
        let position = Position {
            log_id: meta.last_log_id.as_ref().map(encode::log_id_to_pb),
            membership: encode::stored_to_pb(&meta.last_membership),
        };
        let (machine, wanted) = (Arc::clone(&self.machine), position.clone());
        let installed = spawn_blocking(move || machine.install(staged, wanted)).await;
        installed.map_err(io::Error::other)??;
        self.durable_index = position.index();
        self.position = position;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<TypeConfig, Self::SnapshotData>>, io::Error> {
        if self.position.log_id.is_none() {
            return Ok(None);
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
