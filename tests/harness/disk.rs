//! A small file system of its own, for tests that fill it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::FallocateFlags;
use tempfile::TempDir;

use super::program::run;

/// A mounted image. Dropping it unmounts it; whoever uses it must have ended by then.
pub(crate) struct Disk {
    mount: PathBuf,
    _scratch: TempDir,
}

impl Disk {
    /// An empty ext4 of this size.
    ///
    /// # Errors
    /// For whoever may not mount: who is not root, or root of a container only.
    pub(crate) fn mount(bytes: u64) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("needs root, to mount a file system of its own".to_owned());
        }
        let scratch = super::scratch();
        let (image, mount) = (scratch.path().join("image"), scratch.path().join("disk"));
        File::create(&image).unwrap().set_len(bytes).unwrap();
        fs::create_dir(&mount).unwrap();
        // Nothing kept back for root, who runs the tests.
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image));
        let mounted = Command::new("mount")
            .args(["-o", "loop"])
            .arg(&image)
            .arg(&mount)
            .output();
        let mounted = mounted.map_err(|error| format!("mount: {error}"))?;
        if !mounted.status.success() {
            return Err(format!(
                "cannot mount: {}",
                String::from_utf8_lossy(&mounted.stderr).trim()
            ));
        }
        Ok(Self {
            mount,
            _scratch: scratch,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.mount
    }

    /// What is left on it.
    pub(crate) fn free_bytes(&self) -> u64 {
        let disk = rustix::fs::statvfs(&self.mount).unwrap();
        disk.f_bavail * disk.f_frsize
    }

    /// A file that takes `bytes` and is not written to.
    pub(crate) fn take(&self, name: &str, bytes: u64) {
        let file = File::create(self.mount.join(name)).unwrap();
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes).unwrap();
    }

    /// Writes a file until nothing is left for anybody.
    pub(crate) fn take_all(&self, name: &str) {
        let mut file = File::create(self.mount.join(name)).unwrap();
        let mut piece = vec![b'b'; 1 << 20];
        while !piece.is_empty() {
            // A full disk takes what fits of a piece; a smaller one may still fit.
            if file.write_all(&piece).is_err() {
                piece.truncate(piece.len() / 2);
            }
        }
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.mount.join(name)).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.mount).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            // Somebody still has a file open: it goes with them.
            let _ = Command::new("umount").arg("-l").arg(&self.mount).status();
        }
    }
}
