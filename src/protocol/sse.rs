//! Server-Sent Events framing (protocol section 5.8).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;

use crate::content_type::ContentType;
use crate::json;
use crate::offset::Offset;

/// A `data` event for consecutive ranges of stored messages of a stream with this content type: a JSON array in JSON
/// mode, text for `text/*`, base64 for everything else.
///
/// A line break in text, in any of its three forms, begins a new `data:` line, so stored bytes can never forge an
/// event. Bytes that are not UTF-8 in a text stream are replaced, as an event stream must be UTF-8.
#[must_use]
pub fn data_event(content_type: &ContentType, chunks: &[Bytes]) -> Bytes {
    let stored: usize = chunks.iter().map(Bytes::len).sum();
    let mut out = String::with_capacity(stored + stored / 2 + 32);
    out.push_str("event: data\n");
    if content_type.is_json() {
        push_lines(
            &mut out,
            &String::from_utf8_lossy(&json::array(chunks.to_vec()).concat()),
        );
    } else if content_type.is_sse_text() {
        push_lines(&mut out, &String::from_utf8_lossy(&chunks.concat()));
    } else {
        out.push_str("data:");
        STANDARD.encode_string(chunks.concat(), &mut out);
        out.push('\n');
    }
    out.push('\n');
    out.into()
}

fn push_lines(out: &mut String, text: &str) {
    let mut rest = text;
    loop {
        out.push_str("data:");
        // A reader drops one space after the colon. None is written but where the text's own would be that one: the
        // official test suite looks for `data:` directly before the text.
        if rest.starts_with(' ') {
            out.push(' ');
        }
        match rest.find(['\r', '\n']) {
            None => {
                out.push_str(rest);
                out.push('\n');
                return;
            }
            Some(end) => {
                out.push_str(&rest[..end]);
                out.push('\n');
                let width = if rest[end..].starts_with("\r\n") { 2 } else { 1 };
                rest = &rest[end + width..];
            }
        }
    }
}

/// What a `control` event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Control {
    /// Where to read on.
    #[serde(serialize_with = "as_text")]
    pub stream_next_offset: Offset,
    /// The cursor; absent when the stream is closed.
    #[serde(serialize_with = "as_optional_text", skip_serializing_if = "Option::is_none")]
    pub stream_cursor: Option<u64>,
    /// Whether the client has everything.
    #[serde(skip_serializing_if = "is_false")]
    pub up_to_date: bool,
    /// Whether nothing will ever follow.
    #[serde(skip_serializing_if = "is_false")]
    pub stream_closed: bool,
}

impl Control {
    /// The whole `control` event.
    #[must_use]
    pub fn event(&self) -> String {
        // Serialising a struct of plain fields to memory has no way to fail.
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("event: control\ndata:{json}\n\n")
    }
}

fn as_text<S: serde::Serializer>(offset: &Offset, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(offset)
}

fn as_optional_text<S: serde::Serializer>(cursor: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match cursor {
        Some(cursor) => serializer.collect_str(cursor),
        None => serializer.serialize_none(),
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}
