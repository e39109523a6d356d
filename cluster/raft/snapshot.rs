//! Snapshots sent and received piece by piece.
//!
//! A piece says how many bytes came before it. The receiver takes the one that continues what it has and answers how
//! much that is, so a broken line costs one piece. Another snapshot than the one under way begins anew.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use weir_proto::raft as pb;

use super::encode;
use super::machine::{Machine, SnapshotSink, SnapshotSource, Staged};
use super::types::{SnapshotMeta, Vote};
use crate::blocking::blocking;

/// About how many bytes a piece has.
const PIECE_BYTES: usize = 1024 * 1024;

/// The most bytes per second that one snapshot takes of the line and of both disks.
const BYTES_PER_SECOND: u64 = 64 * 1024 * 1024;

/// A snapshot on its way out.
pub(super) struct Sending {
    source: Arc<dyn SnapshotSource>,
    head: pb::SnapshotPiece,
    current: Option<(Bytes, Option<Bytes>)>,
    cursor: Bytes,
    offset: u64,
    started: Instant,
}

impl Sending {
    pub(super) fn new(vote: &Vote, meta: &SnapshotMeta, source: Arc<dyn SnapshotSource>) -> Self {
        Self {
            source,
            head: pb::SnapshotPiece {
                vote: Some(encode::vote_to_pb(vote)),
                last_log_id: meta.last_log_id.as_ref().map(encode::log_id_to_pb),
                membership: Some(encode::stored_to_pb(&meta.last_membership)),
                ..pb::SnapshotPiece::default()
            },
            current: None,
            cursor: Bytes::new(),
            offset: 0,
            started: Instant::now(),
        }
    }

    /// The piece to send next, not before its time.
    pub(super) async fn piece(&mut self) -> io::Result<pb::SnapshotPiece> {
        let due = Duration::from_millis(self.offset.saturating_mul(1000) / BYTES_PER_SECOND);
        tokio::time::sleep(due.saturating_sub(self.started.elapsed())).await;
        if self.current.is_none() {
            let (source, cursor) = (Arc::clone(&self.source), self.cursor.clone());
            let piece = blocking(move || source.piece(&cursor, PIECE_BYTES)).await;
            self.current = Some(piece??);
        }
        let (data, next) = self.current.clone().unwrap_or_default();
        Ok(pb::SnapshotPiece {
            offset: self.offset,
            crc32c: crc32c::crc32c(&data),
            last: next.is_none(),
            data,
            ..self.head.clone()
        })
    }

    /// Goes on behind the piece when the receiver has it.
    pub(super) fn acknowledge(&mut self, reply: &pb::SnapshotReply) -> io::Result<()> {
        let Some((data, next)) = &self.current else {
            return Ok(());
        };
        let end = self.offset + data.len() as u64;
        match (reply.received == end, next) {
            (true, Some(next)) => {
                self.cursor = next.clone();
                self.offset = end;
                self.current = None;
                Ok(())
            }
            _ if reply.received == self.offset => Ok(()),
            _ => Err(io::Error::other("the receiver began the snapshot anew")),
        }
    }
}

/// A snapshot on its way in; at most one per replica.
#[derive(Default)]
pub(super) struct Receiving {
    under_way: Option<UnderWay>,
}

struct UnderWay {
    last_log_id: Option<pb::LogId>,
    received: u64,
    sink: Box<dyn SnapshotSink>,
}

/// What a piece led to.
pub(super) enum Received {
    /// More is missing: so many bytes are here.
    More(u64),
    /// That was the last one.
    Whole(Staged),
}

impl Receiving {
    /// Takes a piece. Blocks.
    pub(super) fn take(&mut self, machine: &dyn Machine, piece: pb::SnapshotPiece) -> io::Result<Received> {
        if crc32c::crc32c(&piece.data) != piece.crc32c {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a snapshot's piece was damaged",
            ));
        }
        if piece.offset == 0 {
            self.under_way = None;
            self.under_way = Some(UnderWay {
                last_log_id: piece.last_log_id,
                received: 0,
                sink: machine.receive()?,
            });
        }
        let Some(under_way) = self
            .under_way
            .as_mut()
            .filter(|under_way| under_way.last_log_id == piece.last_log_id)
        else {
            return Ok(Received::More(0));
        };
        if under_way.received != piece.offset {
            return Ok(Received::More(under_way.received));
        }
        under_way.received += piece.data.len() as u64;
        let (received, is_last) = (under_way.received, piece.last);
        if let Err(error) = under_way.sink.put(piece.data) {
            self.under_way = None;
            return Err(error);
        }
        if !is_last {
            return Ok(Received::More(received));
        }
        match self.under_way.take() {
            Some(whole) => whole.sink.finish().map(Received::Whole),
            None => Ok(Received::More(0)),
        }
    }
}
