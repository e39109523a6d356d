//! Messages as bytes. Every message names itself, so that whatever a reader gets says where it came from; what is not
//! whole, or was changed on the way, is garbage.

use crate::history::MessageId;

/// How a stream's messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// A JSON array of objects, with filling of various lengths.
    Json,
    /// Lines of equal length.
    Lines,
}

impl Format {
    /// A stream's format follows from its name, so that all clients agree: lines for names that end in `t`.
    pub(crate) fn of(stream: &str) -> Self {
        match stream.ends_with('t') {
            true => Self::Lines,
            false => Self::Json,
        }
    }

    /// For `Content-Type`.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Lines => "text/plain",
        }
    }
}

const HEAD_BYTES: usize = 16 + 1 + 16 + 1;
/// Client and counter, a checksum of both, and a line feed.
pub(crate) const LINE_BYTES: usize = HEAD_BYTES + 8 + 1;

/// A body with these messages.
pub(crate) fn encode(format: Format, messages: &[MessageId]) -> Vec<u8> {
    match format {
        Format::Json => {
            let texts: Vec<String> = messages.iter().map(|id| object(*id)).collect();
            format!("[{}]", texts.join(",")).into_bytes()
        }
        Format::Lines => messages.iter().flat_map(|id| line(*id).into_bytes()).collect(),
    }
}

/// The messages in a body, in order, and how many pieces of it are none.
pub(crate) fn decode(format: Format, body: &[u8]) -> (Vec<MessageId>, u64) {
    match format {
        Format::Json => decode_json(body),
        Format::Lines => decode_lines(body),
    }
}

fn head(id: MessageId) -> String {
    format!("{:016x}.{:016x}.", id.0, id.1)
}

fn line(id: MessageId) -> String {
    let head = head(id);
    format!("{head}{:08x}\n", crc32c::crc32c(head.as_bytes()))
}

fn object(id: MessageId) -> String {
    let head = head(id);
    let sum = crc32c::crc32c(head.as_bytes());
    // From 0 to 255 bytes, the same for the same message.
    let filling = "x".repeat((sum & 0xff) as usize);
    format!(r#"{{"c":{},"n":{},"sum":{sum},"fill":"{filling}"}}"#, id.0, id.1)
}

fn decode_json(body: &[u8]) -> (Vec<MessageId>, u64) {
    if body.is_empty() {
        return (Vec::new(), 0);
    }
    let Ok(values) = serde_json::from_slice::<Vec<serde_json::Value>>(body) else {
        return (Vec::new(), 1);
    };
    let mut garbage = 0;
    let mut messages = Vec::with_capacity(values.len());
    for value in values {
        let id = || Some(MessageId(value.get("c")?.as_u64()?, value.get("n")?.as_u64()?));
        match id() {
            Some(id) if serde_json::from_str(&object(id)).is_ok_and(|ours: serde_json::Value| ours == value) => {
                messages.push(id);
            }
            _ => garbage += 1,
        }
    }
    (messages, garbage)
}

fn decode_lines(body: &[u8]) -> (Vec<MessageId>, u64) {
    let mut garbage = 0;
    let mut messages = Vec::with_capacity(body.len() / LINE_BYTES);
    for piece in body.chunks(LINE_BYTES) {
        match parse_line(piece) {
            Some(id) => messages.push(id),
            None => garbage += 1,
        }
    }
    (messages, garbage)
}

fn parse_line(piece: &[u8]) -> Option<MessageId> {
    let text = std::str::from_utf8(piece).ok()?;
    let mut fields = text.split('.');
    let mut number = || u64::from_str_radix(fields.next()?, 16).ok();
    let id = MessageId(number()?, number()?);
    (line(id) == text).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [MessageId; 3] = [MessageId(0, 0), MessageId(3, 17), MessageId(u64::MAX, 5)];

    #[test]
    fn what_is_written_is_read() {
        for format in [Format::Json, Format::Lines] {
            let body = encode(format, &IDS);
            assert_eq!(decode(format, &body), (IDS.to_vec(), 0), "{format:?}");
            assert_eq!(decode(format, b""), (Vec::new(), 0));
        }
        assert_eq!(decode(Format::Json, b"[]"), (Vec::new(), 0));
    }

    #[test]
    fn changed_and_torn_messages_are_garbage() {
        let body = encode(Format::Lines, &IDS);
        assert_eq!(decode(Format::Lines, &body[..body.len() - 3]).1, 1);
        assert!(decode(Format::Lines, &body[1..]).1 >= 2);
        for at in 0..body.len() {
            let mut changed = body.clone();
            changed[at] ^= 1;
            assert_eq!(decode(Format::Lines, &changed).1, 1, "byte {at}");
        }
        let body = encode(Format::Json, &IDS);
        assert_eq!(decode(Format::Json, &body[1..]).1, 1);
        for at in 0..body.len() {
            let mut changed = body.clone();
            changed[at] ^= 1;
            assert!(decode(Format::Json, &changed) != (IDS.to_vec(), 0), "byte {at}");
        }
    }
}
