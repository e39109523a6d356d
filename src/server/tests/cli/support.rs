//! Starts the binary, as a server or for one command.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take that should take a moment.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A port that the system chooses.
pub(crate) const ANY: &str = "127.0.0.1:0";

/// How long anything may take that needs elections and copies, on a machine that does other things as well.
const VERY_LONG: Duration = Duration::from_secs(120);

const BINARY: &str = env!("CARGO_BIN_EXE_weir");

/// The binary, without what the tests' own environment would tell it.
pub(crate) fn weir(args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(args);
    clean(command)
}

fn clean(mut command: Command) -> Command {
    command.stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_ascii_lowercase();
        if text.starts_with("weir_") || text.ends_with("_proxy") {
            command.env_remove(name);
        }
    }
    command
}

/// A finished command.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What it printed; it must have succeeded.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}", self.err);
        self.out
    }

    /// What it complained about; it must have ended with this code and printed nothing else.
    pub(crate) fn refused(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert_eq!(self.out, "");
        self.err
    }
}

/// Runs the binary to its end.
pub(crate) fn run(args: &[&str]) -> Done {
    Done::of(weir(args).output().unwrap())
}

/// Runs `weir cluster` on the server with this admin address.
pub(crate) fn cluster(admin: &str, args: &[&str]) -> Done {
    let mut command = weir(&["cluster", "--admin-url", admin]);
    Done::of(command.args(args).output().unwrap())
}

/// The same with `--json`.
pub(crate) fn cluster_json(admin: &str, args: &[&str]) -> serde_json::Value {
    let printed = cluster(admin, args).ok();
    serde_json::from_str(&printed).unwrap()
}

/// Checks that the replicas of every group hold the same, once they have applied the same. To be called at the end of
/// every test with several nodes.
pub(crate) fn replicas_are_equal(admin: &str) {
    eventually("the replicas of every group are at the same index", || {
        let compared = cluster(admin, &["groups", "--hash", "--json"]);
        assert!(!compared.out.contains("different"), "{}", compared.out);
        compared.code == 0
    });
}

/// Waits until something is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + VERY_LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {VERY_LONG:?}: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A server on ports of its own.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    pub(crate) admin: String,
    dir: PathBuf,
    _home: Option<TempDir>,
    log: Option<JoinHandle<String>>,
    log_is_read: Arc<AtomicBool>,
}

impl Server {
    /// In memory.
    pub(crate) fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut server = Self::start_with(home.path(), &["--storage", "memory"]);
        server._home = Some(home);
        server
    }

    /// On this data directory.
    pub(crate) fn start_with(dir: &Path, args: &[&str]) -> Self {
        Self::spawn(dir, ANY, args)
    }

    fn spawn(dir: &Path, listen: &str, args: &[&str]) -> Self {
        let mut command = weir(&["dev", "--data-dir"]);
        command.arg(dir).args(args);
        for (flag, address) in [("--listen", listen), ("--admin-listen", ANY), ("--peer-listen", ANY)] {
            // A flag may be given once.
            if !args.contains(&flag) {
                command.args([flag, address]);
            }
        }
        Self::spawn_command(command, dir)
    }

    /// On this data directory, with limits that a shell's `ulimit` sets first.
    pub(crate) fn start_limited(dir: &Path, limits: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limits}; exec \"$0\" \"$@\""), BINARY]);
        command.args(["dev", "--listen", ANY, "--admin-listen", ANY, "--peer-listen", ANY]);
        command.arg("--data-dir");
        command.arg(dir);
        Self::spawn_command(clean(command), dir)
    }

    fn spawn_command(mut command: Command, dir: &Path) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = child.stderr.take().unwrap();
        let log_is_read = Arc::new(AtomicBool::new(true));
        // So that the server never waits for somebody to read.
        let log = {
            let log_is_read = Arc::clone(&log_is_read);
            thread::spawn(move || read_log(stderr, &log_is_read))
        };
        let (url, admin) = match (announced(&mut stdout, "listening"), announced(&mut stdout, "admin")) {
            (Some(url), Some(admin)) => (url, admin),
            _ => panic!("the server did not start: {}", log.join().unwrap()),
        };
        thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        Self {
            child,
            url,
            admin,
            dir: dir.to_owned(),
            _home: None,
            log: Some(log),
            log_is_read,
        }
    }

    /// `weir serve` with these arguments, on ports that the system chooses.
    pub(crate) fn serve(dir: &Path, args: &[&str]) -> Self {
        let mut command = weir(&["serve", "--listen", ANY, "--admin-listen", ANY, "--peer-listen", ANY]);
        command.arg("--data-dir").arg(dir).args(args);
        Self::spawn_command(command, dir)
    }

    /// Runs `weir cluster` on this server.
    pub(crate) fn cluster(&self, args: &[&str]) -> Done {
        cluster(&self.admin, args)
    }

    /// The same again: same port, same directory.
    pub(crate) fn start_again(&self, args: &[&str]) -> Self {
        Self::spawn(&self.dir, self.url.trim_start_matches("http://"), args)
    }

    /// `weir stream` on this server.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = weir(&["stream", "--url", &self.url]);
        command.args(args);
        command
    }

    /// Runs `weir stream` on this server.
    pub(crate) fn stream(&self, args: &[&str]) -> Done {
        Done::of(self.command(args).output().unwrap())
    }

    /// The same with something on standard input.
    pub(crate) fn stream_with(&self, input: &[u8], args: &[&str]) -> Done {
        let mut command = self.command(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // A command that ends before it has read everything closes the pipe, which is its right.
        let writer = thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Done::of(output)
    }

    /// Status and body of a plain GET on the admin port.
    pub(crate) fn admin(&self, path: &str) -> (u16, String) {
        get(&self.admin, path).unwrap()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Waits for its end, which must come within `bound`.
    pub(crate) fn wait(&mut self, bound: Duration) -> (ExitStatus, String) {
        let deadline = Instant::now() + bound;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the server is still there after {bound:?}");
            thread::sleep(Duration::from_millis(10));
        };
        let log = self.log.take().map(|log| log.join().unwrap());
        (status, log.unwrap_or_default())
    }

    /// Closes the other end of its stderr with the next line that comes.
    pub(crate) fn stop_reading(&mut self) {
        self.log_is_read.store(false, Ordering::Release);
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All that is logged while somebody wants it.
fn read_log(mut stderr: ChildStderr, is_wanted: &AtomicBool) -> String {
    let mut log = Vec::new();
    let mut part = [0; 8192];
    while is_wanted.load(Ordering::Acquire) {
        match stderr.read(&mut part).unwrap() {
            0 => break,
            count => log.extend_from_slice(&part[..count]),
        }
    }
    String::from_utf8(log).unwrap()
}

fn announced(stdout: &mut BufReader<ChildStdout>, what: &str) -> Option<String> {
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let url = line
        .trim_end()
        .strip_prefix("weir: ")?
        .strip_prefix(what)?
        .strip_prefix(" on ")?;
    Some(url.to_owned())
}

/// A GET as simple as can be, for ports that no client of ours speaks to.
pub(crate) fn get(url: &str, path: &str) -> Option<(u16, String)> {
    let address = url.trim_start_matches("http://");
    let mut connection = TcpStream::connect(address).ok()?;
    connection.set_read_timeout(Some(LONG)).unwrap();
    write!(
        connection,
        "GET {path} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer))
}

/// A command that goes on, and its lines as they come.
pub(crate) struct Running {
    child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) out: Receiver<String>,
    pub(crate) err: Receiver<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = lines(child.stdout.take().unwrap());
        let err = lines(child.stderr.take().unwrap());
        let stdin = child.stdin.take();
        Self { child, stdin, out, err }
    }

    /// Waits until a line on stderr has this in it.
    pub(crate) fn until_it_says(&self, part: &str) {
        while !self.err.recv_timeout(LONG).unwrap().contains(part) {}
    }

    /// Its process id.
    pub(crate) fn id(&self) -> String {
        self.child.id().to_string()
    }

    /// Ends it without a chance to do anything.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn wait(&mut self) -> i32 {
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap();
            }
            assert!(Instant::now() < deadline, "the command is still there");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            // What it said and nobody has read may tell why.
            let said = self.out.try_iter().chain(self.err.try_iter());
            said.for_each(|line| eprintln!("{line}"));
        }
    }
}

fn lines(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            if sender.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    receiver
}
