//! What clients do: the workloads of the fault tests, on simulated nodes.

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio::time::timeout;
use turmoil::net::TcpStream;
use weir_jepsen::client::{Connect, Connecting, Connection, read_all};
use weir_jepsen::history::{Mark, Recorder};
use weir_jepsen::workload::{Load, LoadOptions, Workload};

use crate::network::{CLIENT_PORT, Traced, node_name};
use crate::plan::Plan;
use crate::rng::Rng;

/// Where a simulation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The cluster forms.
    Form,
    /// Clients work, and things go wrong.
    Load,
    /// Nothing goes wrong any more, and clients go on.
    Heal,
    /// Every node takes writes again.
    Glow,
    /// Clients are to end.
    Stop,
    /// They have.
    Level,
    /// The last reads.
    End,
    /// Everything was read.
    Done,
}

/// What clients share with the world.
pub struct Script {
    plan: Plan,
    phase: Cell<Phase>,
    history: History,
    /// Simulated time, in milliseconds, for the history.
    now_ms: Arc<AtomicU64>,
    /// Where everything is recorded.
    pub recorder: Recorder,
}

/// The history's bytes.
#[derive(Clone, Default)]
struct History(Arc<Mutex<Vec<u8>>>);

impl Write for History {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut history = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        history.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Script {
    /// For one simulation.
    ///
    /// # Errors
    /// None in practice: the history is in memory.
    pub fn new(plan: Plan) -> io::Result<Self> {
        let history = History::default();
        let now_ms = Arc::new(AtomicU64::new(0));
        let (clock, events) = (Arc::clone(&now_ms), AtomicU64::new(0));
        // Events of one step follow one another all the same: everything is on one thread.
        let clock =
            Box::new(move || clock.load(Ordering::Relaxed) * 1_000_000 + events.fetch_add(1, Ordering::Relaxed));
        let recorder = Recorder::new(Box::new(history.clone()), &plan.head(), clock)?;
        Ok(Self {
            plan,
            phase: Cell::new(Phase::Form),
            history,
            now_ms,
            recorder,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Goes on to another phase.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.set(phase);
    }

    /// Sets the simulated time of what is recorded from now on.
    pub fn set_now(&self, now_ms: u64) {
        self.now_ms.store(now_ms, Ordering::Relaxed);
    }

    /// What was recorded.
    #[must_use]
    pub fn history(&self) -> Vec<u8> {
        std::mem::take(&mut *self.history.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn until(&self, phase: Phase) {
        while self.phase() < phase {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn nodes(&self) -> u32 {
        u32::try_from(self.plan.cluster.nodes).unwrap_or(u32::MAX)
    }
}

/// The clients' host.
///
/// # Errors
/// None.
pub async fn run(script: Rc<Script>) -> turmoil::Result {
    form(&script).await;
    let (end_load, load_ended) = watch::channel(false);
    let workloads = script.plan.workloads.clone();
    let loads: Vec<(Workload, u32, Arc<Load>)> = workloads
        .iter()
        .enumerate()
        .map(|(at, (workload, clients))| {
            // Names that clients share are a workload's own, so each has a load of its own.
            let load = Load::new(LoadOptions {
                recorder: script.recorder.clone(),
                network: Arc::new(Clients),
                nodes: script.nodes(),
                seed: Rng::of(script.plan.seed ^ at as u64, "script").draw(),
                interval: script.plan.think,
                request_timeout: script.plan.request_timeout,
                stop: load_ended.clone(),
            });
            (*workload, *clients, load)
        })
        .collect();
    for (workload, _, load) in &loads {
        workload.prepare(load).await;
    }
    script.recorder.mark(Mark::Started);
    script.set_phase(Phase::Load);
    let mut clients = Vec::new();
    for (workload, count, load) in &loads {
        clients.push(workload.start(load, *count));
    }
    script.until(Phase::Heal).await;
    for node in 1..=script.plan.cluster.nodes {
        takes_writes(|| node).await;
    }
    script.set_phase(Phase::Glow);
    script.until(Phase::Stop).await;
    // Nobody is left to be told when all have ended already.
    let _ = end_load.send(true);
    for mut clients in clients {
        while clients.join_next().await.is_some() {}
    }
    script.set_phase(Phase::Level);
    script.until(Phase::End).await;
    let streams: Vec<String> = loads.iter().flat_map(|(_, _, load)| load.streams()).collect();
    let nodes = (1..=script.nodes()).collect();
    read_all(Arc::new(Clients), nodes, &script.recorder, &streams).await;
    script.set_phase(Phase::Done);
    std::future::pending().await
}

/// The network as the clients have it.
struct Clients;

impl Connect for Clients {
    fn connect(&self, node: u32) -> Connecting {
        Box::pin(async move {
            let stream = TcpStream::connect((node_name(node as usize), CLIENT_PORT)).await?;
            Ok(Box::new(Traced(stream)) as Box<dyn Connection>)
        })
    }
}

/// How many streams are made to see that the cluster is there: some in each group.
const FORM_STREAMS: u64 = 6;

/// Waits until the cluster takes writes.
async fn form(script: &Script) {
    let mut rng = Rng::of(script.plan.seed, "form");
    takes_writes(|| 1 + rng.below(script.plan.cluster.nodes as u64) as usize).await;
}

/// Waits until writes to all groups are taken, each by a node that is drawn anew for each attempt. What is sent here is in
/// no history.
async fn takes_writes(mut node: impl FnMut() -> usize) {
    for stream in 0..FORM_STREAMS {
        loop {
            let node = node();
            let path = format!("/v1/stream/form/{stream}");
            match timeout(Duration::from_secs(3), put(node, &path)).await {
                Ok(Ok(200 | 201)) => break,
                other => {
                    crate::trace::line(&format!("{path} on n{node}: {other:?}"));
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn put(node: usize, path: &str) -> Result<u16, String> {
    let stream = TcpStream::connect((node_name(node), CLIENT_PORT))
        .await
        .map_err(|error| error.to_string())?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(Traced(stream))).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let request = http::Request::put(path)
        .header("host", "weir")
        .header("content-type", "text/plain")
        .body(Full::new(Bytes::new()))
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await;
    body.map(|_| status).map_err(|error| error.to_string())
}
