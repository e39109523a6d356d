//! The namespaces of a run. The harness starts itself anew inside a mount, network and process namespace of its own, and
//! everything that it makes there (nodes, networks, mounts, loop devices) ends with the last of its processes, however
//! that comes about. Outside stay the folder with the results, and, when the harness is killed, an empty folder and empty
//! control groups, which the next start removes.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};

use rustix::process::{Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use super::error::Error;
use super::scratch::{self, Scratch};

/// Names the run's folder to the harness inside.
const INSIDE: &str = "JEPSEN_INSIDE";

/// How large the folder may become: it is in memory, so that it goes when the run does.
const SCRATCH_SIZE: &str = "size=6g";

/// How long a stopped run may take to put everything back.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// The run's folder, when this process is the harness inside.
pub(crate) fn inside() -> Option<PathBuf> {
    std::env::var_os(INSIDE).map(PathBuf::from)
}

/// The programs that a sandbox needs.
pub(crate) const PROGRAMS: [&str; 5] = ["unshare", "nsenter", "ip", "mount", "umount"];

/// A command that runs `program` in namespaces of its own.
pub(crate) fn unshared(program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--",
    ]);
    command.arg(program);
    command
}

/// A folder for a run, after what dead runs left has been removed.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn scratch_outside() -> Result<Scratch, Error> {
    for left in scratch::sweep() {
        eprintln!("jepsen: removed what a dead run left: {}", left.display());
    }
    Scratch::create()
}

/// Runs this very command line in a sandbox and gives its exit code.
///
/// # Errors
/// When the sandbox cannot be made.
pub(crate) fn enter(binary: Option<&Path>) -> Result<ExitCode, Error> {
    let scratch = scratch_outside()?;
    let program = std::env::current_exe().map_err(Error::io("the path of this program"))?;
    let mut command = unshared(&program);
    command
        .args(std::env::args_os().skip(1))
        .env(INSIDE, scratch.path())
        // It ends when this pipe does.
        .stdin(Stdio::piped())
        // Ctrl-C is for us; the run inside is asked to stop, not cut off.
        .process_group(0);
    if let Some(binary) = binary {
        command.env(super::binary::VARIABLE, binary);
    }
    let mut child = command.spawn().map_err(Error::io("unshare"))?;
    scratch.add_owner(child.id())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Error::io("the runtime"))?;
    let ended = runtime
        .block_on(wait(&mut child))
        .map_err(Error::io("waiting for the run"))?;
    Ok(code(ended))
}

fn code(ended: ExitStatus) -> ExitCode {
    let signal = ended.signal().map(|signal| 128 + signal);
    let code = ended.code().or(signal).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

async fn wait(child: &mut std::process::Child) -> io::Result<ExitStatus> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut stdin = child.stdin.take();
    let mut kill_at: Option<tokio::time::Instant> = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if kill_at.is_some_and(|at| at <= tokio::time::Instant::now()) {
            // The kernel ends everything inside with its first process. Were `unshare` ended instead, its file systems
            // could stay mounted where nobody sees them.
            match scratch::children(child.id()).as_slice() {
                [] => child.kill()?,
                inside => inside.iter().for_each(|pid| {
                    let _ = kill_process(*pid, Signal::KILL);
                }),
            }
        }
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = tokio::time::sleep(Duration::from_millis(50)) => continue,
        }
        kill_at = match stdin.take() {
            Some(_) => Some(tokio::time::Instant::now() + STOP_TIMEOUT),
            None => Some(tokio::time::Instant::now()),
        };
    }
}

/// Inside: lets the run's folder live in memory, so that nothing of it is left on a disk.
///
/// # Errors
/// When it cannot be mounted.
pub(crate) async fn furnish(scratch: &Path) -> Result<(), Error> {
    let target = scratch.display().to_string();
    super::command::run("mount", &["-t", "tmpfs", "-o", SCRATCH_SIZE, "weir-jepsen", &target]).await?;
    super::command::run("ip", &["link", "set", "lo", "up"]).await?;
    Ok(())
}
