//! A `weir dev` process: started, killed, stopped and started again on the same port and data.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long a start may take, recovery included. Generous, as the machine may be busy.
pub(super) const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the graceful end may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of its log a failed test shows, in bytes.
pub(super) const LOG_TAIL_BYTES: usize = 8 * 1024;

/// A storage backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storage {
    Memory,
    File,
    Redb,
}

impl Storage {
    /// What `--storage` calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::File => "file",
            Self::Redb => "redb",
        }
    }
}

/// The server under test. Dropping it kills the process and removes its data; a test that fails shows its log.
#[derive(Debug)]
pub(crate) struct Weir {
    storage: Storage,
    flags: Vec<String>,
    scratch: TempDir,
    data_dir: PathBuf,
    addresses: Addresses,
    process: Option<Child>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) listen: SocketAddr,
    admin: SocketAddr,
}

impl Weir {
    /// Starts a server on free ports with an empty data directory.
    pub(crate) fn start(storage: Storage) -> Self {
        Self::start_with(storage, &[], None)
    }

    /// As [`Weir::start`], with further flags, and on a copy of `data` when it is given.
    pub(crate) fn start_with(storage: Storage, flags: &[&str], data: Option<&Path>) -> Self {
        let scratch = super::scratch();
        let directory = scratch.path().join("data");
        match data {
            Some(source) => copy_tree(source, &directory),
            None => fs::create_dir(&directory).unwrap(),
        }
        Self::start_in(storage, flags, scratch, directory)
    }

    /// As [`Weir::start`], with the data in this directory, which stays.
    pub(crate) fn start_on(storage: Storage, directory: &Path) -> Self {
        Self::start_in(storage, &[], super::scratch(), directory.to_owned())
    }

    fn start_in(storage: Storage, flags: &[&str], scratch: TempDir, data_dir: PathBuf) -> Self {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut weir = Self {
            storage,
            flags: flags.iter().map(ToString::to_string).collect(),
            scratch,
            data_dir,
            addresses: Addresses {
                listen: free,
                admin: free,
            },
            process: None,
        };
        weir.launch();
        weir
    }

    /// The backend that it runs on.
    pub(crate) fn storage(&self) -> Storage {
        self.storage
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses.listen
    }

    /// The base URL, without a path.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addresses.listen)
    }

    /// The URL of a stream whose name needs no encoding.
    pub(crate) fn stream_url(&self, name: &str) -> String {
        format!("{}/v1/stream/{name}", self.url())
    }

    /// Where the data is.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.data_dir.clone()
    }

    /// Ends the process as a crash does: SIGKILL, no chance to finish anything.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("the server runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Ends the process as an operator does: SIGTERM, after which it must exit with 0 within a bound.
    pub(crate) fn stop(&mut self) {
        let process = self.process.as_mut().expect("the server runs");
        let pid = Pid::from_child(process);
        kill_process(pid, Signal::TERM).unwrap();
        let status = wait_at_most(process, STOP_TIMEOUT);
        let status = status.unwrap_or_else(|| panic!("SIGTERM did not end the server within {STOP_TIMEOUT:?}"));
        assert!(status.success(), "after SIGTERM the server ended with {status}");
        self.process = None;
    }

    /// Starts the ended server again, on the same ports and data.
    pub(crate) fn restart(&mut self) {
        assert!(self.process.is_none(), "the server still runs");
        self.launch();
    }

    fn launch(&mut self) {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .unwrap();
        let process = program()
            .current_dir(self.scratch.path())
            .arg("dev")
            .args(["--storage", self.storage.name()])
            .args(["--listen", &self.addresses.listen.to_string()])
            .args(["--admin-listen", &self.addresses.admin.to_string()])
            // Beside the client's port, as by default, another test may have its own.
            .args(["--peer-listen", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(self.data_dir())
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let process = self.process.insert(process);
        let lines = drain(process);
        self.addresses = match read_addresses(&lines) {
            Ok(addresses) => addresses,
            Err(problem) => panic!("the server did not start: {problem}"),
        };
    }

    fn log_path(&self) -> PathBuf {
        self.scratch.path().join("weir.log")
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        if thread::panicking() {
            let log = fs::read(self.log_path()).unwrap_or_default();
            let tail = &log[log.len().saturating_sub(LOG_TAIL_BYTES)..];
            eprintln!("--- the server's log ends with\n{}", String::from_utf8_lossy(tail));
        }
    }
}

/// The binary, without what the tests' own environment would tell it.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WEIR_") {
            command.env_remove(name);
        }
    }
    command
}

/// Reads the process's output to its end, so that it never waits for a reader.
pub(crate) fn drain(process: &mut Child) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    let stdout = process.stdout.take().expect("it is piped");
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // After the first lines nobody listens any more.
            let _ = sender.send(line);
        }
    });
    receiver
}

pub(crate) fn read_addresses(lines: &Receiver<String>) -> Result<Addresses, String> {
    let deadline = Instant::now() + START_TIMEOUT;
    let next = |prefix: &str| {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = lines
            .recv_timeout(left)
            .map_err(|error| format!("no line '{prefix}...': {error}"))?;
        let address = line
            .strip_prefix(prefix)
            .ok_or_else(|| format!("expected '{prefix}...', got '{line}'"))?;
        address.parse().map_err(|error| format!("'{line}': {error}"))
    };
    Ok(Addresses {
        listen: next("weir: listening on http://")?,
        admin: next("weir: admin on http://")?,
    })
}

/// Waits for a process's end; `None` when it takes longer.
pub(crate) fn wait_at_most(process: &mut Child, timeout: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(status) = process.try_wait().unwrap() {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Copies a directory that holds only files and directories.
fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
            File::open(&target).unwrap().sync_all().unwrap();
        }
    }
}
