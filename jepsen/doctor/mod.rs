//! What this machine can do, found out by doing it, and what will be skipped for want of it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use serde::Serialize;

use crate::cluster::Error;
use crate::cluster::command::run;
use crate::cluster::disk::{Disk, LastBreath};
use crate::cluster::sandbox;
use crate::nemesis::KINDS;

/// Says what this machine can do, and what will be skipped.
///
/// # Errors
/// When it cannot be found out.
pub fn main() -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Error::io("the runtime"))?;
    if let Some(scratch) = sandbox::inside() {
        let machine = runtime.block_on(async {
            sandbox::furnish(&scratch).await?;
            Ok::<_, Error>(Machine::inside(&scratch).await)
        })?;
        print!("{}", machine.describe());
        return Ok(ExitCode::SUCCESS);
    }
    match can_sandbox() {
        Ok(()) => sandbox::enter(None),
        Err(why) => {
            print!("{}", runtime.block_on(Machine::outside(&why)).describe());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Whether one thing can be done.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Probe(Result<String, String>);

impl Probe {
    fn of<T: Into<String>>(tried: Result<T, Error>) -> Self {
        Self(tried.map(Into::into).map_err(|error| error.to_string()))
    }

    /// Why it cannot be done.
    pub(crate) fn missing(&self) -> Option<String> {
        self.0.as_ref().err().cloned()
    }

    /// Whether it can.
    pub(crate) const fn works(&self) -> bool {
        self.0.is_ok()
    }

    fn no(why: &str) -> Self {
        Self(Err(why.to_owned()))
    }
}

/// What this machine can do.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    /// Namespaces for the run.
    pub(crate) sandbox: Probe,
    /// TAP devices for the switch.
    pub(crate) switch: Probe,
    /// ext4 on loop devices.
    pub(crate) disks: Probe,
    /// The ioctl that cuts a file system off.
    pub(crate) power: Probe,
    /// Control groups that limit a disk.
    pub(crate) throttle: Probe,
    /// The library that makes clocks wrong; its path.
    pub(crate) faketime: Probe,
}

impl Machine {
    /// Without a sandbox: what is left.
    pub(crate) async fn outside(why: &str) -> Self {
        let no = || Probe::no(why);
        Self {
            sandbox: no(),
            switch: no(),
            disks: no(),
            power: no(),
            throttle: no(),
            faketime: faketime().await,
        }
    }

    /// Inside a sandbox: tries everything in the run's folder.
    pub(crate) async fn inside(scratch: &Path) -> Self {
        let folder = scratch.join("probe");
        let made = std::fs::create_dir(&folder).map_err(Error::io(folder.display()));
        let disk = match made {
            Ok(()) => Disk::make(&folder, 0).await,
            Err(error) => Err(error),
        };
        let (power, throttle) = match &disk {
            Ok(disk) => (Probe::of(throw_power(disk).await), Probe::of(limit(disk).await)),
            Err(_) => (
                Probe::no("needs a disk of its own"),
                Probe::no("needs a disk of its own"),
            ),
        };
        if let Ok(disk) = &disk {
            // What is left goes with the sandbox.
            let _ = disk.unmount().await;
        }
        let _ = std::fs::remove_dir_all(&folder);
        Self {
            sandbox: Probe(Ok("mount, network and process namespaces".to_owned())),
            switch: Probe::of(tap()),
            disks: Probe::of(disk.map(|_| "ext4 on a loop device")),
            power,
            throttle,
            faketime: faketime().await,
        }
    }

    /// The library that makes clocks wrong.
    pub(crate) fn faketime_library(&self) -> Option<PathBuf> {
        self.faketime.0.as_ref().ok().map(PathBuf::from)
    }

    /// What it can do and cannot, for people.
    pub(crate) fn describe(&self) -> String {
        let rows = [
            ("namespaces", &self.sandbox),
            ("switch", &self.switch),
            ("disks", &self.disks),
            ("power loss", &self.power),
            ("slow disks", &self.throttle),
            ("clocks", &self.faketime),
        ];
        let mut text = String::new();
        for (name, probe) in rows {
            let line = match &probe.0 {
                Ok(how) => format!("{name:<12} yes  {how}\n"),
                Err(why) => format!("{name:<12} NO   {why}\n"),
            };
            text.push_str(&line);
        }
        text.push('\n');
        for (kind, name, what) in KINDS {
            let line = match kind.missing(self) {
                None => format!("{name:<12} runs     {what}\n"),
                Some(why) => format!("{name:<12} SKIPPED  {what}: {why}\n"),
            };
            text.push_str(&line);
        }
        if !self.sandbox.works() {
            text.push_str("\nNodes run on loopback, behind proxies that cut and delay what is between them.\n");
        }
        text
    }
}

/// Whether a sandbox with a switch can be made, from outside.
///
/// # Errors
/// Why not.
pub(crate) fn can_sandbox() -> Result<(), String> {
    for program in sandbox::PROGRAMS {
        let found = Command::new("sh")
            .args(["-c", "command -v \"$0\"", program])
            .stdout(Stdio::null())
            .status();
        if !found.is_ok_and(|status| status.success()) {
            return Err(format!("the program {program} is missing"));
        }
    }
    let mut command = sandbox::unshared(Path::new("ip"));
    command.args(["tuntap", "add", "dev", "weirprobe", "mode", "tap"]);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

fn tap() -> Result<&'static str, Error> {
    crate::net::switch::tap("weirprobe").map_err(Error::io("a TAP device"))?;
    Ok("TAP devices and a switch of our own")
}

/// What was synced stays, what was not does not, or else the ioctl is no loss of power.
async fn throw_power(disk: &Disk) -> Result<&'static str, Error> {
    use std::io::Write as _;
    let path = disk.mount_point().join("probe");
    let wrong = |what: &str| Error::state(format!("after the loss of power {what}"));
    let io = || Error::io(path.display());
    let mut file = std::fs::File::create(&path).map_err(io())?;
    file.write_all(b"synced").and_then(|()| file.sync_all()).map_err(io())?;
    file.write_all(b", and not").map_err(io())?;
    disk.cut_power(LastBreath::Lost).await?;
    if file.sync_all().is_ok() {
        return Err(wrong("a sync succeeded"));
    }
    drop(file);
    disk.remount().await?;
    match std::fs::read(&path).map_err(io())?.as_slice() {
        b"synced" => Ok("the ext4 shutdown ioctl, by python3"),
        b"synced, and not" => Err(wrong("what was not synced was there")),
        _ => Err(wrong("what was synced was not there")),
    }
}

async fn limit(disk: &Disk) -> Result<&'static str, Error> {
    let mut child = tokio::process::Command::new("sleep")
        .arg("10")
        .kill_on_drop(true)
        .spawn();
    let child = child.as_mut().map_err(|error| Error::state(error.to_string()))?;
    let tried = match child.id() {
        Some(pid) => disk.throttle(pid, Some(1000)).await,
        None => Err(Error::state("no process to limit")),
    };
    // It ends by itself, at the latest.
    let _ = child.kill().await;
    disk.forget_throttle();
    tried.map(|()| "a control group of version 1 for block devices")
}

/// Where the library is, and that it does what it should: `date` tells the wrong day.
async fn faketime() -> Probe {
    let script = "for lib in /usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib/faketime/libfaketimeMT.so.1; do
        if [ -e \"$lib\" ]; then
            day=$(LD_PRELOAD=\"$lib\" FAKETIME=-3650d date +%Y) || exit 1
            [ \"$day\" -lt \"$(($(date +%Y) - 8))\" ] || { echo \"$lib changes nothing\" >&2; exit 1; }
            printf %s \"$lib\"; exit 0
        fi
    done
    echo 'no libfaketimeMT.so.1 (Debian: apt-get install faketime)' >&2; exit 1";
    Probe::of(run("sh", &["-c", script]).await)
}
