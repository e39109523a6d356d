//! One node: a `weir serve` process, where it runs and what it runs on.

use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

use super::disk::Disk;
use super::error::Error;

/// How long a process may take to be gone after SIGKILL, and to end after SIGTERM.
const GONE_TIMEOUT: Duration = Duration::from_secs(20);
const END_TIMEOUT: Duration = Duration::from_secs(45);

/// Where a node listens, and where others find it.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    /// Clients.
    pub(crate) client: SocketAddr,
    /// Operators.
    pub(crate) admin: SocketAddr,
    /// Other nodes.
    pub(crate) peer: SocketAddr,
    /// Where other nodes are told to connect: as `peer`, or something in between.
    pub(crate) advertised: SocketAddr,
}

/// What all starts of a node have in common.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// The program.
    pub(crate) binary: PathBuf,
    /// Flags for `weir serve` beyond the addresses and the data directory.
    pub(crate) flags: Vec<String>,
    /// Variables.
    pub(crate) variables: Vec<(String, String)>,
    /// The network namespace's file, if it has one.
    pub(crate) namespace: Option<PathBuf>,
}

/// A node.
pub(crate) struct Node {
    /// Its number, from 1.
    pub(crate) id: u32,
    /// Where it listens.
    pub(crate) addresses: Addresses,
    /// Its disk, where it has one of its own.
    pub(crate) disk: Option<Disk>,
    /// The file that says how wrong its clock is, where that can be said.
    pub(crate) clock: Option<PathBuf>,
    launch: Launch,
    data_dir: PathBuf,
    log: PathBuf,
    process: Mutex<Process>,
}

/// The process, if it runs.
#[derive(Default)]
pub(crate) struct Process {
    child: Option<Child>,
    /// Its standard input: it ends when this does, and waiting for a child would close it.
    stdin: Option<ChildStdin>,
    is_paused: bool,
    /// How it ended when nobody here ended it.
    ends: Vec<Ended>,
}

/// A process that ended though nobody here ended it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The node.
    pub(crate) node: u32,
    /// Its exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// The last line that it logged.
    pub(crate) last_line: String,
}

impl Ended {
    /// Whether it ended as a node should whose files or disk are no good: it said so, and its exit code says the same
    /// (data directory, storage, storage while serving, cluster).
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self.code, Some(11..=13 | 15)) && self.last_line.starts_with("error: ")
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            Some(code) => write!(f, "n{} ended with {code}: {}", self.node, self.last_line),
            None => write!(f, "n{} was ended by a signal: {}", self.node, self.last_line),
        }
    }
}

impl Node {
    pub(crate) fn new(id: u32, addresses: Addresses, launch: Launch, folder: &Path, log: PathBuf) -> Self {
        Self {
            id,
            addresses,
            disk: None,
            clock: None,
            launch,
            data_dir: folder.join("data"),
            log,
            process: Mutex::new(Process::default()),
        }
    }

    /// What reports call it.
    pub(crate) fn name(&self) -> String {
        format!("n{}", self.id)
    }

    /// Its files.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Adds a flag for all starts to come.
    pub(crate) fn add_flags(&mut self, flags: &[String]) {
        self.launch.flags.extend_from_slice(flags);
    }

    /// What time it is on its wall clock, in seconds, as a process tells that has the same variables.
    ///
    /// # Errors
    /// When there is no `date`.
    pub(crate) async fn date_s(&self) -> Result<f64, Error> {
        let mut command = Command::new("date");
        let variables = self.launch.variables.iter().map(|(name, value)| (name, value));
        let output = command.arg("+%s.%N").envs(variables).output().await;
        let text = output.map_err(Error::io("date"))?.stdout;
        let text = String::from_utf8_lossy(&text);
        text.trim()
            .parse()
            .map_err(|_| Error::state(format!("date says {text}")))
    }

    /// Kills it, and leaves it an empty disk.
    ///
    /// # Errors
    /// When it does not go, or its files cannot be removed.
    pub(crate) async fn empty(&self) -> Result<(), Error> {
        let mut held = self.hold().await;
        held.kill().await?;
        match std::fs::remove_dir_all(&self.data_dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(self.data_dir.display())(error))
            }
            _ => Ok(()),
        }
    }

    /// The right to start and end it. Whoever has it is alone with it.
    pub(crate) async fn hold(&self) -> Held<'_> {
        Held {
            node: self,
            process: self.process.lock().await,
        }
    }

    fn command(&self) -> Result<Command, Error> {
        let log = self.open_log()?;
        let errors = log.try_clone().map_err(Error::io(self.log.display()))?;
        let mut command = match &self.launch.namespace {
            Some(namespace) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net={}", namespace.display())).arg("--");
                command.arg(&self.launch.binary);
                command
            }
            None => Command::new(&self.launch.binary),
        };
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("WEIR_") || text.to_ascii_lowercase().ends_with("_proxy") {
                command.env_remove(name);
            }
        }
        let Addresses {
            client,
            admin,
            peer,
            advertised,
        } = &self.addresses;
        command
            .args(["serve", "--end-with-stdin", "--data-dir"])
            .arg(&self.data_dir)
            .args(["--listen", &client.to_string(), "--admin-listen", &admin.to_string()])
            .args([
                "--peer-listen",
                &peer.to_string(),
                "--peer-advertise",
                &advertised.to_string(),
            ])
            .args(&self.launch.flags)
            .envs(self.launch.variables.iter().map(|(name, value)| (name, value)))
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(errors)
            // Ctrl-C is not for it.
            .process_group(0)
            .kill_on_drop(true);
        Ok(command)
    }

    /// The last line that it logged.
    pub(crate) fn last_line(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.lines().last().unwrap_or_default().to_owned()
    }

    fn open_log(&self) -> Result<File, Error> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        log.map_err(Error::io(self.log.display()))
    }
}

/// A node that nobody else starts or ends meanwhile.
pub(crate) struct Held<'a> {
    node: &'a Node,
    process: MutexGuard<'a, Process>,
}

impl Held<'_> {
    /// The node.
    pub(crate) fn node(&self) -> &Node {
        self.node
    }

    /// Its process, when it runs.
    pub(crate) fn pid(&mut self) -> Option<u32> {
        self.reap();
        self.process.child.as_ref().and_then(Child::id)
    }

    /// Whether it is stopped by a signal.
    pub(crate) fn is_paused(&self) -> bool {
        self.process.is_paused
    }

    /// Whether it runs and is not stopped.
    pub(crate) fn is_up(&mut self) -> bool {
        self.pid().is_some() && !self.process.is_paused
    }

    fn reap(&mut self) {
        let Some(child) = &mut self.process.child else {
            return;
        };
        if let Ok(Some(status)) = child.try_wait() {
            self.process.child = None;
            self.process.is_paused = false;
            self.process.ends.push(Ended {
                node: self.node.id,
                code: status.code(),
                last_line: self.node.last_line(),
            });
        }
    }

    /// Starts it, unless it runs.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(crate) fn start(&mut self) -> Result<bool, Error> {
        if self.pid().is_some() {
            return Ok(false);
        }
        let child = self.node.command()?.spawn();
        let mut child = child.map_err(Error::io(self.node.launch.binary.display()))?;
        self.process.stdin = child.stdin.take();
        self.process.child = Some(child);
        Ok(true)
    }

    /// SIGKILL, and waits until it is gone. Gives the pid that was ended.
    ///
    /// # Errors
    /// When it does not go.
    pub(crate) async fn kill(&mut self) -> Result<Option<u32>, Error> {
        let Some(pid) = self.pid() else {
            return Ok(None);
        };
        if let Some(child) = &mut self.process.child {
            child.start_kill().map_err(Error::io(format!("kill {pid}")))?;
            let gone = timeout(GONE_TIMEOUT, child.wait()).await;
            gone.map_err(|_| {
                Error::state(format!(
                    "{} is not gone {GONE_TIMEOUT:?} after SIGKILL",
                    self.node.name()
                ))
            })?
            .map_err(Error::io(format!("wait for {pid}")))?;
        }
        self.process.child = None;
        self.process.is_paused = false;
        Ok(Some(pid))
    }

    /// SIGTERM, and waits for the end that it asks for. Gives the exit code.
    ///
    /// # Errors
    /// When it does not end.
    pub(crate) async fn end(&mut self) -> Result<Option<i32>, Error> {
        let Some(pid) = self.pid() else {
            return Ok(None);
        };
        self.signal(Signal::TERM)?;
        let Some(child) = &mut self.process.child else {
            return Ok(None);
        };
        let ended = timeout(END_TIMEOUT, child.wait()).await;
        let ended = ended.map_err(|_| Error::state(format!("{} does not end after SIGTERM", self.node.name())))?;
        let status = ended.map_err(Error::io(format!("wait for {pid}")))?;
        self.process.child = None;
        Ok(status.code())
    }

    /// SIGSTOP. Gives the pid, if there is a process to stop.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub(crate) fn pause(&mut self) -> Result<Option<u32>, Error> {
        let Some(pid) = self.pid() else {
            return Ok(None);
        };
        self.signal(Signal::STOP)?;
        self.process.is_paused = true;
        Ok(Some(pid))
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub(crate) fn resume(&mut self) -> Result<(), Error> {
        if self.pid().is_some() {
            self.signal(Signal::CONT)?;
        }
        self.process.is_paused = false;
        Ok(())
    }

    fn signal(&mut self, signal: Signal) -> Result<(), Error> {
        let pid = self.pid().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let pid = pid.ok_or_else(|| Error::state(format!("{} does not run", self.node.name())))?;
        kill_process(pid, signal).map_err(|error| Error::io(self.node.name())(error.into()))
    }

    /// How it ended as it should when its disk fails, since the last call. What else it ended of stays to be reported.
    pub(crate) fn take_refusals(&mut self) -> Vec<Ended> {
        self.reap();
        let (refusals, others) = std::mem::take(&mut self.process.ends)
            .into_iter()
            .partition(Ended::is_refusal);
        self.process.ends = others;
        refusals
    }

    /// Leaves an end to be reported at the end of the run.
    pub(crate) fn put_back(&mut self, ended: Ended) {
        self.process.ends.push(ended);
    }

    /// How it ended when nobody here ended it, since the last call.
    pub(crate) fn take_ends(&mut self) -> Vec<Ended> {
        self.reap();
        std::mem::take(&mut self.process.ends)
    }
}
