//! All clients of a run on a few threads; the progress bar.

use std::io::{self, IsTerminal as _};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::client::{Client, Operation};
use super::error::BenchError;
use super::gate::{Gate, Window};
use super::options::Options;
use super::tally::{Shared, Tally};

/// One client at work.
pub(super) type Work = Pin<Box<dyn Future<Output = Result<(), BenchError>> + Send>>;

/// Makes the client with this number.
pub(super) type Start = Box<dyn FnOnce(Client) -> Work + Send>;

/// A client that does one operation after the other.
pub(super) fn client<O: Operation>(operation: O) -> Start {
    Box::new(|client| Box::pin(client.run(operation)))
}

/// What came of a run.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) tally: Tally,
    /// How long was measured, in seconds.
    pub(super) seconds: f64,
    /// What this process used of the processors meanwhile, in seconds.
    pub(super) cpu_seconds: f64,
}

const TICK: Duration = Duration::from_millis(200);

/// Runs all clients to the end.
///
/// # Errors
/// When a client cannot begin.
pub(super) fn run(options: &Options, rate: Option<f64>, starts: Vec<Start>) -> Result<Measured, BenchError> {
    let clients = starts.len();
    let gate = Arc::new(match options.count {
        Some(count) => Gate::counted(clients, count),
        None => Gate::timed(clients, options.warm_up, options.duration),
    });
    let threads = usize::from(options.threads).min(clients);
    let tallies: Vec<Arc<Shared>> = (0..threads).map(|_| Arc::default()).collect();
    let mut shares: Vec<Vec<Work>> = (0..threads).map(|_| Vec::new()).collect();
    for (index, start) in starts.into_iter().enumerate() {
        shares[index % threads].push(start(Client {
            index,
            clients,
            gate: Arc::clone(&gate),
            tally: Arc::clone(&tallies[index % threads]),
            timeout: options.timeout,
            rate,
        }));
    }
    let (sender, ended) = channel();
    for share in shares {
        let sender = sender.clone();
        let thread = thread::Builder::new().name("bench".to_owned());
        // Nobody listens any more when another thread has failed.
        let work = move || drop(sender.send(work_off(share)));
        thread.spawn(work).map_err(BenchError::Thread)?;
    }
    drop(sender);
    watch(&gate, &tallies, &ended)
}

/// Has one thread do the work of its clients.
fn work_off(share: Vec<Work>) -> Result<(), BenchError> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(BenchError::Thread)?.block_on(async {
        let mut clients: JoinSet<_> = share.into_iter().collect();
        while let Some(ended) = clients.join_next().await {
            ended.map_err(|_| BenchError::ThreadFailed)??;
        }
        Ok(())
    })
}

/// Waits for all threads, showing the progress and noting the processor time where the measurement begins and ends.
fn watch(
    gate: &Gate,
    tallies: &[Arc<Shared>],
    ended: &Receiver<Result<(), BenchError>>,
) -> Result<Measured, BenchError> {
    let bar = Bar::new(gate.count());
    let mut cpu_at_start = None;
    let mut cpu_at_end = None;
    loop {
        let window = gate.window();
        let now = Instant::now();
        if let Some(window) = window {
            if now >= window.from && cpu_at_start.is_none() {
                cpu_at_start = Some(cpu_seconds());
            }
            if window.is_over(now) && cpu_at_end.is_none() {
                cpu_at_end = Some(cpu_seconds());
            }
            bar.show(&window, now, tallies.iter().map(|tally| tally.lock().seen).sum());
        }
        match ended.recv_timeout(until_next_event(window, now)) {
            Ok(result) => result?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    bar.clear();
    let window = gate.window().ok_or(BenchError::ThreadFailed)?;
    let mut tally = Tally::default();
    for one in tallies {
        tally.add(&one.lock());
    }
    let end = window.until.or(tally.last_end).unwrap_or(window.from);
    let cpu_at_end = cpu_at_end.unwrap_or_else(cpu_seconds);
    Ok(Measured {
        seconds: (end - window.from).as_secs_f64(),
        cpu_seconds: cpu_at_end - cpu_at_start.unwrap_or(cpu_at_end),
        tally,
    })
}

fn until_next_event(window: Option<Window>, now: Instant) -> Duration {
    let Some(window) = window else {
        return Duration::from_millis(1);
    };
    let moments = [Some(window.from), window.until].into_iter().flatten();
    let ahead = moments.filter(|moment| *moment > now).map(|moment| moment - now);
    ahead.fold(TICK, Duration::min)
}

/// What this process has used of the processors.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let duration = Duration::try_from(time).unwrap_or_default();
    duration.as_secs_f64()
}

/// A bar that fills with the time or with the count; hidden unless somebody looks.
struct Bar {
    bar: ProgressBar,
    count: Option<u64>,
}

impl Bar {
    fn new(count: Option<u64>) -> Self {
        let bar = if io::stderr().is_terminal() {
            ProgressBar::new(count.unwrap_or(0))
        } else {
            ProgressBar::hidden()
        };
        let bar = match ProgressStyle::with_template("{bar:30} {msg}") {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        Self { bar, count }
    }

    fn show(&self, window: &Window, now: Instant, seen: u64) {
        if self.bar.is_hidden() {
            return;
        }
        let time = now - window.opened;
        let rate = seen as f64 / time.as_secs_f64().max(0.001);
        let phase = if now < window.from { ", warming up" } else { "" };
        match window.until {
            Some(until) => {
                self.bar.set_length(millis(until - window.opened));
                self.bar.set_position(millis(time));
            }
            None => self.bar.set_position(seen.min(self.count.unwrap_or(seen))),
        }
        self.bar.set_message(format!("{seen} operations, {rate:.0}/s{phase}"));
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
