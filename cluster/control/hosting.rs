//! The replicas on this node, as the meta group's state wants them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::oneshot;
use weir_journal::{Disk, ReplicaKey, SubmitError};
use weir_meta::{GroupId, MetaState, NodeId};
use weir_storage::{
    FileOptions, FileStorage, MemoryStorage, RedbOptions, RedbStorage, Storage, StorageError, StoreFiles,
};

use super::first_election::first_election;
use crate::blocking::{has_threads, on_its_own_thread};
use crate::group::{Group, Hosted, Shared, StoreKind, StreamsMachine};
use crate::node::StorageKind;
use crate::raft::{OpenReplicaError, RaftSettings, Replica, ReplicaOptions};
use crate::view::View;

/// How long a replica's files wait for the journal to have forgotten it.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How the stores of this node's replicas are opened.
#[derive(Clone)]
pub(crate) struct StoreOptions {
    pub(crate) kind: StorageKind,
    /// Holds a directory per replica.
    pub(crate) dir: PathBuf,
    /// For all stores together.
    pub(crate) cache_bytes: usize,
    pub(crate) settings: RaftSettings,
    pub(crate) keep_log_bytes: u64,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) files: Arc<dyn StoreFiles>,
}

/// A replica does not open.
#[derive(Debug, Error)]
pub(crate) enum HostError {
    #[error("the store in {path} cannot be opened: {source}")]
    Store { path: PathBuf, source: StorageError },
    #[error("the directory {path} cannot be used: {source}")]
    Directory { path: PathBuf, source: std::io::Error },
    #[error("the state in {path} cannot be read: {source}")]
    State { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Replica(#[from] OpenReplicaError),
}

/// All groups that this node knows, and the replicas of them that it hosts.
pub(crate) struct Hosting {
    shared: Arc<Shared>,
    options: StoreOptions,
    groups: RwLock<BTreeMap<u64, Arc<Group>>>,
    /// Held by whoever changes what is hosted. True once nothing may change any more.
    is_ended: tokio::sync::Mutex<bool>,
}

/// The part of the state that the data path needs.
pub(crate) fn view(state: &MetaState) -> View {
    let members = |group: &weir_meta::GroupInfo| group.replicas.iter().map(|r| (r.id.0, r.node.0)).collect();
    let slots = state
        .cluster()
        .map(|cluster| cluster.slots.groups().map(|group| group.0).collect());
    View {
        version: state.version(),
        slots: slots.unwrap_or_default(),
        groups: state
            .groups()
            .iter()
            .map(|(id, group)| (id.0, members(group)))
            .collect(),
    }
}

/// The peer addresses of the nodes that have one.
pub(crate) fn addresses(state: &MetaState) -> impl Iterator<Item = (u64, String)> {
    let in_use = state.nodes().iter().filter(|(_, info)| info.state.in_use());
    in_use.map(|(node, info)| (node.0, info.addresses.peer.to_string()))
}

impl Hosting {
    pub(crate) fn new(shared: Arc<Shared>, options: StoreOptions) -> Self {
        Self {
            shared,
            options,
            groups: RwLock::default(),
            is_ended: tokio::sync::Mutex::default(),
        }
    }

    /// What all groups of this node use.
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) fn group(&self, id: u64) -> Option<Arc<Group>> {
        self.groups
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }

    pub(crate) fn groups(&self) -> Vec<Arc<Group>> {
        let groups = self.groups.read().unwrap_or_else(PoisonError::into_inner);
        groups.values().cloned().collect()
    }

    /// Hosts what the state wants here, and lets go of what it does not want any more.
    pub(crate) async fn follow(&self, state: &MetaState) -> Result<(), HostError> {
        let is_ended = self.is_ended.lock().await;
        if *is_ended {
            return Ok(());
        }
        for (id, info) in state.groups() {
            let group = self.group_or_new(id.0);
            let mut wanted = info.replicas.iter().copied().chain(info.incoming());
            let own = wanted.find(|replica| replica.node == NodeId(self.shared.node));
            let hosted = group.hosted().map(|hosted| hosted.replica.id());
            if let Some(gone) = hosted.filter(|id| own.is_none_or(|own| own.id.0 != *id)) {
                self.let_go(&group, gone).await;
            }
            if let Some(own) = own.filter(|_| group.hosted().is_none()) {
                self.host(&group, own.id.0, state).await?;
            }
        }
        self.sweep(state).await;
        Ok(())
    }

    /// Waits for a change that is under way, and lets none begin after it: a node that closes its replicas must neither close
    /// one whose files are being removed, nor miss one that is just being opened.
    pub(crate) async fn end(&self) {
        *self.is_ended.lock().await = true;
    }

    fn group_or_new(&self, id: u64) -> Arc<Group> {
        let mut groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
        let group = groups
            .entry(id)
            .or_insert_with(|| Group::start(id, Arc::clone(&self.shared)));
        Arc::clone(group)
    }

    fn replica_dir(&self, group: u64, replica: u64) -> PathBuf {
        self.options.dir.join(format!("{group}-{replica}"))
    }

    async fn host(&self, group: &Arc<Group>, replica: u64, state: &MetaState) -> Result<(), HostError> {
        let dir = self.replica_dir(group.id(), replica);
        let share = self.options.cache_bytes / state.groups().len().max(1);
        let (options, path) = (self.options.clone(), dir.clone());
        let watchers = Arc::clone(group.watchers());
        // A thread of its own: opening after a crash may take long, and must not take a reader's place.
        let opened = on_its_own_thread("weir-open", move || open_machine(&options, &path, share, watchers));
        let opened = opened.map_err(|source| HostError::Directory {
            path: dir.clone(),
            source,
        })?;
        let machine = opened.await.unwrap_or_else(|_| {
            let source = StorageError::Failed("a thread panicked while it opened the store".to_owned());
            Err(HostError::Store {
                path: dir.clone(),
                source,
            })
        })?;
        let machine = Arc::new(machine);
        let founders = founders(state, GroupId(group.id()), replica);
        let replica = Replica::open(ReplicaOptions {
            group: group.id(),
            replica,
            journal: Arc::clone(&self.shared.journal),
            peers: Arc::clone(&self.shared.peers),
            machine: Arc::clone(&machine) as Arc<dyn crate::raft::Machine>,
            settings: self.options.settings,
            keep_log_bytes: self.options.keep_log_bytes,
            founders: founders.clone(),
        })
        .await?;
        tracing::info!(group = group.id(), replica = replica.id(), "hosting a replica");
        group.host(Some(Arc::new(Hosted::new(Arc::clone(&replica), machine))));
        if let Some(founders) = founders {
            first_election(&replica, founders, Arc::clone(&self.shared.peers));
        }
        Ok(())
    }

    async fn let_go(&self, group: &Arc<Group>, replica: u64) {
        let Some(hosted) = group.hosted() else {
            return;
        };
        tracing::info!(group = group.id(), replica, "letting go of a replica");
        group.host(None);
        group.watchers().tell_all_gone();
        let _ = hosted.replica.close().await;
        drop(hosted);
        let key = ReplicaKey {
            group: group.id(),
            replica,
        };
        self.remove(key, &self.replica_dir(group.id(), replica)).await;
    }

    /// Removes a replica's log, and its files once that is durable: a log without its state would be refused. What fails is
    /// left to the next sweep.
    async fn remove(&self, key: ReplicaKey, dir: &Path) {
        let (told, done) = oneshot::channel();
        let told = Box::new(move |result| drop(told.send(result)));
        match self.shared.journal.remove_replica(key, told) {
            Ok(()) => {}
            // The journal is at it.
            Err(SubmitError::Removed) => return,
            Err(error) => {
                tracing::warn!(group = key.group, replica = key.replica, %error, "a replica's log was not removed");
                return;
            }
        }
        match tokio::time::timeout(REMOVE_TIMEOUT, done).await {
            Ok(Ok(Ok(()))) => self.remove_dir(dir),
            _ => tracing::warn!(
                group = key.group,
                replica = key.replica,
                "a replica's files are removed later"
            ),
        }
    }

    /// Removes what replicas left that went while this node was down. An id that the state does not know yet stays:
    /// it is newer than the state.
    async fn sweep(&self, state: &MetaState) {
        let Ok(names) = self.options.disk.list(&self.options.dir) else {
            return;
        };
        let known: BTreeSet<(u64, u64)> = state
            .groups()
            .iter()
            .flat_map(|(id, info)| {
                let replicas = info.replicas.iter().copied().chain(info.incoming());
                replicas.map(|replica| (id.0, replica.id.0))
            })
            .collect();
        for name in names {
            let ids = name.split_once('-');
            let ids = ids.and_then(|(group, replica)| Some((group.parse().ok()?, replica.parse().ok()?)));
            let Some((group, replica)) = ids else {
                continue;
            };
            if replica <= state.last_replica_id() && !known.contains(&(group, replica)) {
                let key = ReplicaKey { group, replica };
                self.remove(key, &self.options.dir.join(name)).await;
            }
        }
    }

    fn remove_dir(&self, path: &Path) {
        match self.options.disk.remove_dir(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "a replica's files were not removed");
            }
            _ => {}
        }
    }
}

/// The members with which a group began, if `replica` is one of them.
fn founders(state: &MetaState, group: GroupId, replica: u64) -> Option<BTreeMap<u64, u64>> {
    let info = state.group(group)?;
    let last = state.last_founding_replica()?;
    let is_as_founded = info.change.is_none() && info.replicas.iter().all(|replica| replica.id.0 <= last);
    let members: BTreeMap<u64, u64> = info.replicas.iter().map(|r| (r.id.0, r.node.0)).collect();
    (is_as_founded && members.contains_key(&replica)).then_some(members)
}

fn open_machine(
    options: &StoreOptions,
    dir: &Path,
    cache_bytes: usize,
    watchers: Arc<crate::group::Watchers>,
) -> Result<StreamsMachine, HostError> {
    let store_error = |source| HostError::Store {
        path: dir.to_owned(),
        source,
    };
    if options.kind != StorageKind::Memory {
        options.disk.create_dir(dir).map_err(|source| HostError::Directory {
            path: dir.to_owned(),
            source,
        })?;
    }
    let (store, kind): (Arc<dyn Storage>, StoreKind) = match options.kind {
        StorageKind::Memory => (Arc::new(MemoryStorage::new()), StoreKind::Fixed),
        StorageKind::File => {
            let options = FileOptions {
                dir: dir.join("streams"),
            };
            let store = FileStorage::open(&options).map_err(store_error)?;
            (Arc::new(store), StoreKind::Fixed)
        }
        StorageKind::Redb => {
            let redb = RedbOptions {
                path: dir.join("streams.redb"),
                cache_bytes,
                waits_for_space: has_threads(),
            };
            let files = Arc::clone(&options.files);
            let store = RedbStorage::open_in(&redb, Arc::clone(&files)).map_err(store_error)?;
            (Arc::new(store), StoreKind::Redb(redb, files))
        }
    };
    StreamsMachine::open(store, kind, watchers).map_err(|source| HostError::State {
        path: dir.to_owned(),
        source,
    })
}
