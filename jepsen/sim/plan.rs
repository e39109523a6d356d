//! Everything that a seed decides before the simulation begins.

use std::time::Duration;

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
    /// How many clients there are.
    pub clients: usize,
    /// How many streams they share.
    pub streams: usize,
    /// The longest pause between two operations of a client, in milliseconds.
    pub think_ms: u64,
    /// How long a client waits for an answer.
    pub request_timeout: Duration,
    /// How long the load runs.
    pub load: Duration,
    /// The faults, by time since the load began.
    pub faults: Vec<Timed>,
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
            clients: rng.between(2, 6) as usize,
            streams: rng.between(2, 8) as usize,
            think_ms: *rng.pick(&[5, 40, 200]),
            request_timeout: Duration::from_millis(*rng.pick(&[1_000, 3_000, 20_000])),
            load: Duration::from_millis(load_ms),
            faults: Vec::new(),
        };
        plan.faults = faults(&mut Rng::of(seed, "faults"), nodes, load_ms, slowest);
        plan
    }
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
