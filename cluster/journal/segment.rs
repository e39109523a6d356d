//! Segment files: names, headers, opening.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{disk::DiskFile, limits::SEGMENT_HEADER_BYTES};

/// One open segment.
pub(crate) struct Segment {
    /// Counts up over the life of the journal.
    pub(crate) number: u32,
    /// Seed of every checksum in it.
    pub(crate) seed: u32,
    /// Size of the file.
    pub(crate) bytes: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn DiskFile>,
}

impl Segment {
    /// Bytes that frames may use.
    pub(crate) fn usable(&self) -> u64 {
        self.bytes - SEGMENT_HEADER_BYTES
    }
}

const SUFFIX: &str = ".seg";
const SPARE_SUFFIX: &str = ".spare";

/// The name of a segment.
pub(crate) fn name_of(number: u32) -> String {
    format!("{number:010}{SUFFIX}")
}

/// The path of a segment.
pub(crate) fn path_of(dir: &Path, number: u32) -> PathBuf {
    dir.join(name_of(number))
}

/// The path of a file that is being made or recycled into a segment; it holds nothing.
pub(crate) fn spare_path_of(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:010}{SPARE_SUFFIX}"))
}

/// The number in a segment's name.
pub(crate) fn parse_name(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(SUFFIX)?;
    (digits.len() == 10).then(|| digits.parse().ok()).flatten()
}

/// Whether a name is that of a file left half made.
pub(crate) fn is_spare_name(name: &str) -> bool {
    name.strip_suffix(SPARE_SUFFIX)
        .is_some_and(|digits| digits.len() == 10 && digits.bytes().all(|b| b.is_ascii_digit()))
}
