//! The folder of one run that holds what must not outlive it, and the removal of what dead runs left behind.
//!
//! A run is alive as long as one of the processes named in its file `owners` is. Nodes name the folder on their command
//! line, which is how those of a dead run are found.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use super::error::Error;

/// What the names of all our folders and control groups begin with.
const PREFIX: &str = "weir-jepsen-";
const OWNERS: &str = "owners";
/// Control groups of version 1 that limit disks.
pub(crate) const DISK_GROUPS: &str = "/sys/fs/cgroup/blkio";

/// A folder with a random name. Dropping it removes it.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A new one under the system's folder for temporary files, owned by this process.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn create() -> Result<Self, Error> {
        let parent = std::env::temp_dir();
        let made = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&parent);
        let path = made.map_err(Error::io(parent.display()))?.keep();
        let scratch = Self { path };
        scratch.add_owner(std::process::id())?;
        Ok(scratch)
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// While this process lives, the run does.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn add_owner(&self, pid: u32) -> Result<(), Error> {
        let file = self.path.join(OWNERS);
        let mut text = fs::read_to_string(&file).unwrap_or_default();
        let began = started_at(pid).unwrap_or_default();
        text.push_str(&format!("{pid} {began}\n"));
        fs::write(&file, text).map_err(Error::io(file.display()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Removes what runs left whose processes are all gone, and says which they were.
pub(crate) fn sweep() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else {
        return Vec::new();
    };
    let ours = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        name.as_bytes().starts_with(PREFIX.as_bytes()) && entry.path().is_dir()
    });
    let dead = ours.map(|entry| entry.path()).filter(|path| !is_owned(path));
    dead.inspect(|path| remove(path)).collect()
}

fn is_owned(scratch: &Path) -> bool {
    // Without the file it was made a moment ago, or has been removed by its owner but for the rest.
    let Ok(text) = fs::read_to_string(scratch.join(OWNERS)) else {
        let age = fs::metadata(scratch).and_then(|data| data.modified());
        return age.is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() < 60));
    };
    text.lines().any(|line| {
        let (pid, began) = line.split_once(' ').unwrap_or_default();
        let began: Option<u64> = began.parse().ok();
        pid.parse().is_ok_and(|pid| began.is_some() && started_at(pid) == began)
    })
}

/// When a process that lives began, in ticks since the machine did: with the pid it names one process for ever. One that
/// nobody has waited for yet does not live.
fn started_at(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces and parentheses; behind it are fields 3 and on, the 22nd is the start.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    match fields.next()? {
        "Z" | "X" => None,
        _ => fields.nth(18)?.parse().ok(),
    }
}

/// The processes that this one has started.
pub(crate) fn children(parent: u32) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.flatten().filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // Behind the name are the state and the parent.
        let parents: u32 = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()?;
        (parents == parent).then_some(pid)
    });
    pids.filter_map(Pid::from_raw).collect()
}

/// Ends the processes that have the folder on their command line, and removes it with its control groups.
fn remove(scratch: &Path) {
    for pid in processes_of(scratch) {
        // It may have ended by itself.
        let _ = kill_process(pid, Signal::KILL);
    }
    for group in groups_of(scratch) {
        // Empty once its processes are gone.
        let _ = fs::remove_dir(group);
    }
    // The next sweep tries again.
    let _ = fs::remove_dir_all(scratch);
}

fn processes_of(scratch: &Path) -> Vec<Pid> {
    let own = std::process::id();
    let needle = scratch.as_os_str().as_bytes();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.flatten().filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let names_it = line.windows(needle.len()).any(|window| window == needle);
        (pid != own && names_it).then_some(pid)
    });
    pids.filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).collect()
}

fn groups_of(scratch: &Path) -> Vec<PathBuf> {
    let (Some(name), Ok(entries)) = (scratch.file_name(), fs::read_dir(DISK_GROUPS)) else {
        return Vec::new();
    };
    let ours = entries
        .flatten()
        .filter(|entry| entry.file_name().as_bytes().starts_with(name.as_bytes()));
    ours.map(|entry| entry.path()).collect()
}

/// The control group of one node's disk.
pub(crate) fn disk_group(scratch: &Path, node: u32) -> io::Result<PathBuf> {
    let name = scratch.file_name().unwrap_or_default().to_string_lossy();
    let group = Path::new(DISK_GROUPS).join(format!("{name}-n{node}"));
    match fs::create_dir(&group) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(group),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::thread::yield_now;

    use super::*;

    #[test]
    fn what_a_dead_run_left_is_removed_and_a_live_one_is_not() {
        let alive = Scratch::create().unwrap();
        let dead = Scratch::create().unwrap();
        let mut owner = Command::new("sleep").arg("60").spawn().unwrap();
        fs::write(dead.path().join(OWNERS), "").unwrap();
        dead.add_owner(owner.id()).unwrap();
        // A node of it that outlived it.
        let mut node = Command::new("sh")
            .args(["-c", "sleep 60; : \"$0\""])
            .arg(dead.path().join("n1"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        // It has no command line yet when `spawn` returns, while the kernel is still loading it.
        while processes_of(dead.path()).is_empty() {
            yield_now();
        }
        assert!(!sweep().contains(&dead.path().to_owned()));
        owner.kill().unwrap();
        owner.wait().unwrap();
        assert!(sweep().contains(&dead.path().to_owned()));
        assert!(!dead.path().exists());
        assert!(!node.wait().unwrap().success());
        assert!(alive.path().exists());
    }
}
