//! A node's disk: an ext4 file system of its own in an image, so that it can lose power, fill up, be slow or refuse writes
//! without anybody else noticing.

use std::fs;
use std::path::{Path, PathBuf};

use super::command::run;
use super::error::Error;
use super::scratch;

/// Its size. A node prepares three journal segments of 64 MiB before it serves.
const DISK_BYTES: u64 = 768 << 20;

/// Space that a full disk has left for what the file system itself needs.
const FULL_SPARE_BYTES: u64 = 64 << 10;

/// What becomes of the file system's own log when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastBreath {
    /// It is written out: files have their new lengths, and zeros where data was not synced.
    Flushed,
    /// It is lost as well.
    Lost,
}

/// A disk of one node.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    node: u32,
    scratch: PathBuf,
}

impl Disk {
    /// Makes the image, and mounts it.
    ///
    /// # Errors
    /// When there are no loop devices, or no ext4.
    pub(crate) async fn make(scratch: &Path, node: u32) -> Result<Self, Error> {
        let disk = Self {
            node,
            scratch: scratch.to_owned(),
        };
        let image = disk.image();
        let file = fs::File::create(&image).map_err(Error::io(image.display()))?;
        file.set_len(DISK_BYTES).map_err(Error::io(image.display()))?;
        run("mkfs.ext4", &["-q", "-F", "-m", "0", &text(&image)]).await?;
        let mount = disk.mount_point();
        fs::create_dir(&mount).map_err(Error::io(mount.display()))?;
        disk.mount().await?;
        Ok(disk)
    }

    /// It has the run's name in its own, so that a loop device that is left over can be told from others.
    fn image(&self) -> PathBuf {
        let run = self.scratch.file_name().unwrap_or_default().to_string_lossy();
        self.scratch.join(format!("{run}-n{}.img", self.node))
    }

    /// Where it is mounted.
    pub(crate) fn mount_point(&self) -> PathBuf {
        self.scratch.join(format!("n{}", self.node))
    }

    /// Mounts it; the file system replays its log.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub(crate) async fn mount(&self) -> Result<(), Error> {
        let (image, point) = (text(&self.image()), text(&self.mount_point()));
        run("mount", &["-t", "ext4", "-o", "loop", &image, &point])
            .await
            .map(drop)
    }

    /// Unmounts it, which forgets what the kernel has in memory of it. Nothing may use it.
    ///
    /// # Errors
    /// When it is in use.
    pub(crate) async fn unmount(&self) -> Result<(), Error> {
        run("umount", &[&text(&self.mount_point())]).await.map(drop)
    }

    /// Unmounts it and mounts it again.
    ///
    /// # Errors
    /// When it is in use, or cannot be mounted.
    pub(crate) async fn remount(&self) -> Result<(), Error> {
        self.unmount().await?;
        self.mount().await
    }

    /// From now on nothing reaches it any more, and every call fails: what was not synced is lost. Python makes the call
    /// (`EXT4_IOC_SHUTDOWN`), as Rust can only make it in unsafe code.
    ///
    /// # Errors
    /// When the call is refused.
    pub(crate) async fn cut_power(&self, breath: LastBreath) -> Result<(), Error> {
        let flag = match breath {
            LastBreath::Flushed => "1",
            LastBreath::Lost => "2",
        };
        run("python3", &["-c", SHUTDOWN, &text(&self.mount_point()), flag])
            .await
            .map(drop)
    }

    /// Takes all space but a little.
    ///
    /// # Errors
    /// When the ballast cannot be written.
    pub(crate) async fn fill(&self) -> Result<u64, Error> {
        let point = self.mount_point();
        let free = rustix::fs::statvfs(&point).map_err(|error| Error::io(point.display())(error.into()))?;
        let bytes = (free.f_bavail * free.f_frsize).saturating_sub(FULL_SPARE_BYTES);
        let ballast = text(&self.ballast());
        run("fallocate", &["-l", &bytes.to_string(), &ballast]).await?;
        Ok(bytes)
    }

    /// Gives the space back.
    ///
    /// # Errors
    /// When the ballast cannot be removed.
    pub(crate) fn empty(&self) -> Result<(), Error> {
        match fs::remove_file(self.ballast()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("the ballast")(error)),
            _ => Ok(()),
        }
    }

    fn ballast(&self) -> PathBuf {
        self.mount_point().join("ballast")
    }

    /// From now on it can be read only, as after an error of the device.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) async fn refuse_writes(&self) -> Result<(), Error> {
        run("mount", &["-o", "remount,abort", &text(&self.mount_point())])
            .await
            .map(drop)
    }

    /// Unmounts, has the file system checked, and mounts. Nothing may use it. What the check cannot mend without loss it
    /// mends all the same, as an operator would: the node then starts on damaged files, or refuses to.
    ///
    /// # Errors
    /// When it is in use or beyond repair.
    pub(crate) async fn repair(&self) -> Result<(), Error> {
        self.unmount().await?;
        // 1 means that errors were corrected: those that say that it was aborted.
        let script = "e2fsck -p \"$0\" || [ $? -eq 1 ] || e2fsck -y \"$0\" || [ $? -eq 1 ]";
        run("sh", &["-c", script, &text(&self.image())]).await?;
        self.mount().await
    }

    /// Lets the process and its threads write at most so often per second; `None`: as often as they like.
    ///
    /// # Errors
    /// When control groups of version 1 do not limit disks here.
    pub(crate) async fn throttle(&self, pid: u32, writes_per_s: Option<u32>) -> Result<(), Error> {
        let group = scratch::disk_group(&self.scratch, self.node).map_err(Error::io("the control group"))?;
        let device = self.device_number().await?;
        let limit = format!("{device} {}", writes_per_s.unwrap_or(0));
        let file = group.join("blkio.throttle.write_iops_device");
        fs::write(&file, limit).map_err(Error::io(file.display()))?;
        let file = group.join("cgroup.procs");
        fs::write(&file, pid.to_string()).map_err(Error::io(file.display()))
    }

    /// Removes its control group, which must be empty.
    pub(crate) fn forget_throttle(&self) {
        if let Ok(group) = scratch::disk_group(&self.scratch, self.node) {
            // The next sweep tries again.
            let _ = fs::remove_dir(group);
        }
    }

    async fn device_number(&self) -> Result<String, Error> {
        let list = run("findmnt", &["-n", "-o", "MAJ:MIN", &text(&self.mount_point())]).await?;
        Ok(list.trim().to_owned())
    }
}

const SHUTDOWN: &str = "import fcntl,os,struct,sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', int(sys.argv[2])))";

fn text(path: &Path) -> String {
    path.display().to_string()
}
