//! `Stream-Seq` (protocol section 5.2). Weir's scope is the stream, not the writer.

use std::sync::Arc;

use thiserror::Error;

/// The longest sequence value, in bytes.
pub const MAX_STREAM_SEQ_BYTES: usize = 256;

/// A writer's sequence value: compared byte by byte, strictly increasing within a stream.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamSeq(Arc<str>);

/// The value is empty or too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("Stream-Seq must have 1 to {MAX_STREAM_SEQ_BYTES} bytes")]
pub struct StreamSeqError;

impl StreamSeq {
    /// Checks a header's value.
    ///
    /// # Errors
    /// [`StreamSeqError`] when it is empty or longer than [`MAX_STREAM_SEQ_BYTES`].
    pub fn new(text: &str) -> Result<Self, StreamSeqError> {
        if text.is_empty() || text.len() > MAX_STREAM_SEQ_BYTES {
            Err(StreamSeqError)
        } else {
            Ok(Self(text.into()))
        }
    }

    /// The value as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
