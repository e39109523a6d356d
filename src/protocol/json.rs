//! JSON mode (protocol section 9.1).

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::{Deserializer as _, SeqAccess, Visitor};
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
    let mut framing = Framing {
        // Of an array each message has the comma or bracket that followed it; a single value gets one.
        bytes: BytesMut::with_capacity(body.len() + 1),
        lengths: Vec::new(),
        has_too_large: false,
    };
    let first = body.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    if first == Some(&b'[') {
        let mut parser = serde_json::Deserializer::from_slice(body);
        parser.deserialize_seq(&mut framing).map_err(invalid)?;
        parser.end().map_err(invalid)?;
    } else {
        framing.add(serde_json::from_slice(body).map_err(invalid)?);
    }
    if framing.has_too_large {
        return Err(JsonError::TooLarge);
    }
    Payload::from_parts(framing.bytes.freeze(), framing.lengths).ok_or(JsonError::TooLarge)
}

/// Messages, framed as they are parsed: a list of where they are would take eight times what a body of numbers does.
struct Framing {
    bytes: BytesMut,
    lengths: Vec<u32>,
    has_too_large: bool,
}

impl Framing {
    fn add(&mut self, message: &RawValue) {
        let text = message.get().as_bytes();
        let length = u32::try_from(text.len() + 1);
        self.has_too_large |= length.is_err();
        self.lengths.push(length.unwrap_or(u32::MAX));
        self.bytes.put_slice(text);
        self.bytes.put_u8(b',');
    }
}

impl<'de> Visitor<'de> for &mut Framing {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(message) = elements.next_element()? {
            self.add(message);
        }
        Ok(())
    }
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
