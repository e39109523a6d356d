//! What makes reads linearizable: before a read, this replica applies all that was acknowledged before the read began.
//!
//! One round asks the leader once for all reads that wait: reads that come during a round wait for the next.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use prost::Message as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use weir_proto::raft as pb;
use weir_protocol::Fault;

use super::{Group, Hosted};
use crate::limits::{LEADER_PAUSE, MAX_WAITING_READS, READ_TIMEOUT};
use crate::peer::{Address, CallError, Kind, Lane, Status};
use crate::raft::{NotLeader, WriteError};

type Waiter = oneshot::Sender<Result<Arc<Hosted>, Fault>>;

/// Where reads wait.
pub(super) struct Barrier(mpsc::Sender<Waiter>);

impl Barrier {
    pub(super) fn new() -> (Self, mpsc::Receiver<Waiter>) {
        let (sender, receiver) = mpsc::channel(MAX_WAITING_READS);
        (Self(sender), receiver)
    }
}

const NO_LEADER: Fault = Fault::Unavailable("no leader confirms now that a read would be up to date");

impl Group {
    /// Waits until the replica here has applied all that was acknowledged before this call. It is told which one that is:
    /// another may have come in its place meanwhile.
    pub(super) async fn barrier(&self) -> Result<Arc<Hosted>, Fault> {
        let (waiter, passed) = oneshot::channel();
        self.barrier.0.try_send(waiter).map_err(|_| Fault::Overloaded)?;
        match tokio::time::timeout(READ_TIMEOUT, passed).await {
            Ok(Ok(result)) => result,
            _ => Err(NO_LEADER),
        }
    }
}

/// Runs rounds until the group is gone.
pub(super) async fn run(group: Weak<Group>, mut waiting: mpsc::Receiver<Waiter>) {
    while let Some(first) = waiting.recv().await {
        let mut waiters = vec![first];
        while let Ok(next) = waiting.try_recv() {
            waiters.push(next);
        }
        waiters.retain(|waiter| !waiter.is_closed());
        if waiters.is_empty() {
            continue;
        }
        let Some(group) = group.upgrade() else {
            return;
        };
        let result = match group.hosted() {
            Some(hosted) => group.round(&hosted).await.map(|()| hosted),
            None => Err(NO_LEADER),
        };
        for waiter in waiters {
            let _ = waiter.send(result.clone());
        }
    }
}

impl Group {
    async fn round(&self, hosted: &Arc<Hosted>) -> Result<(), Fault> {
        let deadline = Instant::now() + READ_TIMEOUT;
        // Whoever takes the replica away waits until nobody holds it.
        while self.still_hosts(hosted) {
            if let Some(index) = self.read_index(hosted).await {
                let applied = tokio::time::timeout_at(deadline, hosted.replica.applied(index));
                return match applied.await {
                    Ok(Ok(())) => {
                        hosted.caught_up.store(true, Ordering::Relaxed);
                        Ok(())
                    }
                    _ => Err(NO_LEADER),
                };
            }
            if Instant::now() + LEADER_PAUSE >= deadline {
                return Err(NO_LEADER);
            }
            match self.leader() {
                None => hosted.replica.leader_changed(LEADER_PAUSE * 10).await,
                Some(_) => tokio::time::sleep(LEADER_PAUSE).await,
            }
        }
        Err(NO_LEADER)
    }

    /// The index that the leader says; `None` when nobody leads, or not any more.
    async fn read_index(&self, hosted: &Hosted) -> Option<u64> {
        if hosted.replica.is_leader() {
            return match tokio::time::timeout(READ_TIMEOUT, hosted.replica.read_index()).await {
                Ok(Ok(index)) => Some(index),
                Ok(Err(WriteError::NotLeader(told))) => {
                    self.note_leader(told);
                    None
                }
                _ => None,
            };
        }
        let (replica, node) = self.leader().filter(|(_, node)| *node != self.shared.node)?;
        let address = Address {
            node,
            group: self.id,
            from: 0,
            to: replica,
        };
        let call = self.shared.peers.call(
            address,
            Lane::Control,
            Kind::ReadIndex,
            bytes::Bytes::new(),
            READ_TIMEOUT / 4,
        );
        match self.answer_of(replica, call).await {
            Ok(body) => pb::LogId::decode(body).ok().map(|log_id| log_id.index),
            Err(CallError::Refused {
                status: Status::NotLeader,
                body,
            }) => {
                self.note_leader(super::serve::decode_hint(&body));
                None
            }
            Err(_) => {
                self.note_leader(NotLeader::default());
                None
            }
        }
    }
}
