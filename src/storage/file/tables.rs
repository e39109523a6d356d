//! All that is kept in memory, and a coherent view of it with what the logs hold.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use weir_protocol::producer::ProducerState;
use weir_protocol::{StreamName, Timestamp};

use super::files::Files;
use super::frame::{self, Writer};
use super::log::Log;
use super::redo::Body;
use crate::error::StorageError;
use crate::meta::Meta;
use crate::record::StreamRecord;
use crate::rows::{Lookup, Mutations, Rows, VisitFork, VisitRow, VisitStream};

#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) meta: Meta,
    pub(super) logs: HashMap<u64, Log>,
    /// Logs that are worth copying without their replaced frames.
    pub(super) wasteful: BTreeMap<u64, StreamName>,
}

/// What a batch appends to one log.
pub(super) struct LogWrite {
    pub(super) id: u64,
    name: StreamName,
    pub(super) position: u64,
    /// Where the frames begin and end in the redo log's record.
    range: std::ops::Range<usize>,
    /// Start and position of every row.
    rows: Vec<(u64, u64)>,
    /// Bytes of frames that these replace.
    dead: u64,
    record_bytes: u64,
}

impl Tables {
    /// The batch with number `seq` as the redo log's record, and what it appends to the logs.
    pub(super) fn encode(&self, mutations: &Mutations, seq: u64) -> (Body, Vec<LogWrite>) {
        let mut producers: BTreeMap<u64, Vec<(&str, ProducerState)>> = BTreeMap::new();
        for ((id, producer), state) in &mutations.producers {
            producers.entry(*id).or_default().push((producer, *state));
        }
        let mut body = Body::new();
        let mut writes = Vec::new();
        let changed = mutations
            .streams
            .iter()
            .filter_map(|(name, record)| Some((name, record.as_ref()?)));
        for (name, record) in changed {
            let producers = producers.get(&record.id).map_or(&[][..], Vec::as_slice);
            writes.push(self.encode_log(&mut body, (name, record), seq, mutations, producers));
        }
        for id in &mutations.discarded {
            body.discard(*id);
        }
        if let Some(next_id) = mutations.next_id {
            body.next_id(next_id);
        }
        if let Some(applied) = &mutations.applied {
            body.applied(applied);
        }
        (body, writes)
    }

    fn encode_log(
        &self,
        body: &mut Body,
        (name, record): (&StreamName, &StreamRecord),
        seq: u64,
        mutations: &Mutations,
        producers: &[(&str, ProducerState)],
    ) -> LogWrite {
        let id = record.id;
        let log = self.logs.get(&id);
        let position = log.map_or(0, |log| log.end);
        let mut dead = 0;
        let begin = body.begin_write(id, position);
        let mut writer = Writer::new(id, position, &mut body.buffer);
        if log.is_none() {
            writer.head(name, seq, record);
        }
        let mut rows = Vec::new();
        for row in mutations.rows.get(&id).into_iter().flatten() {
            rows.push((row.start, writer.position()));
            writer.row(row);
        }
        for (producer, state) in producers {
            writer.producer(producer, *state);
            if self.meta.producer(id, producer).is_some() {
                dead += frame::producer_bytes(producer);
            }
        }
        // The record comes last: whoever has it has all that belongs to it.
        let record_bytes = match log {
            Some(log) => {
                dead += log.record_bytes;
                writer.record(seq, record)
            }
            None => 0,
        };
        body.end_write(begin);
        LogWrite {
            id,
            name: name.clone(),
            position,
            range: begin..body.buffer.len(),
            rows,
            dead,
            record_bytes,
        }
    }

    /// Makes a batch visible. `record` is what the redo log wrote of it.
    pub(super) fn commit(&mut self, mutations: Mutations, writes: Vec<LogWrite>, record: &Bytes) {
        for write in writes {
            let log = self.logs.entry(write.id).or_default();
            let frames = write.frames(record);
            log.end += frames.len() as u64;
            log.waiting_bytes += frames.len() as u64;
            log.waiting.push_back(frames);
            log.dead += write.dead;
            log.record_bytes = write.record_bytes;
            for (start, position) in write.rows {
                log.note_row(start, position);
            }
            if log.is_wasteful() {
                self.wasteful.insert(write.id, write.name);
            }
        }
        for id in &mutations.discarded {
            self.logs.remove(id);
            self.wasteful.remove(id);
        }
        self.meta.commit(mutations);
    }
}

impl LogWrite {
    /// The frames, out of the redo log's record.
    pub(super) fn frames(&self, record: &Bytes) -> Bytes {
        record.slice(self.range.clone())
    }
}

/// A coherent view: holds for as long as the tables are borrowed.
pub(super) struct View<'a> {
    pub(super) tables: &'a Tables,
    pub(super) files: &'a Files,
}

impl Lookup for View<'_> {
    fn stream(&self, name: &StreamName) -> Result<Option<StreamRecord>, StorageError> {
        Ok(self.tables.meta.streams.get(name).cloned())
    }

    fn rows(&self, id: u64, from: u64, visit: VisitRow<'_>) -> Result<(), StorageError> {
        match self.tables.logs.get(&id) {
            Some(log) => log.visit_rows(id, from, || self.files.log(id, false), visit),
            None => Ok(()),
        }
    }
}

impl Rows for View<'_> {
    fn producer(&self, id: u64, producer: &str) -> Result<Option<ProducerState>, StorageError> {
        Ok(self.tables.meta.producer(id, producer))
    }

    fn forks(&self, id: u64, visit: VisitFork<'_>) -> Result<(), StorageError> {
        self.tables.meta.visit_forks(id, visit);
        Ok(())
    }

    fn due(&self, cutoff: Timestamp, limit: usize) -> Result<Vec<(Timestamp, StreamName)>, StorageError> {
        Ok(self.tables.meta.due(cutoff, limit))
    }

    fn streams(&self, prefix: &str, after: Option<&str>, visit: VisitStream<'_>) -> Result<(), StorageError> {
        self.tables.meta.visit_streams(prefix, after, visit);
        Ok(())
    }

    fn next_id(&self) -> Result<u64, StorageError> {
        Ok(self.tables.meta.next_id())
    }
}
