//! A group as this node sees it: its replica, if it hosts one, and the way to the others.

mod attempt;
mod barrier;
mod batch;
#[cfg(test)]
mod elsewhere;
mod fork;
mod housekeeping;
mod lone;
mod machine;
mod memory;
mod propose;
mod read;
mod remote;
mod renew;
#[cfg(test)]
mod resent;
mod serve;
mod staging;
#[cfg(test)]
mod stalled;
mod watch;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use tokio::sync::{Semaphore, watch as signal};
use weir_journal::{Journal, SpaceStatus};
use weir_protocol::{Clock, StreamName, TailWatch};

use self::barrier::Barrier;
use self::propose::Proposer;
use self::renew::Renewals;
use crate::disk_space::DiskSpace;
use crate::limits::{LEADER_PAUSE, MAX_GROUP_READS_ELSEWHERE};
use crate::peer::Peers;
use crate::raft::{NotLeader, Replica};
use crate::view::Views;

pub(crate) use machine::{StoreKind, StreamsMachine};
pub(crate) use serve::GroupRequest;
pub(crate) use watch::Watchers;

/// What all groups of a node share.
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) views: Views,
    pub(crate) journal: Arc<Journal>,
    pub(crate) disk: Arc<DiskSpace>,
    /// This node.
    pub(crate) node: u64,
    /// Names this process among all front ends, and this start of it: its proposals are numbered anew.
    pub(crate) origin: u64,
    /// Whether reads may block for long enough to need a thread of their own.
    pub(crate) blocking_reads: bool,
    /// Taken by such a read while it runs.
    pub(crate) reads: Arc<Semaphore>,
    /// Told when a store fails.
    pub(crate) failed: signal::Sender<Option<String>>,
}

/// One group.
pub(crate) struct Group {
    id: u64,
    /// For what outlives a call.
    this: Weak<Self>,
    shared: Arc<Shared>,
    hosted: RwLock<Option<Arc<Hosted>>>,
    /// Who leads, as somebody who should know said last. Used where no replica here knows better.
    hint: RwLock<NotLeader>,
    proposer: Proposer,
    barrier: Barrier,
    renewals: Renewals,
    /// Whether the last batch was refused for want of space.
    is_refused: AtomicBool,
    watchers: Arc<Watchers>,
    /// Taken by a read that other nodes are asked for.
    elsewhere: Semaphore,
}

/// A replica on this node.
pub(crate) struct Hosted {
    pub(crate) replica: Arc<Replica>,
    pub(crate) machine: Arc<StreamsMachine>,
    /// Whether it has applied, since it was opened, all that a leader had acknowledged at some time after that.
    caught_up: AtomicBool,
}

impl Hosted {
    pub(crate) fn new(replica: Arc<Replica>, machine: Arc<StreamsMachine>) -> Self {
        Self {
            replica,
            machine,
            caught_up: AtomicBool::new(false),
        }
    }

    /// Whether it has applied, since it was opened, all that a leader had acknowledged at some time after that.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Relaxed)
    }
}

/// Has the replica that was just put in place catch up once, whoever reads or not: only then is its node ready.
async fn catch_up(group: Weak<Group>) {
    while let Some(group) = group.upgrade() {
        if group.hosted().is_none_or(|hosted| hosted.is_caught_up()) {
            return;
        }
        if group.barrier().await.is_err() {
            drop(group);
            tokio::time::sleep(LEADER_PAUSE).await;
        }
    }
}

impl Group {
    /// Starts a group's tasks; they end when the last handle is dropped. Must be called within a runtime.
    pub(crate) fn start(id: u64, shared: Arc<Shared>) -> Arc<Self> {
        let (proposer, proposals) = Proposer::new();
        let (barrier, reads) = Barrier::new();
        let group = Arc::new_cyclic(|this| Self {
            id,
            this: this.clone(),
            shared,
            hosted: RwLock::default(),
            hint: RwLock::default(),
            proposer,
            barrier,
            renewals: Renewals::default(),
            is_refused: AtomicBool::new(false),
            watchers: Arc::default(),
            elsewhere: Semaphore::new(MAX_GROUP_READS_ELSEWHERE),
        });
        tokio::spawn(propose::run(Arc::downgrade(&group), proposals));
        tokio::spawn(barrier::run(Arc::downgrade(&group), reads));
        tokio::spawn(renew::run(Arc::downgrade(&group)));
        tokio::spawn(housekeeping::run(Arc::downgrade(&group)));
        group
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn watchers(&self) -> &Arc<Watchers> {
        &self.watchers
    }

    /// The replica on this node.
    pub(crate) fn hosted(&self) -> Option<Arc<Hosted>> {
        self.hosted.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The replica on this node, if it can answer for the group. One that is just being added has next to nothing, and may
    /// get the rest in minutes.
    pub(crate) fn serving(&self) -> Option<Arc<Hosted>> {
        self.hosted().filter(|hosted| hosted.replica.is_voter())
    }

    /// Why the replica on this node has failed, if it has. One that was taken away meanwhile has stopped, which is no failure.
    pub(crate) fn failure(&self) -> Option<String> {
        let hosted = self.hosted()?;
        let failure = hosted.replica.failure()?;
        self.still_hosts(&hosted).then_some(failure)
    }

    /// Whether this is still the replica on this node. It is taken away before it is closed and its files are removed.
    pub(super) fn still_hosts(&self, hosted: &Arc<Hosted>) -> bool {
        self.hosted().is_some_and(|now| Arc::ptr_eq(&now, hosted))
    }

    /// Puts a replica in place, or takes it away. Must be called within a runtime.
    pub(crate) fn host(&self, hosted: Option<Arc<Hosted>>) {
        let is_new = hosted.is_some();
        *self.hosted.write().unwrap_or_else(PoisonError::into_inner) = hosted;
        if is_new {
            tokio::spawn(catch_up(Weak::clone(&self.this)));
        }
    }

    /// Begins to watch a stream's tail.
    pub(crate) fn watch(self: &Arc<Self>, name: &StreamName) -> Box<dyn TailWatch> {
        if self.serving().is_some() {
            let watch = self.watchers.watch(name);
            // Who watches when the replica is taken away is told so; who began after that would wait for nobody.
            if self.hosted().is_some() {
                return Box::new(watch);
            }
        }
        Box::new(remote::RemoteWatch::new(Arc::clone(self), name.clone()))
    }

    /// Whether the journal and the stores have room for writes; without it they are refused before they are proposed.
    pub(crate) fn has_space(&self) -> bool {
        let is_short = self.hosted().is_some_and(|hosted| hosted.machine.is_short());
        !is_short && self.shared.journal.space() == SpaceStatus::Ok && self.shared.disk.has_room()
    }

    /// Whether they have room for what needs hardly any.
    fn has_reserve(&self) -> bool {
        let is_short = self.hosted().is_some_and(|hosted| hosted.machine.is_short());
        !is_short && self.shared.journal.space() != SpaceStatus::Full
    }

    /// Who leads, as far as this node knows: the replica and its node.
    ///
    /// A replica without a vote is not asked: it may have been removed, and then never hears of another leader.
    fn leader(&self) -> Option<(u64, u64)> {
        let own = self.serving().and_then(|hosted| hosted.replica.leader().leader);
        own.or_else(|| self.hint.read().unwrap_or_else(PoisonError::into_inner).leader)
    }

    /// Takes note of who leads; `NotLeader` without a leader makes the next attempt ask another replica.
    fn note_leader(&self, told: NotLeader) {
        *self.hint.write().unwrap_or_else(PoisonError::into_inner) = told;
    }

    /// Takes note that this replica does not lead any more, if it was thought to.
    fn forget_leader(&self, replica: u64) {
        let mut hint = self.hint.write().unwrap_or_else(PoisonError::into_inner);
        if hint.leader.is_some_and(|(leader, _)| leader == replica) {
            *hint = NotLeader::default();
        }
    }

    /// Lets no further write in, and waits for those that wait.
    pub(crate) async fn close(self: &Arc<Self>) {
        renew::flush(self).await;
        self.proposer.close().await;
    }
}
