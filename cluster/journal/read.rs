//! Reading entries: from the cache, and from segments beside the writer.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

use crate::{
    error::{Damage, ReadError},
    format::record::{self, Kind, RECORD_HEADER_BYTES},
    group::{Inner, record_bytes},
    index::Place,
    journal::Journal,
    limits::{READ_GAP_BYTES, READ_SPAN_BYTES},
    segment::Segment,
    shared::Shared,
    types::{Entry, Leader, LogId, ReplicaKey, ReplicaState},
};

enum Found {
    Cached(Entry),
    Stored(Stored),
}

struct Stored {
    id: LogId,
    place: Place,
    segment: Arc<Segment>,
}

impl Journal {
    /// The entries of a replica in `range`, in order, as far as they are held: those before the purge point and past
    /// the end are missing. Stops before `max_bytes` of payload are exceeded, but returns at least one entry if there
    /// is one. May read from the disk.
    ///
    /// # Errors
    /// When the journal stopped, a segment cannot be read or a stored entry is damaged.
    pub fn read(&self, key: ReplicaKey, range: Range<u64>, max_bytes: u64) -> Result<Vec<Entry>, ReadError> {
        let found = self.find(key, range, max_bytes, false)?.unwrap_or_default();
        fetch(key, found)
    }

    /// As [`Journal::read`], but never touches the disk: `None` when an entry wanted is not in the cache.
    ///
    /// # Errors
    /// When the journal stopped.
    pub fn read_cached(
        &self,
        key: ReplicaKey,
        range: Range<u64>,
        max_bytes: u64,
    ) -> Result<Option<Vec<Entry>>, ReadError> {
        match self.find(key, range, max_bytes, true)? {
            Some(found) => fetch(key, found).map(Some),
            None => Ok(None),
        }
    }

    /// Who proposed the entry at `index`, if it is held. Never touches the disk.
    pub fn leader_at(&self, key: ReplicaKey, index: u64) -> Option<Leader> {
        self.shared.group(key)?.lock().leader_at(index)
    }

    /// As [`Journal::leader_at`], of the log as it stands on disk, synced.
    pub fn synced_leader_at(&self, key: ReplicaKey, index: u64) -> Option<Leader> {
        let group = self.shared.group(key)?;
        let inner = group.lock();
        inner.disk.index.get(index).map(|(_, leader)| leader)
    }

    /// What is known of a replica as submitted; empty for one that is not known.
    pub fn state(&self, key: ReplicaKey) -> ReplicaState {
        match self.shared.group(key) {
            Some(group) => group.lock().view.state(),
            None => ReplicaState::default(),
        }
    }

    fn find(
        &self,
        key: ReplicaKey,
        range: Range<u64>,
        max_bytes: u64,
        cached_only: bool,
    ) -> Result<Option<Vec<Found>>, ReadError> {
        if let Some(failure) = self.failed() {
            return Err(failure.into());
        }
        let Some(group) = self.shared.group(key) else {
            return Ok(Some(Vec::new()));
        };
        let inner = group.lock();
        let Some(last) = inner.view.last else {
            return Ok(Some(Vec::new()));
        };
        let mut found = Vec::new();
        let mut bytes = 0;
        for index in range.start.max(inner.view.first)..range.end.min(last.index.saturating_add(1)) {
            if let Some(entry) = inner.view.cached(index) {
                bytes += entry.payload.len() as u64;
                if bytes > max_bytes && !found.is_empty() {
                    break;
                }
                found.push(Found::Cached(entry.clone()));
                continue;
            }
            if cached_only {
                return Ok(None);
            }
            let stored = locate(&self.shared, &inner, index)?;
            bytes += u64::from(stored.place.length);
            if bytes > max_bytes && !found.is_empty() {
                break;
            }
            found.push(Found::Stored(stored));
        }
        Ok(Some(found))
    }
}

/// Where an entry stands. The caller holds the replica's lock, under which a segment with live records is not freed.
fn locate(shared: &Shared, inner: &Inner, index: u64) -> Result<Stored, ReadError> {
    let missing = |expected: String, found: &str| Damage {
        path: shared.dir.clone(),
        offset: 0,
        expected,
        found: found.to_string(),
    };
    let (place, leader) = inner
        .disk
        .index
        .get(index)
        .ok_or_else(|| missing(format!("entry {index} in the index"), "none"))?;
    let segment = shared
        .segment(place.segment)
        .ok_or_else(|| missing(format!("segment {}", place.segment), "none"))?;
    Ok(Stored {
        id: LogId { leader, index },
        place,
        segment,
    })
}

fn fetch(key: ReplicaKey, found: Vec<Found>) -> Result<Vec<Entry>, ReadError> {
    let mut entries = Vec::with_capacity(found.len());
    let mut span: Vec<Stored> = Vec::new();
    for item in found {
        match item {
            Found::Stored(stored) => {
                if !span.is_empty() && !continues(&span, &stored) {
                    read_span(key, &span, &mut entries)?;
                    span.clear();
                }
                span.push(stored);
            }
            Found::Cached(entry) => {
                read_span(key, &span, &mut entries)?;
                span.clear();
                entries.push(entry);
            }
        }
    }
    read_span(key, &span, &mut entries)?;
    Ok(entries)
}

/// Whether `next` may be read together with `span`.
fn continues(span: &[Stored], next: &Stored) -> bool {
    let (Some(first), Some(last)) = (span.first(), span.last()) else {
        return false;
    };
    let last_end = u64::from(last.place.offset) + record_bytes(last.place.length as usize);
    let start = u64::from(next.place.offset);
    let end = start + record_bytes(next.place.length as usize);
    first.place.segment == next.place.segment
        && start >= last_end
        && start - last_end <= READ_GAP_BYTES
        && end - u64::from(first.place.offset) <= READ_SPAN_BYTES
}

fn read_span(key: ReplicaKey, span: &[Stored], entries: &mut Vec<Entry>) -> Result<(), ReadError> {
    let (Some(first), Some(last)) = (span.first(), span.last()) else {
        return Ok(());
    };
    let start = u64::from(first.place.offset);
    let end = u64::from(last.place.offset) + record_bytes(last.place.length as usize);
    let mut buffer = vec![0; (end - start) as usize];
    let io = |source| ReadError::Io {
        path: first.segment.path.clone(),
        source,
    };
    first.segment.file.read_at(&mut buffer, start).map_err(io)?;
    let buffer = Bytes::from(buffer);
    for stored in span {
        let at = (u64::from(stored.place.offset) - start) as usize;
        let until = at + RECORD_HEADER_BYTES + stored.place.length as usize;
        verify(key, stored, &buffer[at..until])?;
        entries.push(Entry {
            id: stored.id,
            payload: buffer.slice(at + RECORD_HEADER_BYTES..until),
        });
    }
    Ok(())
}

/// Whether `bytes` are the record that the index speaks of.
fn verify(key: ReplicaKey, stored: &Stored, bytes: &[u8]) -> Result<(), Damage> {
    let offset = u64::from(stored.place.offset);
    let damage = |found: String| Damage {
        path: stored.segment.path.clone(),
        offset,
        expected: format!(
            "entry {} of group {} replica {}",
            stored.id.index, key.group, key.replica
        ),
        found,
    };
    let record = record::decode_one(bytes, stored.segment.seed, offset)
        .ok_or_else(|| damage("bytes that do not match their checksum".into()))?;
    let header = record.header;
    let is_entry = matches!(header.kind, Kind::Entry | Kind::Moved);
    if !is_entry || header.key != key || header.id != stored.id || record.payload.len() != stored.place.length as usize
    {
        return Err(damage(format!("a record of {:?}, {:?}", header.key, header.id)));
    }
    Ok(())
}

/// Reads one entry for the writer, which moves it.
pub(crate) fn read_stored(key: ReplicaKey, id: LogId, place: Place, segment: Arc<Segment>) -> Result<Bytes, ReadError> {
    let mut entries = Vec::with_capacity(1);
    read_span(key, &[Stored { id, place, segment }], &mut entries)?;
    Ok(entries.pop().map(|entry| entry.payload).unwrap_or_default())
}
