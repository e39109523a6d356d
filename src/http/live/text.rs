//! Where a text stream may be cut into events.
//!
//! Writers cut text wherever their buffers end, even inside a character, and an event must be whole characters. A CR at
//! the end may be half of a CRLF, and told as two events it would become two line breaks. So what is not finished at
//! the end of an event waits for what follows it.

use bytes::Bytes;
use weir_protocol::{ContentType, ReadResult};

/// How many bytes at the end of a read are left to the next event. None at the end of the stream, where nothing will
/// ever finish them, and none in types that carry no raw text: JSON messages are whole, and base64 takes any bytes.
pub(crate) fn unfinished(result: &ReadResult) -> usize {
    if result.at_end() || !is_raw_text(&result.content_type) {
        return 0;
    }
    // A character has at most 4 bytes, so at most 3 can be there without its end.
    let mut tail = [0; 3];
    let mut filled = 0;
    let bytes = result.runs.iter().rev().flat_map(|run| run.payload.iter().rev());
    for (slot, byte) in tail.iter_mut().rev().zip(bytes) {
        *slot = *byte;
        filled += 1;
    }
    unfinished_tail(&tail[tail.len() - filled..])
}

fn is_raw_text(content_type: &ContentType) -> bool {
    content_type.is_sse_text() && !content_type.is_json()
}

fn unfinished_tail(tail: &[u8]) -> usize {
    if tail.ends_with(b"\r") {
        return 1;
    }
    let is_cut = |length: &usize| match std::str::from_utf8(&tail[tail.len() - length..]) {
        Ok(_) => false,
        Err(error) => error.valid_up_to() == 0 && error.error_len().is_none(),
    };
    (1..=tail.len()).find(is_cut).unwrap_or(0)
}

/// The stored bytes of a read without the last `held` of them.
pub(crate) fn without_end(result: &ReadResult, mut held: usize) -> Vec<Bytes> {
    let mut chunks: Vec<Bytes> = result.runs.iter().map(|run| run.payload.clone()).collect();
    while let Some(last) = chunks.last_mut().filter(|_| held > 0) {
        let cut = held.min(last.len());
        last.truncate(last.len() - cut);
        held -= cut;
        if last.is_empty() {
            chunks.pop();
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::unfinished_tail;

    #[test]
    fn only_what_can_still_be_finished_waits() {
        for (tail, held) in [
            (&b""[..], 0),
            (b"abc", 0),
            (b"a\n", 0),
            (b"a\r", 1),
            (b"\r\r", 1),
            (b"\xc3", 1),
            ("é".as_bytes(), 0),
            (b"a\xe2", 1),
            (b"a\xe2\x82", 2),
            ("€".as_bytes(), 0),
            (b"\xf0\x9f\x98", 3),
            // No beginning of a character: bytes that never were UTF-8 are not waited for.
            (b"\x80", 0),
            (b"\xff", 0),
            (b"\xe2\x28", 0),
            (b"\xe0\x80", 0),
            (b"\xc3\xc3", 1),
        ] {
            assert_eq!(unfinished_tail(tail), held, "{tail:x?}");
        }
    }
}
