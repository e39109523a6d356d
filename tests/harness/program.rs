//! A program of another language that a test talks to, line by line.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::weir::wait_at_most;

/// A running program. Dropping it kills it.
pub(crate) struct Program {
    name: String,
    process: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    errors: tempfile::NamedTempFile,
}

/// Runs a program to its end and returns what it printed; panics with all of it when it fails.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{stdout}\n{stderr}",
        output.status
    );
    stdout
}

impl Program {
    /// Starts `command`.
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        let errors = tempfile::NamedTempFile::new_in(super::build_dir()).unwrap();
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(errors.path()).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (sender, lines) = mpsc::channel();
        let stdout = process.stdout.take().expect("it is piped");
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self {
            name: name.to_owned(),
            input: process.stdin.take().expect("it is piped"),
            process,
            lines,
            errors,
        }
    }

    /// The next line that it prints; `None` at its end.
    pub(crate) fn line(&mut self, timeout: Duration) -> Option<String> {
        match self.lines.recv_timeout(timeout) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("{} said nothing for {timeout:?}\n{}", self.name, self.errors()),
        }
    }

    /// Sends it a line.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
        self.input.flush().unwrap();
    }

    /// Waits for its end, which must be a success.
    pub(crate) fn finish(mut self, timeout: Duration) {
        let status = wait_at_most(&mut self.process, timeout);
        let ended = status.is_some_and(|status| status.success());
        assert!(ended, "{} ended with {status:?}\n{}", self.name, self.errors());
    }

    fn errors(&self) -> String {
        let mut text = String::new();
        File::open(Path::new(self.errors.path()))
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        text
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
