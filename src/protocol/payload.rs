//! The messages of one write, framed as they are stored.

use bytes::Bytes;

/// One or more whole messages, already framed for storage, or none at all.
///
/// A message of a byte stream is stored as it came. A JSON message is followed by one comma, so that any range of
/// whole messages, without its last byte and between brackets, is a JSON array: reads copy nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payload {
    bytes: Bytes,
    lengths: Vec<u32>,
}

impl Payload {
    /// No messages.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// One message of a byte stream, as it is. Empty bytes make an empty payload; `None` from 4 GiB on.
    #[must_use]
    pub fn single(bytes: Bytes) -> Option<Self> {
        let length = u32::try_from(bytes.len()).ok()?;
        let lengths = if length == 0 { Vec::new() } else { vec![length] };
        Some(Self { bytes, lengths })
    }

    /// Framed bytes and the stored length of each message in them. `None` unless every length is at least 1 and they
    /// sum up to the bytes.
    #[must_use]
    pub fn from_parts(bytes: Bytes, lengths: Vec<u32>) -> Option<Self> {
        let sum: u64 = lengths.iter().copied().map(u64::from).sum();
        let whole = u64::try_from(bytes.len()).is_ok_and(|len| len == sum) && !lengths.contains(&0);
        whole.then_some(Self { bytes, lengths })
    }

    /// The same messages in bytes that `hold` made of these: with an owner, to know how long somebody has them.
    #[must_use]
    pub fn held(self, hold: impl FnOnce(Bytes) -> Bytes) -> Self {
        let Self { bytes, lengths } = self;
        let expected = bytes.len();
        let bytes = hold(bytes);
        debug_assert_eq!(bytes.len(), expected, "the owner changes nothing");
        Self { bytes, lengths }
    }

    /// What this takes in memory, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        (self.bytes.len() + self.lengths.capacity() * size_of::<u32>()) as u64
    }

    /// Whether there is no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The stored bytes of all messages.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The stored length of each message, in bytes.
    #[must_use]
    pub fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    /// The stored length of all messages, in bytes.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }
}
