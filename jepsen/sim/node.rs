//! One simulated node: what stays when its process ends, and the process.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::sync::Notify;
use turmoil::net::TcpListener;
use weir_cluster::{Network, Node, NodeOptions, Platform, Probe, StorageKind, Threads};
use weir_http::{Settings, ShutdownSignal};
use weir_journal::Journal;

use crate::clock::SimClock;
use crate::disk::SimDisk;
use crate::files::SimFiles;
use crate::journal::Steps;
use crate::network::{CLIENT_PORT, PEER_PORT, SimNetwork, Traced, listen_for_peers, node_name};
use crate::trace;

/// Settings that all nodes of a cluster share.
#[derive(Debug, Clone)]
pub struct ClusterPlan {
    /// How many nodes there are.
    pub nodes: usize,
    /// How many groups.
    pub groups: u64,
    /// How often leaders tell that they are there.
    pub heartbeat: Duration,
    /// After how long another one is elected.
    pub election_timeout: Duration,
    /// How much of the log stays for those that lag, in bytes.
    pub keep_log_bytes: u64,
    /// How long a long-poll waits.
    pub long_poll: Duration,
}

/// A node's hardware, and its process while there is one.
pub struct Machine {
    /// Counts from 1.
    pub number: usize,
    /// Its disk.
    pub disk: SimDisk,
    /// Its clock.
    pub clock: SimClock,
    /// Its journal.
    pub steps: Arc<Steps>,
    /// The process, when it is open.
    pub node: RefCell<Option<Arc<Node>>>,
    /// Set by a process that has come to its end: it must be taken down.
    pub ended: RefCell<Option<String>>,
    /// Asks the process to end.
    pub stop: Notify,
    /// Asks the process to have a node lead a group: the group, and the node.
    pub order: RefCell<Option<(u64, u64)>>,
    /// Tells of an order.
    pub ordered: Notify,
    /// When the first process begins, in milliseconds.
    pub starts_ms: Cell<u64>,
}

impl Machine {
    /// Asks the process to have a node lead a group.
    pub fn ask_to_lead(&self, group: u64, node: u64) {
        self.order.replace(Some((group, node)));
        self.ordered.notify_waiters();
    }

    /// What can be seen of the process, when it is open.
    #[must_use]
    pub fn looked_at(&self) -> Option<(Probe, Arc<Journal>)> {
        let node = self.node.borrow();
        Some((node.as_ref()?.probe(), self.steps.journal()?))
    }
}

/// What ends with a process: whoever looks at a node must not keep it alive.
struct Running(Rc<Machine>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.steps.keep(&self.0);
        self.0.node.borrow_mut().take();
    }
}

fn options(machine: &Machine, plan: &ClusterPlan, peer_listener: weir_cluster::PeerListener) -> NodeOptions {
    let name = node_name(machine.number);
    let nodes = (1..=plan.nodes).map(|node| format!("{}:{PEER_PORT}", node_name(node)));
    NodeOptions {
        storage: StorageKind::Redb,
        data_dir: PathBuf::from("/data"),
        cache_bytes: 4 << 20,
        clock: Arc::new(machine.clock.clone()),
        peer_listener,
        peer_address: format!("{name}:{PEER_PORT}"),
        client_address: format!("{name}:{CLIENT_PORT}"),
        admin_address: format!("{name}:4439"),
        zone: String::new(),
        nodes: if plan.nodes == 1 { Vec::new() } else { nodes.collect() },
        join: Vec::new(),
        groups: plan.groups,
        replication_factor: 3,
        heartbeat: plan.heartbeat,
        election_timeout: plan.election_timeout,
        keep_log_bytes: plan.keep_log_bytes,
        platform: Platform {
            disk: Arc::new(machine.disk.clone()),
            files: Arc::new(SimFiles(machine.disk.clone())),
            network: Network::Other(Arc::new(SimNetwork)),
            threads: Threads::None(Arc::clone(&machine.steps) as Arc<dyn weir_cluster::StepJournal>),
        },
    }
}

/// A node's process from its start until its storage fails or it is asked to end. Then it is still there, and says so
/// in [`Machine::ended`].
///
/// # Errors
/// None: whatever goes wrong is told there.
pub async fn run(machine: Rc<Machine>, plan: ClusterPlan) -> turmoil::Result {
    tokio::time::sleep(Duration::from_millis(machine.starts_ms.take())).await;
    let running = Running(Rc::clone(&machine));
    let reason = match live(&machine, &plan).await {
        Ok(reason) => reason,
        Err(error) => format!("it does not open: {error}"),
    };
    drop(running);
    trace::line(&format!("n{} ends: {reason}", machine.number));
    machine.ended.replace(Some(reason));
    std::future::pending().await
}

async fn live(machine: &Rc<Machine>, plan: &ClusterPlan) -> Result<String, Box<dyn std::error::Error>> {
    let listener = TcpListener::bind(("0.0.0.0", CLIENT_PORT)).await?;
    let options = options(machine, plan, listen_for_peers().await?);
    let node = Arc::new(Node::open(options).await?);
    *machine.node.borrow_mut() = Some(Arc::clone(&node));
    let settings = Settings {
        long_poll_timeout: plan.long_poll,
        ..Settings::default()
    };
    let (_trigger, shutdown) = ShutdownSignal::new();
    let router = weir_http::router(node.streams(), Arc::new(machine.clock.clone()), settings, shutdown);
    trace::line(&format!("n{} is open", machine.number));
    Ok(tokio::select! {
        failure = node.failed() => failure,
        () = serve(listener, router) => String::new(),
        () = obey(machine, &node) => String::new(),
        () = machine.stop.notified() => match node.close().await {
            Ok(()) => "asked to".to_owned(),
            Err(error) => error.to_string(),
        },
    })
}

/// Does what an operator asks for.
async fn obey(machine: &Machine, node: &Node) {
    loop {
        machine.ordered.notified().await;
        let order = machine.order.borrow_mut().take();
        if let Some((group, to)) = order {
            let told = node.admin().transfer(group, to).await;
            trace::line(&format!("n{to} is to lead group {group}: {told:?}"));
        }
    }
}

/// Serves clients.
async fn serve(listener: TcpListener, router: axum::Router) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http1().timer(TokioTimer::new());
            let io = TokioIo::new(Traced(stream));
            let _ = builder.serve_connection(io, service).await;
        });
    }
}
