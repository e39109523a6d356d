//! Everything that a seed decides before the simulation begins.

use std::time::Duration;

use weir_jepsen::check;
use weir_jepsen::history::{Limits, Run};
use weir_jepsen::workload::Workload;

use crate::fault::{Fault, Timed};
use crate::journal::JournalPlan;
use crate::node::ClusterPlan;
use crate::rng::Rng;

/// What happens in one simulation.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// The cluster.
    pub cluster: ClusterPlan,
    /// Its journals.
    pub journal: JournalPlan,
    /// The shortest and the longest way of a packet, in milliseconds.
    pub latency_ms: (u64, u64),
    /// How far each node's clock is ahead at the beginning, in milliseconds.
    pub skews_ms: Vec<i64>,
    /// When each node is started, in milliseconds.
    pub starts_ms: Vec<u64>,
    /// What clients do, and how many there are of each kind.
    pub workloads: Vec<(Workload, u32)>,
    /// The pause between two operations of a client.
    pub think: Duration,
    /// How long a client waits for an answer.
    pub request_timeout: Duration,
    /// How long the load runs.
    pub load: Duration,
    /// The faults, by time since the load began.
    pub faults: Vec<Timed>,
    /// Of so many changes of a replica's state one is looked at. That makes a checkpoint, so that seeds that look often
    /// see other restarts than those that look seldom.
    pub look_at_one_of: u64,
}

/// Of 100 seeds, how many have no fault at all: what fails there is no fault's doing.
const QUIET_SEEDS: u64 = 4;

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let rng = &mut Rng::of(seed, "plan");
        let nodes = match rng.below(10) {
            0 => 1,
            1 => 5,
            _ => 3,
        };
        let heartbeat = rng.between(100, 300);
        let cluster = ClusterPlan {
            nodes,
            groups: rng.between(1, 3),
            heartbeat: Duration::from_millis(heartbeat),
            election_timeout: Duration::from_millis(heartbeat * 5),
            keep_log_bytes: *rng.pick(&[2 << 10, 16 << 10, 256 << 10, 64 << 20]),
            long_poll: Duration::from_millis(rng.between(500, 3000)),
        };
        let journal = JournalPlan {
            segment_bytes: *rng.pick(&[96 << 10, 192 << 10, 1 << 20]),
            cache_bytes: *rng.pick(&[0, 4 << 10, 64 << 10, 16 << 20]),
            max_segments: 2 + rng.below(4) as usize,
            sync_ms: *rng.pick(&[0, 2, 10]),
        };
        let slowest = *rng.pick(&[2, 10, 40]);
        let skew = *rng.pick(&[0, 0, 500, 60_000]);
        let load_ms = rng.between(4_000, 12_000);
        let mut plan = Self {
            seed,
            cluster,
            journal,
            latency_ms: (1, slowest),
            skews_ms: (0..nodes).map(|_| signed(rng, skew)).collect(),
            starts_ms: (0..nodes).map(|_| rng.below(1500)).collect(),
            workloads: workloads(&mut Rng::of(seed, "workloads"), nodes as u64),
            think: Duration::from_millis(*rng.pick(&[20, 60, 200])),
            request_timeout: Duration::from_millis(*rng.pick(&[1_000, 3_000, 10_000])),
            load: Duration::from_millis(load_ms),
            faults: Vec::new(),
            look_at_one_of: *rng.pick(&[4, 40, u64::MAX]),
        };
        plan.faults = faults(&mut Rng::of(seed, "faults"), nodes, load_ms, slowest);
        plan
    }
}

impl Plan {
    /// What the history says of it.
    #[must_use]
    pub fn head(&self) -> Run {
        let names: Vec<&str> = self.workloads.iter().map(|(workload, _)| workload.name()).collect();
        let expected = match self.workloads.as_slice() {
            [(workload, _)] => check::expected(workload.name()),
            _ => &[],
        };
        Run {
            workload: names.join("+"),
            nodes: u32::try_from(self.cluster.nodes).unwrap_or(u32::MAX),
            replication: 3,
            seed: self.seed,
            time_s: self.load.as_secs(),
            place: "simulation".to_owned(),
            command: crate::runner::command(self.seed, false),
            expects: expected.iter().map(|name| (*name).to_owned()).collect(),
            limits: Limits {
                min_ok: MIN_OK,
                clock_error_ms: self.clock_error_ms(),
                // A node collects what its reads renew, and tells it when it can: it may end first, or be cut off.
                renew_lag_ms: match self.faults.is_empty() {
                    true => Limits::default().renew_lag_ms,
                    false => RENEW_LAG_MS,
                },
                ..Limits::default()
            },
            ..Run::default()
        }
    }

    /// How far two clocks may be apart.
    fn clock_error_ms(&self) -> u64 {
        let faults = self.faults.iter().filter_map(|timed| match timed.fault {
            Fault::Clock(_, skew_ms) => Some(skew_ms),
            _ => None,
        });
        let skews = self.skews_ms.iter().copied();
        let largest = faults.chain(skews).map(i64::unsigned_abs).max();
        2 * largest.unwrap_or(0)
    }
}

/// Operations that must have succeeded for a verdict: simulations are short.
const MIN_OK: u64 = 30;

/// How long renewals by reads may take where things go wrong: longer than any TTL, so that such reads do not count.
const RENEW_LAG_MS: u64 = 60_000;

/// Of 100 seeds, how many have two workloads.
const MIXED_SEEDS: u64 = 30;

/// What clients do; those that others build on more often.
const WORKLOADS: [Workload; 12] = [
    Workload::Queue,
    Workload::Queue,
    Workload::Producer,
    Workload::Producer,
    Workload::Producer,
    Workload::Tail,
    Workload::Live,
    Workload::Close,
    Workload::Fork,
    Workload::Fork,
    Workload::Ttl,
    Workload::Churn,
];

/// The first client of each node writes, in most workloads; there are some more.
fn workloads(rng: &mut Rng, nodes: u64) -> Vec<(Workload, u32)> {
    let first = *rng.pick(&WORKLOADS);
    let second = rng.chance(MIXED_SEEDS).then(|| *rng.pick(&WORKLOADS));
    let kinds = [Some(first), second.filter(|second| *second != first)];
    let count = |rng: &mut Rng| u32::try_from(nodes + rng.between(1, 4)).unwrap_or(u32::MAX);
    kinds.into_iter().flatten().map(|kind| (kind, count(rng))).collect()
}

/// A number from -`most` to `most`.
pub(crate) fn signed(rng: &mut Rng, most: u64) -> i64 {
    let number = i64::try_from(rng.below(2 * most + 1)).unwrap_or_default();
    number - i64::try_from(most).unwrap_or_default()
}

/// Faults one after the other and some at once, with quiet in between about a quarter of the time.
fn faults(rng: &mut Rng, nodes: usize, load_ms: u64, latency_ms: u64) -> Vec<Timed> {
    let mut faults = Vec::new();
    if rng.chance(QUIET_SEEDS) {
        return faults;
    }
    // A seed has few kinds, so that each seed leans on something.
    let kinds: Vec<u64> = (0..rng.between(1, 4)).map(|_| rng.below(Fault::KINDS)).collect();
    let mut at_ms = rng.between(100, 1500);
    while at_ms < load_ms {
        for _ in 0..rng.between(1, 2) {
            let lasts_ms = rng.between(200, 4000);
            let kind = *rng.pick(&kinds);
            let fault = Fault::draw(rng, kind, nodes, latency_ms);
            faults.push(Timed { at_ms, lasts_ms, fault });
        }
        at_ms += rng.between(200, 3000);
        if rng.chance(25) {
            at_ms += rng.between(500, 2000);
        }
    }
    faults
}
