//! The frames of a stream's log.
//!
//! ```text
//! crc32c (4) | length of body (4) | kind (1) | body
//! ```
//!
//! Integers are little-endian. The checksum covers the stream's id, the frame's position in the file, and all that
//! follows it, so that a frame which was moved or belongs to another stream is damage as well.

use bytes::{Buf, BufMut, Bytes};
use weir_protocol::StreamName;
use weir_protocol::producer::ProducerState;

use crate::limits::MAX_ROW_BYTES;
use crate::record::StreamRecord;
use crate::row::{PayloadRef, Row, RowHead, RowRef};

/// What a frame has before its body.
pub(super) const HEAD_BYTES: usize = 9;

/// The most bytes of a body: a row, or a record with every text at its longest.
const MAX_BODY_BYTES: usize = MAX_ROW_BYTES + 4096;

/// The layout of logs that this code writes.
const VERSION: u8 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first of a log: version (1), sequence number (8), length of name (2), name, record.
    Head = 1,
    /// Sequence number (8), record that replaces the one before.
    Record = 2,
    /// Start (8), row.
    Row = 3,
    /// Epoch (8), last sequence number (8), producer id.
    Producer = 4,
}

/// A frame as it stands in a log.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) body: Bytes,
}

impl Frame {
    /// How many bytes it takes.
    pub(super) fn bytes(&self) -> u64 {
        (HEAD_BYTES + self.body.len()) as u64
    }

    /// The stream's name, the batch's sequence number and the record.
    pub(super) fn head(&self) -> Option<(StreamName, u64, StreamRecord)> {
        let (version, rest) = self.body.split_first()?;
        if *version != VERSION {
            return None;
        }
        let (mut seq, rest) = rest.split_at_checked(8)?;
        let (mut length, rest) = rest.split_at_checked(2)?;
        let (name, record) = rest.split_at_checked(usize::from(length.get_u16_le()))?;
        let name = StreamName::new(std::str::from_utf8(name).ok()?).ok()?;
        Some((name, seq.get_u64_le(), StreamRecord::decode(record).ok()?))
    }

    /// The batch's sequence number and the record.
    pub(super) fn record(&self) -> Option<(u64, StreamRecord)> {
        let (mut seq, record) = self.body.split_at_checked(8)?;
        Some((seq.get_u64_le(), StreamRecord::decode(record).ok()?))
    }

    pub(super) fn producer(&self) -> Option<(&str, ProducerState)> {
        let (mut numbers, producer) = self.body.split_at_checked(16)?;
        let state = ProducerState {
            epoch: numbers.get_u64_le(),
            last_seq: numbers.get_u64_le(),
        };
        Some((std::str::from_utf8(producer).ok()?, state))
    }

    pub(super) fn row(&self) -> Option<StoredRow> {
        let (mut start, stored) = self.body.split_at_checked(8)?;
        let start = start.get_u64_le();
        let head = RowHead::decode(stored)?;
        let payload = self.body.slice(8 + head.bytes..);
        start.checked_add(payload.len() as u64)?;
        Some(StoredRow { start, head, payload })
    }
}

/// A row out of a log.
pub(super) struct StoredRow {
    pub(super) start: u64,
    head: RowHead,
    payload: Bytes,
}

impl StoredRow {
    pub(super) fn end(&self) -> u64 {
        self.start + self.payload.len() as u64
    }

    pub(super) fn continues(&self) -> bool {
        self.head.continues
    }

    pub(super) fn lengths(&self) -> &[u32] {
        &self.head.lengths
    }

    pub(super) fn payload(&self) -> &Bytes {
        &self.payload
    }

    pub(super) fn as_ref(&self) -> RowRef<'_> {
        RowRef {
            start: self.start,
            continues: self.head.continues,
            lengths: self.head.lengths.clone(),
            payload: PayloadRef::Shared(&self.payload),
        }
    }
}

/// What the beginning of some bytes of a log is.
pub(super) enum Decoded {
    Frame(Frame),
    /// More bytes are needed: so many in all.
    Short(usize),
    /// No frame that was written there.
    Bad,
}

/// Reads the frame at `position` in the log of stream `id` from the beginning of `bytes`.
pub(super) fn decode(id: u64, position: u64, bytes: &Bytes) -> Decoded {
    let mut head = &bytes[..];
    if head.len() < HEAD_BYTES {
        return Decoded::Short(HEAD_BYTES);
    }
    let sum = head.get_u32_le();
    let length = head.get_u32_le() as usize;
    let kind = match head.get_u8() {
        1 => Kind::Head,
        2 => Kind::Record,
        3 => Kind::Row,
        4 => Kind::Producer,
        _ => return Decoded::Bad,
    };
    if length > MAX_BODY_BYTES {
        return Decoded::Bad;
    }
    let end = HEAD_BYTES + length;
    if bytes.len() < end {
        return Decoded::Short(end);
    }
    if sum != checksum(id, position, &bytes[4..end]) {
        return Decoded::Bad;
    }
    Decoded::Frame(Frame {
        kind,
        body: bytes.slice(HEAD_BYTES..end),
    })
}

/// Writes consecutive frames of one log.
pub(super) struct Writer<'a> {
    id: u64,
    /// The position in the file at which `buffer` had `base` bytes.
    position: u64,
    base: usize,
    buffer: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Frames go to the end of `buffer`; in the file, the first one stands at `position`.
    pub(super) fn new(id: u64, position: u64, buffer: &'a mut Vec<u8>) -> Self {
        Self {
            id,
            position,
            base: buffer.len(),
            buffer,
        }
    }

    /// Where the next frame will stand.
    pub(super) fn position(&self) -> u64 {
        self.position + (self.buffer.len() - self.base) as u64
    }

    /// Returns how many bytes the frame takes; so do all others.
    pub(super) fn head(&mut self, name: &StreamName, seq: u64, record: &StreamRecord) -> u64 {
        self.frame(Kind::Head, |buffer| {
            buffer.put_u8(VERSION);
            buffer.put_u64_le(seq);
            // A name has at most 1024 bytes.
            buffer.put_u16_le(u16::try_from(name.as_str().len()).unwrap_or(u16::MAX));
            buffer.put_slice(name.as_str().as_bytes());
            buffer.put_slice(&record.encode());
        })
    }

    pub(super) fn record(&mut self, seq: u64, record: &StreamRecord) -> u64 {
        self.frame(Kind::Record, |buffer| {
            buffer.put_u64_le(seq);
            buffer.put_slice(&record.encode());
        })
    }

    pub(super) fn row(&mut self, row: &Row) -> u64 {
        self.frame(Kind::Row, |buffer| {
            buffer.put_u64_le(row.start);
            row.encode_head(buffer);
            buffer.put_slice(&row.payload);
        })
    }

    pub(super) fn producer(&mut self, producer: &str, state: ProducerState) -> u64 {
        self.frame(Kind::Producer, |buffer| {
            buffer.put_u64_le(state.epoch);
            buffer.put_u64_le(state.last_seq);
            buffer.put_slice(producer.as_bytes());
        })
    }

    fn frame(&mut self, kind: Kind, body: impl FnOnce(&mut Vec<u8>)) -> u64 {
        let position = self.position();
        let at = self.buffer.len();
        self.buffer.put_bytes(0, HEAD_BYTES);
        body(self.buffer);
        let length = self.buffer.len() - at - HEAD_BYTES;
        let frame = &mut self.buffer[at..];
        frame[4..8].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        frame[8] = kind as u8;
        let sum = checksum(self.id, position, &frame[4..]);
        frame[..4].copy_from_slice(&sum.to_le_bytes());
        frame.len() as u64
    }
}

/// How many bytes the frame of a producer takes.
pub(super) fn producer_bytes(producer: &str) -> u64 {
    (HEAD_BYTES + 16 + producer.len()) as u64
}

fn checksum(id: u64, position: u64, rest: &[u8]) -> u32 {
    let sum = crc32c::crc32c(&id.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(sum, &position.to_le_bytes()), rest)
}
