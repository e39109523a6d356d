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

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Borrowed(bytes) => bytes,
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Message lengths: small, near a quarter of a row (where tearing begins), near a row, and several rows.
    fn lengths() -> impl Strategy<Value = Vec<u32>> {
        let row = u32::try_from(MAX_ROW_BYTES).unwrap();
        let near = move |bytes: u32| bytes - 24..bytes + 24;
        let length = prop_oneof![40 => 1_u32..200, 4 => near(row / 4), 2 => near(row), 1 => row..row * 3];
        vec(length, 1..30)
    }

    /// The messages' lengths in one payload per write, of consecutive writes.
    fn writes() -> impl Strategy<Value = Vec<Vec<u32>>> {
        vec(lengths(), 1..4)
    }

    /// Bytes of which each tells its position.
    fn bytes(start: u64, length: usize) -> Bytes {
        (start..).take(length).map(|at| (at % 251) as u8).collect()
    }

    fn sum(lengths: &[u32]) -> usize {
        lengths.iter().map(|length| *length as usize).sum()
    }

    fn packed(start: u64, writes: &[Vec<u32>]) -> Vec<Row> {
        let mut packer = Packer::default();
        let mut at = start;
        for lengths in writes {
            let payload = bytes(at, sum(lengths));
            packer.add(at, false, lengths, &payload);
            at += payload.len() as u64;
        }
        packer.finish()
    }

    /// The lengths of the messages that rows hold. Checks that they are rows and follow on each other.
    fn unpacked(start: u64, rows: &[Row]) -> Vec<u32> {
        let (mut at, mut begun, mut messages) = (start, 0, Vec::new());
        for row in rows {
            assert_eq!(row.start, at);
            assert_eq!(row.payload, bytes(at, row.payload.len()));
            assert_eq!(row.continues, begun > 0);
            assert!(!row.payload.is_empty() && !row.lengths.contains(&0));
            let mut stored = Vec::new();
            row.encode_head(&mut stored);
            assert!(4 + stored.len() + row.payload.len() <= MAX_ROW_BYTES);
            for length in &row.lengths {
                messages.push(begun + length);
                begun = 0;
            }
            begun += u32::try_from(row.payload.len() - sum(&row.lengths)).unwrap();
            at = row.end();
        }
        assert_eq!(begun, 0, "the last message ends");
        messages
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn rows_hold_the_messages(start in 0_u64..1000, writes in writes()) {
            let rows = packed(start, &writes);
            prop_assert_eq!(unpacked(start, &rows), writes.concat());
        }

        #[test]
        fn small_messages_are_not_torn(lengths in lengths()) {
            let mut ends = std::collections::BTreeSet::new();
            let rows = packed(0, std::slice::from_ref(&lengths));
            ends.extend(rows.iter().map(Row::end));
            let mut at = 0;
            for length in lengths {
                let end = at + u64::from(length);
                if length as usize <= MAX_ROW_BYTES / 4 {
                    prop_assert!(ends.range(at + 1..end).next().is_none());
                }
                at = end;
            }
        }

        #[test]
        fn packing_rows_again_keeps_the_messages(start in 0_u64..1000, writes in writes()) {
            let small: Vec<Row> = writes
                .iter()
                .scan(start, |at, lengths| {
                    let begin = *at;
                    *at += sum(lengths) as u64;
                    Some(packed(begin, std::slice::from_ref(lengths)))
                })
                .flatten()
                .collect();
            let mut packer = Packer::default();
            for row in &small {
                packer.add(row.start, row.continues, &row.lengths, &row.payload);
            }
            let rows = packer.finish();
            prop_assert!(rows.len() <= small.len());
            prop_assert_eq!(unpacked(start, &rows), writes.concat());
        }

        #[test]
        fn a_gap_begins_a_new_row(writes in writes(), gap in 1_u64..100) {
            let mut packer = Packer::default();
            let mut starts = Vec::new();
            let mut at = gap;
            for lengths in &writes {
                starts.push(at);
                packer.add(at, false, lengths, &bytes(at, sum(lengths)));
                at += sum(lengths) as u64 + gap;
            }
            let rows = packer.finish();
            for (start, lengths) in starts.into_iter().zip(&writes) {
                let of_write: Vec<Row> = rows
                    .iter()
                    .filter(|row| (start..start + sum(lengths) as u64).contains(&row.start))
                    .cloned()
                    .collect();
                prop_assert_eq!(&unpacked(start, &of_write), lengths);
            }
        }

        #[test]
        fn heads_come_back(continues: bool, lengths in lengths(), rest in 1_usize..10) {
            let row = Row { start: 0, continues, payload: bytes(0, sum(&lengths) + rest), lengths };
            let mut stored = Vec::new();
            row.encode_head(&mut stored);
            let bytes = stored.len();
            stored.extend_from_slice(&row.payload);
            let head = RowHead::decode(&stored);
            prop_assert_eq!(head, Some(RowHead { continues, lengths: row.lengths.clone(), bytes }));
            let without_payload = RowHead::decode(&stored[..bytes]);
            prop_assert_eq!(without_payload, None);
        }

        #[test]
        fn any_bytes_are_a_head_or_none(stored in vec(any::<u8>(), 0..100)) {
            if let Some(head) = RowHead::decode(&stored) {
                prop_assert!(head.bytes + sum(&head.lengths) <= stored.len());
                prop_assert!(head.bytes < stored.len());
            }
        }
    }
}
