//! Proposals that travel together: what goes into a batch, and how much.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use weir_proto::entry as pb;
use weir_protocol::{Fault, Payload, Timestamp};
use weir_storage::{Op, Outcome};

use super::lone::UnderWay;
use crate::codec::op_to_pb;
use crate::limits::{BATCHES_UNDER_WAY, LARGE_BATCHES_UNDER_WAY, MAX_BATCH_BYTES, MAX_BATCH_COMMANDS};

/// A write on its way.
pub(super) struct Proposal {
    pub(super) op: Op,
    /// When it happened, if that was before now.
    pub(super) at: Option<Timestamp>,
    pub(super) answer: oneshot::Sender<Result<Outcome, Fault>>,
    pub(super) deadline: Instant,
}

impl Proposal {
    /// Itself, if somebody still waits for it. One whose time is over hears that it was not done.
    pub(super) fn wanted(self) -> Option<Self> {
        if self.answer.is_closed() {
            return None;
        }
        if Instant::now() >= self.deadline {
            let _ = self.answer.send(Err(NO_LEADER));
            return None;
        }
        Some(self)
    }
}

/// The next proposal in the queue that is wanted.
fn next_wanted(queue: &mut mpsc::Receiver<Proposal>) -> Option<Proposal> {
    std::iter::from_fn(|| queue.try_recv().ok()).find_map(Proposal::wanted)
}

/// Nothing was done.
pub(super) const NO_LEADER: Fault = Fault::Unavailable("no leader takes this write now");

/// Numbers of proposals that somebody waits for. The lowest is this origin's floor.
#[derive(Default)]
pub(super) struct Numbers {
    last: u64,
    waiting: BTreeSet<u64>,
}

impl Numbers {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.waiting.insert(self.last);
        self.last
    }

    /// The lowest number that is still waited for, or will be.
    pub(super) fn floor(&self) -> u64 {
        self.waiting.first().copied().unwrap_or(self.last + 1)
    }

    /// Nobody waits for these any more.
    pub(super) fn end(&mut self, proposals: &[pb::Proposal]) {
        for proposal in proposals {
            self.waiting.remove(&proposal.id);
        }
    }
}

/// Proposals that travel together.
pub(super) struct Batch {
    pub(super) message: pb::Batch,
    pub(super) answers: Vec<oneshot::Sender<Result<Outcome, Fault>>>,
    /// Of all payloads.
    pub(super) bytes: u64,
    pub(super) deadline: Instant,
}

impl Batch {
    /// An empty one, in which `first` will be.
    pub(super) fn begin(origin: u64, first: &Proposal) -> Self {
        Self {
            message: pb::Batch {
                origin,
                ..pb::Batch::default()
            },
            answers: Vec::new(),
            bytes: 0,
            deadline: first.deadline,
        }
    }

    /// Gives a proposal its number and takes it in.
    pub(super) fn add(&mut self, proposal: Proposal, numbers: &mut Numbers) {
        let id = numbers.next();
        self.bytes += encoded_bytes(&proposal.op);
        self.message.proposals.push(pb::Proposal {
            id,
            at: proposal.at.map(Timestamp::as_millis),
            op: Some(op_to_pb(&proposal.op)),
        });
        self.answers.push(proposal.answer);
        self.deadline = self.deadline.max(proposal.deadline);
    }
}

/// What goes into a batch.
pub(super) struct Limits {
    pub(super) max_bytes: u64,
    /// Whether commands that need room travel apart from those that do not.
    pub(super) one_kind: bool,
}

/// `first` and whatever waits behind it, up to the limits of a batch; and the first command that may not join, if it was
/// taken out of the queue.
pub(super) fn gather(
    first: Proposal,
    queue: &mut mpsc::Receiver<Proposal>,
    numbers: &Mutex<Numbers>,
    origin: u64,
    limits: Limits,
) -> (Batch, Option<Proposal>) {
    let mut numbers = numbers.lock().unwrap_or_else(PoisonError::into_inner);
    let mut batch = Batch::begin(origin, &first);
    let kind = needs_room(&first.op);
    let mut next = Some(first);
    while let Some(proposal) = next {
        batch.add(proposal, &mut numbers);
        let has_room = batch.answers.len() < MAX_BATCH_COMMANDS && batch.bytes < limits.max_bytes;
        next = if has_room { next_wanted(queue) } else { None };
        if limits.one_kind && next.as_ref().is_some_and(|next| needs_room(&next.op) != kind) {
            break;
        }
    }
    (batch, next)
}

/// Whether a command puts something new into a stream. The others fit into what a full disk has left for what was let in
/// before: a renewal that is refused would let a stream expire that is read, and a delete that is would keep the disk full.
const fn needs_room(op: &Op) -> bool {
    match op {
        Op::Create(..) | Op::Fork(..) | Op::Append(..) | Op::Retain(_) => true,
        Op::Delete(_) | Op::Touch(_) | Op::Expire { .. } => false,
        Op::Release(_) | Op::Settle { .. } | Op::Probe(_) => false,
    }
}

/// The same of a batch as it travels.
pub(super) fn batch_needs_room(batch: &pb::Batch) -> bool {
    use weir_proto::entry::proposal::Op;
    batch.proposals.iter().any(|proposal| match &proposal.op {
        Some(Op::Create(_) | Op::Append(_) | Op::Retain(_)) => true,
        Some(Op::Delete(_) | Op::Touch(_) | Op::Expire(_) | Op::Release(_) | Op::Settle(_) | Op::Probe(_)) => false,
        None => false,
    })
}

/// About how many bytes a command has in a log entry.
pub(super) fn encoded_bytes(op: &Op) -> u64 {
    match op {
        Op::Create(_, create) | Op::Fork(_, create, _) => payload_bytes(&create.payload),
        Op::Append(_, append) => payload_bytes(&append.payload),
        Op::Delete(_) | Op::Touch(_) | Op::Expire { .. } => 0,
        Op::Retain(_) | Op::Release(_) | Op::Settle { .. } | Op::Probe(_) => 0,
    }
}

/// The bytes and the lengths, which are written with seven bits to a byte.
fn payload_bytes(payload: &Payload) -> u64 {
    let length_bytes = |length: &u32| u64::from((32 - length.leading_zeros()).div_ceil(7).max(1));
    payload.stored_bytes() + payload.lengths().iter().map(length_bytes).sum::<u64>()
}

/// Batches under way, and the payload bytes of each. They are so few that all are polled whenever one is woken.
/// (`FuturesUnordered` wakes its own task each time it has polled all that it has, and for a task that is woken while it
/// runs the runtime wakes another thread.)
#[derive(Default)]
pub(super) struct Batches(Vec<(BoxFuture<'static, ()>, u64, UnderWay)>);

impl Batches {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One more, of so many payload bytes.
    pub(super) fn push(&mut self, drive: impl Future<Output = ()> + Send + 'static, bytes: u64, counted: UnderWay) {
        self.0.push((Box::pin(drive), bytes, counted));
    }

    /// Whether one more may begin.
    pub(super) fn takes_another(&self) -> bool {
        let bytes: u64 = self.0.iter().map(|(_, bytes, _)| bytes).sum();
        let limit = match bytes {
            ..MAX_BATCH_BYTES => BATCHES_UNDER_WAY,
            _ => LARGE_BATCHES_UNDER_WAY,
        };
        self.0.len() < limit
    }

    /// Waits until one has ended. `None` when there is none.
    pub(super) async fn next(&mut self) -> Option<()> {
        if self.0.is_empty() {
            return None;
        }
        poll_fn(|cx| {
            let mut batches = self.0.iter_mut();
            let ended = batches.position(|(batch, ..)| batch.as_mut().poll(cx).is_ready());
            ended.map_or(Poll::Pending, |place| {
                drop(self.0.swap_remove(place));
                Poll::Ready(Some(()))
            })
        })
        .await
    }
}
