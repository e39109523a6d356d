//! Opening a node, step by step: its directory, its cluster, its journal, the meta group, the streams.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch as signal};
use weir_journal::Journal;

use super::Node;
use super::door::{Door, hello};
use super::found::{found, introduce, wait_for_state};
use super::home::Home;
use super::journal::open_journal;
use super::options::{NodeOptions, OpenError, StorageKind};
use super::tasks::{Follower, announce, first_failure, spawn_until, watch_failures};
use crate::admin::Admin;
use crate::blocking::{blocking, stay_on_this_thread};
use crate::control::{
    Commands, Hosting, Member, MemberParts, MetaMachine, Place, Reconciler, StoreOptions, addresses, reconcile, view,
};
use crate::fork;
use crate::group::Shared;
use crate::limits::READS_UNDER_WAY;
use crate::peer::{Addresses, Peers};
use crate::platform::{Network, Threads};
use crate::raft::{RaftSettings, Replica, ReplicaOptions};
use crate::router::Router;
use crate::view::{View, Views};

impl Node {
    /// Opens a node: forms or joins a cluster at the first start, recovers after a crash, and takes part from then on.
    /// Waits for the other nodes where it must. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(options: NodeOptions) -> Result<Self, OpenError> {
        if options.storage != StorageKind::Redb && !(options.nodes.is_empty() && options.join.is_empty()) {
            return Err(OpenError::NotReplicated);
        }
        let threads = options.platform.threads.clone();
        if matches!(threads, Threads::None(_)) {
            stay_on_this_thread();
        }
        let mut home = Home::open(&options)?;
        let introduced = introduce(&options, &home.identity)?;
        let stores = store_options(&options, &home);
        let (stop, stopped) = signal::channel(false);
        let space = Arc::new(home.space());
        spawn_until(&stopped, Arc::clone(&space).run());

        let door = Door::of(hello(&options, &home.identity), &home.identity);
        door.open(options.peer_listener, &stopped);
        let member = home.belong(&introduced, &options.platform.network).await?;
        door.name(&member);
        tracing::info!(cluster = %member.cluster, node = %member.node, "this node belongs to a cluster");
        let disk = (home.in_memory, &home.disk, &space);
        let journal = open_journal(&home.dir, &home.identity, &member, disk, threads).await?;
        home.note_start(&member)?;

        let peers = Peered::with(&member, &options.platform.network);
        let meta = Meta::open(&stores, &home, &member, &journal, &peers.peers).await?;
        let (fail, failed) = signal::channel(None);
        let views = Views::new(View::default());
        let hosting = Arc::new(Hosting::new(
            Arc::new(Shared {
                clock: Arc::clone(&options.clock),
                peers: Arc::clone(&peers.peers),
                views: views.clone(),
                journal: Arc::clone(&journal),
                disk: space,
                node: member.node.0,
                // Never 0, which means nobody.
                origin: uuid::Uuid::new_v4().as_u64_pair().0 | 1,
                blocking_reads: !home.in_memory,
                reads: Arc::new(Semaphore::new(READS_UNDER_WAY)),
                failed: fail.clone(),
            }),
            stores,
        ));
        let router = Arc::new(Router::new(views.clone(), Arc::clone(&hosting)));
        // From here on other nodes can reach what is here.
        door.let_in(MemberParts {
            cluster: member.cluster.to_string(),
            can_replicate: options.storage == StorageKind::Redb,
            commands: Arc::clone(&meta.commands),
            machine: Arc::clone(&meta.machine),
            hosting: Arc::clone(&hosting),
            router: Arc::clone(&router),
        });
        let mut states = meta.machine.states();
        let state = tokio::select! {
            founded = async {
                found(&member, &meta.commands, &meta.machine).await?;
                Ok(wait_for_state(&mut states, member.node).await)
            } => founded,
            failure = first_failure(&journal, &meta.replica) => Err(OpenError::Replica(failure)),
        }?;
        peers.addresses.update(addresses(&state));
        views.replace(view(&state));
        let followed = hosting.follow(&state).await;
        followed.map_err(|error| OpenError::Replica(error.to_string()))?;

        let Meta {
            replica: meta,
            machine,
            commands,
        } = meta;
        let follower = Follower {
            states,
            addresses: peers.addresses,
            views,
            hosting: Arc::clone(&hosting),
            failed: fail.clone(),
        };
        let reconciler = Reconciler {
            commands: Arc::clone(&commands),
            machine: Arc::clone(&machine),
            peers: Arc::clone(&peers.peers),
        };
        let (told, seen) = (Arc::clone(&commands), Arc::clone(&machine));
        let watched = (Arc::clone(&journal), Arc::clone(&meta), Arc::clone(&hosting));
        spawn_until(&stopped, follower.run());
        spawn_until(&stopped, reconcile(reconciler));
        spawn_until(&stopped, announce(told, seen, member.node, introduced.node));
        spawn_until(&stopped, watch_failures(watched.0, watched.1, watched.2, fail));
        spawn_until(&stopped, fork::run(Arc::clone(&router)));
        let admin = Admin::new(
            commands,
            Arc::clone(&machine),
            Arc::clone(&hosting),
            peers.peers,
            member.node,
        );
        Ok(Self {
            streams: router,
            admin,
            hosting,
            meta,
            meta_machine: machine,
            journal,
            failed,
            stop,
        })
    }
}

fn store_options(options: &NodeOptions, home: &Home) -> StoreOptions {
    StoreOptions {
        kind: options.storage,
        dir: home.dir.join("groups"),
        cache_bytes: options.cache_bytes,
        settings: RaftSettings {
            heartbeat: options.heartbeat,
            election_timeout: options.election_timeout,
        },
        keep_log_bytes: options.keep_log_bytes,
        disk: Arc::clone(&home.disk),
        files: Arc::clone(&options.platform.files),
    }
}

/// The way to other nodes.
struct Peered {
    peers: Arc<Peers>,
    addresses: Arc<Addresses>,
}

impl Peered {
    fn with(member: &Member, network: &Network) -> Self {
        let addresses = Arc::new(Addresses::default());
        addresses.update(member.peers.clone());
        let cluster = member.cluster.to_string();
        Self {
            peers: Arc::new(Peers::new(
                cluster,
                member.node.0,
                Arc::clone(&addresses),
                network.clone(),
            )),
            addresses,
        }
    }
}

/// This node's replica of the meta group.
struct Meta {
    replica: Arc<Replica>,
    machine: Arc<MetaMachine>,
    commands: Arc<Commands>,
}

impl Meta {
    async fn open(
        stores: &StoreOptions,
        home: &Home,
        member: &Member,
        journal: &Arc<Journal>,
        peers: &Arc<Peers>,
    ) -> Result<Self, OpenError> {
        let number = member.meta_replica.0;
        let place = (!home.in_memory).then(|| Place {
            disk: Arc::clone(&home.disk),
            dir: home.dir.join("meta"),
            file: format!("{number}.state"),
        });
        let machine = blocking(move || MetaMachine::open(place)).await;
        let machine = machine.map_err(OpenError::Thread)?;
        let machine = Arc::new(machine.map_err(|error| OpenError::Replica(error.to_string()))?);
        let replica = Replica::open(ReplicaOptions {
            group: 0,
            replica: number,
            journal: Arc::clone(journal),
            peers: Arc::clone(peers),
            machine: Arc::clone(&machine) as Arc<dyn crate::raft::Machine>,
            settings: stores.settings,
            keep_log_bytes: stores.keep_log_bytes,
            // The founder begins the meta group alone; the others are let into it.
            founders: (!member.founding.is_empty()).then(|| [(number, member.node.0)].into_iter().collect()),
        });
        let replica = replica.await.map_err(|error| OpenError::Replica(error.to_string()))?;
        let commands = Arc::new(Commands::new(Arc::clone(&replica), Arc::clone(peers), member.node.0));
        Ok(Self {
            replica,
            machine,
            commands,
        })
    }
}
