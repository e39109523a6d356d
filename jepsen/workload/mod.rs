//! What clients do while things break.
//!
//! | file | what it does |
//! |---|---|
//! | `worker` | what all clients have in common |
//! | `queue` | appends, and reads on every node |

pub(crate) mod queue;
pub(crate) mod worker;

use std::str::FromStr;
use std::sync::Arc;

use tokio::task::JoinSet;

pub(crate) use worker::{Load, Worker};

/// A workload, by the name that the command line has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Workload {
    Queue,
}

/// All workloads, with what they do.
pub(crate) const WORKLOADS: [(Workload, &str, &str); 1] =
    [(Workload::Queue, "queue", "appends, and reads on every node")];

impl Workload {
    /// Its name on the command line and in histories.
    pub(crate) fn name(self) -> &'static str {
        let found = WORKLOADS.iter().find(|(workload, ..)| *workload == self);
        found.map_or("", |(_, name, _)| name)
    }

    /// How many clients it has.
    pub(crate) const fn clients(self) -> u32 {
        match self {
            Self::Queue => 12,
        }
    }

    /// Makes the streams that all clients share.
    pub(crate) async fn prepare(self, load: &Arc<Load>) {
        let mut worker = Worker::new(load, 0);
        match self {
            Self::Queue => queue::prepare(&mut worker).await,
        }
    }

    /// Starts all clients. Each ends when the load is told to stop and its operation under way has ended.
    pub(crate) fn start(self, load: &Arc<Load>) -> JoinSet<()> {
        let mut clients = JoinSet::new();
        for index in 0..self.clients() {
            let worker = Worker::new(load, index);
            match self {
                Self::Queue => clients.spawn(queue::work(worker, index)),
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
