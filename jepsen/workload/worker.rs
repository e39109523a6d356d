//! A client: a process of the history, a connection to one node, and a pace.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::client::Connect;
use crate::client::http::Http;
use crate::client::live::{self, Cut};
use crate::client::perform::perform;
use crate::history::{Answer, Client, Failure, MessageId, Op, Recorder};

/// How long a client rests after a connection that did not work.
const FAILURE_PAUSE: Duration = Duration::from_millis(50);

/// What clients are told.
pub struct LoadOptions {
    /// Where everything is recorded.
    pub recorder: Recorder,
    /// How nodes are reached.
    pub network: Arc<dyn Connect>,
    /// How many there are.
    pub nodes: u32,
    /// What clients draw from.
    pub seed: u64,
    /// Time between two operations of one client.
    pub interval: Duration,
    /// How long a client waits for an answer. The server may try for longer, so that some outcomes stay unknown here that
    /// it knows.
    pub request_timeout: Duration,
    /// Turns true when clients are to end.
    pub stop: watch::Receiver<bool>,
}

/// What all clients of a run share.
pub struct Load {
    options: LoadOptions,
    streams: Mutex<BTreeSet<String>>,
    /// Names that clients made up and others may use.
    pool: Mutex<Vec<String>>,
    /// Counts up, for names.
    counter: AtomicU64,
    began: Instant,
}

impl Load {
    /// A load that nobody works at yet.
    #[must_use]
    pub fn new(options: LoadOptions) -> Arc<Self> {
        Arc::new(Self {
            options,
            streams: Mutex::default(),
            pool: Mutex::default(),
            counter: AtomicU64::new(0),
            began: Instant::now(),
        })
    }

    /// Every stream that a client ever asked for.
    #[must_use]
    pub fn streams(&self) -> Vec<String> {
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.iter().cloned().collect()
    }

    fn note(&self, stream: &str) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if !streams.contains(stream) {
            streams.insert(stream.to_owned());
        }
    }
}

/// A client.
pub(crate) struct Worker {
    pub(crate) rng: Rng,
    load: Arc<Load>,
    client: Client,
    http: Http,
    /// From 1.
    node: u32,
    next_at: Instant,
}

impl Worker {
    /// The client number `index`, on the node whose turn it is.
    pub(crate) fn new(load: &Arc<Load>, index: u32) -> Self {
        let options = &load.options;
        let node = 1 + index % options.nodes;
        let mut rng = Rng::with_seed(options.seed ^ (u64::from(index) << 32));
        Self {
            client: options.recorder.client(),
            http: Http::to(Arc::clone(&options.network), node, options.request_timeout),
            node,
            next_at: Instant::now() + options.interval.mul_f64(rng.f64()),
            rng,
            load: Arc::clone(load),
        }
    }

    /// Waits for this client's turn; `false` when there are no more.
    pub(crate) async fn turn(&mut self) -> bool {
        let mut stop = self.load.options.stop.clone();
        tokio::select! {
            // An error means that nobody is left who wants anything.
            _ = stop.wait_for(|stop| *stop) => return false,
            () = sleep_until(self.next_at) => {}
        }
        let pause = self.load.options.interval.mul_f64(0.5 + self.rng.f64());
        // What could not be done in time is not caught up with: that would be a burst when a fault ends.
        self.next_at = (self.next_at + pause).max(Instant::now());
        true
    }

    /// Whether the load is to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        *self.load.options.stop.borrow()
    }

    /// How many nodes there are.
    pub(crate) fn nodes(&self) -> u32 {
        self.load.options.nodes
    }

    /// A number that nobody else has.
    pub(crate) fn number(&self) -> u64 {
        self.load.counter.fetch_add(1, Ordering::Relaxed)
    }

    /// How long the load has been going on.
    pub(crate) fn elapsed(&self) -> Duration {
        self.load.began.elapsed()
    }

    /// Lets all clients use a stream.
    pub(crate) fn share(&self, stream: String) {
        self.load
            .pool
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(stream);
    }

    /// One of the newest `count` streams that are shared.
    pub(crate) fn shared(&mut self, count: usize) -> Option<String> {
        let pool = self.load.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = &pool[pool.len().saturating_sub(count)..];
        self.rng.choice(newest).cloned()
    }

    /// Asks another node from now on.
    pub(crate) fn turn_to(&mut self, node: u32) {
        self.node = node;
        self.http.turn_to(node);
    }

    /// A node at random from now on.
    pub(crate) fn turn_somewhere(&mut self) {
        let node = self.rng.u32(1..=self.nodes());
        self.turn_to(node);
    }

    /// `count` messages that nobody has sent before.
    pub(crate) fn messages(&mut self, count: usize) -> Vec<MessageId> {
        (0..count).map(|_| self.client.message()).collect()
    }

    /// Performs an operation and records it. Whether an outcome is known is the recorder's to say.
    pub(crate) async fn perform(&mut self, op: Op) -> Result<Answer, Failure> {
        self.load.note(op.stream());
        let pending = self.client.invoke(Some(self.node), op.clone());
        let result = perform(&mut self.http, &op).await;
        match &result {
            Ok(answer) => pending.ok(answer.clone()),
            Err(failure) => pending.fail(failure.clone()),
        }
        if result.as_ref().is_err_and(|failure| failure.status.is_none()) {
            sleep(FAILURE_PAUSE).await;
        }
        result
    }

    /// The same for a live read, which the client ends at `cut`.
    pub(crate) async fn listen(&mut self, op: Op, cut: Cut) -> Result<Answer, Failure> {
        let Op::Live { stream, from, mode, .. } = op.clone() else {
            return Err(Failure::transport("not-a-live-read"));
        };
        let pending = self.client.invoke(Some(self.node), op);
        let request_timeout = self.load.options.request_timeout;
        self.http.set_timeout(request_timeout.max(cut.after));
        let result = live::perform(&mut self.http, &stream, from, mode, cut).await;
        self.http.set_timeout(request_timeout);
        match &result {
            Ok(answer) => pending.ok(answer.clone()),
            Err(failure) => pending.fail(failure.clone()),
        }
        if result.as_ref().is_err_and(|failure| failure.status.is_none()) {
            sleep(FAILURE_PAUSE).await;
        }
        result
    }
}
