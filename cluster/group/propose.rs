//! Writes: from many callers into few batches, and the answers back.

use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot, watch as signal};
use weir_protocol::{Clock, Fault, Timestamp};
use weir_storage::{Applied, Batch, Command, Op, Outcome, Storage, StorageError};

use super::Group;
use super::watch::Watchers;
use crate::limits::{MAX_BATCH_BYTES, MAX_BATCH_COMMANDS, MAX_WAITING_PROPOSALS};

/// A write on its way.
struct Proposal {
    op: Op,
    /// When it happened, if that was before now.
    at: Option<Timestamp>,
    answer: oneshot::Sender<Result<Outcome, Fault>>,
}

/// Where writes are handed in.
pub(crate) struct Proposer {
    /// `None` once the group is closed.
    queue: Mutex<Option<mpsc::Sender<Proposal>>>,
    /// Ends when the last batch was answered.
    ended: signal::Receiver<bool>,
}

impl Group {
    /// Has `op` applied and answers when it is durable.
    pub(crate) async fn propose(&self, op: Op) -> Result<Outcome, Fault> {
        self.proposer.propose(op, None).await
    }

    /// The same for something that happened at `at`.
    pub(super) async fn propose_at(&self, op: Op, at: Timestamp) -> Result<Outcome, Fault> {
        self.proposer.propose(op, Some(at)).await
    }
}

impl Proposer {
    async fn propose(&self, op: Op, at: Option<Timestamp>) -> Result<Outcome, Fault> {
        let closed = Fault::Unavailable("the server is shutting down");
        let queue = match self.queue.lock() {
            Ok(queue) => queue.clone(),
            Err(_) => None,
        };
        let queue = queue.ok_or(closed.clone())?;
        let (answer, answered) = oneshot::channel();
        queue
            .try_send(Proposal { op, at, answer })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Fault::Overloaded,
                mpsc::error::TrySendError::Closed(_) => closed,
            })?;
        drop(queue);
        // No answer means that the committer ended while it had this write.
        answered.await.unwrap_or(Err(Fault::OutcomeUnknown))
    }

    /// Takes no more writes and waits until those that wait are answered.
    pub(super) async fn close(&self) {
        if let Ok(mut queue) = self.queue.lock() {
            queue.take();
        }
        // An error means that the committer is gone, which is what this waits for.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }
}

/// Applies batches, one after the other, on a thread of its own: the store blocks.
pub(super) struct Committer {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    watchers: Arc<Watchers>,
    failed: signal::Sender<Option<String>>,
    /// The last command's time.
    last: Timestamp,
}

impl Committer {
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
        watchers: Arc<Watchers>,
        failed: signal::Sender<Option<String>>,
    ) -> Self {
        Self {
            storage,
            clock,
            watchers,
            failed,
            last: Timestamp::default(),
        }
    }

    pub(super) fn spawn(mut self) -> std::io::Result<Proposer> {
        let (queue, mut proposals) = mpsc::channel(MAX_WAITING_PROPOSALS);
        let (end, ended) = signal::channel(false);
        std::thread::Builder::new()
            .name("weir-commit".to_owned())
            .spawn(move || {
                while let Some(first) = proposals.blocking_recv() {
                    let batch = gather(first, &mut proposals);
                    if !self.commit(batch) {
                        break;
                    }
                }
                end.send_replace(true);
            })?;
        Ok(Proposer {
            queue: Mutex::new(Some(queue)),
            ended,
        })
    }

    /// Applies a batch and answers it. Returns whether the store still works.
    fn commit(&mut self, proposals: Vec<Proposal>) -> bool {
        self.last = self.last.max(self.clock.now());
        let (mut commands, mut answers) = (Vec::with_capacity(proposals.len()), Vec::with_capacity(proposals.len()));
        for proposal in proposals {
            commands.push(Command {
                at: proposal.at.unwrap_or(self.last),
                op: proposal.op,
            });
            answers.push(proposal.answer);
        }
        metrics::histogram!("weir_batch_commands").record(commands.len() as f64);
        let batch = Batch {
            commands,
            applied: None,
            durable: true,
        };
        match self.storage.apply(batch) {
            Ok(Applied { outcomes, changes }) => {
                self.watchers.tell(changes);
                for (answer, outcome) in answers.into_iter().zip(outcomes) {
                    // Whoever does not wait any more needs no answer.
                    let _ = answer.send(Ok(outcome));
                }
                true
            }
            Err(error) => {
                let fault = Fault::from(error.clone());
                for answer in answers {
                    let _ = answer.send(Err(fault.clone()));
                }
                let goes_on = error == StorageError::Full;
                if !goes_on {
                    tracing::error!(%error, "the store failed");
                    self.failed.send_replace(Some(error.to_string()));
                }
                goes_on
            }
        }
    }
}

/// `first` and whatever waits behind it, up to the limits of a batch.
fn gather(first: Proposal, proposals: &mut mpsc::Receiver<Proposal>) -> Vec<Proposal> {
    let mut bytes = payload_bytes(&first.op);
    let mut batch = vec![first];
    while batch.len() < MAX_BATCH_COMMANDS && bytes < MAX_BATCH_BYTES {
        let Ok(next) = proposals.try_recv() else {
            break;
        };
        bytes += payload_bytes(&next.op);
        batch.push(next);
    }
    batch
}

fn payload_bytes(op: &Op) -> u64 {
    match op {
        Op::Create(_, create) => create.payload.stored_bytes(),
        Op::Append(_, append) => append.payload.stored_bytes(),
        Op::Delete(_) | Op::Touch(_) | Op::Expire { .. } => 0,
    }
}
