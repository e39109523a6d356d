//! The bytes on disk. `README.md` draws them. All integers are little-endian.

pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod record;

/// Checksum seed of a position: stale bytes of a recycled segment, or bytes copied elsewhere, fail under it.
pub(crate) fn position_seed(segment_seed: u32, offset: u64) -> u32 {
    crc32c::crc32c_append(segment_seed, &offset.to_le_bytes())
}

/// A fixed-size array from the front of `bytes` at `at`.
pub(crate) fn take<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

pub(crate) fn take_u32(bytes: &[u8], at: usize) -> Option<u32> {
    take(bytes, at).map(u32::from_le_bytes)
}

pub(crate) fn take_u64(bytes: &[u8], at: usize) -> Option<u64> {
    take(bytes, at).map(u64::from_le_bytes)
}
