//! One node as a child process: its log goes on under a prefix, its first lines tell when it is ready.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc::UnboundedSender;

use super::plan::NodePlan;

/// What is to know about the node of this number.
#[derive(Debug)]
pub(super) enum Event {
    /// Where it is reached.
    Ready(usize, Announced),
    /// How it ended.
    Ended(usize, io::Result<ExitStatus>),
}

/// URLs.
#[derive(Debug, Clone)]
pub(super) struct Announced {
    pub(super) client: String,
    pub(super) admin: String,
}

/// A running node.
#[derive(Debug)]
pub(super) struct Node {
    /// It ends gracefully when this is closed, also by the end of this process, whatever kind of end that is.
    stdin: Option<ChildStdin>,
    pid: Option<Pid>,
}

impl Node {
    /// Starts it. What happens to it is told to `events`: [`Event::Ready`] at most once, then [`Event::Ended`] once.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(super) fn start(number: usize, plan: &NodePlan, events: UnboundedSender<Event>) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(plan.child_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A terminal's Ctrl-C is for us: we end the nodes.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take();
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        tokio::spawn(follow(number, child, events));
        Ok(Self { stdin, pid })
    }

    /// Asks for a graceful end.
    pub(super) fn end(&mut self) {
        self.stdin = None;
    }

    /// It has ended: whoever has its process id now is somebody else.
    pub(super) fn ended(&mut self) {
        self.end();
        self.pid = None;
    }

    /// Whether it has not ended yet, as far as was told.
    pub(super) fn runs(&self) -> bool {
        self.pid.is_some()
    }

    /// Ends it at once.
    pub(super) fn kill(&self) {
        if let Some(pid) = self.pid {
            // It may be ending already.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

async fn follow(number: usize, mut child: Child, events: UnboundedSender<Event>) {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let log = async {
        if let Some(stderr) = stderr {
            forward(number, BufReader::new(stderr)).await;
        }
    };
    let told = async {
        let Some(stdout) = stdout else { return };
        let mut stdout = BufReader::new(stdout);
        let client = announced(number, &mut stdout, "weir: listening on ").await;
        let admin = announced(number, &mut stdout, "weir: admin on ").await;
        if let (Some(client), Some(admin)) = (client, admin) {
            // Nobody listens any more when this process ends.
            let _ = events.send(Event::Ready(number, Announced { client, admin }));
        }
        forward(number, stdout).await;
    };
    // Its last lines come before the news of its end.
    tokio::join!(log, told);
    let ended = child.wait().await;
    let _ = events.send(Event::Ended(number, ended));
}

async fn announced(number: usize, from: &mut (impl AsyncBufRead + Unpin), what: &str) -> Option<String> {
    let mut line = String::new();
    from.read_line(&mut line).await.ok()?;
    let url = line.trim_end().strip_prefix(what);
    if url.is_none() && !line.is_empty() {
        print(number, line.trim_end());
    }
    url.map(ToOwned::to_owned)
}

async fn forward(number: usize, mut from: BufReader<impl AsyncRead + Unpin>) {
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).await.is_ok_and(|count| count > 0) {
        print(number, String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}

fn print(number: usize, line: impl Display) {
    // Nothing depends on whether somebody reads it.
    let _ = writeln!(io::stderr(), "node-{number} | {line}");
}
