//! A hash of what two stores have in common that applied the same commands.
//!
//! Left out is what each store does in its own time: how the bytes of a stream are cut into rows, and what of deleted
//! streams still waits to be removed. So is what [`crate::Batch::applied`] put there, which is its author's affair.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use ::redb::ReadTransaction;
use xxhash_rust::xxh3::Xxh3;

use super::export::visit;
use super::fault;
use super::tables::{GARBAGE, NEXT_ID_KEY, ROWS, decode_row};
use crate::error::StorageError;
use crate::row::RowRef;

/// Tables as an export numbers them.
const META_TABLE: u8 = 0;
const STREAMS_TABLE: u8 = 1;
const ROWS_TABLE: u8 = 2;
const PRODUCERS_TABLE: u8 = 3;
const FORKS_TABLE: u8 = 4;
const EXPIRY_TABLE: u8 = 5;
const OUTBOX_TABLE: u8 = 7;

/// # Errors
/// [`StorageError`], also when a row is damaged.
pub(super) fn digest(transaction: &ReadTransaction) -> Result<u128, StorageError> {
    let garbage = garbage(transaction)?;
    let mut hash = Xxh3::new();
    for table in [
        META_TABLE,
        STREAMS_TABLE,
        PRODUCERS_TABLE,
        FORKS_TABLE,
        EXPIRY_TABLE,
        OUTBOX_TABLE,
    ] {
        visit(transaction, table, None, &mut |key, value| {
            let counts = match table {
                META_TABLE => key == NEXT_ID_KEY.as_bytes(),
                PRODUCERS_TABLE => !garbage.contains(&stream_id(key)),
                _ => true,
            };
            if counts {
                put(&mut hash, table, key, value);
            }
            ControlFlow::Continue(())
        })?;
    }
    rows(transaction, &garbage, &mut hash)?;
    Ok(hash.digest128())
}

/// Streams of which something is still to be removed.
fn garbage(transaction: &ReadTransaction) -> Result<BTreeSet<u64>, StorageError> {
    let table = transaction.open_table(GARBAGE).map_err(fault)?;
    let ids = table.range::<u64>(..).map_err(fault)?;
    ids.map(|entry| Ok(entry.map_err(fault)?.0.value())).collect()
}

/// The stream id that a key begins with.
fn stream_id(key: &[u8]) -> u64 {
    key.first_chunk().map_or(0, |id| u64::from_be_bytes(*id))
}

fn put(hash: &mut Xxh3, table: u8, key: &[u8], value: &[u8]) {
    hash.update(&[table]);
    hash.update(&(key.len() as u64).to_le_bytes());
    hash.update(&(value.len() as u64).to_le_bytes());
    hash.update(key);
    hash.update(value);
}

fn rows(transaction: &ReadTransaction, garbage: &BTreeSet<u64>, hash: &mut Xxh3) -> Result<(), StorageError> {
    let table = transaction.open_table(ROWS).map_err(fault)?;
    let mut stream: Option<Stream> = None;
    for entry in table.range::<&[u8; 16]>(..).map_err(fault)? {
        let (key, value) = entry.map_err(fault)?;
        let id = stream_id(key.value());
        if garbage.contains(&id) {
            continue;
        }
        if stream.as_ref().is_none_or(|stream| stream.id != id)
            && let Some(ended) = stream.replace(Stream::begin(id))
        {
            ended.end(hash);
        }
        if let Some(stream) = &mut stream {
            stream.add(&decode_row(key.value(), value.value())?);
        }
    }
    if let Some(last) = stream {
        last.end(hash);
    }
    Ok(())
}

/// The bytes of one stream, and where its messages end.
struct Stream {
    id: u64,
    /// The position after the last row.
    next: Option<u64>,
    bytes: Xxh3,
    marks: Xxh3,
}

impl Stream {
    fn begin(id: u64) -> Self {
        Self {
            id,
            next: None,
            bytes: Xxh3::new(),
            marks: Xxh3::new(),
        }
    }

    fn add(&mut self, row: &RowRef<'_>) {
        if self.next != Some(row.start) {
            self.mark(b's', row.start);
        }
        let mut end = row.start;
        for length in &row.lengths {
            end += u64::from(*length);
            self.mark(b'e', end);
        }
        self.bytes.update(row.payload.as_slice());
        self.next = Some(row.end());
    }

    fn mark(&mut self, what: u8, position: u64) {
        self.marks.update(&[what]);
        self.marks.update(&position.to_le_bytes());
    }

    fn end(self, hash: &mut Xxh3) {
        let mut value = [0; 32];
        value[..16].copy_from_slice(&self.bytes.digest128().to_le_bytes());
        value[16..].copy_from_slice(&self.marks.digest128().to_le_bytes());
        put(hash, ROWS_TABLE, &self.id.to_be_bytes(), &value);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use weir_protocol::{Append, ContentType, Create, Lifetime, Payload, StreamName, Timestamp};

    use crate::command::{Batch, Command, Op};
    use crate::contract::Storage as _;
    use crate::redb::{RedbOptions, RedbStorage};

    fn open(dir: &tempfile::TempDir, name: &str) -> RedbStorage {
        RedbStorage::open(&RedbOptions {
            path: dir.path().join(name),
            cache_bytes: 1 << 20,
        })
        .unwrap()
    }

    fn digest(storage: &RedbStorage) -> u128 {
        storage.export().unwrap().unwrap().digest().unwrap()
    }

    fn create(name: &str) -> Op {
        let create = Create {
            content_type: Some(ContentType::parse("text/plain").unwrap()),
            lifetime: Lifetime::Forever,
            payload: Payload::empty(),
            closed: false,
            fork: None,
        };
        Op::Create(StreamName::new(name).unwrap(), create)
    }

    fn append(name: &str, text: &str) -> Op {
        let append = Append {
            content_type: Some(ContentType::parse("text/plain").unwrap()),
            payload: Payload::single(Bytes::copy_from_slice(text.as_bytes())).unwrap(),
            close: false,
            stream_seq: None,
            producer: None,
        };
        Op::Append(StreamName::new(name).unwrap(), append)
    }

    /// Applies in batches of `size`.
    fn apply(storage: &RedbStorage, ops: &[Op], size: usize) {
        for ops in ops.chunks(size) {
            let command = |op: &Op| Command {
                at: Timestamp::from_millis(1),
                op: op.clone(),
            };
            let batch = Batch {
                commands: ops.iter().map(command).collect(),
                applied: Some(Bytes::copy_from_slice(&size.to_le_bytes())),
                durable: false,
            };
            storage.apply(batch).unwrap();
            // Every batch becomes rows of its own.
            storage.export().unwrap();
        }
    }

    #[test]
    fn how_rows_are_cut_and_what_waits_to_be_removed_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let (one, many) = (open(&dir, "one"), open(&dir, "many"));
        let mut ops = vec![create("kept"), create("deleted")];
        for number in 0..300 {
            ops.push(append("kept", &format!("message {number}")));
            ops.push(append("deleted", &"x".repeat(number + 1)));
        }
        ops.push(Op::Delete(StreamName::new("deleted").unwrap()));
        apply(&one, &ops, 1);
        apply(&many, &ops, ops.len());
        let digest_of_one = digest(&one);
        assert_eq!(digest_of_one, digest(&many));
        let stored = |storage: &RedbStorage| {
            let export = storage.export().unwrap().unwrap();
            export.piece(&Bytes::new(), usize::MAX).unwrap().0
        };
        let before = stored(&one);
        while one.maintain().unwrap() {}
        assert!(stored(&one).len() < before.len() / 2, "there was nothing to do");
        assert_eq!(digest(&one), digest_of_one);
    }

    #[test]
    fn everything_else_counts() {
        let dir = tempfile::tempdir().unwrap();
        let histories: [&[Op]; 7] = [
            &[],
            &[create("a")],
            &[create("b")],
            &[create("a"), append("a", "xy")],
            &[create("a"), append("a", "x"), append("a", "y")],
            &[create("a"), append("a", "xz")],
            &[create("a"), create("b"), Op::Delete(StreamName::new("b").unwrap())],
        ];
        let digests = histories.iter().enumerate().map(|(number, ops)| {
            let storage = open(&dir, &number.to_string());
            apply(&storage, ops, 1);
            digest(&storage)
        });
        let digests: std::collections::BTreeSet<u128> = digests.collect();
        assert_eq!(digests.len(), histories.len());
    }
}
