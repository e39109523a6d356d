//! Sizes that nobody may set.

/// The most bytes of one row, encoded. redb gives a value that does not fit its 4 KiB page a run of pages, a power of
/// two of them, so the largest row stays just under 128 KiB with its key and the page's own bytes.
pub(crate) const MAX_ROW_BYTES: usize = 128 * 1024 - 256;

/// Below this many encoded bytes a row is small, and worth packing into a larger one.
pub(crate) const SMALL_ROW_BYTES: usize = MAX_ROW_BYTES / 2;

/// What a fork is told that comes after its source was kept for it for as long as that is done.
pub const LATE_FORK: &str = "the fork's source was kept for it for too long";
