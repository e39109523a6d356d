//! JSON mode: bodies as messages, and messages as arrays.

use bytes::Bytes;
use serde_json::Value;
use weir_protocol::{Run, json};

use crate::grammar::{is_json, skip_space};

/// Takes the bytes as a body in JSON mode.
///
/// # Panics
/// When JSON is refused or something else is taken, when a message's bytes are not those that were sent, or when an
/// array of stored messages is not the array of the values that were sent.
pub fn json(data: &[u8]) {
    let split = json::split(&Bytes::copy_from_slice(data));
    assert_eq!(split.is_ok(), is_json(data), "{split:?}");
    let Ok(payload) = split else {
        return;
    };
    let run = Run {
        payload: payload.bytes().clone(),
        lengths: payload.lengths().to_vec(),
    };
    let stored: Vec<Bytes> = run.messages().collect();
    assert_eq!(stored.concat(), run.payload, "the lengths do not add up");
    let messages: Vec<&[u8]> = stored
        .iter()
        .map(|stored| stored.strip_suffix(b",").expect("a stored message ends with a comma"))
        .collect();
    are_the_body(data, &messages);
    have_the_values(data, &messages);
    read_as_arrays(&run.payload, &stored, &messages);
}

/// Every byte of the body is a message's, in order, or framing.
fn are_the_body(body: &[u8], messages: &[&[u8]]) {
    let body = skip_space(body);
    let inner = body.strip_prefix(b"[");
    let mut rest = inner.unwrap_or(body);
    for (index, message) in messages.iter().enumerate() {
        assert!(is_json(message) && skip_space(message) == *message && !message.ends_with(b"\n"));
        rest = skip_space(rest);
        if index > 0 {
            rest = skip_space(rest.strip_prefix(b",").expect("a comma is between two messages"));
        }
        rest = rest.strip_prefix(*message).expect("a message is in the body as it is");
    }
    rest = skip_space(rest);
    if inner.is_some() {
        rest = rest.strip_prefix(b"]").expect("the array ends after its last message");
    }
    assert_eq!(skip_space(rest), b"");
}

/// Where `serde_json` can represent the body, the messages are the array's elements, or the one value.
fn have_the_values(body: &[u8], messages: &[&[u8]]) {
    let sent = match serde_json::from_slice(body) {
        Ok(Value::Array(elements)) => elements,
        Ok(value) => vec![value],
        // Too deep, too large a number, or half a surrogate pair: the grammar has them all.
        Err(_) => return,
    };
    let read = messages.iter().map(|message| serde_json::from_slice(message));
    let read: Vec<Value> = read.collect::<Result<_, _>>().expect("a part of what parses, parses");
    assert_eq!(read, sent);
}

/// Any range of whole messages, however it is cut between them, reads as the array of these messages.
fn read_as_arrays(payload: &Bytes, stored: &[Bytes], messages: &[&[u8]]) {
    let expected = |messages: &[&[u8]]| [b"[".as_slice(), &messages.join(&b','), b"]"].concat();
    let first = stored.first().map_or(0, Bytes::len);
    let halves = vec![payload.slice(..first), payload.slice(first..)];
    for chunks in [vec![payload.clone()], stored.to_vec(), halves] {
        assert_eq!(json::array(chunks).concat(), expected(messages));
    }
    let later = messages.get(1..).unwrap_or_default();
    let text = json::array(vec![payload.slice(first..)]).concat();
    assert!(text == expected(later) && is_json(&text));
}
