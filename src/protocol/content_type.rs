//! Media types (protocol section 9).

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// The longest content type, in bytes.
pub const MAX_CONTENT_TYPE_BYTES: usize = 255;

/// A stream's media type, as it is stored and returned: type and subtype in lower case, parameters as they were sent,
/// because the case of a value may matter (a multipart boundary).
///
/// Two types are the same when their media types are the same, whatever their parameters:
/// [`ContentType::same_media_type`]. `==` compares parameters as well.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ContentType(Arc<str>);

const WHITE_SPACE: [char; 2] = [' ', '\t'];

/// The text is not a media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the content type is not a media type such as 'text/plain'")]
pub struct ContentTypeError;

impl ContentType {
    /// Parses a `Content-Type` header's value: `type "/" subtype *( ";" parameter )` of RFC 9110 section 8.3.1.
    ///
    /// # Errors
    /// [`ContentTypeError`] when type or subtype is missing or is no token, when a parameter is not `name=token` or
    /// `name="text"`, on characters outside printable ASCII, or past [`MAX_CONTENT_TYPE_BYTES`].
    pub fn parse(text: &str) -> Result<Self, ContentTypeError> {
        let text = text.trim_matches(WHITE_SPACE);
        if text.len() > MAX_CONTENT_TYPE_BYTES || !text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
            return Err(ContentTypeError);
        }
        let essence = essence(text);
        let (kind, subtype) = essence.split_once('/').ok_or(ContentTypeError)?;
        let parameters = text.get(essence.len()..).unwrap_or_default();
        if is_token(kind) && is_token(subtype) && are_parameters(parameters) {
            // Every append brings one, and nearly all are in lower case already.
            Ok(Self(match essence.bytes().any(|byte| byte.is_ascii_uppercase()) {
                true => format!("{}{parameters}", essence.to_ascii_lowercase()).into(),
                false => text.into(),
            }))
        } else {
            Err(ContentTypeError)
        }
    }

    /// `application/octet-stream`, what a stream gets when its creator names no type.
    #[must_use]
    pub fn octet_stream() -> Self {
        Self("application/octet-stream".into())
    }

    /// The type as text, with its parameters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The media type without parameters, lower-case.
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
    text.split(';').next().unwrap_or_default().trim_end_matches(WHITE_SPACE)
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_token_char)
}

fn is_token_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(char)
}

/// Whether `rest`, all that follows the subtype, is `*( OWS ";" OWS [ parameter ] )`.
fn are_parameters(rest: &str) -> bool {
    let mut rest = rest.trim_start_matches(WHITE_SPACE);
    while !rest.is_empty() {
        let Some(after) = rest.strip_prefix(';') else {
            return false;
        };
        rest = after.trim_start_matches(WHITE_SPACE);
        if !rest.is_empty() && !rest.starts_with(';') {
            let Some(after) = after_parameter(rest) else {
                return false;
            };
            rest = after.trim_start_matches(WHITE_SPACE);
        }
    }
    true
}

/// What follows the parameter with which `text` begins; `None` when it begins with none.
fn after_parameter(text: &str) -> Option<&str> {
    let (_, value) = text.split_once('=').filter(|(name, _)| is_token(name))?;
    if let Some(quoted) = value.strip_prefix('"') {
        return after_quoted(quoted);
    }
    let rest = value.trim_start_matches(is_token_char);
    (rest.len() < value.len()).then_some(rest)
}

/// What follows the closing quote; a backslash takes the meaning from the character after it.
fn after_quoted(text: &str) -> Option<&str> {
    let mut escaped = false;
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return text.get(at + 1..),
            _ => {}
        }
    }
    None
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
