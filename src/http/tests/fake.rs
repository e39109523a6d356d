//! A small in-memory `Streams`, faithful in what the front end can see, with counters and a way to inject errors.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Semaphore, watch};
use weir_protocol::producer::{ProducerCheck, ProducerState, check};
use weir_protocol::{
    Append, AppendError, Appended, Clock, Consistency, ContentType, Create, CreateError, CreateStreamResult, Created,
    DeleteError, Fault, HeadError, Incarnation, Lifetime, ListError, ListPage, ListRequest, Offset, Payload,
    ProducerAck, Read, ReadError, ReadFrom, ReadResult, Run, StreamMetadata, StreamName, StreamSeq, StreamSummary,
    Streams, TailEvent, TailWatch, Timestamp,
};

/// The time that every test lives in: one second after the protocol's cursor epoch plus 1000 intervals.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_728_432_000_000 + 20_000_000 + 1000);

/// A clock that stands still.
pub(crate) struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        NOW
    }
}

struct Entry {
    incarnation: Incarnation,
    content_type: ContentType,
    lifetime: Lifetime,
    messages: Vec<Bytes>,
    closed: bool,
    closed_by: Option<(String, u64, u64)>,
    producers: HashMap<String, ProducerState>,
    stream_seq: Option<StreamSeq>,
    fork: Option<(StreamName, Offset)>,
    forks: usize,
    is_gone: bool,
    tail: watch::Sender<TailEvent>,
}

impl Entry {
    fn next_offset(&self) -> Offset {
        Offset::new(self.messages.iter().map(|message| message.len() as u64).sum()).unwrap()
    }

    fn push(&mut self, payload: &Payload) {
        let lengths = payload.lengths().to_vec();
        let run = Run {
            // As a store does, which has its own bytes.
            payload: Bytes::copy_from_slice(payload.bytes()),
            lengths,
        };
        self.messages.extend(run.messages());
    }

    fn announce(&self) {
        self.tail.send_replace(TailEvent::Tail {
            next_offset: self.next_offset(),
            closed: self.closed,
        });
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct Fake {
    entries: Mutex<BTreeMap<String, Entry>>,
    incarnations: AtomicU64,
    /// How often streams were read.
    pub(crate) reads: AtomicU64,
    /// How many of those began a TTL anew.
    pub(crate) renewals: AtomicU64,
    /// The freshness of the last read or head.
    pub(crate) last_consistency: Mutex<Option<Consistency>>,
    /// How often anything was written.
    pub(crate) writes: AtomicU64,
    /// The last create that came, whether it was done or not.
    pub(crate) last_create: Mutex<Option<Create>>,
    /// If there, the appends that came: a server may have them longer than their clients wait.
    pub(crate) kept_appends: Mutex<Option<Vec<Append>>>,
    /// Errors that the next append, create, ... answers instead of doing anything.
    pub(crate) next_append: Mutex<Option<AppendError>>,
    pub(crate) next_create: Mutex<Option<CreateError>>,
    pub(crate) next_delete: Mutex<Option<DeleteError>>,
    pub(crate) next_head: Mutex<Option<HeadError>>,
    pub(crate) next_read: Mutex<Option<ReadError>>,
    pub(crate) next_list: Mutex<Option<ListError>>,
    /// If there, each watch takes one, and waits while there is none.
    pub(crate) watches: Mutex<Option<Arc<Semaphore>>>,
}

impl Fake {
    /// Cuts all watches of a stream, as when it moves to another node, where `meanwhile` is appended unseen.
    pub(crate) fn move_away(&self, name: &str, meanwhile: &'static str) {
        let mut entries = self.entries.lock().unwrap();
        let entry = entries.get_mut(name).unwrap();
        entry.push(&Payload::single(meanwhile.into()).unwrap());
        entry.tail.send_replace(TailEvent::Gone);
    }

    /// The stored messages of a stream, as they lie in memory.
    pub(crate) fn messages(&self, name: &str) -> Vec<Bytes> {
        self.entries.lock().unwrap()[name].messages.clone()
    }

    /// How many messages there are in all streams.
    pub(crate) fn message_count(&self) -> usize {
        let entries = self.entries.lock().unwrap();
        entries.values().map(|entry| entry.messages.len()).sum()
    }

    fn metadata(entry: &Entry) -> StreamMetadata {
        StreamMetadata {
            incarnation: entry.incarnation,
            content_type: entry.content_type.clone(),
            lifetime: entry.lifetime,
            next_offset: entry.next_offset(),
            closed: entry.closed,
            total_bytes: entry.next_offset().position(),
            message_count: entry.messages.len() as u64,
            updated_at: NOW,
            expires_at: entry.lifetime.deadline(NOW),
            fork: entry.fork.clone(),
        }
    }
}

fn injected<E>(slot: &Mutex<Option<E>>) -> Result<(), E> {
    slot.lock().unwrap().take().map_or(Ok(()), Err)
}

#[async_trait]
impl Streams for Fake {
    async fn create(&self, name: &StreamName, create: Create) -> Result<Created, CreateError> {
        *self.last_create.lock().unwrap() = Some(create.clone());
        injected(&self.next_create)?;
        let mut entries = self.entries.lock().unwrap();
        if let Some(entry) = entries.get(name.as_str()) {
            return confirm(entry, &create);
        }
        let mut messages = Vec::new();
        let mut content_type = create.content_type.clone();
        let mut lifetime = create.lifetime;
        let mut fork = None;
        if let Some(request) = &create.fork {
            let source = entries
                .get_mut(request.source.as_str())
                .ok_or(CreateError::SourceNotFound)?;
            if source.is_gone {
                return Err(CreateError::SourceGone);
            }
            if content_type
                .as_ref()
                .is_some_and(|own| !own.same_media_type(&source.content_type))
            {
                return Err(CreateError::SourceTypeMismatch(source.content_type.clone()));
            }
            let at = request.offset.unwrap_or(source.next_offset());
            if at > source.next_offset() {
                return Err(CreateError::ForkOffsetBeyondTail);
            }
            let mut position = 0;
            for message in &source.messages {
                if position >= at.position() {
                    break;
                }
                position += message.len() as u64;
                messages.push(message.clone());
            }
            source.forks += 1;
            lifetime = source.lifetime.inherited_by_fork(lifetime);
            content_type = Some(source.content_type.clone());
            fork = Some((request.source.clone(), at));
        }
        let mut entry = Entry {
            incarnation: Incarnation {
                id: self.incarnations.fetch_add(1, Ordering::Relaxed),
                created_at: NOW,
            },
            content_type: content_type.unwrap_or_else(ContentType::octet_stream),
            lifetime,
            messages,
            closed: create.closed,
            closed_by: None,
            producers: HashMap::new(),
            stream_seq: None,
            fork,
            forks: 0,
            is_gone: false,
            tail: watch::Sender::new(TailEvent::Gone),
        };
        entry.push(&create.payload);
        entry.announce();
        let created = Created {
            status: CreateStreamResult::Created,
            content_type: entry.content_type.clone(),
            next_offset: entry.next_offset(),
            closed: entry.closed,
        };
        entries.insert(name.to_string(), entry);
        self.writes.fetch_add(1, Ordering::Relaxed);
        Ok(created)
    }

    async fn append(&self, name: &StreamName, append: Append) -> Result<Appended, AppendError> {
        if let Some(kept) = &mut *self.kept_appends.lock().unwrap() {
            kept.push(append.clone());
        }
        injected(&self.next_append)?;
        let mut entries = self.entries.lock().unwrap();
        let entry = entries.get_mut(name.as_str()).ok_or(AppendError::NotFound)?;
        if entry.is_gone {
            return Err(AppendError::Gone);
        }
        let next_offset = entry.next_offset();
        let tuple = append
            .producer
            .as_ref()
            .map(|producer| (producer.id.to_string(), producer.epoch, producer.seq));
        if entry.closed {
            let repeats = if tuple.is_some() {
                entry.closed_by == tuple
            } else {
                append.payload.is_empty()
            };
            if !repeats {
                return Err(AppendError::Closed { next_offset });
            }
            return Ok(Appended {
                next_offset,
                closed: true,
                producer: append.producer.map(|producer| ProducerAck {
                    epoch: producer.epoch,
                    highest_seq: producer.seq,
                    duplicate: true,
                }),
            });
        }
        if let Some(content_type) = append.content_type.filter(|_| !append.payload.is_empty())
            && !content_type.same_media_type(&entry.content_type)
        {
            return Err(AppendError::ContentTypeMismatch(entry.content_type.clone()));
        }
        let mut ack = None;
        if let Some(producer) = &append.producer {
            let state = entry.producers.get(&*producer.id).copied();
            let (state, duplicate) = match check(state, producer.epoch, producer.seq) {
                ProducerCheck::Accept(state) => (state, false),
                ProducerCheck::Duplicate(state) => (state, true),
                ProducerCheck::Fenced { current_epoch } => return Err(AppendError::EpochFenced { current_epoch }),
                ProducerCheck::Gap { expected, received } => {
                    return Err(AppendError::SequenceGap { expected, received });
                }
                ProducerCheck::EpochMustStartAtZero => return Err(AppendError::EpochMustStartAtZero),
            };
            ack = Some(ProducerAck {
                epoch: state.epoch,
                highest_seq: state.last_seq,
                duplicate,
            });
            if duplicate {
                return Ok(Appended {
                    next_offset,
                    closed: entry.closed,
                    producer: ack,
                });
            }
            entry.producers.insert(producer.id.to_string(), state);
        }
        if append.stream_seq.is_some() {
            if entry.stream_seq >= append.stream_seq {
                return Err(AppendError::StreamSeqRegression);
            }
            entry.stream_seq = append.stream_seq;
        }
        entry.push(&append.payload);
        if append.close {
            entry.closed = true;
            entry.closed_by = tuple;
        }
        entry.announce();
        self.writes.fetch_add(1, Ordering::Relaxed);
        Ok(Appended {
            next_offset: entry.next_offset(),
            closed: entry.closed,
            producer: ack,
        })
    }

    async fn delete(&self, name: &StreamName) -> Result<(), DeleteError> {
        injected(&self.next_delete)?;
        let mut entries = self.entries.lock().unwrap();
        let entry = entries.get_mut(name.as_str()).ok_or(DeleteError::NotFound)?;
        if entry.is_gone {
            return Err(DeleteError::Gone);
        }
        entry.tail.send_replace(TailEvent::Gone);
        if entry.forks > 0 {
            entry.is_gone = true;
        } else {
            entries.remove(name.as_str());
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn head(&self, name: &StreamName, consistency: Consistency) -> Result<StreamMetadata, HeadError> {
        injected(&self.next_head)?;
        *self.last_consistency.lock().unwrap() = Some(consistency);
        let entries = self.entries.lock().unwrap();
        match entries.get(name.as_str()) {
            None => Err(HeadError::NotFound),
            Some(entry) if entry.is_gone => Err(HeadError::Gone),
            Some(entry) => Ok(Self::metadata(entry)),
        }
    }

    async fn read(&self, name: &StreamName, read: Read) -> Result<ReadResult, ReadError> {
        // A real read takes a moment, in which others may come.
        tokio::task::yield_now().await;
        injected(&self.next_read)?;
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.renewals.fetch_add(u64::from(read.renews), Ordering::Relaxed);
        *self.last_consistency.lock().unwrap() = Some(read.consistency);
        let entries = self.entries.lock().unwrap();
        match entries.get(name.as_str()) {
            None => Err(ReadError::NotFound),
            Some(entry) if entry.is_gone => Err(ReadError::Gone),
            Some(entry) => read_entry(entry, read),
        }
    }

    async fn watch(&self, name: &StreamName) -> Result<Box<dyn TailWatch>, ReadError> {
        let watches = self.watches.lock().unwrap().clone();
        if let Some(watches) = watches {
            watches.acquire().await.unwrap().forget();
        }
        let entries = self.entries.lock().unwrap();
        match entries.get(name.as_str()) {
            None => Err(ReadError::NotFound),
            Some(entry) if entry.is_gone => Err(ReadError::Gone),
            Some(entry) => Ok(Box::new(Watch(entry.tail.subscribe()))),
        }
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage, ListError> {
        injected(&self.next_list)?;
        let entries = self.entries.lock().unwrap();
        let after = request.after.unwrap_or_default();
        let mut matching = entries
            .iter()
            .filter(|(name, entry)| name.starts_with(&request.prefix) && **name > after && !entry.is_gone);
        let streams = matching
            .by_ref()
            .take(request.limit)
            .map(|(name, entry)| StreamSummary {
                name: StreamName::new(name).unwrap(),
                metadata: Self::metadata(entry),
            })
            .collect();
        Ok(ListPage {
            streams,
            more: matching.next().is_some(),
        })
    }
}

fn confirm(entry: &Entry, create: &Create) -> Result<Created, CreateError> {
    if entry.is_gone {
        return Err(CreateError::NameHeld);
    }
    let content_type = create.content_type.clone().unwrap_or_else(|| match create.fork {
        Some(_) => entry.content_type.clone(),
        None => ContentType::octet_stream(),
    });
    if !content_type.same_media_type(&entry.content_type) {
        return Err(CreateError::ConfigMismatch("content type"));
    }
    if create.closed != entry.closed {
        return Err(CreateError::ConfigMismatch("closed state"));
    }
    Ok(Created {
        status: CreateStreamResult::AlreadyExists,
        content_type: entry.content_type.clone(),
        next_offset: entry.next_offset(),
        closed: entry.closed,
    })
}

fn read_entry(entry: &Entry, read: Read) -> Result<ReadResult, ReadError> {
    let tail = entry.next_offset();
    let start = match read.from {
        ReadFrom::Start => Offset::ZERO,
        ReadFrom::Now => tail,
        ReadFrom::At(offset) => offset,
    };
    if start > tail {
        return Err(ReadError::OffsetBeyondTail);
    }
    let (mut position, mut taken) = (0_u64, 0_u64);
    let mut runs = Vec::new();
    for message in &entry.messages {
        let begin = position;
        position += message.len() as u64;
        if position <= start.position() {
            continue;
        }
        let skip = usize::try_from(start.position().saturating_sub(begin)).unwrap();
        if skip > 0 && entry.content_type.is_json() {
            return Err(ReadError::OffsetInvalid);
        }
        let message = message.slice(skip..);
        if taken > 0 && taken + message.len() as u64 > read.max_bytes {
            break;
        }
        taken += message.len() as u64;
        runs.push(Run {
            lengths: vec![u32::try_from(message.len()).unwrap()],
            payload: message,
        });
    }
    let next_offset = start.checked_add(taken).unwrap();
    Ok(ReadResult {
        ttl_deadline: match entry.lifetime {
            Lifetime::Ttl(_) => entry.lifetime.deadline(NOW),
            Lifetime::Forever | Lifetime::ExpiresAt(_) => None,
        },
        incarnation: entry.incarnation,
        content_type: entry.content_type.clone(),
        start,
        runs,
        next_offset,
        at_tail: next_offset == tail,
        closed: entry.closed,
    })
}

struct Watch(watch::Receiver<TailEvent>);

#[async_trait]
impl TailWatch for Watch {
    async fn changed(&mut self) -> TailEvent {
        if *self.0.borrow() == TailEvent::Gone || self.0.changed().await.is_err() {
            return TailEvent::Gone;
        }
        *self.0.borrow_and_update()
    }
}

/// An error that any operation may answer with.
pub(crate) fn fault() -> Fault {
    Fault::Unavailable("no leader")
}
