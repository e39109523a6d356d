//! Programs that do something for us: mount, ip, mkfs and the like.

use std::ffi::OsStr;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::error::Error;

/// None of them should take longer than a moment.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs a program to its end and gives what it printed.
///
/// # Errors
/// When it cannot be started, takes too long, or ends with another code than 0.
pub(crate) async fn run<S: AsRef<OsStr>>(program: &str, args: &[S]) -> Result<String, Error> {
    let line = || {
        let args = args.iter().map(|arg| arg.as_ref().to_string_lossy());
        std::iter::once(program.into())
            .chain(args)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let failed = |said: String| Error::Command { command: line(), said };
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(COMMAND_TIMEOUT, command.output()).await;
    let output = output.map_err(|_| failed(format!("no end within {COMMAND_TIMEOUT:?}")))?;
    let Output { status, stdout, stderr } = output.map_err(|cause| failed(cause.to_string()))?;
    if !status.success() {
        return Err(failed(format!("{status}: {}", String::from_utf8_lossy(&stderr).trim())));
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}
