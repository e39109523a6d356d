//! Room on the node's disk, and what is done before there is none.
//!
//! Writes are refused while something is left ([`DiskSpace::has_room`]), because what was let in before must still be put
//! into the stores, and redb copies pages to change them; the journal makes no segment of that part either
//! ([`SparingDisk`]). Where others fill the disk all the same, a file that holds nothing is removed, so that the stores can
//! write out what was acknowledged, also at a start. A store that finds no space even then waits for some.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use weir_journal::{Disk, DiskFile};

/// The part of a disk that is kept for what was let in before, within bounds.
const RESERVED_PART: u64 = 16;
const MIN_RESERVED_BYTES: u64 = 32 << 20;
const MAX_RESERVED_BYTES: u64 = 256 << 20;

/// How often somebody looks whether the file must go, or can come back.
const INTERVAL: Duration = Duration::from_millis(200);

/// For how long an answer of the disk is believed. It takes much less in that time than what is kept.
const BELIEVED: Duration = Duration::from_millis(10);

/// The file that holds nothing.
const RESERVE_FILE: &str = "RESERVE";

/// The disk of a node's data directory.
#[derive(Debug, Default)]
pub(crate) struct DiskSpace {
    /// Absent on a node that keeps everything in memory.
    dir: Option<PathBuf>,
    has_reserve: AtomicBool,
    /// Set where the file system cannot set space aside.
    is_impossible: AtomicBool,
    /// Whether there was room, and when that was.
    seen: Mutex<Option<(Instant, bool)>>,
}

#[derive(Debug, Clone, Copy)]
struct Room {
    free_bytes: u64,
    /// What is kept.
    reserved_bytes: u64,
}

impl DiskSpace {
    pub(crate) fn of(dir: &Path) -> Self {
        Self {
            // A crash right after it was made leaves it empty.
            has_reserve: AtomicBool::new(fs::metadata(dir.join(RESERVE_FILE)).is_ok_and(|file| file.len() > 0)),
            dir: Some(dir.to_owned()),
            is_impossible: AtomicBool::default(),
            seen: Mutex::default(),
        }
    }

    /// How much of the disk is free, in bytes, as far as it tells.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        self.look().map(|room| room.free_bytes)
    }

    /// Whether there was room for further writes a moment ago.
    pub(crate) fn has_room(&self) -> bool {
        if self.dir.is_none() {
            return true;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match *seen {
            Some((at, has_room)) if at.elapsed() < BELIEVED => has_room,
            _ => {
                let has_room = self.has_room_for(0);
                *seen = Some((Instant::now(), has_room));
                has_room
            }
        }
    }

    /// A disk that does not tell is taken for one with room: whoever writes will see.
    fn has_room_for(&self, bytes: u64) -> bool {
        self.look()
            .is_none_or(|room| room.free_bytes >= room.reserved_bytes.saturating_add(bytes))
    }

    fn look(&self) -> Option<Room> {
        let disk = statvfs(self.dir.as_ref()?).ok()?;
        let total_bytes = disk.f_blocks.saturating_mul(disk.f_frsize);
        Some(Room {
            free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
            reserved_bytes: (total_bytes / RESERVED_PART).clamp(MIN_RESERVED_BYTES, MAX_RESERVED_BYTES),
        })
    }

    /// Removes the reserve from a disk that is nearly full, and makes it on one that has plenty. Blocks.
    fn tend(&self) {
        let (Some(dir), Some(room)) = (&self.dir, self.look()) else {
            return;
        };
        let (path, bytes) = (dir.join(RESERVE_FILE), room.reserved_bytes / 2);
        if self.has_reserve.load(Ordering::Relaxed) {
            if room.free_bytes < room.reserved_bytes / 8 {
                tracing::warn!(
                    free_bytes = room.free_bytes,
                    "the disk is nearly full: the node's reserve is given up"
                );
                // Somebody may have removed it before.
                let _ = fs::remove_file(path);
                self.has_reserve.store(false, Ordering::Relaxed);
            }
        } else if room.free_bytes >= room.reserved_bytes + 2 * bytes && !self.is_impossible.load(Ordering::Relaxed) {
            match set_aside(&path, bytes) {
                Ok(()) => self.has_reserve.store(true, Ordering::Relaxed),
                Err(error) => {
                    tracing::debug!(%error, "no space can be set aside on this file system");
                    let _ = fs::remove_file(path);
                    self.is_impossible.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    /// Does so again and again.
    pub(crate) async fn run(self: Arc<Self>) {
        while self.dir.is_some() {
            let space = Arc::clone(&self);
            // It fails only when the runtime ends.
            let _ = tokio::task::spawn_blocking(move || space.tend()).await;
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

fn set_aside(path: &Path, bytes: u64) -> io::Result<()> {
    let file = File::create(path)?;
    Ok(fallocate(&file, FallocateFlags::empty(), 0, bytes)?)
}

/// The journal's disk: what is kept for the stores is none of its space.
pub(crate) struct SparingDisk {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) space: Arc<DiskSpace>,
    /// How large a new file will be.
    pub(crate) file_bytes: u64,
}

impl Disk for SparingDisk {
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        if !self.space.has_room_for(self.file_bytes) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.disk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }
}
