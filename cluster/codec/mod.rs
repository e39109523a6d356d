//! Commands, answers and reads as the protobuf messages of `proto/entry.proto`, and back.
//!
//! What comes back from bytes is checked like any input: a message that is not one of ours is refused, never guessed.

mod command;
mod failure;
mod fork;
mod outcome;
mod read;

pub(crate) use command::{op_from_pb, op_to_pb};
pub(crate) use fork::{fetch_from_pb, fetch_to_pb, fetched_from_pb, fetched_to_pb};
pub(crate) use outcome::{outcome_from_pb, outcome_to_pb};
pub(crate) use read::{
    consistency, head_answer_from_pb, head_answer_to_pb, list_answer_from_pb, list_answer_to_pb, read_answer_from_pb,
    read_answer_to_pb, read_from_pb, read_to_pb,
};

use weir_proto::entry as pb;
use weir_protocol::{ContentType, Lifetime, Offset, Payload, StreamName, Timestamp};

/// A message that cannot be one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message is malformed")]
pub(crate) struct Malformed;

impl From<prost::DecodeError> for Malformed {
    fn from(_: prost::DecodeError) -> Self {
        Self
    }
}

fn name(text: &str) -> Result<StreamName, Malformed> {
    StreamName::new(text).map_err(|_| Malformed)
}

fn offset(position: u64) -> Result<Offset, Malformed> {
    Offset::new(position).ok_or(Malformed)
}

fn content_type(text: &str) -> Result<ContentType, Malformed> {
    ContentType::parse(text).map_err(|_| Malformed)
}

fn payload_to_pb(payload: &Payload) -> pb::Payload {
    pb::Payload {
        data: payload.bytes().clone(),
        lengths: payload.lengths().to_vec(),
    }
}

fn payload_from_pb(payload: Option<pb::Payload>) -> Result<Payload, Malformed> {
    match payload {
        Some(payload) => Payload::from_parts(payload.data, payload.lengths).ok_or(Malformed),
        None => Ok(Payload::empty()),
    }
}

fn lifetime_to_pb(lifetime: Lifetime) -> pb::Lifetime {
    match lifetime {
        Lifetime::Forever => pb::Lifetime::default(),
        Lifetime::Ttl(seconds) => pb::Lifetime {
            ttl_seconds: Some(seconds),
            expires_at: None,
        },
        Lifetime::ExpiresAt(at) => pb::Lifetime {
            ttl_seconds: None,
            expires_at: Some(at.as_millis()),
        },
    }
}

fn lifetime_from_pb(lifetime: Option<&pb::Lifetime>) -> Result<Lifetime, Malformed> {
    match lifetime.map(|lifetime| (lifetime.ttl_seconds, lifetime.expires_at)) {
        None | Some((None, None)) => Ok(Lifetime::Forever),
        Some((Some(seconds), None)) => Ok(Lifetime::Ttl(seconds)),
        Some((None, Some(at))) => Ok(Lifetime::ExpiresAt(Timestamp::from_millis(at))),
        Some((Some(_), Some(_))) => Err(Malformed),
    }
}
