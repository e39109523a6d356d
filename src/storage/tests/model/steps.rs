//! Random steps. Positions and sequence numbers are chosen relative to what the model has, so that most of them hit.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use weir_protocol::{
    Append, Create, ForkRequest, Lifetime, Offset, Payload, ProducerHeaders, ReadFrom, StreamName, StreamSeq, Timestamp,
};
use weir_storage::Op;

use super::world::World;
use crate::support::{content_type, name};

/// Few, so that operations meet.
const NAMES: [&str; 8] = ["a", "b", "b/c", "b/d", "c", "é", "longer-name", "z"];
const TYPES: [&str; 4] = [
    "application/json",
    "text/plain",
    "text/plain; charset=utf-8",
    "application/octet-stream",
];

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Batch {
        writes: Vec<Write>,
        durable: bool,
        applied: Option<u8>,
    },
    Pass {
        millis: u64,
    },
    Read {
        name: Who,
        from: Place,
        max_bytes: u64,
    },
    List {
        prefix: &'static str,
        after: Option<&'static str>,
        limit: usize,
    },
    Reopen,
    Maintain,
    Checkpoint,
    BeginCheckpoint {
        applied: u8,
    },
    EndCheckpoints,
    Export,
}

/// A stream, mostly one that is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who {
    exists: bool,
    index: prop::sample::Index,
}

/// A position in a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// None is named: the beginning of a read, the tail for a fork.
    Unnamed,
    Now,
    Tail,
    Beyond,
    /// So many 256ths of the stream.
    Part(u8),
    /// The end of a message.
    End(prop::sample::Index),
}

#[derive(Debug, Clone)]
pub(crate) struct Write {
    /// The clock may run back by so much.
    pub(crate) back_millis: u64,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Create {
        name: Who,
        content_type: Option<usize>,
        lifetime: Life,
        messages: Vec<usize>,
        closed: bool,
        fork: Option<(Who, Place, u64)>,
    },
    Append {
        name: Who,
        /// `None` takes the stream's own.
        content_type: Option<usize>,
        messages: Vec<usize>,
        close: bool,
        seq: Option<u8>,
        producer: Option<By>,
    },
    Delete(Who),
    Touch(Who),
    Expire {
        grace_millis: u64,
    },
}

#[derive(Debug, Clone, Copy)]
enum Life {
    Forever,
    Ttl(u64),
    Expires { millis: u64 },
}

#[derive(Debug, Clone, Copy)]
struct By {
    id: usize,
    /// Added to the epoch in force, less one.
    epoch: u64,
    /// Added to the next sequence number, less one.
    seq: u64,
    restart: bool,
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..40)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (vec(write(), 1..8), prop::bool::weighted(0.2), option::of(any::<u8>()))
            .prop_map(|(writes, durable, applied)| Step::Batch { writes, durable, applied }),
        3 => prop_oneof![0_u64..2_000, 2_000_u64..30_000].prop_map(|millis| Step::Pass { millis }),
        4 => (who(0.95), place(), prop_oneof![0_u64..40, Just(300_000), Just(u64::MAX)])
            .prop_map(|(name, from, max_bytes)| Step::Read { name, from, max_bytes }),
        1 => (
            prop::sample::select(vec!["", "b", "b/", "x"]),
            option::of(prop::sample::select(vec!["a", "b", "b/c", "zz"])),
            0_usize..4
        )
            .prop_map(|(prefix, after, limit)| Step::List { prefix, after, limit }),
        1 => Just(Step::Reopen),
        2 => Just(Step::Maintain),
        1 => Just(Step::Checkpoint),
        2 => any::<u8>().prop_map(|applied| Step::BeginCheckpoint { applied }),
        2 => Just(Step::EndCheckpoints),
        1 => Just(Step::Export),
    ]
}

fn write() -> impl Strategy<Value = Write> {
    let back = prop_oneof![9 => Just(0), 1 => 0_u64..3_000];
    (back, what()).prop_map(|(back_millis, what)| Write { back_millis, what })
}

fn what() -> impl Strategy<Value = What> {
    let fork = (who(0.9), place(), prop_oneof![3 => Just(0_u64), 1 => 0_u64..8]);
    let by = (0_usize..2, 0_u64..3, 0_u64..3, any::<bool>());
    let by = by.prop_map(|(id, epoch, seq, restart)| By {
        id,
        epoch,
        seq,
        restart,
    });
    let given = || prop_oneof![9 => Just(None), 1 => (0..TYPES.len()).prop_map(Some)];
    let rarely = || prop::bool::weighted(0.06);
    prop_oneof![
        6 => (
            who(0.2),
            option::weighted(0.4, 0..TYPES.len()),
            life(),
            messages(0),
            rarely(),
            option::weighted(0.7, fork)
        )
            .prop_map(|(name, content_type, lifetime, messages, closed, fork)| What::Create {
                name,
                content_type,
                lifetime,
                messages,
                closed,
                fork
            }),
        10 => (
            who(0.95),
            given(),
            messages(1),
            rarely(),
            option::weighted(0.2, any::<u8>()),
            option::weighted(0.4, by)
        )
            .prop_map(|(name, content_type, messages, close, seq, producer)| What::Append {
                name,
                content_type,
                messages,
                close,
                seq,
                producer
            }),
        1 => who(0.9).prop_map(What::Delete),
        1 => who(0.9).prop_map(What::Touch),
        1 => (0_u64..5_000).prop_map(|grace_millis| What::Expire { grace_millis }),
    ]
}

/// One that exists with that probability, if any does.
fn who(exists: f64) -> impl Strategy<Value = Who> {
    let who = (prop::bool::weighted(exists), any::<prop::sample::Index>());
    who.prop_map(|(exists, index)| Who { exists, index })
}

impl Who {
    pub(crate) fn name(self, world: &World) -> StreamName {
        if self.exists && !world.streams.is_empty() {
            let at = self.index.index(world.streams.len());
            world.streams.keys().nth(at).unwrap().clone()
        } else {
            name(NAMES[self.index.index(NAMES.len())])
        }
    }
}

fn life() -> impl Strategy<Value = Life> {
    prop_oneof![
        5 => Just(Life::Forever),
        2 => (0_u64..60).prop_map(Life::Ttl),
        1 => (0_u64..60_000).prop_map(|millis| Life::Expires { millis }),
    ]
}

/// How long messages are. Some are longer than a row.
fn messages(least: usize) -> impl Strategy<Value = Vec<usize>> {
    let length = prop_oneof![20 => 1_usize..9, 1 => 20_000_usize..90_000, 1 => 130_000_usize..400_000];
    vec(length, least..4)
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        2 => Just(Place::Unnamed),
        1 => Just(Place::Now),
        1 => Just(Place::Tail),
        1 => Just(Place::Beyond),
        2 => any::<u8>().prop_map(Place::Part),
        4 => any::<prop::sample::Index>().prop_map(Place::End),
    ]
}

pub(crate) fn all_names() -> impl Iterator<Item = StreamName> {
    NAMES.iter().map(|text| name(text))
}

impl Place {
    fn offset(self, world: &World, name: &StreamName) -> Option<Offset> {
        let stream = world.streams.get(name);
        let tail = stream.map_or(0, super::world::Stream::tail);
        let position = match self {
            Self::Unnamed | Self::Now => return None,
            Self::Tail => tail,
            Self::Beyond => tail + 1,
            Self::Part(part) => tail * u64::from(part) / 256,
            Self::End(index) => {
                let messages = stream.map_or(&[][..], |stream| &stream.messages[..]);
                let count = index.index(messages.len() + 1);
                messages[..count].iter().map(|message| message.len() as u64).sum()
            }
        };
        Offset::new(position)
    }

    pub(crate) fn read_from(self, world: &World, name: &StreamName) -> ReadFrom {
        match (self, self.offset(world, name)) {
            (Self::Now, _) => ReadFrom::Now,
            (_, None) => ReadFrom::Start,
            (_, Some(offset)) => ReadFrom::At(offset),
        }
    }
}

impl Write {
    /// The operation, as the model stands now.
    pub(crate) fn op(&self, world: &World, now: Timestamp) -> Op {
        match &self.what {
            What::Create {
                name,
                content_type: given,
                lifetime,
                messages,
                closed,
                fork,
            } => {
                let given = given.map(|at| content_type(TYPES[at]));
                let fork = fork.map(|(source, place, sub_offset)| {
                    let source = source.name(world);
                    let offset = place.offset(world, &source);
                    let sub_offset = if offset.is_some() { sub_offset } else { 0 };
                    ForkRequest {
                        source,
                        offset,
                        sub_offset,
                    }
                });
                let source = fork.as_ref().and_then(|fork| world.streams.get(&fork.source));
                let is_json = match (&given, source) {
                    (Some(given), _) => given.is_json(),
                    (None, source) => source.is_some_and(|source| source.content_type.is_json()),
                };
                let create = Create {
                    content_type: given,
                    lifetime: match lifetime {
                        Life::Forever => Lifetime::Forever,
                        Life::Ttl(seconds) => Lifetime::Ttl(*seconds),
                        Life::Expires { millis } => {
                            Lifetime::ExpiresAt(Timestamp::from_millis(now.as_millis() + millis))
                        }
                    },
                    payload: payload(messages, is_json),
                    closed: *closed,
                    fork,
                };
                Op::Create(name.name(world), create)
            }
            What::Append {
                name,
                content_type: given,
                messages,
                close,
                seq,
                producer,
            } => {
                let name = name.name(world);
                let stream = world.streams.get(&name);
                let own = stream.map(|stream| stream.content_type.clone());
                let given = given.map(|at| content_type(TYPES[at])).or(own);
                let payload = payload(
                    messages,
                    given.as_ref().is_some_and(weir_protocol::ContentType::is_json),
                );
                let append = Append {
                    close: *close,
                    payload,
                    content_type: given,
                    stream_seq: seq.map(|seq| StreamSeq::new(&format!("{seq:03}")).unwrap()),
                    producer: producer.map(|by| by.headers(stream)),
                };
                Op::Append(name, append)
            }
            What::Delete(name) => Op::Delete(name.name(world)),
            What::Touch(name) => Op::Touch(name.name(world)),
            What::Expire { grace_millis } => Op::Expire {
                cutoff: Timestamp::from_millis(now.as_millis() - grace_millis),
                limit: 1000,
            },
        }
    }
}

impl By {
    fn headers(self, stream: Option<&super::world::Stream>) -> ProducerHeaders {
        let id = ["p", "producer-2"][self.id];
        let (epoch, next) = stream
            .and_then(|stream| stream.producers.get(id))
            .map_or((0, 0), |(epoch, last)| (*epoch, last + 1));
        ProducerHeaders {
            id: id.into(),
            epoch: (epoch + self.epoch).saturating_sub(1),
            seq: if self.restart {
                0
            } else {
                (next + self.seq).saturating_sub(1)
            },
        }
    }
}

/// Messages of the given lengths. Their bytes tell them apart.
fn payload(lengths: &[usize], is_json: bool) -> Payload {
    let mut bytes = Vec::new();
    for (number, length) in lengths.iter().enumerate() {
        let digit = b'1' + u8::try_from(number).unwrap() + u8::try_from(length % 5).unwrap();
        bytes.extend((0..*length).map(|at| {
            if at % 7 == 0 {
                digit
            } else {
                b'0' + u8::try_from(at % 10).unwrap()
            }
        }));
        if is_json {
            bytes.push(b',');
        }
    }
    let lengths = lengths
        .iter()
        .map(|length| u32::try_from(*length).unwrap() + u32::from(is_json));
    Payload::from_parts(bytes.into(), lengths.collect()).unwrap()
}
