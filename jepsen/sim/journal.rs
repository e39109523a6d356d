//! Steps a node's journal, which has no threads here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use weir_cluster::StepJournal;
use weir_journal::{Journal, Options, Prepared, Step, Stepper};

use crate::invariant::Durable;
use crate::node::Machine;
use crate::rng::Rng;

/// How long an idle journal rests before it writes what is not urgent and looks at old segments.
const TIDY_INTERVAL: Duration = Duration::from_secs(1);

/// How often an idle journal is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// What differs from node to node and from seed to seed.
#[derive(Debug, Clone)]
pub struct JournalPlan {
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// Bytes of entries that are kept in memory.
    pub cache_bytes: u64,
    /// Segments before old records are moved.
    pub max_segments: usize,
    /// How long a sync takes at most, in milliseconds.
    pub sync_ms: u64,
}

/// Takes the journals of one node's processes, one after the other.
pub struct Steps {
    node: usize,
    plan: JournalPlan,
    rng: Mutex<Rng>,
    journal: Mutex<Weak<Journal>>,
    durable: Arc<Durable>,
    /// How long a sync takes at most, in milliseconds.
    sync_ms: Arc<AtomicU64>,
}

impl Steps {
    /// For one node.
    #[must_use]
    pub fn new(node: usize, plan: JournalPlan, rng: Rng, durable: Arc<Durable>) -> Self {
        Self {
            node,
            sync_ms: Arc::new(AtomicU64::new(plan.sync_ms)),
            plan,
            rng: Mutex::new(rng),
            journal: Mutex::default(),
            durable,
        }
    }

    /// How long a sync takes at most from now on; `None`: as planned.
    pub fn set_sync_ms(&self, sync_ms: Option<u64>) {
        self.sync_ms
            .store(sync_ms.unwrap_or(self.plan.sync_ms), Ordering::Relaxed);
    }

    /// Takes note of what the node has on disk, before its process ends.
    pub fn keep(&self, machine: &Machine) {
        self.durable.keep(machine);
    }

    /// The journal of the process that runs now.
    #[must_use]
    pub fn journal(&self) -> Option<Arc<Journal>> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }
}

impl StepJournal for Steps {
    fn options(&self, mut options: Options) -> Options {
        options.segment_bytes = self.plan.segment_bytes;
        options.cache_bytes = self.plan.cache_bytes;
        options.max_segments = self.plan.max_segments;
        options.frame_bytes = self.plan.segment_bytes;
        options
    }

    fn take(&self, journal: &Arc<Journal>, stepper: Stepper) {
        *self.journal.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(journal);
        self.durable.recovered(self.node, journal);
        let rng = Rng::new(self.rng.lock().unwrap_or_else(PoisonError::into_inner).draw());
        tokio::spawn(run(stepper, rng, Arc::clone(&self.sync_ms)));
    }
}

/// The writer and the preparer, taking turns.
async fn run(mut stepper: Stepper, mut rng: Rng, sync_ms: Arc<AtomicU64>) {
    let mut tidied = tokio::time::Instant::now();
    let mut retry = tokio::time::Instant::now();
    loop {
        if tokio::time::Instant::now() >= retry {
            match stepper.prepare() {
                Prepared::Stopped => return finish(stepper),
                Prepared::Shortage => retry = tokio::time::Instant::now() + Duration::from_millis(500),
                Prepared::Worked | Prepared::Idle => {}
            }
        }
        let pause = match stepper.write() {
            Step::Stopped => return finish(stepper),
            Step::Worked => Duration::from_millis(rng.below(sync_ms.load(Ordering::Relaxed) + 1)),
            Step::Starved => POLL_INTERVAL,
            Step::NoSpace => Duration::from_millis(500),
            Step::Idle => {
                if tidied.elapsed() >= TIDY_INTERVAL {
                    tidied = tokio::time::Instant::now();
                    stepper.tidy();
                }
                POLL_INTERVAL
            }
        };
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}

/// What came after the end is told so.
fn finish(mut stepper: Stepper) {
    let _ = stepper.write();
}
