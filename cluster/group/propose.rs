//! Writes: from many callers into few log entries, to whoever leads, and the answers back.
//!
//! A batch keeps its proposals' ids through all attempts, so it is applied once however often it is sent. What is
//! certain not to have been done is told as such; what may have been done is sent again until its deadline.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Poll;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot, watch as signal};
use tokio::time::Instant;
use weir_proto::entry as pb;
use weir_protocol::{Fault, Payload, Timestamp};
use weir_storage::{Op, Outcome};

use super::Group;
use super::lone::{Carried, Traffic, UnderWay};
use crate::codec::{op_to_pb, outcome_from_pb};
use crate::limits::{
    ATTEMPT_TIMEOUT, BATCH_OVERHEAD_BYTES, BATCHES_UNDER_WAY, LARGE_BATCHES_UNDER_WAY, LEADER_CHECK_INTERVAL,
    LEADER_PAUSE, MAX_BATCH_BYTES, MAX_BATCH_COMMANDS, MAX_WAITING_PROPOSALS, WRITE_TIMEOUT,
};
use crate::peer::{Address, CallError, Kind, Lane, Status};
use crate::raft::{Answer, NotLeader, WriteError};

/// A write on its way.
pub(super) struct Proposal {
    op: Op,
    /// When it happened, if that was before now.
    at: Option<Timestamp>,
    answer: oneshot::Sender<Result<Outcome, Fault>>,
    deadline: Instant,
}

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
                batch.add(proposal, &numbers);
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

/// Numbers of proposals that somebody waits for. The lowest is this origin's floor.
#[derive(Default)]
struct Numbers {
    last: u64,
    waiting: BTreeSet<u64>,
}

impl Numbers {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.waiting.insert(self.last);
        self.last
    }
}

/// Proposals that travel together.
struct Batch {
    message: pb::Batch,
    answers: Vec<oneshot::Sender<Result<Outcome, Fault>>>,
    /// Of all payloads.
    bytes: u64,
    deadline: Instant,
}

impl Batch {
    /// An empty one, in which `first` will be.
    fn begin(origin: u64, first: &Proposal) -> Self {
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
    fn add(&mut self, proposal: Proposal, numbers: &Mutex<Numbers>) {
        let id = numbers.lock().unwrap_or_else(PoisonError::into_inner).next();
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
        if !was_alone || !under_way.0.is_empty() {
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
        under_way.0.push((Box::pin(drive), bytes, counted));
    }
    while under_way.next().await.is_some() {}
    end.send_replace(true);
}

/// Batches under way, and the payload bytes of each. They are so few that all are polled whenever one is woken.
/// (`FuturesUnordered` wakes its own task each time it has polled all that it has, and for a task that is woken while it
/// runs the runtime wakes another thread.)
#[derive(Default)]
struct Batches(Vec<(BoxFuture<'static, ()>, u64, UnderWay)>);

impl Batches {
    /// Whether one more may begin.
    fn takes_another(&self) -> bool {
        let bytes: u64 = self.0.iter().map(|(_, bytes, _)| bytes).sum();
        let limit = match bytes {
            ..MAX_BATCH_BYTES => BATCHES_UNDER_WAY,
            _ => LARGE_BATCHES_UNDER_WAY,
        };
        self.0.len() < limit
    }

    /// Waits until one has ended. `None` when there is none.
    async fn next(&mut self) -> Option<()> {
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

/// What was held back from the last batch, or the next one in the queue.
async fn next(held_back: &mut Option<Proposal>, queue: &mut mpsc::Receiver<Proposal>) -> Option<Proposal> {
    match held_back.take() {
        Some(first) => Some(first),
        None => queue.recv().await,
    }
}

/// What goes into a batch.
struct Limits {
    max_bytes: u64,
    /// Whether commands that need room travel apart from those that do not.
    one_kind: bool,
}

/// `first` and whatever waits behind it, up to the limits of a batch; and the first command that may not join, if it was
/// taken out of the queue.
fn gather(
    first: Proposal,
    queue: &mut mpsc::Receiver<Proposal>,
    numbers: &Mutex<Numbers>,
    origin: u64,
    limits: Limits,
) -> (Batch, Option<Proposal>) {
    let mut batch = Batch::begin(origin, &first);
    let kind = needs_room(&first.op);
    let mut next = Some(first);
    while let Some(proposal) = next {
        batch.add(proposal, numbers);
        let has_room = batch.answers.len() < MAX_BATCH_COMMANDS && batch.bytes < limits.max_bytes;
        next = if has_room { queue.try_recv().ok() } else { None };
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
fn batch_needs_room(batch: &pb::Batch) -> bool {
    use weir_proto::entry::proposal::Op;
    batch.proposals.iter().any(|proposal| match &proposal.op {
        Some(Op::Create(_) | Op::Append(_) | Op::Retain(_)) => true,
        Some(Op::Delete(_) | Op::Touch(_) | Op::Expire(_) | Op::Release(_) | Op::Settle(_) | Op::Probe(_)) => false,
        None => false,
    })
}

/// About how many bytes a command has in a log entry.
fn encoded_bytes(op: &Op) -> u64 {
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

/// An attempt that has begun.
enum Attempt {
    /// In the log of the replica here.
    Local(BoxFuture<'static, Result<Answer, WriteError>>),
    /// On its way to this replica of another node.
    Remote(u64, BoxFuture<'static, Result<Bytes, CallError>>),
    /// It ended before it began.
    Ended(Failure),
}

/// How an attempt failed.
pub(super) enum Failure {
    /// Nothing was done; this one leads, if anybody does.
    NotLeader(NotLeader),
    /// Nothing was done.
    NotDone,
    /// It may have been done, or may still be.
    Unknown,
    /// Nothing was done: the disk is full.
    StorageFull,
}

impl Group {
    /// Begins an attempt with whoever leads.
    async fn attempt(&self, batch: &mut Batch, numbers: &Mutex<Numbers>) -> Attempt {
        {
            let numbers = numbers.lock().unwrap_or_else(PoisonError::into_inner);
            batch.message.floor = numbers.waiting.first().copied().unwrap_or(numbers.last + 1);
        }
        let hosted = self.hosted();
        let leads = hosted.filter(|hosted| hosted.replica.is_leader());
        if let Some(hosted) = leads {
            return match self.propose_here(&hosted.replica, &mut batch.message).await {
                Ok(answer) => Attempt::Local(Box::pin(answer)),
                Err(failure) => Attempt::Ended(failure),
            };
        }
        match self.leader() {
            Some((replica, node)) if node != self.shared.node => {
                let address = Address {
                    node,
                    group: self.id,
                    from: 0,
                    to: replica,
                };
                let body = Bytes::from(batch.message.encode_to_vec());
                let peers = &self.shared.peers;
                let call = peers.start(address, Lane::Client, Kind::Propose, body, ATTEMPT_TIMEOUT);
                Attempt::Remote(replica, Box::pin(call))
            }
            _ => Attempt::Ended(Failure::NotLeader(NotLeader::default())),
        }
    }

    /// Puts a batch into the log of the replica here, which stamps the time if it leads.
    pub(super) async fn propose_here(
        &self,
        replica: &crate::raft::Replica,
        batch: &mut pb::Batch,
    ) -> Result<impl Future<Output = Result<Answer, WriteError>> + Send + use<>, Failure> {
        let has_space = match batch_needs_room(batch) {
            true => self.has_space(),
            false => self.has_reserve(),
        };
        if !has_space {
            return Err(Failure::StorageFull);
        }
        batch.at = self.shared.clock.now().as_millis();
        replica.propose(batch).await.map_err(|error| failure(&error))
    }

    /// Sends a batch until it is answered or its time is over.
    async fn drive(&self, mut batch: Batch, mut attempt: Attempt, numbers: &Mutex<Numbers>) {
        let mut is_unknown = false;
        let result = loop {
            let failure = match self.finish(attempt, batch.answers.len()).await {
                Ok(outcomes) => break Ok(outcomes),
                Err(failure) => failure,
            };
            match failure {
                Failure::StorageFull if !is_unknown => break Err(Fault::StorageFull),
                Failure::NotLeader(told) => self.note_leader(told),
                Failure::Unknown => is_unknown = true,
                Failure::NotDone | Failure::StorageFull => {}
            }
            if Instant::now() >= batch.deadline {
                break Err(match is_unknown {
                    true => Fault::OutcomeUnknown,
                    false => Fault::Unavailable("no leader takes this write now"),
                });
            }
            self.wait_for_leader().await;
            attempt = self.attempt(&mut batch, numbers).await;
        };
        {
            let mut numbers = numbers.lock().unwrap_or_else(PoisonError::into_inner);
            for proposal in &batch.message.proposals {
                numbers.waiting.remove(&proposal.id);
            }
        }
        if batch_needs_room(&batch.message) {
            self.is_refused
                .store(matches!(result, Err(Fault::StorageFull)), Ordering::Relaxed);
        }
        match result {
            Ok(outcomes) => {
                for (answer, outcome) in batch.answers.into_iter().zip(outcomes) {
                    // Whoever does not wait any more needs no answer.
                    let _ = answer.send(outcome.ok_or(Fault::OutcomeUnknown));
                }
            }
            Err(fault) => {
                for answer in batch.answers {
                    let _ = answer.send(Err(fault.clone()));
                }
            }
        }
    }

    async fn finish(&self, attempt: Attempt, count: usize) -> Result<Outcomes, Failure> {
        let outcomes = match attempt {
            Attempt::Ended(failure) => return Err(failure),
            Attempt::Local(answer) => match tokio::time::timeout(ATTEMPT_TIMEOUT, answer).await {
                Ok(Ok(Answer::Streams(outcomes))) => outcomes,
                Ok(Err(error)) => return Err(failure(&error)),
                _ => return Err(Failure::Unknown),
            },
            Attempt::Remote(asked, call) => remote_outcomes(self.answer_of(asked, call).await)?,
        };
        if outcomes.len() == count {
            Ok(outcomes)
        } else {
            Err(Failure::Unknown)
        }
    }

    /// What the replica that is asked as the leader answers. When another one leads meanwhile, its answer is waited for no
    /// longer: it may be cut off, and then says nothing until it is given up, long after others could have answered.
    pub(super) async fn answer_of(
        &self,
        asked: u64,
        call: impl Future<Output = Result<Bytes, CallError>>,
    ) -> Result<Bytes, CallError> {
        let mut call = std::pin::pin!(call);
        loop {
            match tokio::time::timeout(LEADER_CHECK_INTERVAL, &mut call).await {
                Ok(answer) => return answer,
                Err(_) if self.leader().is_some_and(|(leads, _)| leads != asked) => return Err(CallError::Timeout),
                Err(_) => {}
            }
        }
    }

    /// A moment in which a leader may show up; short when one is known already.
    async fn wait_for_leader(&self) {
        match self.hosted() {
            Some(hosted) if self.leader().is_none() => hosted.replica.leader_changed(LEADER_PAUSE * 10).await,
            Some(_) => tokio::time::sleep(LEADER_PAUSE).await,
            None => {
                self.guess_leader();
                tokio::time::sleep(LEADER_PAUSE).await;
            }
        }
    }

    /// Without a replica here: asks one after the other.
    pub(super) fn guess_leader(&self) {
        if self.leader().is_some() {
            return;
        }
        let view = self.shared.views.now();
        let replicas = view.replicas(self.id);
        if replicas.is_empty() {
            return;
        }
        let turn = usize::try_from(self.shared.clock.now().as_millis() / 50).unwrap_or_default();
        self.note_leader(NotLeader {
            leader: Some(replicas[turn % replicas.len()]),
        });
    }
}

fn failure(error: &WriteError) -> Failure {
    match error {
        WriteError::NotLeader(told) => Failure::NotLeader(*told),
        WriteError::Refused(_) => Failure::NotDone,
        WriteError::Unknown(_) | WriteError::Stopped(_) => Failure::Unknown,
    }
}

type Outcomes = Vec<Option<Outcome>>;

fn remote_outcomes(answer: Result<Bytes, CallError>) -> Result<Outcomes, Failure> {
    match answer {
        Ok(body) => {
            let reply = pb::Reply::decode(body).map_err(|_| Failure::Unknown)?;
            let outcomes = reply.outcomes.into_iter().map(outcome_from_pb);
            outcomes.collect::<Result<_, _>>().map_err(|_| Failure::Unknown)
        }
        Err(CallError::Refused {
            status: Status::NotLeader,
            body,
        }) => Err(Failure::NotLeader(super::serve::decode_hint(&body))),
        Err(CallError::Refused {
            status: Status::StorageFull,
            ..
        }) => Err(Failure::StorageFull),
        Err(error) if error.is_certain() => Err(Failure::NotLeader(NotLeader::default())),
        Err(_) => Err(Failure::Unknown),
    }
}
