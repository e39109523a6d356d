//! When faults act, on whom, and what is recorded of them.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::cluster::Cluster;
use crate::history::{Fault, Recorder, Stage as End};
use crate::net::Counts;

/// How long nothing happens between two faults, in milliseconds: about a third of what a fault takes.
const QUIET_MS: RangeInclusive<u64> = 700..=1700;

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
    ) -> Self {
        Self {
            cluster,
            rng: Rng::with_seed(seed),
            recorder,
            stop,
            deadline,
            next_id: 1,
        }
    }

    /// Whether the time for faults is over.
    pub(crate) fn is_over(&self) -> bool {
        *self.stop.borrow() || Instant::now() >= self.deadline
    }

    /// Nothing happens for a while.
    pub(crate) async fn quiet(&mut self) {
        let ms = self.rng.u64(QUIET_MS);
        self.rest(Duration::from_millis(ms)).await;
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
