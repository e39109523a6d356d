//! Housekeeping: freeing what removed streams held, and copying logs that are mostly replaced frames.

use std::fs::File;

use weir_protocol::StreamName;

use super::frame::{self, Kind};
use super::log::{Frames, Log, damaged};
use super::writer::{Writer, read, write};
use super::{FileStorage, disk};
use crate::error::StorageError;
use crate::record::StreamRecord;
use crate::row::Packer;

/// Logs freed in one piece.
const FREED_PER_PIECE: usize = 64;

/// Bytes of rows that are packed and written at a time.
const COPIED_PER_WRITE: u64 = 4 << 20;

impl FileStorage {
    /// See [`crate::Storage::maintain`]. One piece frees some logs and copies one.
    pub(super) fn maintain_piece(&self) -> Result<bool, StorageError> {
        let _only_one = self.maintenance.lock().map_err(|_| StorageError::panicked())?;
        let more_trash = self.files.empty_trash(FREED_PER_PIECE)?;
        let Some((id, name)) = write(&self.tables)?.wasteful.pop_first() else {
            return Ok(more_trash);
        };
        match self.copy_log(id, &name) {
            // To free space takes space first. The log is looked at again when it grows.
            Err(StorageError::Full) => tracing::warn!(stream = %name, "no space is left to copy a log"),
            other => other?,
        }
        Ok(more_trash || !read(&self.tables)?.wasteful.is_empty())
    }

    /// Puts a copy without replaced frames in a log's place. What the log has when this begins is copied while others
    /// write; only the rest makes them wait.
    fn copy_log(&self, id: u64, name: &StreamName) -> Result<(), StorageError> {
        let found = {
            let tables = read(&self.tables)?;
            let record = tables.meta.streams.get(name).filter(|record| record.id == id).cloned();
            record.zip(tables.logs.get(&id).map(Log::written))
        };
        let Some((record, until)) = found.filter(|(_, until)| *until > 0) else {
            return Ok(());
        };
        let log = self.files.log(id, false)?;
        let mut copier = Copier::begin(self, id, name, &record)?;
        let copied = copier.rows(&log, 0, until).and_then(|()| copier.sync());
        let result = copied.and_then(|()| self.write(|writer| self.finish_copy(writer, copier, name, (&log, until))));
        if result.is_err() {
            // When the copy cannot be removed either, opening the store does.
            drop(std::fs::remove_file(self.files.copy_path(id)));
        }
        result
    }

    fn finish_copy(
        &self,
        writer: &mut Writer,
        mut copier: Copier,
        name: &StreamName,
        (log, until): (&File, u64),
    ) -> Result<(), StorageError> {
        let id = copier.id;
        // What the redo log has must never be written over the copy.
        writer.reset(&self.tables, &self.files)?;
        {
            let tables = read(&self.tables)?;
            let record = tables.meta.streams.get(name).filter(|record| record.id == id);
            let (Some(record), Some(old)) = (record, tables.logs.get(&id)) else {
                // The stream was removed meanwhile.
                return Ok(std::fs::remove_file(self.files.copy_path(id))?);
            };
            copier.rows(log, until, old.end)?;
            for (producer, state) in tables.meta.producers(id) {
                copier.write(|writer| writer.producer(producer, state))?;
            }
            copier.log.record_bytes = copier.write(|frames| frames.record(writer.seq(), record))?;
        }
        copier.sync()?;
        {
            let mut tables = write(&self.tables)?;
            self.files.replace(id)?;
            tables.logs.insert(id, copier.log);
        }
        self.files.sync(std::iter::empty())
    }
}

/// A copy in the making.
struct Copier {
    id: u64,
    file: File,
    /// What will be known of the copy.
    log: Log,
}

impl Copier {
    fn begin(storage: &FileStorage, id: u64, name: &StreamName, record: &StreamRecord) -> Result<Self, StorageError> {
        let path = storage.files.copy_path(id);
        let file = File::options().write(true).create(true).truncate(true).open(path)?;
        let mut copier = Self {
            id,
            file,
            log: Log::default(),
        };
        copier.write(|writer| writer.head(name, 0, record))?;
        Ok(copier)
    }

    /// Appends frames and returns what `write` does.
    fn write<T>(&mut self, write: impl FnOnce(&mut frame::Writer<'_>) -> T) -> Result<T, StorageError> {
        let mut buffer = Vec::new();
        let result = write(&mut frame::Writer::new(self.id, self.log.end, &mut buffer));
        disk::write(&self.file, &buffer, self.log.end)?;
        self.log.end += buffer.len() as u64;
        Ok(result)
    }

    /// Appends the rows that stand in `log` from position `from` to `until`, small ones joined.
    fn rows(&mut self, log: &File, from: u64, until: u64) -> Result<(), StorageError> {
        let mut frames = Frames::new(log, self.id, from, until);
        let mut packer = Packer::default();
        let mut packed = 0;
        while let Some((at, frame)) = frames.next()? {
            if frame.kind != Kind::Row {
                continue;
            }
            let row = frame.row().ok_or_else(|| damaged(self.id, at))?;
            packer.add(row.start, row.continues(), row.lengths(), row.payload());
            packed += frame.bytes();
            if packed >= COPIED_PER_WRITE {
                self.packed(std::mem::take(&mut packer))?;
                packed = 0;
            }
        }
        self.packed(packer)
    }

    fn packed(&mut self, packer: Packer) -> Result<(), StorageError> {
        let rows = packer.finish();
        let positions = self.write(|writer| {
            let written = rows.iter().map(|row| {
                let position = writer.position();
                writer.row(row);
                (row.start, position)
            });
            written.collect::<Vec<_>>()
        })?;
        for (start, position) in positions {
            self.log.note_row(start, position);
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StorageError> {
        disk::sync(&self.file)
    }
}
