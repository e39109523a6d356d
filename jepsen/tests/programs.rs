//! The programs: `jepsen`, which cargo has built for these tests, and `weir`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// One run at a time: they are sensitive to who else uses the machine.
static MACHINE: Mutex<()> = Mutex::new(());

/// The machine for oneself.
pub(crate) fn machine() -> MutexGuard<'static, ()> {
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The harness.
pub(crate) fn jepsen() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jepsen"));
    // The runner's own would be taken for the run's end.
    command.stdin(std::process::Stdio::null());
    command
}

/// The server: the one that `JEPSEN_BINARY` names, else the one that cargo has built beside the harness, as it does for a
/// test of the whole workspace. If that is missing, or older than what it is made of, it is built.
pub(crate) fn weir() -> PathBuf {
    if let Some(named) = std::env::var_os("JEPSEN_BINARY") {
        return PathBuf::from(named);
    }
    let folder = Path::new(env!("CARGO_BIN_EXE_jepsen")).parent().unwrap();
    let weir = folder.join("weir");
    if !is_fresh(&weir) {
        announce(&format!("jepsen: {} is old or missing, and is built", weir.display()));
        build(folder);
    }
    assert!(weir.exists(), "{} is not there", weir.display());
    weir
}

/// What the server is made of, below the workspace's folder.
const SOURCES: [&str; 3] = ["src", "cluster", "proto"];

/// Whether nothing that the server is made of is newer.
fn is_fresh(weir: &Path) -> bool {
    let Ok(built) = fs::metadata(weir).and_then(|data| data.modified()) else {
        return false;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    SOURCES.iter().all(|folder| is_older(&root.join(folder), built))
}

/// Whether a file, or all below a folder, is no newer. Tests and pages are no part of the server.
fn is_older(path: &Path, built: SystemTime) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if matches!(name, "tests" | "tests.rs" | "examples") || name.ends_with(".md") {
        return true;
    }
    match fs::read_dir(path) {
        Ok(entries) => entries.flatten().all(|entry| is_older(&entry.path(), built)),
        Err(_) => fs::metadata(path)
            .and_then(|data| data.modified())
            .is_ok_and(|at| at <= built),
    }
}

fn build(folder: &Path) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args([
            "build",
            "--locked",
            "--package",
            "weir",
            "--bin",
            "weir",
            "--target-dir",
        ])
        .arg(folder.parent().unwrap());
    match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => {}
        Some(profile) => drop(command.args(["--profile", profile])),
    }
    assert!(command.status().unwrap().success(), "weir cannot be built");
}

/// A line that is seen although the test passes.
pub(crate) fn announce(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}
