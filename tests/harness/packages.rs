//! Installing the pinned npm and PyPI packages, each set once per build directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::program::run;
use super::{build_dir, tests_dir};

/// The oldest Node.js that the pinned packages run on.
const MIN_NODE_MAJOR: u32 = 20;
/// The oldest Python 3 that is tested.
const MIN_PYTHON_MINOR: u32 = 11;

/// A directory with the files of `tests/{set}` and their npm packages in it, as the lock file says.
pub(crate) fn npm(set: &str) -> PathBuf {
    require_node();
    install(set, "package-lock.json", |directory| {
        run(Command::new("npm")
            .args([
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--no-update-notifier",
            ])
            .current_dir(directory));
    })
}

/// A directory with the files of `tests/{set}` in it, and the Python of a virtual environment with its requirements.
pub(crate) fn python(set: &str) -> (PathBuf, PathBuf) {
    let interpreter = require_python();
    let directory = install(set, "requirements.txt", |directory| {
        let environment = directory.join("venv");
        run(Command::new(interpreter)
            .args(["-m", "venv", "--clear"])
            .arg(&environment));
        run(Command::new(environment.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--requirement",
            ])
            .arg(directory.join("requirements.txt")));
    });
    let python = directory.join("venv/bin/python");
    (directory, python)
}

/// Copies the set's files into the build directory and runs `fill`, unless that was done for the same `lock` before.
fn install(set: &str, lock: &str, fill: impl FnOnce(&Path)) -> PathBuf {
    let directory = build_dir().join(format!("{}-{set}", lock.split('.').next().unwrap_or(lock)));
    fs::create_dir_all(&directory).unwrap();
    // Tests run in parallel, and so may two cargo processes. The lock ends with the file.
    let guard = File::create(directory.join(".lock")).unwrap();
    guard.lock().unwrap();
    for entry in fs::read_dir(tests_dir().join(set)).unwrap().map(Result::unwrap) {
        let is_source = entry.path().extension().is_some_and(|extension| extension == "rs");
        if entry.file_type().unwrap().is_file() && !is_source {
            fs::copy(entry.path(), directory.join(entry.file_name())).unwrap();
        }
    }
    let wanted = fs::read(directory.join(lock)).unwrap();
    let stamp = directory.join(".installed");
    if fs::read(&stamp).ok().as_ref() != Some(&wanted) {
        fill(&directory);
        fs::write(&stamp, wanted).unwrap();
    }
    directory
}

fn require_node() {
    let hint = "this test needs Node.js 20 or later with npm (https://nodejs.org, or your system's package manager)";
    let version = version_of("node").unwrap_or_else(|| panic!("node was not found; {hint}"));
    let major = version
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|text| text.parse().ok());
    assert!(major >= Some(MIN_NODE_MAJOR), "node is {version}; {hint}");
    assert!(version_of("npm").is_some(), "npm was not found; {hint}");
}

fn require_python() -> &'static str {
    let hint =
        "this test needs Python 3.11 or later with venv and pip (on Debian: apt-get install python3 python3-venv)";
    let version = version_of("python3").unwrap_or_else(|| panic!("python3 was not found; {hint}"));
    let mut parts = version
        .trim_start_matches("Python ")
        .split('.')
        .map(|part| part.parse().ok());
    let (major, minor): (Option<u32>, Option<u32>) = (parts.next().flatten(), parts.next().flatten());
    assert!(
        major == Some(3) && minor >= Some(MIN_PYTHON_MINOR),
        "python3 is {version}; {hint}"
    );
    let has_venv = Command::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .stderr(Stdio::null())
        .status();
    assert!(
        has_venv.is_ok_and(|status| status.success()),
        "python3 has no venv; {hint}"
    );
    "python3"
}

/// The first line of `program --version`; `None` when there is no such program.
fn version_of(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output
        .status
        .success()
        .then(|| text.lines().next().unwrap_or_default().trim().to_owned())
}
