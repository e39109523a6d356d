//! What the end-to-end tests share.

pub(crate) mod cluster;
pub(crate) mod disk;
pub(crate) mod nginx;
pub(crate) mod packages;
pub(crate) mod program;
pub(crate) mod weir;
pub(crate) mod wire;

use std::io::Write as _;
use std::path::{Path, PathBuf};

pub(crate) use weir::{Storage, Weir};

/// The build directory for these tests: cargo's own, so nothing is installed beside the sources.
pub(crate) fn build_dir() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// This directory: `tests/` of the checkout.
pub(crate) fn tests_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests")
}

/// An empty directory that is removed when the value is dropped.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("weir-")
        .tempdir_in(build_dir())
        .unwrap()
}

/// A line that is seen although the test passes: the test runner keeps back only what goes through `print!`.
pub(crate) fn announce(line: &str) {
    let mut out = std::io::stdout().lock();
    // The runner may have written the beginning of a line.
    out.write_all(format!("\n{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}
