//! redb's files on a node's simulated disk.

use std::io;
use std::path::Path;

use redb::StorageBackend;
use weir_journal::{Disk as _, DiskFile as _};
use weir_storage::StoreFiles;

use crate::disk::{SimDisk, SimFile};

/// The stores' view of a disk.
#[derive(Debug, Clone)]
pub struct SimFiles(pub SimDisk);

impl StoreFiles for SimFiles {
    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.0.has(path))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageBackend>> {
        let is_new = !self.0.has(path);
        let file = self.0.open_or_create(path)?;
        if is_new && let Some(dir) = path.parent() {
            self.0.sync_dir(dir)?;
        }
        Ok(Box::new(Backend(file)))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.0.open(path)?.sync()
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)?;
        match to.parent() {
            Some(dir) => self.0.sync_dir(dir),
            None => Ok(()),
        }
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.0.free())
    }
}

/// One file as redb wants it.
#[derive(Debug)]
struct Backend(SimFile);

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_size(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(data, offset)
    }
}
