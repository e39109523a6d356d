//! Where snapshots are put together before one of them takes the store's place.
//!
//! One may be complete and wait for Raft while another one comes, from another leader or because an answer was lost. So
//! each has a file of its own, which goes with whoever holds it, and with the next start after a crash.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use weir_storage::StoreFiles;

/// More than ever wait at the same time, unless something is wrong.
const MAX_FILES: u32 = 4;

/// What a snapshot leaves free of a disk.
const KEPT_BYTES: u64 = 32 << 20;

/// The files of one replica.
#[derive(Debug)]
pub(super) struct Staging {
    /// Of the store whose place they are to take.
    store: PathBuf,
    files: Arc<dyn StoreFiles>,
    used: Mutex<BTreeSet<u32>>,
}

/// One of them. It is removed when this is dropped, unless it was moved.
#[derive(Debug)]
pub(super) struct StagedFile {
    staging: Arc<Staging>,
    number: u32,
    path: PathBuf,
}

impl Staging {
    /// Removes what a crash has left.
    pub(super) fn open(store: &Path, files: &Arc<dyn StoreFiles>) -> io::Result<Arc<Self>> {
        let staging = Self {
            store: store.to_owned(),
            files: Arc::clone(files),
            used: Mutex::default(),
        };
        // The last is what versions before this one left.
        let left = (0..MAX_FILES).map(|number| staging.path(number));
        for path in left.chain([store.with_extension("incoming")]) {
            remove_any(&**files, &path)?;
        }
        Ok(Arc::new(staging))
    }

    fn path(&self, number: u32) -> PathBuf {
        self.store.with_extension(format!("incoming-{number}"))
    }

    /// The place of a new file.
    pub(super) fn file(self: &Arc<Self>) -> io::Result<StagedFile> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let free = (0..MAX_FILES).find(|number| !used.contains(number));
        let number = free.ok_or_else(|| io::Error::other("too many snapshots wait to be installed"))?;
        used.insert(number);
        Ok(StagedFile {
            staging: Arc::clone(self),
            number,
            path: self.path(number),
        })
    }
}

impl StagedFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the disk takes so many bytes more of it, and has something left for the stores.
    pub(super) fn has_room(&self, bytes: u64) -> io::Result<bool> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        Ok(self.staging.files.free_bytes(dir)? >= bytes.saturating_add(KEPT_BYTES))
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if let Err(error) = remove_any(&*self.staging.files, &self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a snapshot's file was not removed");
        }
        let mut used = self.staging.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.remove(&self.number);
    }
}

fn remove_any(files: &dyn StoreFiles, path: &Path) -> io::Result<()> {
    match files.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use weir_storage::RedbOptions;

    use super::*;
    use crate::group::StreamsMachine;
    use crate::raft::lost::machine_at;
    use crate::raft::{Machine as _, Position, SnapshotSink, Staged};

    fn machine(dir: &Path, index: u64) -> StreamsMachine {
        let options = RedbOptions {
            path: dir.join("streams.redb"),
            cache_bytes: 1 << 20,
            waits_for_space: true,
        };
        machine_at(options, index)
    }

    fn send(from: &StreamsMachine, mut sink: Box<dyn SnapshotSink>) -> (Staged, Position) {
        let (position, source) = from.snapshot().unwrap();
        let mut cursor = Bytes::new();
        loop {
            let (piece, next) = source.piece(&cursor, 1 << 20).unwrap();
            sink.put(piece).unwrap();
            match next {
                Some(next) => cursor = next,
                None => return (sink.finish().unwrap(), position),
            }
        }
    }

    fn incoming(dir: &Path) -> usize {
        let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().contains("incoming")).count()
    }

    #[test]
    fn what_waits_to_be_installed_is_not_touched_by_what_comes_after_it() {
        let [here, first, second] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let target = machine(here.path(), 3);
        let (whole, position) = send(&machine(first.path(), 7), target.receive().unwrap());
        let mut half = target.receive().unwrap();
        let (newer, newer_position) = send(&machine(second.path(), 9), target.receive().unwrap());
        half.put(Bytes::new()).unwrap();
        assert_eq!(incoming(here.path()), 3);
        target.install(whole, position.clone()).unwrap();
        assert_eq!(target.position().unwrap(), position);
        drop(half);
        target.install(newer, newer_position.clone()).unwrap();
        assert_eq!(target.position().unwrap(), newer_position);
        assert_eq!(incoming(here.path()), 0);
    }

    #[test]
    fn what_is_not_installed_goes() {
        let [here, from] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let target = machine(here.path(), 3);
        drop(target.receive().unwrap());
        drop(send(&machine(from.path(), 7), target.receive().unwrap()));
        assert_eq!(incoming(here.path()), 0);
        let held: Vec<_> = std::iter::repeat_with(|| target.receive()).take(4).collect();
        assert!(held.iter().all(Result::is_ok));
        assert!(target.receive().is_err());
        drop((held, target));
        // As a crash leaves them.
        for number in 0..4 {
            std::fs::write(here.path().join(format!("streams.incoming-{number}")), "half").unwrap();
        }
        machine(here.path(), 3);
        assert_eq!(incoming(here.path()), 0);
    }
}
