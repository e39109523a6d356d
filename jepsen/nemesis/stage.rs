//! When faults act, on whom, and what is recorded of them.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::cluster::Cluster;
use crate::history::{Fault, Recorder, Stage as End};
use crate::net::Counts;

/// How long nothing happens between two faults: about a third of what the last one took, and no less than this.
const QUIET: Duration = Duration::from_millis(700);

/// How often a question is asked until the answer is yes.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// How long a fault lasts that leaves a majority, in milliseconds.
const LONG_MS: RangeInclusive<u64> = 2500..=5000;

/// How long one lasts that leaves none.
const SHORT_MS: RangeInclusive<u64> = 800..=2500;

/// Where faults act.
pub(crate) struct Stage {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) rng: Rng,
    recorder: Recorder,
    stop: watch::Receiver<bool>,
    deadline: Instant,
    next_id: u64,
    /// How many replicas a group has.
    replication: u32,
    /// Nodes whose files were spoiled: if one of these does not start, that is no fault of the program's.
    pub(crate) spoiled: BTreeSet<u32>,
}

/// A fault that acts.
pub(crate) struct Open {
    fault: Fault,
    counts: Counts,
}

impl Stage {
    /// Until `deadline`, or until `stop` says so.
    pub(crate) fn new(
        cluster: Arc<Cluster>,
        recorder: Recorder,
        seed: u64,
        stop: watch::Receiver<bool>,
        deadline: Instant,
        replication: u32,
    ) -> Self {
        Self {
            cluster,
            rng: Rng::with_seed(seed),
            recorder,
            stop,
            deadline,
            next_id: 1,
            replication,
            spoiled: BTreeSet::new(),
        }
    }

    /// Whether the time for faults is over.
    pub(crate) fn is_over(&self) -> bool {
        *self.stop.borrow() || Instant::now() >= self.deadline
    }

    /// Nothing happens for a while, after a fault that took so long.
    pub(crate) async fn quiet(&mut self, after: Duration) {
        let share = 0.2 + self.rng.f64() * 0.3;
        self.rest(after.mul_f64(share).max(QUIET)).await;
    }

    /// Asks until the answer is yes, and gives that answer: `false` when it takes longer than `limit`, or when the run is
    /// stopped. The end of the time for faults does not end it: what was begun has to be undone.
    pub(crate) async fn until(&self, limit: Duration, mut ask: impl AsyncFnMut() -> bool) -> bool {
        let began = Instant::now();
        loop {
            if ask().await {
                return true;
            }
            if began.elapsed() > limit || *self.stop.borrow() {
                return false;
            }
            sleep(ASK_EVERY).await;
        }
    }

    /// A fault lasts, after which there may be a majority or not.
    pub(crate) async fn last(&mut self, majority_lives: bool) {
        let range = if majority_lives { LONG_MS } else { SHORT_MS };
        let ms = self.rng.u64(range);
        self.rest(Duration::from_millis(ms)).await;
    }

    /// Waits, but not beyond the end.
    pub(crate) async fn rest(&mut self, time: Duration) {
        let stopped = async {
            // An error means that nobody can stop us any more: then nobody wants to.
            if self.stop.wait_for(|stop| *stop).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = sleep(time) => {}
            () = sleep_until(self.deadline) => {}
            () = stopped => {}
        }
    }

    /// Records that a fault begins to act.
    pub(crate) fn begin(&mut self, name: &str, targets: Vec<String>) -> Open {
        let fault = Fault {
            id: self.next_id,
            name: name.to_owned(),
            stage: End::Begin,
            targets,
            effect: None,
            evidence: String::new(),
        };
        self.next_id += 1;
        self.recorder.fault(fault.clone());
        Open {
            fault,
            counts: self.cluster.rules.counts(),
        }
    }

    /// Records that it is undone, and whether it did anything.
    pub(crate) fn end(&self, open: Open, effect: bool, evidence: impl Into<String>) {
        self.recorder.fault(Fault {
            stage: End::End,
            effect: Some(effect),
            evidence: evidence.into(),
            ..open.fault
        });
    }

    /// What the network did since the fault began.
    pub(crate) fn counts(&self, open: &Open) -> Counts {
        self.cluster.rules.counts().since(&open.counts)
    }

    /// `count` of the nodes that formed the cluster, at random, in order.
    pub(crate) fn pick(&mut self, count: u32) -> Vec<u32> {
        let mut ids: Vec<u32> = (1..=self.cluster.size()).collect();
        self.rng.shuffle(&mut ids);
        ids.truncate(count as usize);
        ids.sort_unstable();
        ids
    }

    /// The most nodes that a majority can do without.
    pub(crate) fn minority(&self) -> u32 {
        (self.cluster.size() - 1) / 2
    }

    /// The most nodes whose disks every group can do without.
    pub(crate) fn expendable(&self) -> u32 {
        (self.replication - 1) / 2
    }

    /// As many nodes, or fewer, as every group can do without; half of the time one that leads is among them.
    pub(crate) async fn pick_expendable(&mut self) -> Vec<u32> {
        let count = self.rng.u32(1..=self.expendable().max(1));
        let mut ids = self.pick(count);
        if self.rng.bool()
            && let Some(leader) = self.a_leader().await
            && !ids.contains(&leader)
        {
            ids[0] = leader;
            ids.sort_unstable();
        }
        ids
    }

    /// A node that leads some group, if one can be found.
    pub(crate) async fn a_leader(&mut self) -> Option<u32> {
        let view = self.cluster.view().await.ok()?;
        let leaders: Vec<u32> = view.leaders().filter(|id| *id <= self.cluster.size()).collect();
        self.rng.choice(leaders)
    }
}

/// What reports call nodes.
pub(crate) fn names(ids: &[u32]) -> Vec<String> {
    ids.iter().map(|id| format!("n{id}")).collect()
}
