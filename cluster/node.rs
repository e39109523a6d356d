//! A node: what one process keeps, from its first start to its end.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch as signal;
use weir_journal::{Disk, Identity as Owner, Journal, Options};
use weir_meta::{FoundingNode, MetaCommand, MetaState, NodeId, Zone};
use weir_protocol::{Clock, Streams};

use crate::admin::Admin;
use crate::blocking::{blocking, has_threads, stay_on_this_thread};
use crate::control::{
    Commands, Dispatcher, FormError, Hello, Hosting, Identity, IdentityError, Introduced, Member, MemberParts,
    MetaMachine, Place, Reconciler, SharedDispatcher, StoreOptions, addresses, form, reconcile, view,
};
use crate::disk_space::{DiskSpace, SparingDisk};
use crate::fork;
use crate::group::Shared;
use crate::limits::{JOURNAL_CACHE_BYTES, LEADER_PAUSE};
use crate::memory_disk::MemoryDisk;
use crate::peer::{Addresses, Peers, serve};
use crate::platform::{PeerListener, Platform, Threads};
use crate::probe::Probe;
use crate::raft::{RaftSettings, Replica, ReplicaOptions};
use crate::router::Router;
use crate::view::{View, Views};

/// Which backend keeps the streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKind {
    /// In memory; gone with the process. A cluster of one node only.
    Memory,
    /// An append log per stream. A cluster of one node only.
    File,
    /// redb.
    Redb,
}

/// How to open a node.
pub struct NodeOptions {
    /// The backend.
    pub storage: StorageKind,
    /// Where it keeps its files. Made when it is not there; not used by [`StorageKind::Memory`].
    pub data_dir: PathBuf,
    /// How much memory the backend may use to keep pages, in bytes.
    pub cache_bytes: usize,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where other nodes connect.
    pub peer_listener: PeerListener,
    /// Where this node is reached, as `host:port`: by other nodes, by clients, by operators.
    pub peer_address: String,
    /// See `peer_address`.
    pub client_address: String,
    /// See `peer_address`.
    pub admin_address: String,
    /// The part of the installation that fails as one; may be empty.
    pub zone: String,
    /// The peer addresses of the nodes that form a new cluster together, the same list on each; empty for a cluster of
    /// one.
    pub nodes: Vec<String>,
    /// Peer addresses of a cluster to join; with them the node never forms a new one.
    pub join: Vec<String>,
    /// How many groups a new cluster has.
    pub groups: u64,
    /// How many replicas a group should have.
    pub replication_factor: u32,
    /// How often a leader tells that it is there.
    pub heartbeat: Duration,
    /// After how long without a leader another one is elected, at the earliest.
    pub election_timeout: Duration,
    /// How many payload bytes of each group's log stay for replicas that lag; one that lacks more gets a snapshot.
    pub keep_log_bytes: u64,
    /// What the node takes from its machine.
    pub platform: Platform,
}

/// Why a node did not open.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The data directory cannot be made.
    #[error("the data directory {path} cannot be made: {source}")]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The node's identity cannot be read or written.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// An address or the zone is none.
    #[error("{0:?} cannot be used: {1}")]
    Address(String, weir_meta::AddressError),
    /// The backend cannot be replicated.
    #[error("only redb can be replicated: a cluster of several nodes needs it")]
    NotReplicated,
    /// No cluster takes this node.
    #[error(transparent)]
    Form(#[from] FormError),
    /// The journal cannot be opened.
    #[error("the journal cannot be opened: {0}")]
    Journal(#[from] weir_journal::OpenError),
    /// The journal is gone, though the node had one.
    #[error("the journal in {0} is gone: restore it, or empty the data directory and let this node join as a new one")]
    JournalLost(PathBuf),
    /// A store or a replica cannot be opened.
    #[error("{0}")]
    Replica(String),
    /// A thread could not be started.
    #[error("a thread cannot be started: {0}")]
    Thread(std::io::Error),
}

/// Why a node did not close as it should. What was acknowledged is durable all the same.
#[derive(Debug, Error)]
#[error("the node could not be closed: {0}")]
pub struct CloseError(String);

/// All that one process keeps.
pub struct Node {
    streams: Arc<Router>,
    admin: Admin,
    hosting: Arc<Hosting>,
    meta: Arc<Replica>,
    meta_machine: Arc<MetaMachine>,
    journal: Arc<Journal>,
    failed: signal::Receiver<Option<String>>,
    /// Dropping it ends the tasks of the node.
    stop: signal::Sender<bool>,
}

/// How long leaders have to hand over before the node ends.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(3);

/// How long reads under way may hold on to the stores when the node ends.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often replicas and the journal are asked whether they failed.
const WATCH_PAUSE: Duration = Duration::from_millis(200);

fn introduce(options: &NodeOptions, identity: &Identity) -> Result<Introduced, OpenError> {
    let address = |text: &str| {
        let parsed = text.parse::<weir_meta::Address>();
        parsed.map_err(|error| OpenError::Address(text.to_owned(), error))
    };
    let zone = options.zone.parse::<Zone>();
    Ok(Introduced {
        node: FoundingNode {
            uuid: identity.uuid,
            addresses: weir_meta::Addresses {
                peer: address(&options.peer_address)?,
                client: address(&options.client_address)?,
                admin: address(&options.admin_address)?,
            },
            zone: zone.map_err(|error| OpenError::Address(options.zone.clone(), error))?,
        },
        listed: options.nodes.clone(),
        join: options.join.clone(),
        // Forks between groups need what only redb keeps; on one node they would gain nothing anyway.
        groups: if options.storage == StorageKind::Redb {
            options.groups
        } else {
            1
        },
        replication_factor: options.replication_factor,
    })
}

impl Node {
    /// Opens a node: forms or joins a cluster at the first start, recovers after a crash, and takes part from then on.
    /// Waits for the other nodes where it must. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(options: NodeOptions) -> Result<Self, OpenError> {
        let in_memory = options.storage == StorageKind::Memory;
        if options.storage != StorageKind::Redb && !(options.nodes.is_empty() && options.join.is_empty()) {
            return Err(OpenError::NotReplicated);
        }
        let Platform {
            disk,
            files,
            network,
            threads,
        } = options.platform.clone();
        if matches!(threads, Threads::None(_)) {
            stay_on_this_thread();
        }
        let dir = options.data_dir.clone();
        if !in_memory {
            disk.create_dir(&dir).map_err(|source| OpenError::DataDir {
                path: dir.clone(),
                source,
            })?;
        }
        let mut identity = match in_memory {
            true => Identity::draw(),
            false => Identity::load(&*disk, &dir)?,
        };
        let introduced = introduce(&options, &identity)?;
        let (stop, stopped) = signal::channel(false);
        let space = Arc::new(match in_memory || !has_threads() {
            true => DiskSpace::default(),
            false => DiskSpace::of(&dir),
        });
        spawn_until(&stopped, Arc::clone(&space).run());
        let dispatcher = Arc::new(Dispatcher {
            hello: Hello {
                uuid: identity.uuid.to_string(),
                peer_address: options.peer_address.clone(),
                client_address: options.client_address.clone(),
                admin_address: options.admin_address.clone(),
                zone: options.zone.clone(),
            },
            member: OnceLock::new(),
        });
        let cluster_name = crate::peer::ClusterName::default();
        {
            let (name, dispatcher) = (Arc::clone(&cluster_name), Arc::clone(&dispatcher));
            let stopped = stopped.clone();
            let listener = options.peer_listener;
            tokio::spawn(async move {
                if let Err(error) = serve(listener, name, Arc::new(SharedDispatcher(dispatcher)), stopped).await {
                    tracing::error!(%error, "peers cannot be served");
                }
            });
        }
        let member = match identity.member.clone() {
            Some(member) => member,
            None => {
                let strangers = Arc::new(Peers::new(String::new(), 0, Arc::default(), network.clone()));
                let member = form(&introduced, &strangers).await?;
                identity.member = Some(member.clone());
                if !in_memory {
                    identity.save(&*disk, &dir)?;
                }
                member
            }
        };
        if let Ok(mut name) = cluster_name.write() {
            *name = member.cluster.to_string();
        }
        tracing::info!(cluster = %member.cluster, node = %member.node, "this node belongs to a cluster");
        let journal = open_journal(&dir, &identity, &member, (in_memory, &disk, &space), threads).await?;
        if !member.started && !in_memory {
            let mut started = member.clone();
            started.started = true;
            identity.member = Some(started);
            identity.save(&*disk, &dir)?;
        }

        let addresses_known = Arc::new(Addresses::default());
        addresses_known.update(member.peers.clone());
        let peers = Arc::new(Peers::new(
            member.cluster.to_string(),
            member.node.0,
            Arc::clone(&addresses_known),
            network,
        ));
        let settings = RaftSettings {
            heartbeat: options.heartbeat,
            election_timeout: options.election_timeout,
        };
        let meta_replica = member.meta_replica.0;
        let place = Place {
            disk: Arc::clone(&disk),
            dir: dir.join("meta"),
            file: format!("{meta_replica}.state"),
        };
        let place = (!in_memory).then_some(place);
        let machine = blocking(move || MetaMachine::open(place))
            .await
            .map_err(OpenError::Thread)?;
        let machine = Arc::new(machine.map_err(|error| OpenError::Replica(error.to_string()))?);
        let meta = Replica::open(ReplicaOptions {
            group: 0,
            replica: meta_replica,
            journal: Arc::clone(&journal),
            peers: Arc::clone(&peers),
            machine: Arc::clone(&machine) as Arc<dyn crate::raft::Machine>,
            settings,
            keep_log_bytes: options.keep_log_bytes,
        })
        .await
        .map_err(|error| OpenError::Replica(error.to_string()))?;
        let commands = Arc::new(Commands::new(Arc::clone(&meta), Arc::clone(&peers), member.node.0));
        let (fail, failed) = signal::channel(None);
        let views = Views::new(View::default());
        let shared = Arc::new(Shared {
            clock: Arc::clone(&options.clock),
            peers: Arc::clone(&peers),
            views: views.clone(),
            journal: Arc::clone(&journal),
            disk: space,
            node: member.node.0,
            // Never 0, which means nobody.
            origin: uuid::Uuid::new_v4().as_u64_pair().0 | 1,
            blocking_reads: !in_memory,
            failed: fail.clone(),
        });
        let hosting = Arc::new(Hosting::new(
            shared,
            StoreOptions {
                kind: options.storage,
                dir: dir.join("groups"),
                cache_bytes: options.cache_bytes,
                settings,
                keep_log_bytes: options.keep_log_bytes,
                disk,
                files,
            },
        ));
        let router = Arc::new(Router::new(views.clone(), Arc::clone(&hosting)));
        let parts = MemberParts {
            cluster: member.cluster.to_string(),
            can_replicate: options.storage == StorageKind::Redb,
            commands: Arc::clone(&commands),
            machine: Arc::clone(&machine),
            hosting: Arc::clone(&hosting),
            router: Arc::clone(&router),
        };
        // From here on other nodes can reach what is here.
        let _ = dispatcher.member.set(parts);
        found(&member, &meta, &commands, &machine).await?;
        let state = wait_for_state(&machine, member.node).await;
        addresses_known.update(addresses(&state));
        views.replace(view(&state));
        let followed = hosting.follow(&state).await;
        followed.map_err(|error| OpenError::Replica(error.to_string()))?;

        let follower = Follower {
            machine: Arc::clone(&machine),
            addresses: addresses_known,
            views: views.clone(),
            hosting: Arc::clone(&hosting),
            failed: fail.clone(),
        };
        spawn_until(&stopped, follower.run());
        spawn_until(
            &stopped,
            reconcile(Reconciler {
                commands: Arc::clone(&commands),
                machine: Arc::clone(&machine),
                peers: Arc::clone(&peers),
            }),
        );
        spawn_until(
            &stopped,
            announce(
                Arc::clone(&commands),
                Arc::clone(&machine),
                member.node,
                introduced.node,
            ),
        );
        spawn_until(
            &stopped,
            watch_failures(Arc::clone(&journal), Arc::clone(&meta), Arc::clone(&hosting), fail),
        );
        spawn_until(&stopped, fork::run(Arc::clone(&router)));
        Ok(Self {
            streams: router,
            meta_machine: Arc::clone(&machine),
            admin: Admin::new(commands, machine, Arc::clone(&hosting), peers, member.node),
            hosting,
            meta,
            journal,
            failed,
            stop,
        })
    }

    /// The streams, for the front end.
    #[must_use]
    pub fn streams(&self) -> Arc<dyn Streams> {
        Arc::clone(&self.streams) as Arc<dyn Streams>
    }

    #[cfg(test)]
    pub(crate) fn router(&self) -> &Arc<Router> {
        &self.streams
    }

    /// What operators can see and do.
    #[must_use]
    pub fn admin(&self) -> Admin {
        self.admin.clone()
    }

    /// What simulations look at.
    #[must_use]
    pub fn probe(&self) -> Probe {
        Probe::new(
            Arc::clone(&self.meta),
            Arc::clone(&self.meta_machine),
            Arc::clone(&self.hosting),
        )
    }

    /// Waits until a store, a replica or the journal fails, and says how. Then the process should end: nothing that
    /// it has on disk is lost.
    pub async fn failed(&self) -> String {
        let mut failed = self.failed.clone();
        let failure = match failed.wait_for(Option::is_some).await {
            Ok(failure) => (*failure).clone(),
            Err(_) => None,
        };
        failure.unwrap_or_else(|| "the node's tasks ended".to_owned())
    }

    /// Hands over what it leads, takes no further writes, answers those that wait, and makes everything durable.
    ///
    /// # Errors
    /// [`CloseError`].
    pub async fn close(&self) -> Result<(), CloseError> {
        let groups = self.hosting.groups();
        let _ = tokio::time::timeout(HAND_OVER_TIMEOUT, self.admin.hand_over_all()).await;
        futures_util::future::join_all(groups.iter().map(|group| group.close())).await;
        let mut result = Ok(());
        let mut machines = Vec::new();
        for group in &groups {
            if let Some(hosted) = group.hosted() {
                group.host(None);
                result = result.and(hosted.replica.close().await);
                machines.push(Arc::downgrade(&hosted.machine));
            }
        }
        result = result.and(self.meta.close().await);
        self.stop.send_replace(true);
        // Reads under way end soon, and with the last of them the files are free for the next process.
        let end = tokio::time::Instant::now() + RELEASE_TIMEOUT;
        while machines.iter().any(|machine| machine.strong_count() > 0) && tokio::time::Instant::now() < end {
            tokio::time::sleep(LEADER_PAUSE / 5).await;
        }
        let journal = Arc::clone(&self.journal);
        let closed = blocking(move || journal.close()).await;
        closed.map_err(|error| CloseError(error.to_string()))?;
        result.map_err(|error| CloseError(error.to_string()))
    }
}

/// Runs a task until the node is closed or dropped.
fn spawn_until(stopped: &signal::Receiver<bool>, task: impl Future<Output = ()> + Send + 'static) {
    let mut stopped = stopped.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = task => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
    });
}

async fn open_journal(
    dir: &Path,
    identity: &Identity,
    member: &Member,
    (in_memory, disk, space): (bool, &Arc<dyn Disk>, &Arc<DiskSpace>),
    threads: Threads,
) -> Result<Arc<Journal>, OpenError> {
    let path = dir.join("journal");
    let mut options = Options::new(Owner {
        cluster: member.cluster.0.to_be_bytes(),
        node: identity.uuid.0.to_be_bytes(),
    });
    options.cache_bytes = JOURNAL_CACHE_BYTES;
    let disk: Arc<dyn Disk> = if in_memory {
        // Segments are filled with zeros ahead, which in memory only costs time.
        options.segment_bytes = 32 << 20;
        Arc::new(MemoryDisk::default())
    } else {
        Arc::new(SparingDisk {
            disk: Arc::clone(disk),
            space: Arc::clone(space),
            file_bytes: options.segment_bytes,
        })
    };
    let (journal, recovered) = match threads {
        Threads::Many => {
            let path = path.clone();
            let opened = blocking(move || Journal::open(&path, options, disk)).await;
            let (journal, recovered) = opened.map_err(OpenError::Thread)??;
            (Arc::new(journal), recovered)
        }
        Threads::None(steps) => {
            let (journal, recovered, stepper) = Journal::open_stepped(&path, steps.options(options), disk)?;
            let journal = Arc::new(journal);
            steps.take(&journal, stepper);
            (journal, recovered)
        }
    };
    if recovered.fresh && member.started {
        return Err(OpenError::JournalLost(path));
    }
    if let Some(cut) = &recovered.cut {
        tracing::warn!(
            ?cut,
            "the end of the journal was torn, as a crash leaves it, and was cut off"
        );
    }
    Ok(journal)
}

/// On the founding node: begins the meta group and founds the cluster, again after a crash in between.
async fn found(
    member: &Member,
    meta: &Arc<Replica>,
    commands: &Arc<Commands>,
    machine: &Arc<MetaMachine>,
) -> Result<(), OpenError> {
    let is_founded = machine.states().borrow().cluster().is_some();
    if member.founding.is_empty() || is_founded {
        return Ok(());
    }
    let failed = |error: String| OpenError::Replica(format!("the cluster cannot be founded: {error}"));
    let command = MetaCommand::decode(&member.founding).map_err(|error| failed(error.to_string()))?;
    let first = [(meta.id(), member.node.0)].into_iter().collect();
    meta.initialize(&first)
        .await
        .map_err(|error| failed(error.to_string()))?;
    loop {
        match commands.run(&command).await {
            Ok(_) => return Ok(()),
            Err(crate::control::CommandError::NoLeader) => tokio::time::sleep(LEADER_PAUSE).await,
            Err(error) => return Err(failed(error.to_string())),
        }
    }
}

/// The first state that knows this node: at once after a restart, and when the cluster has let it in otherwise.
async fn wait_for_state(machine: &MetaMachine, node: NodeId) -> Arc<MetaState> {
    let mut states = machine.states();
    let known = states.wait_for(|state| state.node(node).is_some()).await;
    // The machine is held by the caller, so the channel is open.
    known.map(|state| Arc::clone(&state)).unwrap_or_default()
}

/// Does what each new state wants of this node.
struct Follower {
    machine: Arc<MetaMachine>,
    addresses: Arc<Addresses>,
    views: Views,
    hosting: Arc<Hosting>,
    failed: signal::Sender<Option<String>>,
}

impl Follower {
    async fn run(self) {
        let mut states = self.machine.states();
        while states.changed().await.is_ok() {
            let state = Arc::clone(&states.borrow_and_update());
            self.addresses.update(addresses(&state));
            self.views.replace(view(&state));
            if let Err(error) = self.hosting.follow(&state).await {
                tracing::error!(%error, "a replica cannot be hosted");
                self.failed.send_replace(Some(error.to_string()));
                return;
            }
        }
    }
}

/// Tells the cluster where this node is now, when that is not what it knows.
async fn announce(commands: Arc<Commands>, machine: Arc<MetaMachine>, node: NodeId, own: FoundingNode) {
    loop {
        let state = Arc::clone(&machine.states().borrow());
        let is_known = state
            .node(node)
            .is_none_or(|info| info.addresses == own.addresses && info.zone == own.zone);
        if is_known {
            return;
        }
        let command = MetaCommand::UpdateNode {
            node,
            addresses: own.addresses.clone(),
            zone: own.zone.clone(),
        };
        match commands.run(&command).await {
            Ok(_) => return,
            Err(crate::control::CommandError::NoLeader) => tokio::time::sleep(LEADER_PAUSE * 10).await,
            Err(error) => {
                tracing::warn!(%error, "the cluster does not take this node's addresses");
                return;
            }
        }
    }
}

/// A failure of storage is final: it ends the process.
async fn watch_failures(
    journal: Arc<Journal>,
    meta: Arc<Replica>,
    hosting: Arc<Hosting>,
    failed: signal::Sender<Option<String>>,
) {
    loop {
        tokio::time::sleep(WATCH_PAUSE).await;
        let mut failure = journal
            .failed()
            .map(|failure| failure.to_string())
            .or_else(|| meta.failure());
        for group in hosting.groups() {
            failure = failure.or_else(|| group.hosted().and_then(|hosted| hosted.replica.failure()));
        }
        if let Some(failure) = failure {
            tracing::error!(failure, "the node's storage failed");
            failed.send_replace(Some(failure));
            return;
        }
        // A meta group that nothing is written to needs no checkpoint; one that is gets it here.
        if let Err(error) = meta.checkpoint(true).await {
            tracing::debug!(%error, "no checkpoint of the meta group");
        }
    }
}
