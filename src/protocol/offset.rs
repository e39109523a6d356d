//! Offsets (protocol section 8).

use std::fmt;

use thiserror::Error;

/// A position in a stream: how many stored bytes lie before it.
///
/// A JSON message counts its own bytes and the comma that frames it, so JSON positions grow as well. As text an
/// offset is 16 zeros, `_`, and the position in 16 decimal digits: fixed width, so that comparing texts compares
/// positions, and never one of the sentinels `-1` and `now`. The leading zeros are what the protocol's other servers
/// use for a read sequence; Weir accepts no other value there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(u64);

/// The offset text is not one that Weir minted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the offset is not one that this server returned")]
pub struct OffsetError;

const PREFIX: &str = "0000000000000000_";
const DIGITS: usize = 16;

impl Offset {
    /// The beginning of every stream.
    pub const ZERO: Self = Self(0);

    /// The last position that fits the fixed width: about 9 petabytes.
    pub const MAX: Self = Self(9_999_999_999_999_999);

    /// The position `position`, in bytes; `None` past [`Offset::MAX`].
    #[must_use]
    pub const fn new(position: u64) -> Option<Self> {
        if position <= Self::MAX.0 {
            Some(Self(position))
        } else {
            None
        }
    }

    /// How many stored bytes lie before this offset.
    #[must_use]
    pub const fn position(self) -> u64 {
        self.0
    }

    /// The offset `bytes` further on; `None` past [`Offset::MAX`].
    #[must_use]
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(position) => Self::new(position),
            None => None,
        }
    }

    /// Parses the text form. The sentinels are not offsets: see [`ReadFrom::parse`].
    ///
    /// # Errors
    /// [`OffsetError`] for any other text.
    pub fn parse(text: &str) -> Result<Self, OffsetError> {
        let digits = text.strip_prefix(PREFIX).ok_or(OffsetError)?;
        if digits.len() != DIGITS || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(OffsetError);
        }
        digits.parse().map(Self).map_err(|_| OffsetError)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{:0DIGITS$}", self.0)
    }
}

/// Where a read begins: an offset, or one of the sentinels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    /// `-1`, or no offset at all: the beginning of the stream.
    Start,
    /// `now`: the tail at the time the read is served.
    Now,
    /// A position.
    At(Offset),
}

impl ReadFrom {
    /// Parses the `offset` query parameter.
    ///
    /// # Errors
    /// [`OffsetError`] when the text is neither a sentinel nor an offset.
    pub fn parse(text: &str) -> Result<Self, OffsetError> {
        match text {
            "-1" => Ok(Self::Start),
            "now" => Ok(Self::Now),
            _ => Offset::parse(text).map(Self::At),
        }
    }
}
