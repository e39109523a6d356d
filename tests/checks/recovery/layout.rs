//! As much of the file backend's layout as damage needs to know to be thorough: where frames end, and their checksums.

use std::path::Path;

/// A frame of a stream's log: checksum (4), length of body (4), kind (1), body.
const FRAME_HEAD_BYTES: usize = 9;

/// The redo log begins with so many bytes that are no record.
const REDO_MAGIC_BYTES: usize = 8;

/// A record of the redo log: checksum (4), checksum of body (4), length of body (8), numbers (16), body.
const RECORD_HEAD_BYTES: usize = 32;

fn is_redo(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "redo.log")
}

/// Where frames or records end, as far as their lengths can be followed.
pub(super) fn borders(path: &Path, bytes: &[u8]) -> Vec<usize> {
    let mut at = if is_redo(path) { REDO_MAGIC_BYTES } else { 0 };
    let mut borders = vec![at];
    while let Some(end) = end(path, bytes, at) {
        borders.push(end);
        at = end;
    }
    borders
}

/// Where the frame or record at `at` ends.
fn end(path: &Path, bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let (head, length) = if is_redo(path) {
        (RECORD_HEAD_BYTES, u64::from_le_bytes(rest.get(8..16)?.try_into().ok()?))
    } else {
        (
            FRAME_HEAD_BYTES,
            u32::from_le_bytes(rest.get(4..8)?.try_into().ok()?).into(),
        )
    };
    let end = head.checked_add(usize::try_from(length).ok()?)?;
    (end <= rest.len()).then(|| at + end)
}

/// Makes every checksum right that can be found.
pub(super) fn seal(path: &Path, bytes: &mut [u8]) {
    let id: u64 = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .and_then(|stem| stem.parse().ok())
        .unwrap_or_default();
    let borders = borders(path, bytes);
    for pair in borders.windows(2) {
        let &[at, end] = pair else { continue };
        let Some(found) = bytes.get_mut(at..end) else { continue };
        let position = (at as u64).to_le_bytes();
        let sum = if is_redo(path) {
            let body = crc32c::crc32c(&found[RECORD_HEAD_BYTES..]);
            found[4..8].copy_from_slice(&body.to_le_bytes());
            crc32c::crc32c_append(crc32c::crc32c(&position), &found[4..RECORD_HEAD_BYTES])
        } else {
            let sum = crc32c::crc32c_append(crc32c::crc32c(&id.to_le_bytes()), &position);
            crc32c::crc32c_append(sum, &found[4..])
        };
        found[..4].copy_from_slice(&sum.to_le_bytes());
    }
}
