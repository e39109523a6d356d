//! Which `weir` runs.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::Error;

/// Names the program to those who want another one than cargo builds.
pub(crate) const VARIABLE: &str = "JEPSEN_BINARY";

/// The program that the flag or the variable names; without either the one that cargo builds, optimised.
///
/// # Errors
/// When it is not there, or cannot be built.
pub(crate) fn find(flag: Option<&Path>) -> Result<PathBuf, Error> {
    let named = flag.map(Path::to_owned);
    let named = named.or_else(|| std::env::var_os(VARIABLE).map(PathBuf::from));
    let binary = match named {
        Some(binary) => binary,
        None => build(&[], None)?,
    };
    let found = std::fs::canonicalize(&binary);
    found.map_err(Error::io(format!("the program {}", binary.display())))
}

/// Builds it in release mode, with further arguments for cargo and, if given, into another folder, and gives its path.
///
/// # Errors
/// When cargo fails.
pub(crate) fn build(arguments: &[&str], target: Option<&Path>) -> Result<PathBuf, Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(&root)
        .args(["build", "--release", "--package", "weir", "--bin", "weir"]);
    command.args(arguments);
    let target = match target {
        Some(target) => target.to_owned(),
        None => std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from),
    };
    command.arg("--target-dir").arg(&target);
    let status = command.status().map_err(Error::io("cargo"))?;
    if !status.success() {
        return Err(Error::state(format!("cargo build ended with {status}")));
    }
    Ok(target.join("release/weir"))
}
