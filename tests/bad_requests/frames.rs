//! HTTP/2: frames that no client library would send.

use super::case::{Case, Expect, Talk};
use crate::harness::Weir;
use crate::harness::wire::{self, Step};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const PROTOCOL_ERROR: u32 = 1;
const FRAME_SIZE_ERROR: u32 = 6;
const CANCEL: u32 = 8;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = heads();
    cases.extend(bodies());
    cases.extend(connections());
    cases
}

fn frame(kind: u8, flags: u8, stream_id: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream_id.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A header block of literal fields (RFC 7541 section 6.2.2), each name and value below 127 bytes.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

const APPEND: [(&str, &str); 5] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "weir.test"),
    (":path", "/v1/stream/text"),
    ("content-type", "text/plain"),
];

/// The whole of an append whose head has these fields besides those that are always there.
fn append_with(more: &[(&str, &str)]) -> Vec<u8> {
    let fields: Vec<_> = APPEND.iter().chain(more).copied().collect();
    append_of(&fields)
}

fn append_of(fields: &[(&str, &str)]) -> Vec<u8> {
    [
        frame(HEADERS, END_HEADERS, 1, &block(fields)),
        frame(DATA, END_STREAM, 1, b"hello"),
    ]
    .concat()
}

fn raw(name: &str, frames: Vec<u8>, expect: Expect) -> Case {
    let opening = [PREFACE, &frame(SETTINGS, 0, 0, b"")].concat();
    Case::new(
        format!("http2: {name}"),
        Talk::Frames(vec![Step::Send(opening), Step::Send(frames)]),
        expect,
    )
}

/// Malformed messages (RFC 9113 section 8.1.1) end the stream; the connection lives on.
fn heads() -> Vec<Case> {
    let reset = |name: &str, frames: Vec<u8>| raw(name, frames, Expect::Reset(PROTOCOL_ERROR));
    let without = |name: &str| {
        APPEND
            .iter()
            .filter(|(key, _)| *key != name)
            .copied()
            .collect::<Vec<_>>()
    };
    let late: Vec<_> = without(":path")
        .into_iter()
        .chain([(":path", "/v1/stream/text")])
        .collect();
    vec![
        reset("no method", append_of(&without(":method"))),
        reset("no path", append_of(&without(":path"))),
        reset("no scheme", append_of(&without(":scheme"))),
        reset("two paths", append_with(&[(":path", "/v1/stream/json")])),
        reset("a pseudo-header after a header", append_of(&late)),
        reset("a status in a request", append_with(&[(":status", "200")])),
        reset("a connection header", append_with(&[("connection", "close")])),
        reset("a transfer coding", append_with(&[("transfer-encoding", "chunked")])),
    ]
}

fn bodies() -> Vec<Case> {
    let head = |length| {
        frame(
            HEADERS,
            END_HEADERS,
            1,
            &block(&[APPEND.as_slice(), &[("content-length", length)]].concat()),
        )
    };
    let reset = |name: &str, frames: Vec<u8>| raw(name, frames, Expect::Reset(PROTOCOL_ERROR));
    let abandoned = |name: &str, frames: Vec<u8>| {
        let opening = [PREFACE, &frame(SETTINGS, 0, 0, b"")].concat();
        let steps = vec![Step::Send(opening), Step::Send(frames), Step::Abandon];
        Case::new(format!("http2: {name}"), Talk::Frames(steps), Expect::Closed)
    };
    let begun = [head("100"), frame(DATA, 0, 1, b"only the beginning")].concat();
    let cancelled = [begun.clone(), frame(RST_STREAM, 0, 1, &CANCEL.to_be_bytes())].concat();
    vec![
        reset(
            "less than its length",
            [head("100"), frame(DATA, END_STREAM, 1, b"hello")].concat(),
        ),
        reset(
            "more than its length",
            [head("2"), frame(DATA, END_STREAM, 1, b"hello")].concat(),
        ),
        reset(
            "a length that is no number",
            [head("five"), frame(DATA, END_STREAM, 1, b"hello")].concat(),
        ),
        abandoned("a body that is cancelled", cancelled),
        abandoned("a body that is left", begun),
    ]
}

/// Errors of the connection end all of it. The h2 library says PROTOCOL_ERROR where RFC 9113 has a finer code.
fn connections() -> Vec<Case> {
    let end = |name: &str, frames: Vec<u8>, code| raw(name, frames, Expect::GoAway(code));
    let zero = 0_u32.to_be_bytes();
    let huge = vec![b'x'; 16 * 1024 + 1];
    let open = frame(HEADERS, END_HEADERS, 1, &block(&APPEND));
    vec![
        end(
            "an unknown pseudo-header",
            append_with(&[(":stream", "text")]),
            PROTOCOL_ERROR,
        ),
        end(
            "a header name in capitals",
            append_with(&[("Stream-Seq", "z")]),
            PROTOCOL_ERROR,
        ),
        end(
            "a line break in a value",
            append_with(&[("stream-seq", "z\r\nstream-closed: true")]),
            PROTOCOL_ERROR,
        ),
        end("data on stream 0", frame(DATA, END_STREAM, 0, b"hello"), PROTOCOL_ERROR),
        end(
            "data on a stream that was not opened",
            frame(DATA, END_STREAM, 1, b"hello"),
            PROTOCOL_ERROR,
        ),
        end(
            "a stream of the server's",
            frame(HEADERS, END_HEADERS | END_STREAM, 2, &block(&APPEND)),
            PROTOCOL_ERROR,
        ),
        end(
            "a block that refers to nothing",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x80]),
            PROTOCOL_ERROR,
        ),
        end(
            "a continuation of nothing",
            frame(CONTINUATION, END_HEADERS, 1, &block(&APPEND)),
            PROTOCOL_ERROR,
        ),
        end(
            "a head that another frame cuts",
            [frame(HEADERS, 0, 1, &block(&APPEND)), frame(PING, 0, 0, &[0; 8])].concat(),
            PROTOCOL_ERROR,
        ),
        end(
            "a frame that is too large",
            [open.clone(), frame(DATA, END_STREAM, 1, &huge)].concat(),
            FRAME_SIZE_ERROR,
        ),
        end(
            "settings of a wrong size",
            frame(SETTINGS, 0, 0, &[0; 5]),
            PROTOCOL_ERROR,
        ),
        end("a ping of a wrong size", frame(PING, 0, 0, &[0; 4]), PROTOCOL_ERROR),
        end(
            "a window that grows by 0",
            frame(WINDOW_UPDATE, 0, 0, &zero),
            PROTOCOL_ERROR,
        ),
    ]
}

/// Sends frames and looks for the reset or the end that must come back.
pub(super) fn judge(weir: &Weir, steps: Vec<Step>, expect: Expect) -> Result<(), String> {
    let received = wire::converse(weir.address(), steps, |received| verdict(received).is_some());
    let fits = match (verdict(&received), expect) {
        (Some((RST_STREAM, found)), Expect::Reset(code)) | (Some((GOAWAY, found)), Expect::GoAway(code)) => {
            found == code
        }
        (None, Expect::Closed) => received.is_empty(),
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        Err(format!("got frames {:?} of {received:?}", verdict(&received)))
    }
}

/// The first frame that ends something, by its type and error code; type HEADERS means that there was an answer.
fn verdict(mut received: &[u8]) -> Option<(u8, u32)> {
    while let Some((&[a, b, c, kind, _, _, _, _, _], rest)) = received.split_first_chunk::<9>() {
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
        let payload = rest.get(..length)?;
        let code = |at: usize| {
            payload
                .get(at..at + 4)
                .map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()))
        };
        match kind {
            RST_STREAM => return Some((kind, code(0)?)),
            GOAWAY => return Some((kind, code(4)?)),
            HEADERS => return Some((kind, 0)),
            _ => received = &rest[length..],
        }
    }
    None
}
