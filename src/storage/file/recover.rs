//! Opening a store: first the redo log's batches are put into the logs once more, then every log is read.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use weir_protocol::StreamName;

use super::disk;
use super::files::Files;
use super::frame::{self, Frame, Kind};
use super::log::{Frames, Log, damaged};
use super::redo::{Op, Redo};
use super::tables::Tables;
use crate::error::StorageError;
use crate::record::StreamRecord;

/// Opens what is stored in `dir`. All of it is durable then, and the redo log is empty.
pub(super) fn recover(dir: &Path, files: &Files) -> Result<(Tables, Redo), StorageError> {
    let mut tables = Tables::default();
    let mut replay = Replay::default();
    let redo = Redo::open(dir, &mut |ops| {
        replay.ops.extend(ops);
        Ok(())
    })?;
    let Some(mut redo) = redo else {
        if let Some(id) = files.logs()?.first() {
            return Err(StorageError::Damaged(format!(
                "redo.log is missing, but not streams/{id}.log"
            )));
        }
        return Ok((tables, Redo::begin(dir, 0, 1, None)?));
    };
    replay.run(files, &mut tables)?;
    for id in files.logs()? {
        read_log(files, id, redo.seq(), &mut tables)?;
    }
    check_forks(&tables)?;
    // Nothing is damaged: only now the redo log may lose what it had.
    if replay.changed {
        files.sync(replay.written.iter().copied())?;
        redo.reset(tables.meta.next_id(), tables.meta.applied.as_ref())?;
    } else {
        redo.cut_torn_end()?;
    }
    Ok((tables, redo))
}

/// What the redo log has.
#[derive(Default)]
struct Replay {
    ops: Vec<Op>,
    written: HashSet<u64>,
    /// Whether the redo log has more than what held when it was begun.
    changed: bool,
}

impl Replay {
    fn run(&mut self, files: &Files, tables: &mut Tables) -> Result<(), StorageError> {
        let discarded: HashSet<u64> = self.ops.iter().filter_map(Op::discarded).collect();
        for op in std::mem::take(&mut self.ops) {
            match op {
                Op::Write { id, position, frames } => {
                    self.changed = true;
                    if !discarded.contains(&id) {
                        write_again(files, id, position, &frames)?;
                        self.written.insert(id);
                    }
                }
                Op::Discard { id } => {
                    self.changed = true;
                    files.discard(id)?;
                }
                Op::NextId(next_id) => tables.meta.raise_next_id(next_id),
                Op::Applied(applied) => tables.meta.applied = Some(applied),
            }
        }
        Ok(())
    }
}

/// The log may have the frames already, in whole or in part.
fn write_again(files: &Files, id: u64, position: u64, frames: &[u8]) -> Result<(), StorageError> {
    let file = files.log(id, position == 0)?;
    let length = file.metadata()?.len();
    if position > length {
        return Err(StorageError::Damaged(format!(
            "streams/{id}.log has {length} bytes, redo.log goes on at byte {position}"
        )));
    }
    Ok(disk::write(&file, frames, position)?)
}

/// Enters one stream. `last_seq` is of the last batch that the redo log has.
fn read_log(files: &Files, id: u64, last_seq: u64, tables: &mut Tables) -> Result<(), StorageError> {
    let file: Arc<File> = files.log(id, false)?;
    let end = file.metadata()?.len();
    let mut frames = Frames::new(&file, id, 0, end);
    let head = frames.next()?.and_then(|(_, frame)| frame.head());
    let head = head.filter(|(_, _, record)| record.id == id);
    let (name, seq, record) = head.ok_or_else(|| damaged(id, 0))?;
    let mut reader = Reader {
        id,
        rows_end: record.base.position(),
        last_record: None,
        log: Log::ending_at(end),
    };
    while let Some((at, frame)) = frames.next()? {
        reader.take(at, &frame, tables).ok_or_else(|| damaged(id, at))?;
    }
    let (seq, record) = match reader.last_record.take() {
        None => (seq, record),
        Some((at, frame)) => {
            let last = frame
                .record()
                .filter(|(_, last)| last.id == id && last.base == record.base);
            last.ok_or_else(|| damaged(id, at))?
        }
    };
    if seq > last_seq {
        return Err(StorageError::Damaged(format!(
            "redo.log ends with batch {last_seq}, streams/{id}.log has batch {seq}"
        )));
    }
    reader.finish(name, record, tables)
}

struct Reader {
    id: u64,
    /// The last record's frame and position. Those before it are not decoded: there may be one per append.
    last_record: Option<(u64, Frame)>,
    /// The position in the stream after the last row.
    rows_end: u64,
    log: Log,
}

impl Reader {
    /// `None` when the frame cannot stand there.
    fn take(&mut self, at: u64, frame: &Frame, tables: &mut Tables) -> Option<()> {
        match frame.kind {
            Kind::Head => return None,
            Kind::Record => {
                self.last_record = Some((at, frame.clone()));
                self.log.dead += std::mem::replace(&mut self.log.record_bytes, frame.bytes());
            }
            Kind::Row => {
                let row = frame.row()?;
                if row.start != self.rows_end {
                    return None;
                }
                self.rows_end = row.end();
                self.log.note_row(row.start, at);
            }
            Kind::Producer => {
                let (producer, state) = frame.producer()?;
                if tables.meta.producer(self.id, producer).is_some() {
                    self.log.dead += frame::producer_bytes(producer);
                }
                tables.meta.set_producer(self.id, producer.into(), state);
            }
        }
        Some(())
    }

    fn finish(self, name: StreamName, record: StreamRecord, tables: &mut Tables) -> Result<(), StorageError> {
        let id = self.id;
        if self.rows_end != record.tail.position() {
            return Err(StorageError::Damaged(format!(
                "streams/{id}.log ends at byte {}, where the stream has {} of {} bytes",
                self.log.end,
                self.rows_end,
                record.tail.position()
            )));
        }
        if self.log.is_wasteful() {
            tables.wasteful.insert(id, name.clone());
        }
        tables.logs.insert(id, self.log);
        if tables.meta.restore(name.clone(), record) {
            Ok(())
        } else {
            Err(StorageError::Damaged(format!(
                "streams/{id}.log and another log are both of stream {name}"
            )))
        }
    }
}

/// Every fork must find the source that holds its first bytes.
fn check_forks(tables: &Tables) -> Result<(), StorageError> {
    for (name, record) in &tables.meta.streams {
        let Some(fork) = &record.fork else {
            continue;
        };
        let source = tables.meta.streams.get(&fork.source);
        if source
            .is_none_or(|source| source.id != fork.source_id || source.id >= record.id || source.tail < record.base)
        {
            return Err(StorageError::Damaged(format!(
                "streams/{}.log: stream {name} is a fork of {}, which is not there",
                record.id, fork.source
            )));
        }
    }
    Ok(())
}
