//! Attempts to have a batch applied: by the replica here if it leads, or by whoever does.
//!
//! A batch keeps its proposals' ids through all attempts, so it is applied once however often it is sent. What is
//! certain not to have been done is told as such; what may have been done is sent again until its deadline, but not to a
//! replica that has it in its log and still leads: there it will be committed, and what is slow would be slower still.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use prost::Message as _;
use tokio::time::Instant;
use weir_proto::entry as pb;
use weir_protocol::Fault;
use weir_storage::Outcome;

use super::Group;
use super::batch::{Batch, NO_LEADER, Numbers, batch_needs_room};
use crate::codec::outcome_from_pb;
use crate::limits::{LEADER_CHECK_INTERVAL, LEADER_PAUSE};
use crate::peer::{Address, CallError, Kind, Lane, Status};
use crate::raft::{Answer, NotLeader, Replica, WriteError};

/// An attempt that has begun.
pub(super) enum Attempt {
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
    pub(super) async fn attempt(&self, batch: &mut Batch, numbers: &Mutex<Numbers>) -> Attempt {
        batch.message.floor = numbers.lock().unwrap_or_else(PoisonError::into_inner).floor();
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
                let left = batch.deadline.saturating_duration_since(Instant::now());
                let peers = &self.shared.peers;
                let call = peers.start(address, Lane::Client, Kind::Propose, body, left);
                Attempt::Remote(replica, Box::pin(call))
            }
            _ => Attempt::Ended(Failure::NotLeader(NotLeader::default())),
        }
    }

    /// Puts a batch into the log of the replica here, which stamps the time if it leads. What is returned waits for the
    /// answer as long as it does.
    pub(super) async fn propose_here(
        &self,
        replica: &Arc<Replica>,
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
        let term = replica.leads_in();
        let answer = replica.propose(batch).await.map_err(|error| failure(&error))?;
        Ok(while_leading(Arc::downgrade(replica), term, answer))
    }

    /// Sends a batch until it is answered or its time is over.
    pub(super) async fn drive(&self, mut batch: Batch, mut attempt: Attempt, numbers: &Mutex<Numbers>) {
        let mut is_unknown = false;
        let result = loop {
            let failure = match self.finish(attempt, &batch).await {
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
                    false => NO_LEADER,
                });
            }
            self.wait_for_leader().await;
            attempt = self.attempt(&mut batch, numbers).await;
        };
        numbers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .end(&batch.message.proposals);
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

    async fn finish(&self, attempt: Attempt, batch: &Batch) -> Result<Outcomes, Failure> {
        let outcomes = match attempt {
            Attempt::Ended(failure) => return Err(failure),
            Attempt::Local(answer) => match tokio::time::timeout_at(batch.deadline, answer).await {
                Ok(Ok(Answer::Streams(outcomes))) => outcomes,
                Ok(Err(error)) => return Err(failure(&error)),
                _ => return Err(Failure::Unknown),
            },
            Attempt::Remote(asked, call) => remote_outcomes(self.answer_of(asked, call).await)?,
        };
        if outcomes.len() == batch.answers.len() {
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
        match self.serving() {
            Some(hosted) if self.leader().is_none() => hosted.replica.leader_changed(LEADER_PAUSE * 10).await,
            Some(_) => tokio::time::sleep(LEADER_PAUSE).await,
            None => {
                self.guess_leader();
                tokio::time::sleep(LEADER_PAUSE).await;
            }
        }
    }

    /// Without a replica here that knows: asks one after the other.
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

/// The answer to what is in the log of a replica that leads in `term`. Once it does not any more, others may decide what
/// becomes of it, and can be asked; the replica itself may hear of that late or, cut off, not at all.
async fn while_leading(
    replica: Weak<Replica>,
    term: Option<u64>,
    answer: impl Future<Output = Result<Answer, WriteError>>,
) -> Result<Answer, WriteError> {
    let mut answer = std::pin::pin!(answer);
    loop {
        if let Ok(answer) = tokio::time::timeout(LEADER_CHECK_INTERVAL, &mut answer).await {
            return answer;
        }
        let leads = |replica: Arc<Replica>| replica.leads_in() == term && replica.is_acknowledged();
        if term.is_none() || !replica.upgrade().is_some_and(leads) {
            return Err(WriteError::Unknown(NotLeader::default()));
        }
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
