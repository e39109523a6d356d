//! What goes on by itself: a group's leader tells other groups of forks that are gone, and clears references whose
//! forks were never made.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use tokio::task::{AbortHandle, JoinSet};
use weir_protocol::Fault;
use weir_storage::{Op, Outcome, Probed, Reference, ReferenceCursor};

use crate::group::Group;
use crate::limits::{
    MAX_CONFIRMED_REFERENCES, REFERENCE_PROBE_AGE_MS, REFERENCES_PER_ROUND, RELEASES_PER_ROUND, SETTLE_INTERVAL,
    SETTLE_ROUNDS_PER_PROBE,
};
use crate::router::{Router, mixed_up};

/// What this node remembers of references. Losing it costs probes, no more.
#[derive(Default)]
pub(crate) struct Settling(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Fork ids of references whose forks were there: their own groups release them, so they need no further probe.
    confirmed: HashSet<u64>,
    /// By group: how far its references were looked at.
    cursors: HashMap<u64, ReferenceCursor>,
}

impl Settling {
    fn known(&self) -> MutexGuard<'_, Known> {
        // Both are hints, and whole after every step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn confirm(&self, fork_id: u64) {
        let mut known = self.known();
        if known.confirmed.len() >= MAX_CONFIRMED_REFERENCES {
            known.confirmed.clear();
        }
        known.confirmed.insert(fork_id);
    }
}

/// Runs rounds for the groups that are led from here, for ever. A round that takes long holds up its own group only.
pub(crate) async fn run(router: Arc<Router>) {
    let mut rounds: JoinSet<()> = JoinSet::new();
    let mut running: HashMap<u64, AbortHandle> = HashMap::new();
    for number in 1_u64.. {
        tokio::time::sleep(SETTLE_INTERVAL).await;
        while rounds.try_join_next().is_some() {}
        running.retain(|_, round| !round.is_finished());
        let probes = number % SETTLE_ROUNDS_PER_PROBE == 0;
        for group in router.groups() {
            if !group.leads() || running.contains_key(&group.id()) {
                continue;
            }
            let (id, router) = (group.id(), Arc::clone(&router));
            let round = rounds.spawn(async move {
                let mut result = router.settle_outbox(&group).await;
                if probes {
                    result = result.and(router.reconcile(&group).await);
                }
                if let Err(error) = result {
                    tracing::debug!(group = group.id(), %error, "forks of other groups are not settled yet");
                }
            });
            running.insert(id, round);
        }
    }
}

impl Router {
    /// Tells other groups of forks that are gone, until all were told.
    pub(super) async fn settle_outbox(&self, group: &Group) -> Result<(), Fault> {
        loop {
            let references = group.outbox(RELEASES_PER_ROUND).await?;
            if references.is_empty() {
                return Ok(());
            }
            let told = references.into_iter().map(|reference| self.settle(group, reference));
            let told = join_all(told).await;
            // What was not told is there in the next round; to try at once again would be of no use.
            told.into_iter().collect::<Result<(), Fault>>()?;
        }
    }

    async fn settle(&self, group: &Group, reference: Reference) -> Result<(), Fault> {
        let fork_id = reference.fork_id;
        self.release(reference).await?;
        self.forget(group, fork_id).await
    }

    /// A release was done: takes it out of the outbox of the fork's group.
    pub(super) async fn forget(&self, group: &Group, fork_id: u64) -> Result<(), Fault> {
        match group.propose(Op::Settle { fork_id }).await? {
            Outcome::Settle => Ok(()),
            other => Err(mixed_up(&other)),
        }
    }

    /// Looks at some of the references that a group's streams have, and releases those without a fork.
    pub(super) async fn reconcile(&self, group: &Group) -> Result<(), Fault> {
        let after = self.settling().known().cursors.remove(&group.id());
        let page = group.references(after, REFERENCES_PER_ROUND).await?;
        let now = group.now().as_millis();
        let is_old = |reference: &Reference| now > reference.retained_at.as_millis() + REFERENCE_PROBE_AGE_MS;
        let doubtful: Vec<Reference> = {
            let mut known = self.settling().known();
            if let Some(next) = page.next {
                known.cursors.insert(group.id(), next);
            }
            let references = page.references.into_iter().filter(is_old);
            references
                .filter(|reference| !known.confirmed.contains(&reference.fork_id))
                .collect()
        };
        let cleared = doubtful.into_iter().map(|reference| self.clear(reference));
        join_all(cleared).await.into_iter().collect()
    }

    /// Releases a reference whose fork is not there and cannot be made any more.
    async fn clear(&self, reference: Reference) -> Result<(), Fault> {
        let Probed { exists, decided } = self.probe(reference.clone()).await?;
        if exists {
            self.settling().confirm(reference.fork_id);
        } else if decided {
            tracing::info!(source = %reference.source, fork = %reference.fork, "a source was kept for a fork that is not there");
            self.release(reference).await?;
        }
        Ok(())
    }

    /// Asks the group of a fork whether it has it.
    pub(super) async fn probe(&self, reference: Reference) -> Result<Probed, Fault> {
        let group = self.group(&reference.fork)?;
        match group.propose(Op::Probe(reference)).await? {
            Outcome::Probe(probed) => Ok(probed),
            other => Err(mixed_up(&other)),
        }
    }
}
