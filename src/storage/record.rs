//! What is kept of a stream.

use weir_protocol::{ContentType, Incarnation, Lifetime, Offset, StreamName, Timestamp};

use crate::error::StorageError;
use crate::reference::Reference;

/// A stream's record. The encoding is protobuf, so that fields can be added; the messages are private to this file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamRecord {
    pub(crate) id: u64,
    pub(crate) state: State,
    pub(crate) content_type: ContentType,
    pub(crate) lifetime: Lifetime,
    pub(crate) created_at: Timestamp,
    /// When it was last written to.
    pub(crate) updated_at: Timestamp,
    /// When it was last read or written: a TTL counts from here.
    pub(crate) touched_at: Timestamp,
    /// Where its own bytes begin: 0, or the fork's boundary.
    pub(crate) base: Offset,
    pub(crate) tail: Offset,
    /// Its own messages.
    pub(crate) message_count: u64,
    pub(crate) closed: bool,
    /// The producer's write that closed it.
    pub(crate) closed_by: Option<ClosedBy>,
    pub(crate) last_stream_seq: Option<String>,
    /// Under which deadline the expiry index has it. A renewal leaves it behind; the sweep brings it up to date.
    pub(crate) indexed_deadline: Option<Timestamp>,
    pub(crate) fork: Option<ForkRecord>,
}

/// Whether clients see the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// They do.
    Live,
    /// It was deleted and is kept for its forks: 410.
    Deleted,
    /// It expired and is kept for its forks: 404.
    Expired,
}

/// The write that closed a stream.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct ClosedBy {
    #[prost(string, tag = "1")]
    pub(crate) producer: String,
    #[prost(uint64, tag = "2")]
    pub(crate) epoch: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) seq: u64,
}

/// Where a fork came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForkRecord {
    pub(crate) source: StreamName,
    pub(crate) source_id: u64,
    /// As it was asked for: the same request again must match.
    pub(crate) requested_offset: Option<Offset>,
    pub(crate) sub_offset: u64,
    /// Whether the lifetime is the source's.
    pub(crate) inherited_lifetime: bool,
    /// Set when the source is another group's; then `source_id` is an id of that group.
    pub(crate) remote: Option<RemoteFork>,
}

/// What names the reference that keeps another group's source for a fork.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct RemoteFork {
    #[prost(uint64, tag = "1")]
    pub(crate) fork_id: u64,
    /// Milliseconds since 1970, by the time of the source's group.
    #[prost(uint64, tag = "2")]
    pub(crate) retained_at: u64,
}

impl StreamRecord {
    /// The reference by which another group keeps the source of this stream, which is `name`.
    pub(crate) fn reference(&self, name: &StreamName) -> Option<Reference> {
        let fork = self.fork.as_ref()?;
        let remote = fork.remote?;
        Some(Reference {
            fork_id: remote.fork_id,
            retained_at: Timestamp::from_millis(remote.retained_at),
            source: fork.source.clone(),
            source_id: fork.source_id,
            fork: name.clone(),
        })
    }

    /// From when on it is gone.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.lifetime.deadline(self.touched_at)
    }

    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.state == State::Expired
            || (self.state == State::Live && self.deadline().is_some_and(|deadline| now >= deadline))
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        Incarnation {
            id: self.id,
            created_at: self.created_at,
        }
    }

    /// Begins a TTL anew. Returns whether that changed anything.
    pub(crate) fn touch(&mut self, at: Timestamp) -> bool {
        let renewed = matches!(self.lifetime, Lifetime::Ttl(_)) && at > self.touched_at;
        if renewed {
            self.touched_at = at;
        }
        renewed
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        prost::Message::encode_to_vec(&Encoded::from(self))
    }

    /// # Errors
    /// [`StorageError::Damaged`] unless the bytes are an encoded record.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StorageError> {
        let encoded: Encoded = prost::Message::decode(bytes)
            .map_err(|error| StorageError::Damaged(format!("a stream's record: {error}")))?;
        encoded
            .into_record()
            .ok_or_else(|| StorageError::Damaged("a stream's record has an impossible value".to_owned()))
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct Encoded {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint32, tag = "2")]
    state: u32,
    #[prost(string, tag = "3")]
    content_type: String,
    #[prost(uint64, optional, tag = "4")]
    ttl_seconds: Option<u64>,
    #[prost(uint64, optional, tag = "5")]
    expires_at: Option<u64>,
    #[prost(uint64, tag = "6")]
    created_at: u64,
    #[prost(uint64, tag = "7")]
    updated_at: u64,
    #[prost(uint64, tag = "8")]
    touched_at: u64,
    #[prost(uint64, tag = "9")]
    base: u64,
    #[prost(uint64, tag = "10")]
    tail: u64,
    #[prost(uint64, tag = "11")]
    message_count: u64,
    #[prost(bool, tag = "12")]
    closed: bool,
    #[prost(message, optional, tag = "13")]
    closed_by: Option<ClosedBy>,
    #[prost(string, optional, tag = "14")]
    last_stream_seq: Option<String>,
    #[prost(uint64, optional, tag = "15")]
    indexed_deadline: Option<u64>,
    #[prost(message, optional, tag = "16")]
    fork: Option<EncodedFork>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct EncodedFork {
    #[prost(string, tag = "1")]
    source: String,
    #[prost(uint64, tag = "2")]
    source_id: u64,
    #[prost(uint64, optional, tag = "3")]
    requested_offset: Option<u64>,
    #[prost(uint64, tag = "4")]
    sub_offset: u64,
    #[prost(bool, tag = "5")]
    inherited_lifetime: bool,
    #[prost(message, optional, tag = "6")]
    remote: Option<RemoteFork>,
}

impl From<&StreamRecord> for Encoded {
    fn from(record: &StreamRecord) -> Self {
        let (ttl_seconds, expires_at) = match record.lifetime {
            Lifetime::Forever => (None, None),
            Lifetime::Ttl(seconds) => (Some(seconds), None),
            Lifetime::ExpiresAt(at) => (None, Some(at.as_millis())),
        };
        Self {
            id: record.id,
            state: match record.state {
                State::Live => 0,
                State::Deleted => 1,
                State::Expired => 2,
            },
            content_type: record.content_type.as_str().to_owned(),
            ttl_seconds,
            expires_at,
            created_at: record.created_at.as_millis(),
            updated_at: record.updated_at.as_millis(),
            touched_at: record.touched_at.as_millis(),
            base: record.base.position(),
            tail: record.tail.position(),
            message_count: record.message_count,
            closed: record.closed,
            closed_by: record.closed_by.clone(),
            last_stream_seq: record.last_stream_seq.clone(),
            indexed_deadline: record.indexed_deadline.map(Timestamp::as_millis),
            fork: record.fork.as_ref().map(|fork| EncodedFork {
                source: fork.source.as_str().to_owned(),
                source_id: fork.source_id,
                requested_offset: fork.requested_offset.map(Offset::position),
                sub_offset: fork.sub_offset,
                inherited_lifetime: fork.inherited_lifetime,
                remote: fork.remote,
            }),
        }
    }
}

impl Encoded {
    fn into_record(self) -> Option<StreamRecord> {
        let lifetime = match (self.ttl_seconds, self.expires_at) {
            (None, None) => Lifetime::Forever,
            (Some(seconds), None) => Lifetime::Ttl(seconds),
            (None, Some(at)) => Lifetime::ExpiresAt(Timestamp::from_millis(at)),
            (Some(_), Some(_)) => return None,
        };
        let (base, tail) = (Offset::new(self.base)?, Offset::new(self.tail)?);
        if base > tail {
            return None;
        }
        Some(StreamRecord {
            id: self.id,
            state: match self.state {
                0 => State::Live,
                1 => State::Deleted,
                2 => State::Expired,
                _ => return None,
            },
            content_type: ContentType::parse(&self.content_type).ok()?,
            lifetime,
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
            touched_at: Timestamp::from_millis(self.touched_at),
            base,
            tail,
            message_count: self.message_count,
            closed: self.closed,
            closed_by: self.closed_by,
            last_stream_seq: self.last_stream_seq,
            indexed_deadline: self.indexed_deadline.map(Timestamp::from_millis),
            fork: self.fork.map_or(Some(None), |fork| fork.into_record().map(Some))?,
        })
    }
}

impl EncodedFork {
    fn into_record(self) -> Option<ForkRecord> {
        Some(ForkRecord {
            source: StreamName::new(&self.source).ok()?,
            source_id: self.source_id,
            requested_offset: match self.requested_offset {
                Some(position) => Some(Offset::new(position)?),
                None => None,
            },
            sub_offset: self.sub_offset,
            inherited_lifetime: self.inherited_lifetime,
            remote: self.remote,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn time() -> impl Strategy<Value = Timestamp> {
        any::<u64>().prop_map(Timestamp::from_millis)
    }

    fn offset() -> impl Strategy<Value = Offset> {
        (0..=Offset::MAX.position()).prop_map(|position| Offset::new(position).unwrap())
    }

    fn lifetime() -> impl Strategy<Value = Lifetime> {
        prop_oneof![
            Just(Lifetime::Forever),
            any::<u64>().prop_map(Lifetime::Ttl),
            time().prop_map(Lifetime::ExpiresAt),
        ]
    }

    fn fork() -> impl Strategy<Value = ForkRecord> {
        let name = "[a-zé]{1,9}(/[a-z ]{1,9})?".prop_map(|name| StreamName::new(&name).unwrap());
        let remote = option::of(any::<[u64; 2]>());
        let fields = (
            name,
            any::<u64>(),
            option::of(offset()),
            any::<u64>(),
            any::<bool>(),
            remote,
        );
        fields.prop_map(
            |(source, source_id, requested_offset, sub_offset, inherited_lifetime, remote)| ForkRecord {
                source,
                source_id,
                requested_offset,
                sub_offset,
                inherited_lifetime,
                remote: remote.map(|[fork_id, retained_at]| RemoteFork { fork_id, retained_at }),
            },
        )
    }

    fn closed_by() -> impl Strategy<Value = ClosedBy> {
        let fields = (".{1,20}", any::<u64>(), any::<u64>());
        fields.prop_map(|(producer, epoch, seq)| ClosedBy { producer, epoch, seq })
    }

    fn record() -> impl Strategy<Value = StreamRecord> {
        let state = prop::sample::select(vec![State::Live, State::Deleted, State::Expired]);
        let content_type = prop::sample::select(vec!["text/plain", "application/json; a=\"b;c\"", "x/y; q=A"]);
        let content_type = content_type.prop_map(|text| ContentType::parse(text).unwrap());
        let what = (any::<u64>(), state, content_type, lifetime(), option::of(fork()));
        let when = (time(), time(), time(), option::of(time()));
        let much = (offset(), offset(), any::<u64>());
        let writers = (any::<bool>(), option::of(closed_by()), option::of(".{1,20}"));
        (what, when, much, writers).prop_map(
            |(
                (id, state, content_type, lifetime, fork),
                (created_at, updated_at, touched_at, indexed_deadline),
                (one, other, message_count),
                (closed, closed_by, last_stream_seq),
            )| StreamRecord {
                id,
                state,
                content_type,
                lifetime,
                created_at,
                updated_at,
                touched_at,
                base: one.min(other),
                tail: one.max(other),
                message_count,
                closed,
                closed_by,
                last_stream_seq,
                indexed_deadline,
                fork,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn records_come_back(record in record()) {
            prop_assert_eq!(StreamRecord::decode(&record.encode()), Ok(record));
        }

        #[test]
        fn any_bytes_are_a_record_or_damage(bytes in vec(any::<u8>(), 0..200)) {
            match StreamRecord::decode(&bytes) {
                Ok(record) => prop_assert!(record.base <= record.tail),
                Err(error) => prop_assert!(matches!(error, StorageError::Damaged(_))),
            }
        }

        #[test]
        fn a_changed_record_does_not_break_the_decoder(record in record(), at: prop::sample::Index, with: u8) {
            let mut bytes = record.encode();
            let at = at.index(bytes.len());
            bytes[at] = with;
            if let Ok(record) = StreamRecord::decode(&bytes) {
                prop_assert_eq!(StreamRecord::decode(&record.encode()), Ok(record));
            }
        }
    }
}
