//! Writing a history while a run goes on.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::event::{Body, Event, Process};
use super::fault::{Fault, Mark, StateHash};
use super::op::{MessageId, Op};
use super::outcome::{Answer, Failure};
use super::run::Run;

/// Nanoseconds since the run began; must not fall. A simulation gives its own.
pub type Clock = Box<dyn Fn() -> u64 + Send + Sync>;

/// Takes events from all threads and streams them to a file. Clones share the file.
///
/// A write error is kept and returned by [`Recorder::finish`]: a run with a hole in its history has no verdict.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    sink: Box<dyn Write + Send>,
    next_index: u64,
    next_process: u64,
    last_ns: u64,
    error: Option<io::Error>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Recorder {
    /// Writes to a new file at `path`; time counts from now.
    ///
    /// # Errors
    /// If the file cannot be made or written.
    pub fn create(path: &Path, run: &Run) -> io::Result<Self> {
        let began = Instant::now();
        let clock = Box::new(move || u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
        Self::new(Box::new(BufWriter::new(File::create(path)?)), run, clock)
    }

    /// Writes to `sink`, with times from `clock`.
    ///
    /// # Errors
    /// If the first line cannot be written.
    pub fn new(mut sink: Box<dyn Write + Send>, run: &Run, clock: Clock) -> io::Result<Self> {
        serde_json::to_writer(&mut sink, &serde_json::json!({ "run": run }))?;
        sink.write_all(b"\n")?;
        let state = State {
            sink,
            next_index: 0,
            next_process: 0,
            last_ns: 0,
            error: None,
        };
        Ok(Self {
            shared: Arc::new(Shared {
                clock,
                state: Mutex::new(state),
            }),
        })
    }

    /// A new client thread, with a process number of its own.
    #[must_use]
    pub fn client(&self) -> Client {
        let process = self.new_process();
        Client {
            recorder: self.clone(),
            origin: process,
            process,
            messages: 0,
        }
    }

    /// One end of a fault.
    pub fn fault(&self, fault: Fault) {
        self.write(Process::Nemesis, None, "fault", None, Body::Fault(fault));
        self.flush();
    }

    /// A turn of the run.
    pub fn mark(&self, mark: Mark) {
        self.write(Process::Nemesis, None, "mark", None, Body::Mark(mark));
        self.flush();
    }

    /// What `node` says of its replica's state.
    pub fn state_hash(&self, node: u32, hash: StateHash) {
        self.write(Process::Nemesis, Some(node), "state-hash", None, Body::StateHash(hash));
    }

    /// Nanoseconds since the run began.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        (self.shared.clock)()
    }

    /// Hands everything so far to the operating system.
    pub fn flush(&self) {
        let mut state = self.state();
        if let Err(error) = state.sink.flush() {
            state.error.get_or_insert(error);
        }
    }

    /// Marks the end and flushes.
    ///
    /// # Errors
    /// The first write error of the whole run.
    pub fn finish(&self) -> io::Result<()> {
        self.mark(Mark::Ended);
        self.state().error.take().map_or(Ok(()), Err)
    }

    fn new_process(&self) -> u64 {
        let mut state = self.state();
        let process = state.next_process;
        state.next_process += 1;
        process
    }

    fn write(&self, process: Process, node: Option<u32>, f: &str, of: Option<u64>, body: Body) -> u64 {
        let mut state = self.state();
        let index = state.next_index;
        state.next_index += 1;
        // Under the lock, so that order in the file is order in time.
        let time_ns = (self.shared.clock)().max(state.last_ns);
        state.last_ns = time_ns;
        let event = Event {
            index,
            time_ns,
            process,
            node,
            f: f.to_owned(),
            of,
            body,
        };
        if let Err(error) = state.line(&event) {
            state.error.get_or_insert(error);
        }
        index
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A thread that panicked between two lines leaves nothing half done that matters.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn line(&mut self, event: &Event) -> io::Result<()> {
        serde_json::to_writer(&mut self.sink, event)?;
        self.sink.write_all(b"\n")
    }
}

/// One client thread. It has at most one operation open, as [`Pending`] borrows it.
#[derive(Debug)]
pub struct Client {
    recorder: Recorder,
    origin: u64,
    process: u64,
    messages: u64,
}

impl Client {
    /// The process number; a new one after every unknown outcome.
    #[must_use]
    pub const fn process(&self) -> u64 {
        self.process
    }

    /// A message that nobody has sent before.
    pub const fn message(&mut self) -> MessageId {
        let id = MessageId(self.origin, self.messages);
        self.messages += 1;
        id
    }

    /// Records that `op` begins; call it before the first byte is sent.
    pub fn invoke(&mut self, node: Option<u32>, op: Op) -> Pending<'_> {
        let f = op.f();
        let process = Process::Client(self.process);
        let index = self.recorder.write(process, node, f, None, Body::Invoke(op));
        Pending {
            client: self,
            node,
            f,
            index,
            open: true,
        }
    }
}

/// An operation under way. Dropped without an outcome (a cancelled task), it is unknown.
#[derive(Debug)]
pub struct Pending<'a> {
    client: &'a mut Client,
    node: Option<u32>,
    f: &'static str,
    index: u64,
    open: bool,
}

impl Pending<'_> {
    /// It took effect.
    pub fn ok(mut self, answer: Answer) {
        self.complete(Body::Ok(answer));
    }

    /// It was refused. A failure that does not prove that nothing was done is recorded as `info`.
    pub fn fail(mut self, failure: Failure) {
        if failure.is_definite() {
            self.complete(Body::Fail(failure));
        } else {
            self.unknown(failure);
        }
    }

    /// Nobody knows.
    pub fn info(mut self, failure: Failure) {
        self.unknown(failure);
    }

    fn unknown(&mut self, failure: Failure) {
        self.complete(Body::Info(failure));
        self.client.process = self.client.recorder.new_process();
    }

    fn complete(&mut self, body: Body) {
        self.open = false;
        let process = Process::Client(self.client.process);
        let recorder = &self.client.recorder;
        recorder.write(process, self.node, self.f, Some(self.index), body);
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if self.open {
            self.unknown(Failure::transport("dropped"));
        }
    }
}
