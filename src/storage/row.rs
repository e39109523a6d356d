//! How payload is kept: rows, each a run of consecutive bytes of one stream.
//!
//! A stream's bytes are cut into rows wherever that suits the store; where messages end is told beside the bytes. So a
//! message larger than a row simply goes on in the next one, and small messages share a row.

use std::ops::Range;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::encoding::{decode_varint, encode_varint};

use crate::limits::MAX_ROW_BYTES;

/// Flag of a stored row that begins inside a message.
const CONTINUES: u8 = 1;

/// Consecutive bytes of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// The position of its first byte.
    pub(crate) start: u64,
    /// Whether it begins inside a message.
    pub(crate) continues: bool,
    /// How long the messages that end in it are, as far as they lie in it. What is left of the bytes after them belongs
    /// to a message that goes on in the next row.
    pub(crate) lengths: Vec<u32>,
    /// The bytes; at least one.
    pub(crate) payload: Bytes,
}

impl Row {
    /// The position after its last byte.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.payload.len() as u64
    }

    /// Appends what is stored before the payload: flags (1), count (varint), count x length (varint).
    pub(crate) fn encode_head(&self, buffer: &mut Vec<u8>) {
        buffer.put_u8(if self.continues { CONTINUES } else { 0 });
        encode_varint(self.lengths.len() as u64, buffer);
        for length in &self.lengths {
            encode_varint(u64::from(*length), buffer);
        }
    }

    /// As others see it.
    pub(crate) fn as_ref(&self) -> RowRef<'_> {
        RowRef {
            start: self.start,
            continues: self.continues,
            lengths: self.lengths.clone(),
            payload: PayloadRef::Shared(&self.payload),
        }
    }
}

/// A row whose bytes the store still holds.
#[derive(Debug)]
pub(crate) struct RowRef<'a> {
    pub(crate) start: u64,
    pub(crate) continues: bool,
    pub(crate) lengths: Vec<u32>,
    pub(crate) payload: PayloadRef<'a>,
}

/// Bytes that can be shared, or must be copied to leave the store.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PayloadRef<'a> {
    Shared(&'a Bytes),
    Borrowed(&'a [u8]),
}

impl PayloadRef<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Shared(bytes) => bytes.len(),
            Self::Borrowed(bytes) => bytes.len(),
        }
    }

    /// A part of the bytes, out of the store. `range` must lie within them.
    pub(crate) fn take(&self, range: Range<usize>) -> Bytes {
        match self {
            Self::Shared(bytes) => bytes.slice(range),
            Self::Borrowed(bytes) => Bytes::copy_from_slice(&bytes[range]),
        }
    }

    /// Appends a part of the bytes to `buffer`. `range` must lie within them.
    pub(crate) fn put(&self, range: Range<usize>, buffer: &mut BytesMut) {
        match self {
            Self::Shared(bytes) => buffer.put_slice(&bytes[range]),
            Self::Borrowed(bytes) => buffer.put_slice(&bytes[range]),
        }
    }
}

impl RowRef<'_> {
    pub(crate) fn end(&self) -> u64 {
        self.start + self.payload.len() as u64
    }
}

/// What a stored row has before its payload.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RowHead {
    pub(crate) continues: bool,
    pub(crate) lengths: Vec<u32>,
    /// How many bytes the head took; the rest is payload.
    pub(crate) bytes: usize,
}

impl RowHead {
    /// Reads what [`Row::encode_head`] wrote from the beginning of `stored`; `None` unless a row can look like that.
    pub(crate) fn decode(stored: &[u8]) -> Option<Self> {
        let (flags, mut rest) = stored.split_first()?;
        let count = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
        // Every length takes a byte at least, so a broken count cannot ask for more memory than was stored.
        if *flags > CONTINUES || count > rest.remaining() {
            return None;
        }
        let mut lengths = Vec::with_capacity(count);
        let mut ended = 0_u64;
        for _ in 0..count {
            let length = u32::try_from(decode_varint(&mut rest).ok()?).ok()?;
            ended += u64::from(length);
            lengths.push(length);
        }
        let is_row = !rest.is_empty() && ended <= rest.len() as u64;
        is_row.then(|| Self {
            continues: flags & CONTINUES != 0,
            lengths,
            bytes: stored.len() - rest.len(),
        })
    }
}

/// Appended bytes on their way to becoming rows.
#[derive(Debug, Default)]
pub(crate) struct Packer {
    rows: Vec<Row>,
    /// Pieces that share the row in the making.
    pieces: Vec<Bytes>,
    lengths: Vec<u32>,
    start: u64,
    continues: bool,
    /// How many bytes the row in the making has.
    bytes: usize,
    /// How many of them lie before the last end of a message.
    ended: usize,
}

/// What a row takes at most: its payload, checksum, flags and count, and 5 bytes per length.
fn encoded_bytes(lengths: usize, payload: usize) -> usize {
    16 + lengths * 5 + payload
}

impl Packer {
    /// Adds bytes at position `start`. Where they follow on what was added before, they share its rows.
    ///
    /// `continues`, `lengths` and `payload` are as in [`Row`].
    pub(crate) fn add(&mut self, start: u64, continues: bool, lengths: &[u32], payload: &Bytes) {
        if self.start + self.bytes as u64 != start {
            self.cut();
        }
        if self.bytes == 0 {
            self.start = start;
            self.continues = continues;
        }
        let mut piece = Piece {
            payload,
            from: 0,
            to: 0,
        };
        for length in lengths {
            let end = piece.to + *length as usize;
            self.add_message(&mut piece, end);
            self.lengths
                .push(u32::try_from(self.bytes - self.ended).unwrap_or(u32::MAX));
            self.ended = self.bytes;
        }
        self.add_message(&mut piece, payload.len());
        self.pieces.extend(piece.take());
    }

    /// Adds what `piece` has up to `end`, cutting rows as they fill up.
    fn add_message(&mut self, piece: &mut Piece<'_>, end: usize) {
        loop {
            let rest = end - piece.to;
            let room = MAX_ROW_BYTES.saturating_sub(encoded_bytes(self.lengths.len() + 1, self.bytes));
            if rest <= room {
                piece.to = end;
                self.bytes += rest;
                return;
            }
            // A small message is not torn; a large one is, because full rows waste the least.
            if rest > MAX_ROW_BYTES / 4 || self.bytes == 0 {
                piece.to += room;
                self.bytes += room;
            }
            self.pieces.extend(piece.take());
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let payload = if self.pieces.len() == 1 {
            self.pieces.swap_remove(0)
        } else {
            let mut joined = BytesMut::with_capacity(self.bytes);
            self.pieces.drain(..).for_each(|piece| joined.put_slice(&piece));
            joined.freeze()
        };
        let row = Row {
            start: self.start,
            continues: self.continues,
            lengths: std::mem::take(&mut self.lengths),
            payload,
        };
        self.start = row.end();
        self.continues = self.bytes > self.ended;
        self.bytes = 0;
        self.ended = 0;
        self.rows.push(row);
    }

    /// The rows.
    pub(crate) fn finish(mut self) -> Vec<Row> {
        self.cut();
        self.rows
    }
}

/// How far a payload has been put into rows.
struct Piece<'a> {
    payload: &'a Bytes,
    /// Before this it is in rows or among the pieces.
    from: usize,
    /// Up to this it belongs to the row in the making.
    to: usize,
}

impl Piece<'_> {
    fn take(&mut self) -> Option<Bytes> {
        let range = self.from..self.to;
        self.from = self.to;
        (!range.is_empty()).then(|| self.payload.slice(range))
    }
}
