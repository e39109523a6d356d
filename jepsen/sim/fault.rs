//! What goes wrong.

use crate::network::node_name;
use crate::plan::signed;
use crate::rng::Rng;

/// A fault in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timed {
    /// When it begins, in milliseconds since the load began.
    pub at_ms: u64,
    /// How long it lasts, where it has an end.
    pub lasts_ms: u64,
    /// What it is.
    pub fault: Fault,
}

/// One fault. Nodes count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Processes end; what they wrote stays. They start again.
    Kill(Vec<usize>),
    /// Machines lose power in the middle of the change to the disk after so many more, or soon after.
    PowerLoss(Vec<usize>, u64),
    /// A process is asked to end, and starts again.
    Restart(usize),
    /// Packets between the two sides are lost, in both directions.
    Partition(Vec<usize>, Vec<usize>),
    /// Packets from the first side to the second are lost.
    OneWay(Vec<usize>, Vec<usize>),
    /// Packets between the two sides are held back, and come when it is over.
    Hold(Vec<usize>, Vec<usize>),
    /// Clients do not reach a node.
    Unreachable(usize),
    /// Packets may take so long, in milliseconds.
    Latency(u64),
    /// The sync after so many more fails on a node.
    SyncFails(usize, u64),
    /// A node's disk takes so many bytes more.
    Full(usize, u64),
    /// A node's syncs take up to so long, in milliseconds.
    SlowDisk(usize, u64),
    /// A node's clock goes so far ahead, in milliseconds.
    Clock(usize, i64),
    /// Somebody asks that another node leads a group.
    Transfer(u64, usize),
}

impl Fault {
    /// How many kinds there are.
    pub(crate) const KINDS: u64 = 13;

    /// What kind it is.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Kill(_) => "kill",
            Self::PowerLoss(..) => "power-loss",
            Self::Restart(_) => "restart",
            Self::Partition(..) => "partition",
            Self::OneWay(..) => "one-way",
            Self::Hold(..) => "hold",
            Self::Unreachable(_) => "unreachable",
            Self::Latency(_) => "latency",
            Self::SyncFails(..) => "sync-fails",
            Self::Full(..) => "full-disk",
            Self::SlowDisk(..) => "slow-disk",
            Self::Clock(..) => "clock",
            Self::Transfer(..) => "transfer",
        }
    }

    /// The nodes that it is about, as histories name them.
    #[must_use]
    pub fn targets(&self) -> Vec<String> {
        let names = |nodes: &[usize]| nodes.iter().map(|node| node_name(*node)).collect();
        match self {
            Self::Kill(nodes) | Self::PowerLoss(nodes, _) => names(nodes),
            Self::Partition(one, other) | Self::OneWay(one, other) | Self::Hold(one, other) => {
                names(&[one.as_slice(), other].concat())
            }
            Self::Restart(node)
            | Self::Unreachable(node)
            | Self::SyncFails(node, _)
            | Self::Full(node, _)
            | Self::SlowDisk(node, _)
            | Self::Clock(node, _)
            | Self::Transfer(_, node) => names(&[*node]),
            Self::Latency(_) => Vec::new(),
        }
    }

    /// Draws one of a kind.
    pub(crate) fn draw(rng: &mut Rng, kind: u64, nodes: usize, latency_ms: u64) -> Self {
        let node = 1 + rng.below(nodes as u64) as usize;
        match kind {
            0 => Self::Kill(some(rng, nodes)),
            1 | 2 => Self::PowerLoss(some(rng, nodes), rng.below(60)),
            3 => Self::Restart(node),
            4 => {
                let (one, other) = sides(rng, nodes);
                Self::Partition(one, other)
            }
            5 => {
                let (one, other) = sides(rng, nodes);
                Self::OneWay(one, other)
            }
            6 => {
                let (one, other) = sides(rng, nodes);
                Self::Hold(one, other)
            }
            7 => Self::Unreachable(node),
            8 => Self::Latency(latency_ms * rng.between(2, 20)),
            9 => Self::SyncFails(node, rng.below(40)),
            10 => Self::Full(node, *rng.pick(&[0, 20_000, 200_000])),
            11 => Self::SlowDisk(node, rng.between(20, 800)),
            _ if rng.chance(50) => Self::Clock(node, signed(rng, *rng.clone().pick(&[300, 5_000, 7_200_000]))),
            _ => Self::Transfer(rng.between(1, 3), node),
        }
    }
}

/// One node, a minority, a majority or all of them.
fn some(rng: &mut Rng, nodes: usize) -> Vec<usize> {
    let count = match rng.below(4) {
        0 => nodes,
        1 => nodes / 2 + 1,
        _ => 1,
    };
    let mut all: Vec<usize> = (1..=nodes).collect();
    while all.len() > count {
        all.remove(rng.below(all.len() as u64) as usize);
    }
    all
}

/// Two sides, or one of overlapping majorities: with five nodes a link or two may be all that is cut.
fn sides(rng: &mut Rng, nodes: usize) -> (Vec<usize>, Vec<usize>) {
    let mut other: Vec<usize> = (1..=nodes).collect();
    let mut one = Vec::new();
    for _ in 0..rng.between(1, (nodes as u64 / 2).max(1)) {
        if other.len() > 1 {
            one.push(other.remove(rng.below(other.len() as u64) as usize));
        }
    }
    if rng.chance(30) && other.len() > 1 {
        other.remove(rng.below(other.len() as u64) as usize);
    }
    (one, other)
}
