//! A frame: what one write and one sync make durable. It is valid as a whole or not at all.

use crate::format::{position_seed, take_u32, take_u64};

const MAGIC: u32 = 0x4a46_5257;
/// Bytes of a frame before its records.
pub(crate) const FRAME_HEADER_BYTES: usize = 40;
/// Frames start at multiples of this, so that a scan for one need not try every byte.
pub(crate) const FRAME_ALIGN: u64 = 8;

/// The header of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Bytes of the frame, header included, padding excluded.
    pub(crate) length: u32,
    /// Consecutive over the life of the journal.
    pub(crate) number: u64,
    /// The oldest segment that recovery still needs.
    pub(crate) oldest: u64,
    /// Records in the frame.
    pub(crate) count: u32,
    body_crc: u32,
}

impl FrameHeader {
    /// Fills in the header of `frame`, whose first bytes are reserved for it and whose records follow.
    pub(crate) fn seal(frame: &mut [u8], segment_seed: u32, offset: u64, number: u64, oldest: u64, count: u32) {
        let seed = position_seed(segment_seed, offset);
        let length = frame.len() as u32;
        let (header, body) = frame.split_at_mut(FRAME_HEADER_BYTES);
        header[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        header[4..8].copy_from_slice(&length.to_le_bytes());
        header[8..16].copy_from_slice(&number.to_le_bytes());
        header[16..24].copy_from_slice(&oldest.to_le_bytes());
        header[24..28].copy_from_slice(&count.to_le_bytes());
        header[28..32].copy_from_slice(&crc32c::crc32c_append(seed, body).to_le_bytes());
        header[32..36].fill(0);
        let crc = crc32c::crc32c_append(seed, &header[..36]);
        header[36..40].copy_from_slice(&crc.to_le_bytes());
    }

    /// The header at the front of `bytes`, if a valid one for this position is there.
    pub(crate) fn decode(bytes: &[u8], segment_seed: u32, offset: u64) -> Option<Self> {
        if take_u32(bytes, 0)? != MAGIC {
            return None;
        }
        let crc = crc32c::crc32c_append(position_seed(segment_seed, offset), bytes.get(..36)?);
        if take_u32(bytes, 36)? != crc {
            return None;
        }
        let header = FrameHeader {
            length: take_u32(bytes, 4)?,
            number: take_u64(bytes, 8)?,
            oldest: take_u64(bytes, 16)?,
            count: take_u32(bytes, 24)?,
            body_crc: take_u32(bytes, 28)?,
        };
        (header.length as usize >= FRAME_HEADER_BYTES).then_some(header)
    }

    /// Whether `body` is what was written after this header.
    pub(crate) fn matches(&self, body: &[u8], segment_seed: u32, offset: u64) -> bool {
        crc32c::crc32c_append(position_seed(segment_seed, offset), body) == self.body_crc
    }

    /// Where the next frame starts, seen from this frame's offset.
    pub(crate) fn end(&self, offset: u64) -> u64 {
        align(offset + u64::from(self.length))
    }
}

/// The next position at which a frame may start.
pub(crate) fn align(offset: u64) -> u64 {
    offset.next_multiple_of(FRAME_ALIGN)
}
