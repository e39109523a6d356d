//! One client: its connection, one operation after the other.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::{Broken, Connection, Head};
use super::error::BenchError;
use super::gate::{Gate, Window};
use super::pace::Pace;
use super::tally::Shared;

/// How long a client waits before it connects again after it could not.
const RECONNECT_DELAY: Duration = Duration::from_millis(20);

/// What a client does again and again.
pub(super) trait Operation: Send + 'static {
    /// What it does it on.
    type Link: Send;

    /// The host and port that it is done at.
    fn address(&self) -> &str;

    /// Connects.
    fn connect(&self) -> impl Future<Output = Result<Self::Link, Failed>> + Send;

    /// Does it once.
    fn perform(&mut self, link: &mut Self::Link) -> impl Future<Output = Result<Done, Failed>> + Send;
}

/// An operation that succeeded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done {
    /// How many bytes of messages it moved.
    pub(super) bytes: u64,
    /// How many requests it took.
    pub(super) requests: u64,
    /// Whether the connection cannot be used again.
    pub(super) closes: bool,
}

/// An operation that failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// The server answered, and the connection can be used again unless `closes`.
    Status {
        /// The answer's status.
        status: u16,
        /// Whether the server ends the connection.
        closes: bool,
    },
    /// The answer cannot be what was asked for.
    Wrong(&'static str),
    /// There was no whole answer.
    Broken(Broken),
    /// etcd says so.
    Rpc(&'static str),
    /// There is no connection.
    Connect(String),
    /// It took too long.
    Timeout,
}

impl From<Broken> for Failed {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl Failed {
    /// Its name in the report.
    pub(super) fn name(&self) -> Cow<'static, str> {
        match self {
            Self::Status { status, .. } => Cow::Owned(status.to_string()),
            Self::Wrong(what) | Self::Rpc(what) => Cow::Borrowed(what),
            Self::Broken(Broken::Closed) => Cow::Borrowed("connection closed"),
            Self::Broken(Broken::Malformed) => Cow::Borrowed("malformed answer"),
            Self::Broken(Broken::Io(kind)) => Cow::Owned(kind.to_string()),
            Self::Connect(_) => Cow::Borrowed("no connection"),
            Self::Timeout => Cow::Borrowed("timeout"),
        }
    }

    /// Whether the connection cannot be used again.
    pub(super) fn closes(&self) -> bool {
        !matches!(self, Self::Status { closes: false, .. } | Self::Rpc(_))
    }
}

/// What a client has from its run.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) index: usize,
    pub(super) clients: usize,
    pub(super) gate: Arc<Gate>,
    pub(super) tally: Arc<Shared>,
    pub(super) timeout: Duration,
    pub(super) rate: Option<f64>,
}

impl Client {
    /// Does it until the run is over.
    ///
    /// # Errors
    /// When the first connection cannot be made: later ones may fail, and are counted.
    pub(super) async fn run<O: Operation>(self, mut operation: O) -> Result<(), BenchError> {
        let first = operation.connect().await;
        let first = first.map_err(|failed| unreachable_at(operation.address(), &failed))?;
        let mut link = Some(first);
        let window = self.gate.ready().await;
        let mut pace = Pace::new(self.rate, self.index, self.clients, window.opened).map_err(BenchError::Thread)?;
        loop {
            let start = pace.turn().await.map_err(BenchError::Thread)?;
            if window.is_over(Instant::now()) {
                let late = pace.left(start, &window);
                self.tally.lock().failed(Cow::Borrowed("not sent in time"), late);
                return Ok(());
            }
            if !self.gate.may_begin() {
                return Ok(());
            }
            let outcome = tokio::time::timeout(self.timeout, once(&mut operation, &mut link)).await;
            let outcome = outcome.unwrap_or(Err(Failed::Timeout));
            self.record(&window, start, &outcome);
            match outcome {
                Ok(done) if !done.closes => {}
                Err(failed) if !failed.closes() => {}
                Ok(_) => link = None,
                Err(failed) => {
                    link = None;
                    if matches!(failed, Failed::Connect(_)) {
                        tokio::time::sleep(RECONNECT_DELAY).await;
                    }
                }
            }
        }
    }

    fn record(&self, window: &Window, start: Instant, outcome: &Result<Done, Failed>) {
        let end = Instant::now();
        let mut tally = self.tally.lock();
        tally.seen += 1;
        match (outcome, window.measures(start)) {
            (Ok(done), true) => {
                tally.done(end - start, done.bytes);
                if done.requests != 1 {
                    tally.count("requests", done.requests);
                }
                tally.last_end = Some(end);
            }
            (Err(failed), true) => tally.failed(failed.name(), 1),
            (Err(_), false) => tally.warm_up_errors += 1,
            (Ok(_), false) => {}
        }
    }
}

async fn once<O: Operation>(operation: &mut O, link: &mut Option<O::Link>) -> Result<Done, Failed> {
    let link = match link {
        Some(link) => link,
        None => link.insert(operation.connect().await?),
    };
    operation.perform(link).await
}

impl Head {
    /// The operation, which moved `bytes`, succeeded if the answer has one of these statuses.
    pub(super) fn expect(&self, wanted: &[u16], bytes: u64) -> Result<Done, Failed> {
        let (status, closes) = (self.status, self.closes);
        if !wanted.contains(&status) {
            return Err(Failed::Status { status, closes });
        }
        Ok(Done {
            bytes,
            requests: 1,
            closes,
        })
    }
}

/// Connects to a host and port.
pub(super) async fn connect(address: &str, buffer_bytes: usize) -> Result<Connection, Failed> {
    let connection = Connection::open(address, buffer_bytes).await;
    connection.map_err(|cause: io::Error| Failed::Connect(cause.to_string()))
}

/// Why there is nothing to measure.
pub(super) fn unreachable_at(address: &str, failed: &Failed) -> BenchError {
    let cause = match failed {
        Failed::Connect(cause) => cause.clone(),
        failed => failed.name().into_owned(),
    };
    BenchError::Unreachable {
        address: address.to_owned(),
        cause,
    }
}
