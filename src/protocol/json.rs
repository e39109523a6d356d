//! JSON mode (protocol section 9.1).

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::payload::Payload;

/// Why a JSON body is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JsonError {
    /// Not valid JSON; the text says where.
    #[error("the body is not valid JSON: {0}")]
    Invalid(String),
    /// A single message of 4 GiB or more.
    #[error("a JSON message is too large")]
    TooLarge,
}

/// Splits a body into its messages: the elements of a top-level array (flattened one level), or the one value.
///
/// The client's bytes of each message are kept as they are; white space around messages is dropped. An empty array
/// gives an empty payload: whether that is allowed depends on the operation (section 9.1.3).
///
/// # Errors
/// [`JsonError::Invalid`] unless the whole body is one JSON value.
pub fn split(body: &Bytes) -> Result<Payload, JsonError> {
    let invalid = |error: serde_json::Error| JsonError::Invalid(error.to_string());
    let first = body.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    let messages: Vec<&RawValue> = if first == Some(&b'[') {
        serde_json::from_slice(body).map_err(invalid)?
    } else {
        vec![serde_json::from_slice(body).map_err(invalid)?]
    };
    let mut framed = BytesMut::with_capacity(body.len() + messages.len() + 1);
    let mut lengths = Vec::with_capacity(messages.len());
    for message in messages {
        let text = message.get().as_bytes();
        lengths.push(u32::try_from(text.len() + 1).map_err(|_| JsonError::TooLarge)?);
        framed.put_slice(text);
        framed.put_u8(b',');
    }
    Payload::from_parts(framed.freeze(), lengths).ok_or(JsonError::TooLarge)
}

/// The pieces of the JSON array for stored messages: `[`, the chunks without the last comma, `]`.
///
/// `chunks` are consecutive ranges of whole stored messages (each ends with a comma), as a read returns them.
#[must_use]
pub fn array(chunks: Vec<Bytes>) -> Vec<Bytes> {
    let mut pieces = Vec::with_capacity(chunks.len() + 2);
    pieces.push(Bytes::from_static(b"["));
    pieces.extend(chunks.into_iter().filter(|chunk| !chunk.is_empty()));
    if let Some(last) = pieces.last_mut().filter(|last| last.ends_with(b",")) {
        last.truncate(last.len() - 1);
    }
    pieces.push(Bytes::from_static(b"]"));
    pieces
}
