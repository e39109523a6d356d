//! Records: the changes inside a frame. Each carries its own checksum, so that one entry can be read alone.

use bytes::Bytes;

use crate::{
    format::{position_seed, take_u32, take_u64},
    limits::MAX_VOTE_BYTES,
    types::{Leader, LogId, ReplicaKey},
};

/// Bytes of a record before its payload.
pub(crate) const RECORD_HEADER_BYTES: usize = 52;

/// What the journal remembers of a replica besides entries. Written whole each time: the last one wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) vote: Option<Bytes>,
    pub(crate) purged: Option<LogId>,
    pub(crate) committed: Option<LogId>,
}

/// The kinds of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// An entry at the end of a log.
    Entry = 1,
    /// An entry that is live already, written again because its segment is to be freed.
    Moved = 2,
    /// Entries after the index are gone.
    TruncateAfter = 3,
    /// All entries are gone.
    TruncateAll = 4,
    /// Vote, purge point and committed position.
    State = 5,
    /// A committed position.
    Committed = 6,
    /// The replica is gone.
    Removed = 7,
}

impl Kind {
    fn parse(byte: u8) -> Option<Kind> {
        [
            Kind::Entry,
            Kind::Moved,
            Kind::TruncateAfter,
            Kind::TruncateAll,
            Kind::State,
            Kind::Committed,
            Kind::Removed,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// The fixed part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) kind: Kind,
    pub(crate) key: ReplicaKey,
    /// The entry's position; for other kinds the position they speak of, or zeros.
    pub(crate) id: LogId,
}

/// One record as it stands in a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) header: RecordHeader,
    /// Offset of the record in its segment.
    pub(crate) offset: u64,
    pub(crate) payload: &'a [u8],
}

/// Appends a record to `frame`, whose first byte will stand at `frame_offset` of the segment.
pub(crate) fn encode(frame: &mut Vec<u8>, frame_offset: u64, segment_seed: u32, header: &RecordHeader, payload: &[u8]) {
    let start = frame.len();
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    frame.extend_from_slice(&[header.kind as u8, 0, 0, 0]);
    for word in [
        header.key.group,
        header.key.replica,
        header.id.index,
        header.id.leader.term,
        header.id.leader.node,
    ] {
        frame.extend_from_slice(&word.to_le_bytes());
    }
    frame.extend_from_slice(payload);
    let seed = position_seed(segment_seed, frame_offset + start as u64);
    let crc = crc32c::crc32c_append(seed, &frame[start + 4..]);
    frame[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

/// The record at the front of `bytes`, without a look at its checksum, and its length.
fn parse(bytes: &[u8], offset: u64) -> Option<(Record<'_>, usize)> {
    let payload_bytes = take_u32(bytes, 4)? as usize;
    let kind = Kind::parse(*bytes.get(8)?)?;
    let end = RECORD_HEADER_BYTES.checked_add(payload_bytes)?;
    let payload = bytes.get(RECORD_HEADER_BYTES..end)?;
    let header = RecordHeader {
        kind,
        key: ReplicaKey {
            group: take_u64(bytes, 12)?,
            replica: take_u64(bytes, 20)?,
        },
        id: LogId {
            index: take_u64(bytes, 28)?,
            leader: Leader {
                term: take_u64(bytes, 36)?,
                node: take_u64(bytes, 44)?,
            },
        },
    };
    Some((
        Record {
            header,
            offset,
            payload,
        },
        end,
    ))
}

/// The records of a frame whose body starts at `body_offset`. The frame's checksum was verified; `None` means that the
/// writer and this reader disagree about the format.
pub(crate) fn decode_all(mut body: &[u8], mut body_offset: u64, count: u32) -> Option<Vec<Record<'_>>> {
    let mut records = Vec::with_capacity((count as usize).min(body.len() / RECORD_HEADER_BYTES + 1));
    for _ in 0..count {
        let (record, length) = parse(body, body_offset)?;
        records.push(record);
        body = &body[length..];
        body_offset += length as u64;
    }
    body.is_empty().then_some(records)
}

/// The single record at the front of `bytes`, if its checksum says that it was written at `offset`.
pub(crate) fn decode_one(bytes: &[u8], segment_seed: u32, offset: u64) -> Option<Record<'_>> {
    let (record, length) = parse(bytes, offset)?;
    let crc = crc32c::crc32c_append(position_seed(segment_seed, offset), &bytes[4..length]);
    (take_u32(bytes, 0)? == crc).then_some(record)
}

impl Meta {
    /// The payload of a [`Kind::State`] record.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![
            u8::from(self.vote.is_some())
                | u8::from(self.purged.is_some()) << 1
                | u8::from(self.committed.is_some()) << 2,
        ];
        for id in [self.purged, self.committed].into_iter().flatten() {
            for word in [id.index, id.leader.term, id.leader.node] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
        }
        if let Some(vote) = &self.vote {
            bytes.extend_from_slice(vote);
        }
        bytes
    }

    /// Longest payload that [`Meta::encode`] makes for this state.
    pub(crate) fn encoded_bytes(&self) -> usize {
        1 + 48 + self.vote.as_ref().map_or(0, Bytes::len)
    }

    /// Reads what [`Meta::encode`] wrote.
    pub(crate) fn decode(payload: &[u8]) -> Option<Self> {
        let flags = *payload.first()?;
        let mut at = 1;
        let mut id = |present: bool| -> Option<Option<LogId>> {
            if !present {
                return Some(None);
            }
            let id = LogId {
                index: take_u64(payload, at)?,
                leader: Leader {
                    term: take_u64(payload, at + 8)?,
                    node: take_u64(payload, at + 16)?,
                },
            };
            at += 24;
            Some(Some(id))
        };
        let purged = id(flags & 2 != 0)?;
        let committed = id(flags & 4 != 0)?;
        let rest = payload.get(at..)?;
        let vote = match flags & 1 {
            1 if rest.len() <= MAX_VOTE_BYTES => Some(Bytes::copy_from_slice(rest)),
            0 if rest.is_empty() => None,
            _ => return None,
        };
        Some(Meta {
            vote,
            purged,
            committed,
        })
    }
}
