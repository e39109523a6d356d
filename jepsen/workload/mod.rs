//! What clients do while things break.
//!
//! | file | what it does |
//! |---|---|
//! | `worker` | what all clients have in common |
//! | `queue` | appends, and reads on every node |
//! | `producer` | idempotent producers that repeat, and fence each other |
//! | `tail` | where streams end, as every node has it |
//! | `live` | readers that stay, and come back |
//! | `close` | streams that end |
//! | `fork` | streams that begin as others |
//! | `ttl` | streams that expire |
//! | `churn` | streams deleted and made again |

pub(crate) mod churn;
pub(crate) mod close;
pub(crate) mod fork;
pub(crate) mod live;
pub(crate) mod producer;
pub(crate) mod queue;
pub(crate) mod tail;
pub(crate) mod ttl;
pub(crate) mod worker;

use std::str::FromStr;
use std::sync::Arc;

use tokio::task::JoinSet;

pub(crate) use worker::Worker;
pub use worker::{Load, LoadOptions};

/// A workload, by the name that the command line has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Workload {
    /// Appends, and reads on every node.
    Queue,
    /// Idempotent producers that repeat, and fence each other.
    Producer,
    /// Where streams end, as every node has it.
    Tail,
    /// Readers that stay, and come back.
    Live,
    /// Streams that end.
    Close,
    /// Streams that begin as others.
    Fork,
    /// Streams that expire.
    Ttl,
    /// Streams deleted and made again.
    Churn,
}

/// All workloads, with what they do.
pub const WORKLOADS: [(Workload, &str, &str); 8] = [
    (Workload::Queue, "queue", "appends, and reads on every node"),
    (
        Workload::Producer,
        "producer",
        "idempotent producers that repeat, and fence each other",
    ),
    (
        Workload::Tail,
        "tail",
        "appends, HEAD and reads of few streams on every node",
    ),
    (
        Workload::Live,
        "live",
        "long-poll and SSE, cut off anywhere and gone on with",
    ),
    (Workload::Close, "close", "streams closed while others append to them"),
    (Workload::Fork, "fork", "forks of forks across groups, and deletes"),
    (Workload::Ttl, "ttl", "streams that expire, used and not used"),
    (Workload::Churn, "churn", "streams deleted and made again"),
];

impl Workload {
    /// Its name on the command line and in histories.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = WORKLOADS.iter().find(|(workload, ..)| *workload == self);
        found.map_or("", |(_, name, _)| name)
    }

    /// How many clients it has on real nodes.
    pub(crate) const fn clients(self) -> u32 {
        12
    }

    /// Makes the streams that all clients share.
    pub async fn prepare(self, load: &Arc<Load>) {
        let mut worker = Worker::new(load, 0);
        match self {
            Self::Queue => queue::prepare(&mut worker).await,
            Self::Producer => producer::prepare(&mut worker).await,
            Self::Tail => tail::prepare(&mut worker).await,
            Self::Live => live::prepare(&mut worker).await,
            Self::Close => close::prepare(&mut worker).await,
            Self::Fork => fork::prepare(&mut worker).await,
            Self::Ttl => ttl::prepare(&mut worker).await,
            Self::Churn => {}
        }
    }

    /// Starts its clients. Each ends when the load is told to stop and its operation under way has ended.
    pub fn start(self, load: &Arc<Load>, count: u32) -> JoinSet<()> {
        let mut clients = JoinSet::new();
        for index in 0..count {
            let worker = Worker::new(load, index);
            match self {
                Self::Queue => clients.spawn(queue::work(worker, index)),
                Self::Producer => clients.spawn(producer::work(worker, index)),
                Self::Tail => clients.spawn(tail::work(worker)),
                Self::Live => clients.spawn(live::work(worker, index)),
                Self::Close => clients.spawn(close::work(worker, index)),
                Self::Fork => clients.spawn(fork::work(worker)),
                Self::Ttl => clients.spawn(ttl::work(worker)),
                Self::Churn => clients.spawn(churn::work(worker)),
            };
        }
        clients
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = WORKLOADS.iter().find(|(_, name, _)| *name == text);
        found.map(|(workload, ..)| *workload).ok_or_else(|| {
            let names: Vec<&str> = WORKLOADS.iter().map(|(_, name, _)| *name).collect();
            format!("there are {}", names.join(", "))
        })
    }
}
