//! Stream names.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// The longest name, in bytes of UTF-8 after percent-decoding.
pub const MAX_NAME_BYTES: usize = 1024;

/// First path segment that the protocol reserves for its control APIs (protocol section 6).
pub const RESERVED_SEGMENT: &str = "__ds";

/// A valid stream name: the path below the stream root, percent-decoded, without a leading slash.
///
/// One or more non-empty segments joined by `/`; no control character, no `.` or `..` segment, at most
/// [`MAX_NAME_BYTES`] bytes, and not under [`RESERVED_SEGMENT`]. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(Arc<str>);

/// Why a text is not a stream name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing follows the stream root.
    #[error("the stream name is empty")]
    Empty,
    /// Longer than [`MAX_NAME_BYTES`].
    #[error("the stream name is longer than {MAX_NAME_BYTES} bytes")]
    TooLong,
    /// Two slashes in a row, or a slash at either end.
    #[error("the stream name has an empty segment")]
    EmptySegment,
    /// A `.` or `..` segment.
    #[error("the stream name has a '.' or '..' segment")]
    DotSegment,
    /// A control character, such as a NUL or a line break.
    #[error("the stream name has a control character")]
    ControlCharacter,
    /// The percent-encoding is broken, does not decode to UTF-8, or leaves a `?` or `#` plain, which end a URL's path.
    #[error("the stream name is not percent-encoded UTF-8")]
    Encoding,
    /// The first segment is `__ds`.
    #[error("the stream name is reserved: its first segment is '{RESERVED_SEGMENT}'")]
    Reserved,
}

impl StreamName {
    /// Checks a name that is already percent-decoded.
    ///
    /// # Errors
    /// The first rule of [`StreamName`] that the text breaks.
    pub fn new(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > MAX_NAME_BYTES {
            return Err(NameError::TooLong);
        }
        if name.chars().any(char::is_control) {
            return Err(NameError::ControlCharacter);
        }
        for segment in name.split('/') {
            match segment {
                "" => return Err(NameError::EmptySegment),
                "." | ".." => return Err(NameError::DotSegment),
                _ => {}
            }
        }
        if name.split('/').next() == Some(RESERVED_SEGMENT) {
            return Err(NameError::Reserved);
        }
        Ok(Self(name.into()))
    }

    /// Percent-decodes a raw URL path (without its leading slash) and checks it.
    ///
    /// # Errors
    /// As [`StreamName::new`], and [`NameError::Encoding`].
    pub fn from_url_path(raw: &str) -> Result<Self, NameError> {
        if raw.len() > MAX_NAME_BYTES * 3 {
            return Err(NameError::TooLong);
        }
        if raw.contains(['?', '#']) {
            return Err(NameError::Encoding);
        }
        Self::new(&percent_decode(raw)?)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name percent-encoded for a URL path; slashes stay.
    #[must_use]
    pub fn to_url_path(&self) -> String {
        let mut out = String::with_capacity(self.0.len());
        for &byte in self.0.as_bytes() {
            match byte {
                b'A'..=b'Z'
                | b'a'..=b'z'
                | b'0'..=b'9'
                | b'-'
                | b'.'
                | b'_'
                | b'~'
                | b'/'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@' => out.push(char::from(byte)),
                _ => {
                    out.push('%');
                    out.push(char::from(HEX[usize::from(byte >> 4)]));
                    out.push(char::from(HEX[usize::from(byte & 15)]));
                }
            }
        }
        out
    }
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

fn percent_decode(raw: &str) -> Result<String, NameError> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (high, low) = (bytes.next().and_then(hex_value), bytes.next().and_then(hex_value));
            match (high, low) {
                (Some(high), Some(low)) => out.push(high << 4 | low),
                _ => return Err(NameError::Encoding),
            }
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).map_err(|_| NameError::Encoding)
}

fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

impl Borrow<str> for StreamName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}
