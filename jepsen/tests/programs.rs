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
        build(folder);
    }
    assert!(weir.exists(), "{} is not there", weir.display());
    weir
}

/// Whether none of the files that cargo lists beside it is newer.
fn is_fresh(weir: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    let (Some(built), Ok(list)) = (changed(weir), fs::read_to_string(weir.with_extension("d"))) else {
        return false;
    };
    let sources = list.split_once(": ").map_or("", |(_, sources)| sources);
    let is_older = |source: &str| changed(Path::new(source)).is_some_and(|at: SystemTime| at <= built);
    sources.split_ascii_whitespace().all(is_older)
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
