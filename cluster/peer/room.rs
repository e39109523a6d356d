//! How much memory answers take on the node that answers, however slowly whoever asked takes them.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use weir_protocol::Fault;

use super::kind::Kind;
use crate::limits::{ANSWER_OVERHEAD_BYTES, MAX_ANSWER_BYTES, ROOM_TIMEOUT};

/// What the answers of one stream may take.
///
/// Reads that begin in another group's stream wait for fetches from other nodes while they have their room. Fetches wait for
/// no other node's room, and have one of their own: were it the same, nodes that read from each other could wait for each
/// other. And the other reads must not wait for a group that does not answer.
pub(super) struct Budgets {
    reads: Arc<Semaphore>,
    forks: Arc<Semaphore>,
    fetches: Arc<Semaphore>,
}

impl Budgets {
    pub(super) fn new() -> Self {
        let budget = || Arc::new(Semaphore::new(MAX_ANSWER_BYTES as usize));
        Self {
            reads: budget(),
            forks: budget(),
            fetches: budget(),
        }
    }

    /// The room of one answer, of which it has nothing yet.
    pub(super) fn room(&self, kind: Kind) -> Room {
        Room {
            budget: match kind {
                Kind::Read | Kind::List => Some(Arc::clone(&self.reads)),
                Kind::Fetch => Some(Arc::clone(&self.fetches)),
                _ => None,
            },
            forks: (kind == Kind::Read).then(|| Arc::clone(&self.forks)),
            ..Room::default()
        }
    }
}

/// What one answer takes, from before it is read until the line takes it. The default is as large as anybody wants.
#[derive(Default)]
pub(crate) struct Room {
    budget: Option<Arc<Semaphore>>,
    /// What a read has instead that begins in another group's stream.
    forks: Option<Arc<Semaphore>>,
    claim: Option<OwnedSemaphorePermit>,
    is_refused: bool,
}

/// What is larger than all there is takes all there is.
fn counted(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, MAX_ANSWER_BYTES)
}

impl Room {
    /// As [`Room::claim`], of what there is for reads that begin in another group's stream.
    ///
    /// # Errors
    /// As [`Room::claim`].
    pub(crate) async fn claim_elsewhere(&mut self, payload_bytes: u64) -> Result<(), Fault> {
        if let Some(forks) = self.forks.take() {
            self.let_go();
            self.budget = Some(forks);
        }
        self.claim(payload_bytes).await
    }

    /// Waits until there is room for an answer of so many payload bytes. The answer must not be there already.
    ///
    /// # Errors
    /// When there is none in time.
    pub(crate) async fn claim(&mut self, payload_bytes: u64) -> Result<(), Fault> {
        let Some(budget) = self.budget.clone() else {
            return Ok(());
        };
        let bytes = counted(payload_bytes.saturating_add(payload_bytes / 8 + ANSWER_OVERHEAD_BYTES));
        if self.bytes() >= bytes {
            return Ok(());
        }
        // Whoever waited for more while keeping some would make others wait who do the same.
        self.let_go();
        match tokio::time::timeout(ROOM_TIMEOUT, budget.acquire_many_owned(bytes)).await {
            Ok(Ok(claim)) => {
                self.claim = Some(claim);
                Ok(())
            }
            _ => {
                self.is_refused = true;
                Err(Fault::Overloaded)
            }
        }
    }

    /// Lets go of what an answer of so many bytes does not need. False if it needs more than there is: then it has to be
    /// dropped, and made again once there is room for it.
    pub(crate) fn fits(&mut self, bytes: u64) -> bool {
        let Some(budget) = &self.budget else {
            return true;
        };
        let (bytes, has) = (counted(bytes), self.bytes());
        match &mut self.claim {
            Some(claim) if bytes <= has => {
                drop(claim.split((has - bytes) as usize));
                true
            }
            // What is that small is bounded by the number of requests under way.
            None if u64::from(bytes) <= ANSWER_OVERHEAD_BYTES => true,
            claim => match Arc::clone(budget).try_acquire_many_owned(bytes - has) {
                Ok(more) => {
                    match claim {
                        Some(claim) => claim.merge(more),
                        None => *claim = Some(more),
                    }
                    true
                }
                Err(_) => false,
            },
        }
    }

    /// Keeps nothing.
    pub(crate) fn let_go(&mut self) {
        self.claim = None;
    }

    /// Whether it takes anything.
    pub(super) fn is_taken(&self) -> bool {
        self.claim.is_some()
    }

    /// Whether there was no room in time.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused
    }

    fn bytes(&self) -> u32 {
        let permits = self.claim.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        u32::try_from(permits).unwrap_or(u32::MAX)
    }
}
