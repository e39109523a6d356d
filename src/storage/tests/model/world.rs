//! The model: what streams are, written down as plainly as possible. A stream is a vector of messages; a fork copies
//! the ones it inherits. Nothing is indexed, everything is searched.

use std::collections::BTreeMap;

use weir_protocol::{
    Append, AppendError, Appended, ContentType, Create, CreateError, CreateStreamResult, Created, DeleteError,
    ForkRequest, HeadError, Incarnation, Lifetime, ListPage, ListRequest, Offset, ProducerAck, ReadError, ReadFrom,
    StreamMetadata, StreamName, StreamSummary, TailEvent, Timestamp,
};
use weir_storage::{Change, Command, Expired, Op, Outcome};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Live,
    Deleted,
    Expired,
}

#[derive(Debug, Clone)]
pub(crate) struct Stream {
    id: u64,
    life: Life,
    pub(crate) content_type: ContentType,
    lifetime: Lifetime,
    created: Timestamp,
    updated: Timestamp,
    touched: Timestamp,
    /// All messages as they are stored, inherited ones first.
    pub(crate) messages: Vec<Vec<u8>>,
    inherited: usize,
    pub(crate) closed: bool,
    closed_by: Option<(String, u64, u64)>,
    /// Epoch and last sequence number by producer.
    pub(crate) producers: BTreeMap<String, (u64, u64)>,
    last_seq: Option<String>,
    /// What was asked for, the source's id, and whether the lifetime is the source's.
    fork: Option<(ForkRequest, u64, bool)>,
}

impl Stream {
    pub(crate) fn tail(&self) -> u64 {
        bytes(&self.messages)
    }

    fn base(&self) -> u64 {
        bytes(&self.messages[..self.inherited])
    }

    fn deadline(&self) -> Option<Timestamp> {
        match self.lifetime {
            Lifetime::Forever => None,
            Lifetime::Ttl(seconds) => Some(Timestamp::from_millis(self.touched.as_millis() + seconds * 1000)),
            Lifetime::ExpiresAt(at) => Some(at),
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        match self.life {
            Life::Live => self.deadline().is_some_and(|deadline| deadline <= now),
            Life::Deleted => false,
            Life::Expired => true,
        }
    }

    fn renew(&mut self, at: Timestamp) {
        if matches!(self.lifetime, Lifetime::Ttl(_)) {
            self.touched = self.touched.max(at);
        }
    }

    /// The messages from `position` on, the first one cut if need be; whether it was.
    fn from(&self, position: u64) -> (Vec<Vec<u8>>, bool) {
        let mut left = usize::try_from(position).unwrap();
        let mut rest = self.messages.iter();
        while left > 0 {
            let message = rest.next().unwrap();
            if message.len() > left {
                let mut messages = vec![message[left..].to_vec()];
                messages.extend(rest.cloned());
                return (messages, true);
            }
            left -= message.len();
        }
        (rest.cloned().collect(), false)
    }

    fn metadata(&self) -> StreamMetadata {
        StreamMetadata {
            incarnation: self.incarnation(),
            content_type: self.content_type.clone(),
            lifetime: self.lifetime,
            next_offset: offset(self.tail()),
            closed: self.closed,
            total_bytes: self.tail() - self.base(),
            message_count: (self.messages.len() - self.inherited) as u64,
            updated_at: self.updated,
            expires_at: self.deadline(),
            fork: self
                .fork
                .as_ref()
                .map(|(request, ..)| (request.source.clone(), offset(self.base()))),
        }
    }

    fn incarnation(&self) -> Incarnation {
        Incarnation {
            id: self.id,
            created_at: self.created,
        }
    }
}

fn bytes(messages: &[Vec<u8>]) -> u64 {
    messages.iter().map(|message| message.len() as u64).sum()
}

fn offset(position: u64) -> Offset {
    Offset::new(position).unwrap()
}

fn messages(payload: &weir_protocol::Payload) -> Vec<Vec<u8>> {
    let mut rest = &payload.bytes()[..];
    let mut messages = Vec::new();
    for length in payload.lengths() {
        let (message, after) = rest.split_at(*length as usize);
        messages.push(message.to_vec());
        rest = after;
    }
    messages
}

/// What a read answers, as the model sees it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) incarnation: Incarnation,
    pub(crate) content_type: ContentType,
    pub(crate) start: Offset,
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) next_offset: Offset,
    pub(crate) at_tail: bool,
    pub(crate) closed: bool,
    pub(crate) ttl_deadline: Option<Timestamp>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) streams: BTreeMap<StreamName, Stream>,
    ids: u64,
    changes: Vec<Change>,
}

impl World {
    pub(crate) fn apply(&mut self, command: &Command) -> Outcome {
        let at = command.at;
        match &command.op {
            Op::Create(name, create) => Outcome::Create(self.create(name, create, at)),
            Op::Append(name, append) => Outcome::Append(self.append(name, append, at)),
            Op::Delete(name) => Outcome::Delete(self.delete(name, at)),
            Op::Touch(name) => {
                if let Some(stream) = self.streams.get_mut(name).filter(|stream| stream.life == Life::Live)
                    && !stream.is_over(at)
                {
                    stream.renew(at);
                }
                Outcome::Touch
            }
            Op::Expire { cutoff, .. } => Outcome::Expire(self.expire(*cutoff)),
            Op::Fork(..) | Op::Retain(_) | Op::Release(_) | Op::Settle { .. } | Op::Probe(_) => {
                unreachable!("the model has one group")
            }
        }
    }

    /// What those who watch must have learned since the last call.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    fn tell(&mut self, name: &StreamName, event: TailEvent) {
        self.changes.push(Change {
            name: name.clone(),
            event,
        });
    }

    fn tell_tail(&mut self, name: &StreamName) {
        let stream = &self.streams[name];
        let event = TailEvent::Tail {
            next_offset: offset(stream.tail()),
            closed: stream.closed,
        };
        self.tell(name, event);
    }

    fn has_forks(&self, id: u64) -> bool {
        let mut sources = self.streams.values().filter_map(|stream| stream.fork.as_ref());
        sources.any(|(_, source, _)| *source == id)
    }

    /// Ends a stream's life: it stays for its forks, or goes, and then nobody may stay for it alone.
    fn end(&mut self, name: &StreamName, life: Life) {
        self.tell(name, TailEvent::Gone);
        self.streams.get_mut(name).unwrap().life = life;
        while let Some(idle) = self.idle() {
            self.streams.remove(&idle);
        }
    }

    fn idle(&self) -> Option<StreamName> {
        let mut ended = self.streams.iter().filter(|(_, stream)| stream.life != Life::Live);
        ended
            .find(|(_, stream)| !self.has_forks(stream.id))
            .map(|(name, _)| name.clone())
    }

    fn create(&mut self, name: &StreamName, create: &Create, at: Timestamp) -> Result<Created, CreateError> {
        if let Some(stream) = self.streams.get(name) {
            if !stream.is_over(at) {
                return confirm(stream, create);
            }
            if self.has_forks(stream.id) {
                return Err(CreateError::NameHeld);
            }
            self.end(name, Life::Expired);
        }
        let mut stream = Stream {
            id: 0,
            life: Life::Live,
            content_type: create.content_type.clone().unwrap_or_else(ContentType::octet_stream),
            lifetime: create.lifetime,
            created: at,
            updated: at,
            touched: at,
            messages: Vec::new(),
            inherited: 0,
            closed: create.closed,
            closed_by: None,
            producers: BTreeMap::new(),
            last_seq: None,
            fork: None,
        };
        if let Some(request) = &create.fork {
            self.inherit(&mut stream, create, request, at)?;
        }
        stream.messages.extend(messages(&create.payload));
        self.ids += 1;
        stream.id = self.ids;
        let answer = created(&stream, CreateStreamResult::Created);
        self.streams.insert(name.clone(), stream);
        self.tell_tail(name);
        Ok(answer)
    }

    fn inherit(
        &self,
        stream: &mut Stream,
        create: &Create,
        request: &ForkRequest,
        at: Timestamp,
    ) -> Result<(), CreateError> {
        let source = self.streams.get(&request.source).filter(|source| !source.is_over(at));
        let source = source.ok_or(CreateError::SourceNotFound)?;
        if source.life == Life::Deleted {
            return Err(CreateError::SourceGone);
        }
        if let Some(given) = &create.content_type
            && given.essence() != source.content_type.essence()
        {
            return Err(CreateError::SourceTypeMismatch(source.content_type.clone()));
        }
        let anchor = request.offset.map_or(source.tail(), Offset::position);
        if anchor > source.tail() {
            return Err(CreateError::ForkOffsetBeyondTail);
        }
        let (rest, is_cut) = source.from(anchor);
        let after_anchor = if source.content_type.is_json() {
            if is_cut {
                return Err(CreateError::ForkOffsetInvalid);
            }
            let count = usize::try_from(request.sub_offset).unwrap();
            bytes(rest.get(..count).ok_or(CreateError::ForkSubOffsetOvershoot)?)
        } else {
            let next = rest.first().map_or(0, |message| message.len() as u64);
            if request.sub_offset > next {
                return Err(CreateError::ForkSubOffsetOvershoot);
            }
            request.sub_offset
        };
        let mut left = usize::try_from(anchor + after_anchor).unwrap();
        for message in &source.messages {
            if left == 0 {
                break;
            }
            stream.messages.push(message[..message.len().min(left)].to_vec());
            left -= message.len().min(left);
        }
        stream.inherited = stream.messages.len();
        stream.content_type = source.content_type.clone();
        let inherits = create.lifetime == Lifetime::Forever;
        if inherits {
            stream.lifetime = source.lifetime;
        }
        stream.fork = Some((request.clone(), source.id, inherits));
        Ok(())
    }

    fn append(&mut self, name: &StreamName, append: &Append, at: Timestamp) -> Result<Appended, AppendError> {
        let stream = self.streams.get_mut(name).filter(|stream| !stream.is_over(at));
        let stream = stream.ok_or(AppendError::NotFound)?;
        if stream.life == Life::Deleted {
            return Err(AppendError::Gone);
        }
        let tail = offset(stream.tail());
        let appended = |stream: &Stream, producer: Option<(u64, u64, bool)>| Appended {
            next_offset: offset(stream.tail()),
            closed: stream.closed,
            producer: producer.map(|(epoch, highest_seq, duplicate)| ProducerAck {
                epoch,
                highest_seq,
                duplicate,
            }),
        };
        let tuple = append.producer.as_ref().map(|by| (by.id.to_string(), by.epoch, by.seq));
        if stream.closed {
            let is_plain_close = append.close && tuple.is_none() && append.payload.is_empty();
            let is_same_close = tuple.is_some() && tuple == stream.closed_by;
            if !(is_plain_close || is_same_close) {
                return Err(AppendError::Closed { next_offset: tail });
            }
            stream.renew(at);
            return Ok(appended(stream, tuple.map(|(_, epoch, seq)| (epoch, seq, true))));
        }
        if !append.payload.is_empty()
            && append.content_type.as_ref().map(ContentType::essence) != Some(stream.content_type.essence())
        {
            return Err(AppendError::ContentTypeMismatch(stream.content_type.clone()));
        }
        if let Some((id, epoch, seq)) = &tuple {
            match stream.producers.get(id) {
                Some((current_epoch, _)) if epoch < current_epoch => {
                    return Err(AppendError::EpochFenced {
                        current_epoch: *current_epoch,
                    });
                }
                Some((current_epoch, last)) if epoch == current_epoch && seq <= last => {
                    let last = *last;
                    stream.renew(at);
                    return Ok(appended(stream, Some((*epoch, last, true))));
                }
                Some((current_epoch, last)) if epoch == current_epoch && *seq > last + 1 => {
                    return Err(AppendError::SequenceGap {
                        expected: last + 1,
                        received: *seq,
                    });
                }
                Some((current_epoch, _)) if epoch > current_epoch && *seq > 0 => {
                    return Err(AppendError::EpochMustStartAtZero);
                }
                None if *seq > 0 => {
                    return Err(AppendError::SequenceGap {
                        expected: 0,
                        received: *seq,
                    });
                }
                _ => {}
            }
        }
        if let Some(seq) = &append.stream_seq {
            if stream
                .last_seq
                .as_ref()
                .is_some_and(|last| last.as_bytes() >= seq.as_str().as_bytes())
            {
                return Err(AppendError::StreamSeqRegression);
            }
            stream.last_seq = Some(seq.as_str().to_owned());
        }
        if let Some((id, epoch, seq)) = tuple.clone() {
            stream.producers.insert(id, (epoch, seq));
        }
        stream.messages.extend(messages(&append.payload));
        if append.close {
            stream.closed = true;
            stream.closed_by.clone_from(&tuple);
        }
        stream.updated = stream.updated.max(at);
        stream.renew(at);
        let answer = appended(stream, tuple.map(|(_, epoch, seq)| (epoch, seq, false)));
        self.tell_tail(name);
        Ok(answer)
    }

    fn delete(&mut self, name: &StreamName, at: Timestamp) -> Result<(), DeleteError> {
        match self.streams.get(name).filter(|stream| !stream.is_over(at)) {
            None => Err(DeleteError::NotFound),
            Some(stream) if stream.life == Life::Deleted => Err(DeleteError::Gone),
            Some(_) => {
                self.end(name, Life::Deleted);
                Ok(())
            }
        }
    }

    fn expire(&mut self, cutoff: Timestamp) -> Expired {
        let is_due = |stream: &Stream| stream.life == Life::Live && stream.is_over(cutoff);
        let due: Vec<_> = self
            .streams
            .iter()
            .filter(|(_, stream)| is_due(stream))
            .map(|(name, _)| name.clone())
            .collect();
        for name in &due {
            self.end(name, Life::Expired);
        }
        Expired {
            removed: due.len(),
            more: false,
        }
    }

    pub(crate) fn read(
        &self,
        name: &StreamName,
        from: ReadFrom,
        max_bytes: u64,
        now: Timestamp,
    ) -> Result<Seen, ReadError> {
        let stream = self.streams.get(name).filter(|stream| !stream.is_over(now));
        let stream = stream.ok_or(ReadError::NotFound)?;
        if stream.life == Life::Deleted {
            return Err(ReadError::Gone);
        }
        let start = match from {
            ReadFrom::Start => 0,
            ReadFrom::Now => stream.tail(),
            ReadFrom::At(offset) => offset.position(),
        };
        if start > stream.tail() {
            return Err(ReadError::OffsetBeyondTail);
        }
        let (rest, is_cut) = stream.from(start);
        if is_cut && stream.content_type.is_json() {
            return Err(ReadError::OffsetInvalid);
        }
        let mut messages: Vec<Vec<u8>> = Vec::new();
        for message in rest {
            if !messages.is_empty() && bytes(&messages) + message.len() as u64 > max_bytes {
                break;
            }
            messages.push(message);
        }
        let end = start + bytes(&messages);
        Ok(Seen {
            incarnation: stream.incarnation(),
            content_type: stream.content_type.clone(),
            start: offset(start),
            messages,
            next_offset: offset(end),
            at_tail: end == stream.tail(),
            closed: stream.closed,
            ttl_deadline: match stream.lifetime {
                Lifetime::Ttl(_) => stream.deadline(),
                Lifetime::Forever | Lifetime::ExpiresAt(_) => None,
            },
        })
    }

    pub(crate) fn head(&self, name: &StreamName, now: Timestamp) -> Result<StreamMetadata, HeadError> {
        match self.streams.get(name).filter(|stream| !stream.is_over(now)) {
            None => Err(HeadError::NotFound),
            Some(stream) if stream.life == Life::Deleted => Err(HeadError::Gone),
            Some(stream) => Ok(stream.metadata()),
        }
    }

    pub(crate) fn list(&self, request: &ListRequest, now: Timestamp) -> ListPage {
        let mut streams: Vec<_> = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.life == Life::Live && !stream.is_over(now))
            .filter(|(name, _)| name.as_str().starts_with(&request.prefix))
            .filter(|(name, _)| request.after.as_deref().is_none_or(|after| name.as_str() > after))
            .map(|(name, stream)| StreamSummary {
                name: name.clone(),
                metadata: stream.metadata(),
            })
            .collect();
        let more = streams.len() > request.limit;
        streams.truncate(request.limit);
        ListPage { streams, more }
    }
}

fn created(stream: &Stream, status: CreateStreamResult) -> Created {
    Created {
        status,
        content_type: stream.content_type.clone(),
        next_offset: offset(stream.tail()),
        closed: stream.closed,
    }
}

fn confirm(stream: &Stream, create: &Create) -> Result<Created, CreateError> {
    if stream.life == Life::Deleted {
        return Err(CreateError::NameHeld);
    }
    let asked_type = create.content_type.as_ref().map(ContentType::essence);
    let same_type = match asked_type {
        Some(asked) => asked == stream.content_type.essence(),
        None => {
            stream.fork.is_some()
                || create.fork.is_some()
                || stream.content_type.essence() == "application/octet-stream"
        }
    };
    if !same_type {
        return Err(CreateError::ConfigMismatch("content type"));
    }
    let inherits = create.fork.is_some() && create.lifetime == Lifetime::Forever;
    let same_lifetime = match &stream.fork {
        Some((_, _, inherited)) if inherits => *inherited,
        _ => create.lifetime == stream.lifetime,
    };
    if !same_lifetime {
        return Err(CreateError::ConfigMismatch("lifetime"));
    }
    if create.closed != stream.closed {
        return Err(CreateError::ConfigMismatch("closed state"));
    }
    let same_origin = match (&create.fork, &stream.fork) {
        (None, None) => true,
        (Some(asked), Some((told, ..))) => {
            let boundary = ForkRequest {
                source: told.source.clone(),
                offset: Some(offset(stream.base())),
                sub_offset: 0,
            };
            // Left away, it is whatever it was.
            let unnamed = ForkRequest {
                offset: None,
                ..told.clone()
            };
            asked == told || *asked == boundary || *asked == unnamed
        }
        _ => false,
    };
    if same_origin {
        Ok(created(stream, CreateStreamResult::AlreadyExists))
    } else {
        Err(CreateError::ConfigMismatch("fork origin"))
    }
}
