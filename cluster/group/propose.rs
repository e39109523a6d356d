//! Writes: from many callers into few log entries, to whoever leads, and the answers back.
//!
//! `batch` says what travels together, `attempt` how it comes to be applied, `lone` what is different where nothing else is
//! under way.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{mpsc, oneshot, watch as signal};
use tokio::time::Instant;
use weir_protocol::{Fault, Timestamp};
use weir_storage::{Op, Outcome};

use super::Group;
use super::batch::{Batch, Batches, Limits, Numbers, Proposal, encoded_bytes, gather};
use super::lone::{Carried, Traffic};
use crate::limits::{BATCH_OVERHEAD_BYTES, MAX_BATCH_BYTES, MAX_WAITING_PROPOSALS, WRITE_TIMEOUT};

/// Where writes are handed in.
pub(super) struct Proposer {
    /// `None` once the group is closed.
    queue: Mutex<Option<mpsc::Sender<Proposal>>>,
    /// Says when the last batch was answered.
    ended: signal::Receiver<bool>,
    numbers: Arc<Mutex<Numbers>>,
    traffic: Arc<Traffic>,
}

/// The other end of a [`Proposer`].
pub(super) struct Proposals {
    queue: mpsc::Receiver<Proposal>,
    end: signal::Sender<bool>,
    numbers: Arc<Mutex<Numbers>>,
    traffic: Arc<Traffic>,
}

impl Group {
    /// Has `op` applied, and answers when a majority has it on disk and this group's leader has applied it.
    pub(crate) async fn propose(&self, op: Op) -> Result<Outcome, Fault> {
        // A batch that has begun may take one more command, and must still fit one submission to the journal.
        let others = self.fitting(MAX_BATCH_BYTES) + self.fitting(BATCH_OVERHEAD_BYTES);
        if encoded_bytes(&op) + others > self.shared.journal.max_append_bytes() {
            return Err(Fault::TooLarge);
        }
        self.proposer.propose(self, op, None).await
    }

    /// A limit, or less where the journal's segments are small, as they are in simulations.
    fn fitting(&self, limit: u64) -> u64 {
        limit.min(self.shared.journal.max_append_bytes() / 4)
    }

    /// The same for something that happened at `at`.
    pub(super) async fn propose_at(&self, op: Op, at: Timestamp) -> Result<Outcome, Fault> {
        self.proposer.propose(self, op, Some(at)).await
    }
}

impl Proposer {
    pub(super) fn new() -> (Self, Proposals) {
        let (sender, queue) = mpsc::channel(MAX_WAITING_PROPOSALS);
        let (end, ended) = signal::channel(false);
        let (numbers, traffic) = (Arc::default(), Arc::default());
        let proposals = Proposals {
            queue,
            end,
            numbers: Arc::clone(&numbers),
            traffic: Arc::clone(&traffic),
        };
        let proposer = Self {
            queue: Mutex::new(Some(sender)),
            ended,
            numbers,
            traffic,
        };
        (proposer, proposals)
    }

    async fn propose(&self, group: &Group, op: Op, at: Option<Timestamp>) -> Result<Outcome, Fault> {
        let closed = Fault::Unavailable("the server is shutting down");
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let queue = queue.ok_or(closed.clone())?;
        let (answer, answered) = oneshot::channel();
        let proposal = Proposal {
            op,
            at,
            answer,
            deadline: Instant::now() + WRITE_TIMEOUT,
        };
        // A group that is going away has a task that is, too, and answers there.
        if let Some(group) = group.this.upgrade()
            && let Some(under_way) = self.traffic.begin_alone()
        {
            let numbers = Arc::clone(&self.numbers);
            let drive = async move {
                let mut batch = Batch::begin(group.shared.origin, &proposal);
                batch.add(proposal, &mut numbers.lock().unwrap_or_else(PoisonError::into_inner));
                let attempt = group.attempt(&mut batch, &numbers).await;
                group.drive(batch, attempt, &numbers).await;
                // As long as it has the queue, that is not closed.
                drop((queue, under_way));
            };
            Carried::new(drive).await;
        } else {
            queue.try_send(proposal).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Fault::Overloaded,
                mpsc::error::TrySendError::Closed(_) => closed,
            })?;
            drop(queue);
        }
        // No answer means that the task ended while it had this write.
        answered.await.unwrap_or(Err(Fault::OutcomeUnknown))
    }

    /// Takes no more writes and waits until those that wait are answered.
    pub(super) async fn close(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        // An error means that the task is gone, which is what this waits for.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }
}

/// Makes batches until the group is closed or gone. One task does all of it: what a batch comes to is no work, and another
/// task, woken on another thread, would only add the time that this takes.
pub(super) async fn run(group: Weak<Group>, proposals: Proposals) {
    let Proposals {
        mut queue,
        end,
        numbers,
        traffic,
    } = proposals;
    let mut under_way = Batches::default();
    let mut was_alone = true;
    let mut held_back = None;
    loop {
        let first = tokio::select! {
            biased;
            Some(()) = under_way.next() => continue,
            first = next(&mut held_back, &mut queue), if under_way.takes_another() => first,
        };
        let (Some(first), Some(group)) = (first, group.upgrade()) else {
            break;
        };
        // The runtime runs this task as soon as the first write wakes it. Whoever else is ready to write may come first, so
        // that they share the batch: it carries about twice as many under load. A single writer does not wait for others.
        if !was_alone || !under_way.is_empty() {
            tokio::task::yield_now().await;
        }
        let limits = Limits {
            max_bytes: group.fitting(MAX_BATCH_BYTES),
            // What needs no room is taken by a leader that refuses the rest.
            one_kind: group.is_refused.load(Ordering::Relaxed),
        };
        let (mut batch, other) = gather(first, &mut queue, &numbers, group.shared.origin, limits);
        held_back = other;
        was_alone = batch.answers.len() == 1;
        // The first attempt begins here, so that batches reach the leader in the order in which they were made.
        let attempt = group.attempt(&mut batch, &numbers).await;
        let (numbers, bytes, counted) = (Arc::clone(&numbers), batch.bytes, traffic.begin(batch.answers.len()));
        let drive = async move { group.drive(batch, attempt, &numbers).await };
        under_way.push(drive, bytes, counted);
    }
    while under_way.next().await.is_some() {}
    end.send_replace(true);
}

/// What was held back from the last batch, or the next one in the queue that somebody waits for. May be cancelled.
async fn next(held_back: &mut Option<Proposal>, queue: &mut mpsc::Receiver<Proposal>) -> Option<Proposal> {
    if let Some(first) = held_back.take() {
        return Some(first);
    }
    loop {
        if let Some(wanted) = queue.recv().await?.wanted() {
            return Some(wanted);
        }
    }
}
