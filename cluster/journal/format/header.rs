//! The segment header: whose segment it is, which one, and the salt of everything in it.

use std::{
    collections::hash_map::RandomState,
    fmt::Write as _,
    hash::{BuildHasher, Hasher},
};

use crate::{
    format::{take, take_u32, take_u64},
    limits::{Identity, SEGMENT_HEADER_BYTES},
};

const MAGIC: [u8; 8] = *b"WEIRJRNL";
/// Version of the format; raised when an older program could misread it.
pub(crate) const VERSION: u32 = 1;
const CHECKED: usize = 72;

/// The header of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) identity: Identity,
    /// Counts up over the life of the journal; never used twice.
    pub(crate) number: u64,
    /// Size of the file in bytes.
    pub(crate) bytes: u64,
    /// Random per use of the file, so that neither old records nor a client's payload can pass for records of it.
    pub(crate) salt: u64,
}

/// Why header bytes are refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Not a header, or a damaged one.
    Damaged { expected: String, found: String },
    /// Another version's header.
    Version { found: u32 },
}

impl SegmentHeader {
    pub(crate) fn new(identity: Identity, number: u64, bytes: u64) -> Self {
        // The hasher's keys come from the operating system's randomness.
        let salt = RandomState::new().build_hasher().finish();
        SegmentHeader {
            identity,
            number,
            bytes,
            salt,
        }
    }

    /// The header's page, and the seed of the segment's checksums.
    pub(crate) fn encode(&self) -> (Vec<u8>, u32) {
        let mut page = Vec::with_capacity(SEGMENT_HEADER_BYTES as usize);
        page.extend_from_slice(&MAGIC);
        page.extend_from_slice(&VERSION.to_le_bytes());
        page.extend_from_slice(&(SEGMENT_HEADER_BYTES as u32).to_le_bytes());
        page.extend_from_slice(&self.identity.cluster);
        page.extend_from_slice(&self.identity.node);
        page.extend_from_slice(&self.number.to_le_bytes());
        page.extend_from_slice(&self.bytes.to_le_bytes());
        page.extend_from_slice(&self.salt.to_le_bytes());
        debug_assert_eq!(page.len(), CHECKED);
        let crc = crc32c::crc32c(&page);
        page.extend_from_slice(&crc.to_le_bytes());
        page.resize(SEGMENT_HEADER_BYTES as usize, 0);
        (page, crc)
    }

    /// The header in `page`, and the seed of the segment's checksums.
    pub(crate) fn decode(page: &[u8]) -> Result<(Self, u32), HeaderError> {
        let short = || HeaderError::Damaged {
            expected: "a segment header".into(),
            found: "too few bytes".into(),
        };
        let magic: [u8; 8] = take(page, 0).ok_or_else(short)?;
        if magic != MAGIC {
            return Err(HeaderError::Damaged {
                expected: "the magic of a segment".into(),
                found: format!("{magic:02x?}"),
            });
        }
        let stored = take_u32(page, CHECKED).ok_or_else(short)?;
        let version = take_u32(page, 8).ok_or_else(short)?;
        let crc = crc32c::crc32c(page.get(..CHECKED).ok_or_else(short)?);
        if crc != stored {
            // A later version may put its checksum elsewhere, but its number is more useful than "damaged" only when
            // it is plausible as a number.
            if version != VERSION && version < 1000 {
                return Err(HeaderError::Version { found: version });
            }
            return Err(HeaderError::Damaged {
                expected: format!("header checksum {crc:08x}"),
                found: format!("{stored:08x}"),
            });
        }
        if version != VERSION {
            return Err(HeaderError::Version { found: version });
        }
        let header = SegmentHeader {
            identity: Identity {
                cluster: take(page, 16).ok_or_else(short)?,
                node: take(page, 32).ok_or_else(short)?,
            },
            number: take_u64(page, 48).ok_or_else(short)?,
            bytes: take_u64(page, 56).ok_or_else(short)?,
            salt: take_u64(page, 64).ok_or_else(short)?,
        };
        Ok((header, crc))
    }
}

/// An owner in words, for error messages.
pub(crate) fn describe(identity: &Identity) -> String {
    let hex = |bytes: &[u8; 16]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    format!("cluster {} node {}", hex(&identity.cluster), hex(&identity.node))
}
