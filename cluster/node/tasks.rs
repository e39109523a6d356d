//! What a node does by itself until it is closed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch as signal;
use weir_journal::Journal;
use weir_meta::{FoundingNode, MetaCommand, MetaState, NodeId};

use crate::control::{CommandError, Commands, Hosting, MetaMachine, addresses, view};
use crate::limits::LEADER_PAUSE;
use crate::peer::Addresses;
use crate::raft::Replica;
use crate::view::Views;

/// How often replicas and the journal are asked whether they failed.
const WATCH_PAUSE: Duration = Duration::from_millis(200);

/// Every so many times the meta group's replica is asked for a checkpoint though nothing was applied: the last one may have
/// found no space.
const LOOK_ANYWAY_EVERY: u64 = 25;

/// Runs a task until the node is closed or dropped.
pub(super) fn spawn_until(stopped: &signal::Receiver<bool>, task: impl Future<Output = ()> + Send + 'static) {
    let mut stopped = stopped.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = task => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
    });
}

/// Does what each new state wants of this node.
pub(super) struct Follower {
    /// The state that was followed before this began is the last one that was seen of them.
    pub(super) states: signal::Receiver<Arc<MetaState>>,
    pub(super) addresses: Arc<Addresses>,
    pub(super) views: Views,
    pub(super) hosting: Arc<Hosting>,
    pub(super) failed: signal::Sender<Option<String>>,
}

impl Follower {
    pub(super) async fn run(mut self) {
        while self.states.changed().await.is_ok() {
            let state = Arc::clone(&self.states.borrow_and_update());
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
pub(super) async fn announce(commands: Arc<Commands>, machine: Arc<MetaMachine>, node: NodeId, own: FoundingNode) {
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
            Err(CommandError::NoLeader) => tokio::time::sleep(LEADER_PAUSE * 10).await,
            Err(error) => {
                tracing::warn!(%error, "the cluster does not take this node's addresses");
                return;
            }
        }
    }
}

/// Waits until the journal or the meta group's replica has failed, and tells why.
pub(super) async fn first_failure(journal: &Journal, meta: &Replica) -> String {
    loop {
        tokio::time::sleep(WATCH_PAUSE).await;
        if let Some(failure) = failure_of(journal, meta) {
            return failure;
        }
    }
}

fn failure_of(journal: &Journal, meta: &Replica) -> Option<String> {
    let failure = journal.failed().map(|failure| failure.to_string());
    failure.or_else(|| meta.failure())
}

/// A failure of storage is final: it ends the process.
pub(super) async fn watch_failures(
    journal: Arc<Journal>,
    meta: Arc<Replica>,
    hosting: Arc<Hosting>,
    failed: signal::Sender<Option<String>>,
) {
    let mut settled = None;
    for round in 1_u64.. {
        tokio::time::sleep(WATCH_PAUSE).await;
        let mut failure = failure_of(&journal, &meta);
        for group in hosting.groups() {
            failure = failure.or_else(|| group.failure());
        }
        if let Some(failure) = failure {
            tracing::error!(failure, "the node's storage failed");
            failed.send_replace(Some(failure));
            return;
        }
        // A meta group that nothing is written to needs no checkpoint; one that is gets it here.
        let applied = meta.view().applied;
        if settled == Some(applied) && !round.is_multiple_of(LOOK_ANYWAY_EVERY) {
            continue;
        }
        match meta.checkpoint(true).await {
            Ok(()) => settled = Some(applied),
            Err(error) => {
                tracing::error!(%error, "a checkpoint of the meta group failed");
                failed.send_replace(Some(error.to_string()));
                return;
            }
        }
    }
}
