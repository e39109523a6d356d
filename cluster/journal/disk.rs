//! The file system as the journal uses it: a small trait, so that tests can lose power, and the real thing.

use std::{fs, io, os::unix::fs::FileExt, path::Path, sync::Arc};

use crate::error::is_open_files;

/// Directory operations. A name change is durable once [`Disk::sync_dir`] returned.
pub trait Disk: Send + Sync + 'static {
    /// Names of the files in a directory.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes a directory and its parents; an existing one is fine.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes a new empty file, replacing one of that name.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Renames a file within its directory.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Removes a directory that has only files, and those.
    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.list(dir)?.iter().try_for_each(|name| self.remove(&dir.join(name)))
    }
}

/// One open file.
pub trait DiskFile: Send + Sync {
    /// Size in bytes.
    fn size(&self) -> io::Result<u64>;
    /// Fills `buffer` from `offset`; the end of the file before that is an error.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes everything written so far durable, with the size needed to read it back.
    fn sync(&self) -> io::Result<()>;
    /// Writes all of `pages` at `offset` past the page cache; they are durable when this returns. What was written in
    /// another way is not made durable by it. `false` where that cannot be done: then part of them may have been written.
    /// Offset, length and place in memory are multiples of a page of 4096 bytes, the latter as far as can be had.
    fn write_through(&self, pages: &[u8], offset: u64) -> io::Result<bool> {
        let _ = (pages, offset);
        Ok(false)
    }
}

/// The operating system's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(dir)?;
        // The directory's own name lives in its parent.
        match dir.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => fs::File::open(parent)?.sync_all(),
            _ => Ok(()),
        }
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = fs::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        Ok(Arc::new(RealFile::new(file, path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = fs::File::options().read(true).write(true).open(path)?;
        Ok(Arc::new(RealFile::new(file, path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir_all(dir)
    }
}

struct RealFile {
    file: fs::File,
    /// The same file, for writes past the page cache; none where the file system refuses that. On ext4 over virtio a
    /// frame of 519 B takes 98 us like that, and 111 us when written to the page cache and synced (medians of 12,000).
    through: Option<fs::File>,
}

impl RealFile {
    fn new(file: fs::File, path: &Path) -> io::Result<Self> {
        Ok(RealFile {
            file,
            through: open_through(path)?,
        })
    }
}

#[cfg(target_os = "linux")]
fn open_through(path: &Path) -> io::Result<Option<fs::File>> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;

    let flags = (OFlags::DIRECT | OFlags::DSYNC).bits().cast_signed();
    match fs::File::options().write(true).custom_flags(flags).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if is_open_files(&error) => Err(error),
        // Why else it is refused is of no interest: ordinary writes do as well.
        Err(_) => Ok(None),
    }
}

#[cfg(not(target_os = "linux"))]
fn open_through(_path: &Path) -> io::Result<Option<fs::File>> {
    Ok(None)
}

impl DiskFile for RealFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        // fdatasync also writes the size, which is all the metadata a reader needs.
        self.file.sync_data()
    }

    fn write_through(&self, pages: &[u8], offset: u64) -> io::Result<bool> {
        let Some(through) = &self.through else { return Ok(false) };
        match through.write_all_at(pages, offset) {
            Ok(()) => Ok(true),
            // A device with larger blocks, or a file system that allows to open a file like that and no more.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
