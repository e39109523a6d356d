//! The tables of a store, and how their values are written.
//!
//! | table | key | value |
//! |---|---|---|
//! | `streams` | name | checksum, record |
//! | `rows` | stream id, position (each 8 bytes, big-endian) | checksum, flags, lengths, payload |
//! | `producers` | stream id, producer id | epoch, last sequence number |
//! | `forks` | stream id of the source, text of the fork (see `reference`) | |
//! | `outbox` | fork id | checksum, reference |
//! | `expiry` | deadline (ms), name | |
//! | `garbage` | stream id of which rows and producers are still to be removed | |
//! | `meta` | `format`, `next_id`, `applied` | |
//!
//! A row's value is
//!
//! ```text
//! crc32c (4, little-endian) | flags (1) | count (varint) | count x length (varint) | payload
//! ```
//!
//! The checksum covers the key and what follows it, so that bytes which moved are damage as well. Flag 1: the row
//! begins inside a message.

use ::redb::TableDefinition;
use bytes::{Buf, BufMut};

use crate::error::StorageError;
use crate::record::StreamRecord;
use crate::reference::Reference;
use crate::row::{PayloadRef, Row, RowHead, RowRef};

pub(super) const STREAMS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("streams");
pub(super) const ROWS: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("rows");
pub(super) const PRODUCERS: TableDefinition<'_, (u64, &str), (u64, u64)> = TableDefinition::new("producers");
pub(super) const FORKS: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("forks");
pub(super) const OUTBOX: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("outbox");
pub(super) const EXPIRY: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("expiry");
pub(super) const GARBAGE: TableDefinition<'_, u64, ()> = TableDefinition::new("garbage");
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// What `meta` has under [`FORMAT_KEY`]: another value is another layout, which this code must not touch.
pub(super) const FORMAT: &[u8] = b"weir-storage 1";
pub(super) const FORMAT_KEY: &str = "format";
pub(super) const NEXT_ID_KEY: &str = "next_id";
pub(super) const APPLIED_KEY: &str = "applied";

pub(super) fn row_key(id: u64, start: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&id.to_be_bytes());
    key[8..].copy_from_slice(&start.to_be_bytes());
    key
}

/// The position in a row's key.
pub(super) fn row_start(key: &[u8; 16]) -> u64 {
    let mut start = [0; 8];
    start.copy_from_slice(&key[8..]);
    u64::from_be_bytes(start)
}

/// What a row's value has before the payload.
pub(super) fn row_head(key: &[u8; 16], row: &Row) -> Vec<u8> {
    let mut head = Vec::with_capacity(16 + row.lengths.len() * 2);
    head.put_u32_le(0);
    row.encode_head(&mut head);
    let sum = crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(key), &head[4..]), &row.payload);
    head[..4].copy_from_slice(&sum.to_le_bytes());
    head
}

/// # Errors
/// [`StorageError::Damaged`] unless the value is one that was written under this key.
pub(super) fn decode_row<'a>(key: &[u8; 16], value: &'a [u8]) -> Result<RowRef<'a>, StorageError> {
    let damaged = || StorageError::Damaged(format!("the row at position {} of a stream", row_start(key)));
    let body = checked(key, value).ok_or_else(damaged)?;
    let head = RowHead::decode(body).ok_or_else(damaged)?;
    Ok(RowRef {
        start: row_start(key),
        continues: head.continues,
        lengths: head.lengths,
        payload: PayloadRef::Borrowed(&body[head.bytes..]),
    })
}

/// A record with its checksum.
pub(super) fn encode_record(name: &str, record: &StreamRecord) -> Vec<u8> {
    let body = record.encode();
    let sum = crc32c::crc32c_append(crc32c::crc32c(name.as_bytes()), &body);
    let mut value = Vec::with_capacity(4 + body.len());
    value.put_u32_le(sum);
    value.extend_from_slice(&body);
    value
}

/// # Errors
/// [`StorageError::Damaged`] unless the value is one that was written under this name.
pub(super) fn decode_record(name: &str, value: &[u8]) -> Result<StreamRecord, StorageError> {
    let body = checked(name.as_bytes(), value);
    StreamRecord::decode(body.ok_or_else(|| StorageError::Damaged(format!("the record of stream {name:?}")))?)
}

/// A reference with its checksum.
pub(super) fn encode_reference(reference: &Reference) -> Vec<u8> {
    let body = reference.encode();
    let mut value = Vec::with_capacity(4 + body.len());
    value.put_u32_le(crc32c::crc32c_append(
        crc32c::crc32c(&reference.fork_id.to_be_bytes()),
        &body,
    ));
    value.extend_from_slice(&body);
    value
}

/// # Errors
/// [`StorageError::Damaged`] unless the value is one that was written under this fork id.
pub(super) fn decode_reference(fork_id: u64, value: &[u8]) -> Result<Reference, StorageError> {
    let body = checked(&fork_id.to_be_bytes(), value);
    Reference::decode(body.ok_or_else(|| StorageError::Damaged("an entry of the outbox".to_owned()))?)
}

/// What follows the checksum, if that is right.
fn checked<'a>(key: &[u8], value: &'a [u8]) -> Option<&'a [u8]> {
    let (mut sum, body) = value.split_at_checked(4)?;
    (sum.get_u32_le() == crc32c::crc32c_append(crc32c::crc32c(key), body)).then_some(body)
}
