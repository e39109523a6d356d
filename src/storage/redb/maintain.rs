//! Housekeeping in small pieces: removing what deleted streams held, and packing small rows into large ones.

use ::redb::{Database, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, WriteTransaction};

use super::commit::{self, End};
use super::fault;
use super::space::Room;
use super::store::File;
use super::tables::{GARBAGE, PRODUCERS, ROWS, decode_row, row_key};
use crate::error::StorageError;
use crate::limits::SMALL_ROW_BYTES;
use crate::row::Packer;

/// Rows or producers removed in one piece.
const REMOVED_PER_PIECE: usize = 1000;

/// Streams packed in one piece.
const PACKED_PER_PIECE: usize = 16;

/// Rows packed in one stream at a time. Small rows before them stay small.
const PACKED_ROWS: usize = 4096;

/// About so many bytes are packed in one piece.
pub(super) const PACKED_BYTES: usize = 16 << 20;

/// Mostly not durable, and need not be: no answer rests on it.
pub(super) fn maintain(database: &Database, file: &mut File, room: Room) -> Result<bool, StorageError> {
    let File { loose, is_dirty } = file;
    let packs = room == Room::Plenty && !loose.is_empty();
    if room == Room::None || !(packs || has_garbage(database)?) {
        return Ok(false);
    }
    // What a transaction freed can be used again after the next durable one.
    let end = if room == Room::Plenty { End::Lazy } else { End::Durable };
    if end == End::Durable && *is_dirty {
        // Only the next checkpoint may make that durable.
        return Ok(false);
    }
    let transaction = commit::begin(database, end)?;
    let more_garbage = collect(&transaction)?;
    let mut packed_bytes = 0;
    for _ in 0..PACKED_PER_PIECE {
        if !packs || packed_bytes >= PACKED_BYTES / 2 {
            break;
        }
        let Some(id) = loose.take() else {
            break;
        };
        packed_bytes += pack(&transaction, id)?;
    }
    transaction.commit().map_err(fault)?;
    Ok(more_garbage || (packs && !loose.is_empty()))
}

fn has_garbage(database: &Database) -> Result<bool, StorageError> {
    let transaction = database.begin_read().map_err(fault)?;
    let garbage = transaction.open_table(GARBAGE).map_err(fault)?;
    Ok(!garbage.is_empty().map_err(fault)?)
}

/// Removes a piece of what deleted streams held. Returns whether there is more.
fn collect(transaction: &WriteTransaction) -> Result<bool, StorageError> {
    let mut garbage = transaction.open_table(GARBAGE).map_err(fault)?;
    let Some(id) = garbage.first().map_err(fault)?.map(|(id, _)| id.value()) else {
        return Ok(false);
    };
    let mut left = REMOVED_PER_PIECE;
    let mut rows = transaction.open_table(ROWS).map_err(fault)?;
    let (first, last) = (row_key(id, 0), row_key(id, u64::MAX));
    let mut keys = Vec::new();
    for entry in rows.range::<&[u8; 16]>(&first..=&last).map_err(fault)?.take(left) {
        keys.push(*entry.map_err(fault)?.0.value());
    }
    for key in &keys {
        rows.remove(key).map_err(fault)?;
    }
    left -= keys.len();
    let mut producers = transaction.open_table(PRODUCERS).map_err(fault)?;
    let mut names = Vec::new();
    for entry in producers.range((id, "")..).map_err(fault)?.take(left) {
        let (key, _) = entry.map_err(fault)?;
        let (owner, name) = key.value();
        if owner != id {
            break;
        }
        names.push(name.to_owned());
    }
    for name in &names {
        producers.remove((id, name.as_str())).map_err(fault)?;
    }
    left -= names.len();
    if left > 0 {
        garbage.remove(id).map_err(fault)?;
    }
    Ok(!garbage.is_empty().map_err(fault)?)
}

/// Joins the small rows at the end of a stream, at most half a piece. Returns how many bytes they have.
fn pack(transaction: &WriteTransaction, id: u64) -> Result<usize, StorageError> {
    let (first, last) = (row_key(id, 0), row_key(id, u64::MAX));
    let mut old = Vec::new();
    let mut bytes = 0;
    let mut packer = Packer::default();
    {
        let rows = transaction.open_table(ROWS).map_err(fault)?;
        let mut small = Vec::new();
        for entry in rows
            .range::<&[u8; 16]>(&first..=&last)
            .map_err(fault)?
            .rev()
            .take(PACKED_ROWS)
        {
            let (key, value) = entry.map_err(fault)?;
            if value.value().len() >= SMALL_ROW_BYTES || bytes >= PACKED_BYTES / 2 {
                break;
            }
            bytes += value.value().len();
            small.push((*key.value(), value));
        }
        for (key, value) in small.iter().rev() {
            let row = decode_row(key, value.value())?;
            let payload = row.payload.take(0..row.payload.len());
            packer.add(row.start, row.continues, &row.lengths, &payload);
            old.push(*key);
        }
    }
    let packed = packer.finish();
    if packed.len() >= old.len() {
        return Ok(bytes);
    }
    {
        let mut rows = transaction.open_table(ROWS).map_err(fault)?;
        for key in &old {
            rows.remove(key).map_err(fault)?;
        }
    }
    commit::write_rows(transaction, id, &packed)?;
    Ok(bytes)
}
