//! The redo log: every batch is first written here, as one record, so that many streams change together or not at all.
//!
//! ```text
//! file    "weirredo" (8) | record | record | ...
//! record  crc32c (4) | crc32c of body (4) | length of body (8) | sequence number (8) | durable number (8) | body
//! body    operation | operation | ...
//! ```
//!
//! Integers are little-endian. The first checksum covers the record's position in the file and what follows up to the
//! body. Sequence numbers count batches; the first record of a file only says what held when the file was begun. The
//! durable number is the last sequence number that was known to be synced when the record was written: a record that
//! cannot be read is the torn end of the log unless a later one says that it was synced, which makes it damage.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::disk;
use crate::error::StorageError;

const MAGIC: &[u8; 8] = b"weirredo";
const HEAD_BYTES: usize = 32;
const NAME: &str = "redo.log";
const NEW_NAME: &str = "redo.new";

/// A part of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Op {
    /// Frames at a position of a stream's log.
    Write { id: u64, position: u64, frames: Bytes },
    /// A stream's log goes.
    Discard { id: u64 },
    /// Stream ids below this are given away.
    NextId(u64),
    /// See [`crate::Batch::applied`].
    Applied(Bytes),
}

/// The kinds of operations, as stored.
const WRITE: u8 = 1;
const DISCARD: u8 = 2;
const NEXT_ID: u8 = 3;
const APPLIED: u8 = 4;

/// A record in the making.
#[derive(Default)]
pub(super) struct Body {
    pub(super) buffer: Vec<u8>,
}

impl Body {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; HEAD_BYTES],
        }
    }

    /// Begins a [`Op::Write`]; its frames follow in the buffer. Returns what [`Body::end_write`] needs.
    pub(super) fn begin_write(&mut self, id: u64, position: u64) -> usize {
        self.buffer.put_u8(WRITE);
        self.buffer.put_u64_le(id);
        self.buffer.put_u64_le(position);
        self.buffer.put_u64_le(0);
        self.buffer.len()
    }

    /// The frames of the write that began at `begin` are in the buffer.
    pub(super) fn end_write(&mut self, begin: usize) {
        let length = (self.buffer.len() - begin) as u64;
        self.buffer[begin - 8..begin].copy_from_slice(&length.to_le_bytes());
    }

    pub(super) fn discard(&mut self, id: u64) {
        self.buffer.put_u8(DISCARD);
        self.buffer.put_u64_le(id);
    }

    pub(super) fn next_id(&mut self, next_id: u64) {
        self.buffer.put_u8(NEXT_ID);
        self.buffer.put_u64_le(next_id);
    }

    pub(super) fn applied(&mut self, applied: &Bytes) {
        self.buffer.put_u8(APPLIED);
        self.buffer.put_u64_le(applied.len() as u64);
        self.buffer.put_slice(applied);
    }
}

impl Op {
    /// The stream whose log goes.
    pub(super) fn discarded(&self) -> Option<u64> {
        match self {
            Self::Discard { id } => Some(*id),
            _ => None,
        }
    }
}

/// The operations of a record's body; `None` unless the bytes are such.
pub(super) fn decode_ops(mut body: Bytes) -> Option<Vec<Op>> {
    let mut ops = Vec::new();
    while body.has_remaining() {
        ops.push(match body.get_u8() {
            WRITE => {
                let id = body.try_get_u64_le().ok()?;
                let position = body.try_get_u64_le().ok()?;
                let frames = take_bytes(&mut body)?;
                Op::Write { id, position, frames }
            }
            DISCARD => Op::Discard {
                id: body.try_get_u64_le().ok()?,
            },
            NEXT_ID => Op::NextId(body.try_get_u64_le().ok()?),
            APPLIED => Op::Applied(take_bytes(&mut body)?),
            _ => return None,
        });
    }
    Some(ops)
}

fn take_bytes(body: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(body.try_get_u64_le().ok()?).ok()?;
    (length <= body.len()).then(|| body.split_to(length))
}

/// The open redo log.
#[derive(Debug)]
pub(super) struct Redo {
    dir: PathBuf,
    file: File,
    /// Where the next record goes.
    end: u64,
    /// Of the last record.
    seq: u64,
    /// The last sequence number that is synced.
    durable: u64,
}

impl Redo {
    /// Begins a new file in place of an old one, atomically and durably.
    pub(super) fn begin(dir: &Path, seq: u64, next_id: u64, applied: Option<&Bytes>) -> Result<Self, StorageError> {
        let mut body = Body::new();
        body.next_id(next_id);
        if let Some(applied) = applied {
            body.applied(applied);
        }
        let position = MAGIC.len() as u64;
        seal(&mut body.buffer, position, seq, seq);
        let path = dir.join(NEW_NAME);
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)?;
        disk::write(&file, MAGIC, 0)?;
        disk::write(&file, &body.buffer, position)?;
        disk::sync(&file)?;
        std::fs::rename(&path, dir.join(NAME))?;
        disk::sync(&File::open(dir)?)?;
        Ok(Self {
            dir: dir.to_owned(),
            file,
            end: position + body.buffer.len() as u64,
            seq,
            durable: seq,
        })
    }

    /// Begins a new file after all that this one has was synced elsewhere.
    pub(super) fn reset(&mut self, next_id: u64, applied: Option<&Bytes>) -> Result<(), StorageError> {
        *self = Self::begin(&self.dir, self.seq, next_id, applied)?;
        Ok(())
    }

    /// Removes what was found behind the last whole record.
    pub(super) fn cut_torn_end(&mut self) -> Result<(), StorageError> {
        let length = self.file.metadata()?.len();
        if length > self.end {
            tracing::info!(
                byte = self.end,
                bytes = length - self.end,
                "redo.log: a torn end is cut off"
            );
            self.file.set_len(self.end)?;
            disk::sync(&self.file)?;
        }
        Ok(())
    }

    /// The sequence number of the last record.
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// How many bytes the file has.
    pub(super) fn bytes(&self) -> u64 {
        self.end
    }

    /// Whether a record waits to be synced.
    pub(super) fn is_dirty(&self) -> bool {
        self.durable < self.seq
    }

    /// Writes a batch's record and gives its bytes back. It is durable after [`Redo::sync`].
    ///
    /// # Errors
    /// [`StorageError`]; [`StorageError::Full`] leaves the log as it was.
    pub(super) fn append(&mut self, body: Body) -> Result<Bytes, StorageError> {
        let mut record = body.buffer;
        seal(&mut record, self.end, self.seq + 1, self.durable);
        if let Err(error) = disk::write(&self.file, &record, self.end) {
            let error = StorageError::from(error);
            if error == StorageError::Full {
                // What was written of it must not stand before the next record.
                self.file
                    .set_len(self.end)
                    .map_err(|error| StorageError::Io(error.to_string()))?;
            }
            return Err(error);
        }
        self.end += record.len() as u64;
        self.seq += 1;
        Ok(Bytes::from(record))
    }

    /// # Errors
    /// [`StorageError`]; the state of the file is unknown then.
    pub(super) fn sync(&mut self) -> Result<(), StorageError> {
        if self.is_dirty() {
            disk::sync_data(&self.file)?;
            self.durable = self.seq;
        }
        Ok(())
    }

    /// Opens the log of a store and shows every record's operations in order. A torn end stays until
    /// [`Redo::cut_torn_end`]. `None` when there is no log.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] when a record that was synced cannot be read.
    pub(super) fn open(
        dir: &Path,
        replay: &mut dyn FnMut(Vec<Op>) -> Result<(), StorageError>,
    ) -> Result<Option<Self>, StorageError> {
        let file = match File::options().read(true).write(true).open(dir.join(NAME)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let length = file.metadata()?.len();
        let damaged = |at: u64| StorageError::Damaged(format!("no valid record in redo.log at byte {at}"));
        let mut magic = [0; MAGIC.len()];
        let is_ours = length >= MAGIC.len() as u64 && file.read_exact_at(&mut magic, 0).is_ok() && magic == *MAGIC;
        if !is_ours {
            return Err(damaged(0));
        }
        let mut at = MAGIC.len() as u64;
        let mut seq = None;
        while let Some((head, body)) = read_record(&file, at, length)? {
            if seq.is_some_and(|seq: u64| Some(head.seq) != seq.checked_add(1)) {
                break;
            }
            replay(decode_ops(body).ok_or_else(|| damaged(at))?)?;
            seq = Some(head.seq);
            at += HEAD_BYTES as u64 + head.body_bytes;
        }
        let seq = seq.ok_or_else(|| damaged(at))?;
        if find_durable(&file, at, length, seq)? {
            return Err(damaged(at));
        }
        // What a killed process wrote may not be synced; no log may get it before.
        disk::sync(&file)?;
        Ok(Some(Self {
            dir: dir.to_owned(),
            file,
            end: at,
            seq,
            durable: seq,
        }))
    }
}

/// What a record has before its body.
#[derive(Debug, Clone, Copy)]
struct Head {
    body_sum: u32,
    body_bytes: u64,
    seq: u64,
    durable: u64,
}

impl Head {
    fn decode(position: u64, bytes: &[u8]) -> Option<Self> {
        let mut head = bytes.get(..HEAD_BYTES)?;
        if head.get_u32_le() != head_sum(position, head) {
            return None;
        }
        let head = Self {
            body_sum: head.get_u32_le(),
            body_bytes: head.get_u64_le(),
            seq: head.get_u64_le(),
            durable: head.get_u64_le(),
        };
        // No store ever counted that far; one that did could not go on.
        (head.seq < u64::MAX).then_some(head)
    }
}

/// `after_sum` is the head without its own checksum.
fn head_sum(position: u64, after_sum: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&position.to_le_bytes()), after_sum)
}

/// Fills in the head for which a record's buffer has room.
fn seal(record: &mut [u8], position: u64, seq: u64, durable: u64) {
    let (head, body) = record.split_at_mut(HEAD_BYTES);
    head[4..8].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    head[8..16].copy_from_slice(&(body.len() as u64).to_le_bytes());
    head[16..24].copy_from_slice(&seq.to_le_bytes());
    head[24..32].copy_from_slice(&durable.to_le_bytes());
    let sum = head_sum(position, &head[4..]);
    head[..4].copy_from_slice(&sum.to_le_bytes());
}

/// The record at `at`; `None` when there is none that is whole.
fn read_record(file: &File, at: u64, length: u64) -> Result<Option<(Head, Bytes)>, StorageError> {
    let mut bytes = [0; HEAD_BYTES];
    if length.saturating_sub(at) < HEAD_BYTES as u64 {
        return Ok(None);
    }
    file.read_exact_at(&mut bytes, at)?;
    let Some(head) = Head::decode(at, &bytes) else {
        return Ok(None);
    };
    let begin = at + HEAD_BYTES as u64;
    // The file bounds what a broken length can ask for.
    let body_bytes = usize::try_from(head.body_bytes)
        .ok()
        .filter(|_| head.body_bytes <= length - begin);
    let Some(body_bytes) = body_bytes else {
        return Ok(None);
    };
    let mut body = BytesMut::zeroed(body_bytes);
    file.read_exact_at(&mut body, begin)?;
    Ok((crc32c::crc32c(&body) == head.body_sum).then(|| (head, body.freeze())))
}

/// Whether any record behind `from` says that one after `seq` was synced.
fn find_durable(file: &File, from: u64, length: u64, seq: u64) -> Result<bool, StorageError> {
    const PIECE_BYTES: usize = 1 << 20;
    let mut at = from;
    let mut piece = vec![0; PIECE_BYTES];
    while length.saturating_sub(at) >= HEAD_BYTES as u64 {
        let wanted = usize::try_from(length - at).unwrap_or(usize::MAX).min(PIECE_BYTES);
        file.read_exact_at(&mut piece[..wanted], at)?;
        let heads = (0..=wanted - HEAD_BYTES).filter_map(|skip| Head::decode(at + skip as u64, &piece[skip..wanted]));
        for head in heads {
            if head.durable > seq {
                return Ok(true);
            }
        }
        at += (wanted - HEAD_BYTES + 1) as u64;
    }
    Ok(false)
}
