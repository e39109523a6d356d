//! Making segments before they are needed: new files filled with zeros, or old segments recycled.

use std::{
    io,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use crate::{
    disk::DiskFile,
    error::{Failure, is_open_files, is_space},
    format::header::SegmentHeader,
    limits::{KEPT_SEGMENTS, PREWRITE_BYTES, PREWRITE_PIECE_BYTES, SPARE_SEGMENTS},
    pages::aligned_zeros,
    segment::{self, Segment},
    shared::Shared,
};

/// What a step of the preparer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prepared {
    /// A segment was made or an old one deleted.
    Worked,
    /// Nothing to do.
    Idle,
    /// There is no space for a segment, or no further file can be opened.
    Shortage,
    /// The journal failed or was closed.
    Stopped,
}

/// Makes segments in the background.
pub(crate) struct Preparer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) next_number: u32,
    /// Names of files left half made by an earlier run.
    pub(crate) leftovers: Vec<String>,
}

impl Preparer {
    /// Makes at most one segment.
    pub(crate) fn step(&mut self) -> Prepared {
        let result = match self.leftovers.pop() {
            // Leftovers hold nothing. They go first: their space may be the only space there is.
            Some(name) => self
                .shared
                .disk
                .remove(&self.shared.dir.join(name))
                .map(|()| Prepared::Worked),
            None => self.one_segment(),
        };
        match result {
            Ok(prepared) => prepared,
            Err(error) => {
                let dir = self.shared.dir.display();
                self.shared
                    .fail(Failure::new(format!("cannot prepare a segment in {dir}: {error}")));
                Prepared::Stopped
            }
        }
    }

    fn one_segment(&mut self) -> io::Result<Prepared> {
        let (old, wanted) = {
            let mut core = self.shared.core();
            if core.failed.is_some() {
                return Ok(Prepared::Stopped);
            }
            let wanted = core.ready.len() < SPARE_SEGMENTS;
            let old = if wanted || core.free.len() > KEPT_SEGMENTS {
                core.free.pop()
            } else {
                None
            };
            (old, wanted)
        };
        let old_path = old.as_ref().map(|old| old.path.clone());
        let made = match old {
            None if !wanted => return Ok(Prepared::Idle),
            // A reader may still hold the file: overwriting it would make a good entry look damaged.
            Some(old) if !wanted || !self.is_recyclable(&old) => {
                self.shared.disk.remove(&old.path)?;
                return Ok(Prepared::Worked);
            }
            Some(old) => self.recycle(&old),
            None => create(&self.shared, self.next_number),
        };
        match made {
            Ok(segment) => {
                self.next_number += 1;
                let mut core = self.shared.core();
                core.ready.push_back(Arc::new(segment));
                core.shortage = false;
                drop(core);
                self.shared.work.notify_all();
                self.shared.room.notify_all();
                Ok(Prepared::Worked)
            }
            // Either passes.
            Err(error) if is_space(&error) || is_open_files(&error) => {
                // What was begun only takes space that others need. If it cannot be removed, the next attempt will
                // overwrite it, and the next start removes it.
                let spare = segment::spare_path_of(&self.shared.dir, self.next_number);
                let named = segment::path_of(&self.shared.dir, self.next_number);
                for path in old_path.into_iter().chain([spare, named]) {
                    let _ = self.shared.disk.remove(&path);
                }
                self.shared.core().shortage = true;
                self.shared.work.notify_all();
                self.shared.room.notify_all();
                Ok(Prepared::Shortage)
            }
            Err(error) if self.shared.core().failed.is_some() => {
                drop(error);
                Ok(Prepared::Stopped)
            }
            Err(error) => Err(error),
        }
    }

    fn is_recyclable(&self, old: &Arc<Segment>) -> bool {
        old.bytes == self.shared.options.segment_bytes && Arc::strong_count(old) == 1
    }

    /// Turns an old segment into the next. A crash on the way leaves a segment that is not what its name says, which is
    /// of no interest to recovery: a frame is synced that says that nothing of that name is needed.
    fn recycle(&self, old: &Segment) -> io::Result<Segment> {
        let segment = finish(&self.shared, self.next_number, old.file.clone(), &old.path)?;
        self.shared.counters.recycled.fetch_add(1, Ordering::Relaxed);
        Ok(segment)
    }
}

impl Drop for Preparer {
    /// A panic must not leave the writer waiting for a segment.
    fn drop(&mut self) {
        if self.shared.core().failed.is_none() {
            self.shared.fail(Failure::new("its preparer ended"));
        }
    }
}

/// Makes a new segment and fills it with zeros, so that writing it later changes no metadata and needs no space.
pub(crate) fn create(shared: &Shared, number: u32) -> io::Result<Segment> {
    let spare = segment::spare_path_of(&shared.dir, number);
    let file = shared.disk.create(&spare)?;
    let bytes = shared.options.segment_bytes;
    let (memory, start) = aligned_zeros(PREWRITE_BYTES.min(bytes as usize));
    let mut offset = 0;
    while offset < bytes {
        let length = (bytes - offset).min(PREWRITE_BYTES as u64);
        let zeros = &memory[start..start + length as usize];
        // What is in the page cache has to be thrown out of it by each write past it.
        if !file.write_through(zeros, offset)? {
            for (piece, at) in zeros
                .chunks(PREWRITE_PIECE_BYTES)
                .zip((offset..).step_by(PREWRITE_PIECE_BYTES))
            {
                file.write_at(piece, at)?;
            }
            file.sync()?;
        }
        offset += length;
        if shared.core().failed.is_some() {
            return Err(io::ErrorKind::Interrupted.into());
        }
    }
    finish(shared, number, file, &spare)
}

/// Writes the header of a segment into the file at `from`, and only then gives it its name as a segment.
fn finish(shared: &Shared, number: u32, file: Arc<dyn DiskFile>, from: &Path) -> io::Result<Segment> {
    let bytes = shared.options.segment_bytes;
    let (page, seed) = SegmentHeader::new(shared.options.identity, u64::from(number), bytes).encode();
    file.write_at(&page, 0)?;
    file.sync()?;
    let path = segment::path_of(&shared.dir, number);
    shared.disk.rename(from, &path)?;
    shared.disk.sync_dir(&shared.dir)?;
    Ok(Segment {
        number,
        seed,
        bytes,
        path,
        file,
    })
}
