//! Reads and encodings shared by everybody who waits on one stream.
//!
//! A thousand clients at the tail are woken by one append at once, all at the same offset. The first to come reads and
//! encodes, the others take what it got. What lies behind an offset never changes within one life of a stream, so a
//! shared read cannot be wrong; it can only end earlier than a new one would, and then its taker reads on from there.
//!
//! Shared reads are kept for a moment and within a bound over all streams. Nothing is kept for a stream that nobody
//! appends to or nobody waits on.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use bytes::{BufMut, Bytes, BytesMut};
use http::Extensions;
use moka::future::Cache;
use weir_protocol::sse::{self, Control};
use weir_protocol::{Consistency, Incarnation, Offset, Read, ReadError, ReadFrom, ReadResult, StreamName, Streams};

use crate::budget::{Budget, Reservation, hold};
use crate::limits::{BROADCAST_MOST_BYTES, HUB_BYTES, HUB_RETENTION, LIVE_READ_BYTES};
use crate::live::text;
use crate::outflow::Share;

/// One read, and its encoding as an SSE event once somebody needs that.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) result: ReadResult,
    /// What it takes of the memory for answers.
    room: Reservation,
    /// How many bytes at its end an SSE event leaves to the next one.
    held: usize,
    event: OnceLock<Event>,
}

/// A data event with the control event that follows it, in one piece.
#[derive(Debug)]
struct Event {
    bytes: Bytes,
    data_length: usize,
    control: Control,
}

impl Batch {
    pub(crate) fn new(result: ReadResult, room: Reservation) -> Self {
        Self {
            held: text::unfinished(&result),
            result,
            room,
            event: OnceLock::new(),
        }
    }

    /// Where a client is that was sent this as an event.
    pub(crate) fn event_end(&self) -> Offset {
        let position = self.result.next_offset.position() - self.held as u64;
        // Not past the offset that it lies before, so this has no way to fail.
        Offset::new(position).unwrap_or(self.result.next_offset)
    }

    /// Whether an event of this would leave nothing to the next one.
    pub(crate) fn is_whole(&self) -> bool {
        self.held == 0
    }

    /// Whether it is too large for clients to be sent it together.
    pub(crate) fn is_large(&self) -> bool {
        self.result.stored_bytes() > BROADCAST_MOST_BYTES
    }

    /// Whether an event of this would say nothing.
    pub(crate) fn is_event_empty(&self) -> bool {
        self.event_end() <= self.result.start
    }

    /// Whether another read would give another event, now that the stream is known to reach to `tail`, or to be closed
    /// there: what this one holds back may be finished, or never be.
    pub(crate) fn is_outdated(&self, (tail, closed): (Offset, bool)) -> bool {
        let end = self.result.next_offset;
        self.held > 0 && (tail > end || (closed && tail == end))
    }

    /// The data event and this control event. One piece for all who say the same, as nearly all do: the cursor of a
    /// client depends on the time alone unless the client is ahead of it.
    pub(crate) fn event(&self, control: Control) -> (Bytes, Option<Bytes>) {
        let event = self.event.get_or_init(|| self.encode(control));
        if event.control == control {
            (event.bytes.clone(), None)
        } else {
            (event.bytes.slice(..event.data_length), Some(control.event().into()))
        }
    }

    fn encode(&self, control: Control) -> Event {
        metrics::counter!("weir_http_sse_events_encoded_total").increment(1);
        let chunks = text::without_end(&self.result, self.held);
        let data = sse::data_event(&self.result.content_type, &chunks);
        let tail = control.event();
        let data_length = data.len();
        let mut bytes = BytesMut::from(data);
        bytes.put_slice(tail.as_bytes());
        // Clients have it for longer than anybody has the batch.
        let mut room = self.room.another();
        room.force(bytes.len() as u64);
        Event {
            bytes: hold(bytes.freeze(), room),
            data_length,
            control,
        }
    }

    /// What keeping this takes, in bytes: the stored form, and an encoding of at most 4/3 of that.
    fn weight(&self) -> u32 {
        let stored: usize = self
            .result
            .runs
            .iter()
            .map(|run| run.payload.len() + run.lengths.len() * 4)
            .sum();
        u32::try_from(stored / 3 * 8 + 512).unwrap_or(u32::MAX)
    }
}

/// Why there is no batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The stream has nothing beyond the offset, and never will if it is closed.
    Nothing { closed: bool },
    /// It is a large message, for which there is no room.
    NoRoom,
    /// Another stream has the name now.
    Replaced,
    /// The read failed.
    Failed(ReadError),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    name: StreamName,
    incarnation: Incarnation,
    from: Offset,
    /// The tail that the read had to know of, and whether the stream is closed there. Mostly any will do.
    tail: Option<(Offset, bool)>,
}

/// How many streams' last reads can be found without a look into the cache.
const LATEST: usize = 64;

/// A stream's last read, if somebody still has it.
type Last = Option<(Key, Weak<Batch>)>;

/// The last read of some streams, for the thousand that come for one after each other. It keeps none alive.
struct Latest {
    hasher: RandomState,
    slots: [Mutex<Last>; LATEST],
}

impl Latest {
    fn slot(&self, name: &StreamName) -> MutexGuard<'_, Last> {
        let place = usize::try_from(self.hasher.hash_one(name) % LATEST as u64).unwrap_or_default();
        self.slots[place].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, wanted: &Key) -> Option<Arc<Batch>> {
        let slot = self.slot(&wanted.name);
        let (key, batch) = slot.as_ref()?;
        (key == wanted).then(|| batch.upgrade())?
    }

    fn put(&self, key: Key, batch: &Arc<Batch>) {
        let mut slot = self.slot(&key.name);
        *slot = Some((key, Arc::downgrade(batch)));
    }
}

/// The shared reads of all streams.
pub(crate) struct Hub {
    streams: Arc<dyn Streams>,
    answer_budget: Arc<Budget>,
    batches: Cache<Key, Arc<Batch>>,
    latest: Latest,
}

impl Hub {
    pub(crate) fn new(streams: Arc<dyn Streams>, answer_budget: Arc<Budget>) -> Self {
        let batches = Cache::builder()
            .max_capacity(HUB_BYTES)
            .weigher(|_: &Key, batch: &Arc<Batch>| batch.weight())
            .time_to_live(HUB_RETENTION)
            .build();
        let latest = Latest {
            hasher: RandomState::new(),
            slots: std::array::from_fn(|_| Mutex::default()),
        };
        Self {
            streams,
            answer_budget,
            batches,
            latest,
        }
    }

    /// What follows `from` in this life of the stream, which is known to reach to `told` at least: read now, or by
    /// somebody else a moment ago. Who asks while another is reading waits for that read.
    pub(crate) async fn after(
        &self,
        name: &StreamName,
        incarnation: Incarnation,
        from: Offset,
        told: Offset,
    ) -> Result<Arc<Batch>, Missing> {
        self.shared(name, incarnation, from, told, None).await
    }

    /// As [`Hub::after`], when that is outdated: read since the stream reached to `tail`, or was closed there.
    pub(crate) async fn after_up_to(
        &self,
        name: &StreamName,
        incarnation: Incarnation,
        from: Offset,
        tail: (Offset, bool),
    ) -> Result<Arc<Batch>, Missing> {
        self.shared(name, incarnation, from, tail.0, Some(tail)).await
    }

    async fn shared(
        &self,
        name: &StreamName,
        incarnation: Incarnation,
        from: Offset,
        told: Offset,
        tail: Option<(Offset, bool)>,
    ) -> Result<Arc<Batch>, Missing> {
        let key = Key {
            name: name.clone(),
            incarnation,
            from,
            tail,
        };
        if let Some(batch) = self.latest.get(&key) {
            return Ok(batch);
        }
        let kept = key.clone();
        let read = async {
            let read = self.read(name, incarnation, from, told, self.share());
            read.await.map(Arc::new)
        };
        let batch = self.batches.try_get_with(key, read).await;
        let batch = match batch.map_err(|missing| (*missing).clone()) {
            // Said to somebody who had been told less, and waited first.
            Err(Missing::Nothing { closed: false }) if told > from => {
                let read = self.read(name, incarnation, from, told, self.share());
                return read.await.map(Arc::new);
            }
            result => result?,
        };
        self.latest.put(kept, &batch);
        Ok(batch)
    }

    /// Room for a read that belongs to no connection.
    fn share(&self) -> Share {
        Share::new(&self.answer_budget, &Extensions::new(), LIVE_READ_BYTES)
    }

    /// As [`Hub::after`], for a client that is far behind and shares its place with nobody: nothing is kept.
    pub(crate) async fn after_alone(
        &self,
        name: &StreamName,
        incarnation: Incarnation,
        from: Offset,
        told: Offset,
        extensions: &Extensions,
    ) -> Result<Arc<Batch>, Missing> {
        let share = Share::new(&self.answer_budget, extensions, LIVE_READ_BYTES);
        self.read(name, incarnation, from, told, share).await.map(Arc::new)
    }

    /// What follows `from`, and more of it as long as that would make an empty event although there is more: a piece
    /// of a character before a large message.
    async fn read(
        &self,
        name: &StreamName,
        incarnation: Incarnation,
        from: Offset,
        told: Offset,
        share: Share,
    ) -> Result<Batch, Missing> {
        let not_yet = || Reservation::new(&self.answer_budget);
        let mut read = Read {
            from: ReadFrom::At(from),
            max_bytes: share.bytes(),
            consistency: Consistency::Eventual,
            renews: false,
        };
        let mut batch = match self.read_once(name, incarnation, read).await {
            // On a node without a replica one may have answered the watch, and another one, which lags, the read.
            Err(Missing::Nothing { closed: false }) if told > from => {
                let consistency = Consistency::Linearizable;
                self.read_once(name, incarnation, Read { consistency, ..read }).await
            }
            result => result,
        }
        .map(|result| Batch::new(result, not_yet()))?;
        while batch.is_event_empty() && !batch.result.at_tail {
            read.from = ReadFrom::At(batch.result.next_offset);
            let more = self.read_once(name, incarnation, read).await?;
            let mut runs = batch.result.runs;
            runs.extend(more.runs);
            let result = ReadResult {
                ttl_deadline: None,
                start: batch.result.start,
                runs,
                ..more
            };
            batch = Batch::new(result, not_yet());
        }
        let stored_bytes = batch.result.stored_bytes();
        batch.room = share.keep(stored_bytes).map_err(|_| Missing::NoRoom)?;
        Ok(batch)
    }

    /// Reads from the local replica, if there is one: the watch that woke the reader is on the same one, and the request's
    /// first read has met the freshness that the client asked for.
    async fn read_once(&self, name: &StreamName, incarnation: Incarnation, read: Read) -> Result<ReadResult, Missing> {
        let result = self.streams.read(name, read).await.map_err(Missing::Failed)?;
        if result.incarnation != incarnation {
            Err(Missing::Replaced)
        } else if result.is_empty() {
            Err(Missing::Nothing { closed: result.closed })
        } else {
            Ok(result)
        }
    }
}
