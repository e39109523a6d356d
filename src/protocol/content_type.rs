//! Media types (protocol section 9).

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// The longest content type, in bytes.
pub const MAX_CONTENT_TYPE_BYTES: usize = 255;

/// A stream's media type, lower-case, as it is stored and returned.
///
/// Parameters are kept (`text/plain; charset=utf-8`), but two types are the same when their media types are the same:
/// [`ContentType::same_media_type`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ContentType(Arc<str>);

/// The text is not a media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the content type is not a media type such as 'text/plain'")]
pub struct ContentTypeError;

impl ContentType {
    /// Parses a `Content-Type` header's value: `type "/" subtype *( ";" parameter )` of RFC 9110 section 8.3.1.
    ///
    /// # Errors
    /// [`ContentTypeError`] when type or subtype is missing or is no token, when a parameter has characters outside
    /// printable ASCII, or past [`MAX_CONTENT_TYPE_BYTES`].
    pub fn parse(text: &str) -> Result<Self, ContentTypeError> {
        let text = text.trim_matches([' ', '\t']);
        if text.len() > MAX_CONTENT_TYPE_BYTES || !text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
            return Err(ContentTypeError);
        }
        let essence = essence(text);
        let (kind, subtype) = essence.split_once('/').ok_or(ContentTypeError)?;
        if is_token(kind) && is_token(subtype) {
            Ok(Self(text.to_ascii_lowercase().into()))
        } else {
            Err(ContentTypeError)
        }
    }

    /// `application/octet-stream`, what a stream gets when its creator names no type.
    #[must_use]
    pub fn octet_stream() -> Self {
        Self("application/octet-stream".into())
    }

    /// The type as text, lower-case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The media type without parameters.
    #[must_use]
    pub fn essence(&self) -> &str {
        essence(&self.0)
    }

    /// Whether both name the same media type, whatever their parameters.
    #[must_use]
    pub fn same_media_type(&self, other: &Self) -> bool {
        self.essence() == other.essence()
    }

    /// Whether the stream is in JSON mode (protocol section 9.1).
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.essence() == "application/json"
    }

    /// Whether SSE carries this type as text; every other type is base64-encoded (protocol section 5.8).
    #[must_use]
    pub fn is_sse_text(&self) -> bool {
        self.is_json() || self.essence().starts_with("text/")
    }
}

fn essence(text: &str) -> &str {
    text.split(';').next().unwrap_or_default().trim_end_matches([' ', '\t'])
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}
