//! Requests of other nodes about a group that has a replica here.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use weir_proto::{entry as pb, raft};
use weir_protocol::{HeadError, ListRequest, StreamName, TailEvent, TailWatch as _};

use super::attempt::Failure;
use super::{Group, Hosted};
use crate::codec::{Malformed, consistency, head_answer_to_pb, list_answer_to_pb, op_from_pb, outcome_to_pb};
use crate::limits::{WAIT_TIMEOUT, WRITE_TIMEOUT};
use crate::peer::{Kind, Room, Status};
use crate::raft::{Answer, NotLeader, WriteError};

/// What another node asks of a group.
pub(crate) struct GroupRequest {
    pub(crate) kind: Kind,
    pub(crate) body: Bytes,
}

type Reply = (Status, Bytes);

/// Whether every replica can apply what another node wants in the log. What none can would stop all of them, at every start.
fn check(batch: &pb::Batch) -> Result<(), Malformed> {
    let mut ops = batch.proposals.iter().map(|proposal| proposal.op.clone());
    ops.try_for_each(|op| op_from_pb(op.ok_or(Malformed)?).map(drop))
}

/// Who leads, for whoever asked the wrong replica.
fn encode_hint(told: NotLeader) -> Bytes {
    let (replica, node) = told.leader.unwrap_or_default();
    raft::Member { replica, node }.encode_to_vec().into()
}

/// Nobody in particular, when the bytes say nothing.
pub(super) fn decode_hint(body: &Bytes) -> NotLeader {
    let member = raft::Member::decode(body.clone()).unwrap_or_default();
    NotLeader {
        leader: (member.replica != 0).then_some((member.replica, member.node)),
    }
}

impl Group {
    /// Answers a request.
    pub(crate) async fn serve(&self, hosted: &Hosted, request: GroupRequest, room: &mut Room) -> Reply {
        let GroupRequest { kind, body } = request;
        let answer = match kind {
            Kind::Propose => self.serve_propose(hosted, body).await,
            Kind::ReadIndex => Ok(serve_read_index(hosted).await),
            Kind::Head => self.serve_head(body).await,
            Kind::Wait => self.serve_wait(body).await,
            Kind::List => self.serve_list(body, room).await,
            Kind::Fetch => self.serve_fetch(body, room).await,
            _ => Err(Malformed),
        };
        answer.unwrap_or_else(|Malformed| (Status::Malformed, Bytes::new()))
    }

    async fn serve_propose(&self, hosted: &Hosted, body: Bytes) -> Result<Reply, Malformed> {
        // It gets a time, a first byte and a header.
        if weir_journal::append_bytes([body.len() + 64]) > self.shared.journal.max_append_bytes() {
            return Err(Malformed);
        }
        let mut batch = pb::Batch::decode(body)?;
        check(&batch)?;
        if !hosted.replica.is_leader() {
            return Ok((Status::NotLeader, encode_hint(hosted.replica.leader())));
        }
        let answer = match self.propose_here(&hosted.replica, &mut batch).await {
            Ok(answer) => answer,
            Err(Failure::NotLeader(told)) => return Ok((Status::NotLeader, encode_hint(told))),
            Err(Failure::NotDone) => return Ok((Status::Unavailable, Bytes::new())),
            Err(Failure::StorageFull) => return Ok((Status::StorageFull, Bytes::new())),
            Err(Failure::Unknown) => return Ok((Status::Unknown, Bytes::new())),
        };
        // Whoever asked waits no longer than this.
        let answer = tokio::time::timeout(WRITE_TIMEOUT, answer).await;
        let answer = answer.unwrap_or(Err(WriteError::Unknown(NotLeader::default())));
        Ok(match answer {
            Ok(Answer::Streams(outcomes)) => {
                let outcomes = outcomes.iter().map(|outcome| outcome_to_pb(outcome.as_ref()));
                let reply = pb::Reply {
                    outcomes: outcomes.collect(),
                };
                (Status::Done, reply.encode_to_vec().into())
            }
            Err(WriteError::NotLeader(told)) => (Status::NotLeader, encode_hint(told)),
            _ => (Status::Unknown, Bytes::new()),
        })
    }

    async fn serve_head(&self, body: Bytes) -> Result<Reply, Malformed> {
        let request = pb::HeadRequest::decode(body)?;
        let name = StreamName::new(&request.name).map_err(|_| Malformed)?;
        let answer = self.head(&name, consistency(request.eventual)).await;
        Ok((Status::Done, head_answer_to_pb(&answer).encode_to_vec().into()))
    }

    async fn serve_list(&self, body: Bytes, room: &mut Room) -> Result<Reply, Malformed> {
        let request = pb::ListRequest::decode(body)?;
        let request = ListRequest {
            prefix: request.prefix,
            after: request.after,
            limit: usize::try_from(request.limit).map_err(|_| Malformed)?,
        };
        let reply = list_answer_to_pb(self.list(request, room).await);
        Ok((Status::Done, reply.encode_to_vec().into()))
    }

    /// Answers when the stream is not as the asker knows it, or after a while.
    async fn serve_wait(&self, body: Bytes) -> Result<Reply, Malformed> {
        let request = pb::WaitRequest::decode(body)?;
        let name = StreamName::new(&request.name).map_err(|_| Malformed)?;
        let mut watch = Arc::clone(&self.watchers).watch(&name);
        let mut reply = pb::WaitReply::default();
        match self.head(&name, weir_protocol::Consistency::Eventual).await {
            Ok(metadata) => {
                reply.next_offset = metadata.next_offset.position();
                reply.closed = metadata.closed;
            }
            Err(HeadError::NotFound | HeadError::Gone) => reply.gone = true,
            Err(HeadError::Fault(_)) => return Ok((Status::Unavailable, Bytes::new())),
        }
        reply.changed = reply.next_offset > request.after || reply.closed != request.was_closed;
        if !reply.changed && !reply.gone {
            let timeout = Duration::from_millis(request.timeout_ms).min(WAIT_TIMEOUT);
            match tokio::time::timeout(timeout, watch.changed()).await {
                Ok(TailEvent::Gone) => reply.gone = true,
                Ok(TailEvent::Tail { next_offset, closed }) => {
                    reply.changed = true;
                    reply.next_offset = next_offset.position();
                    reply.closed = closed;
                }
                Err(_) => {}
            }
        }
        Ok((Status::Done, reply.encode_to_vec().into()))
    }
}

async fn serve_read_index(hosted: &Hosted) -> Reply {
    match hosted.replica.read_index().await {
        Ok(index) => {
            let log_id = raft::LogId { leader: None, index };
            (Status::Done, log_id.encode_to_vec().into())
        }
        Err(WriteError::NotLeader(told)) => (Status::NotLeader, encode_hint(told)),
        Err(_) => (Status::Unavailable, Bytes::new()),
    }
}

#[cfg(test)]
mod tests {
    use weir_proto::entry::{Touch, proposal::Op};

    use super::*;

    #[test]
    fn what_no_replica_could_apply_is_not_let_into_the_log() {
        let touch = |name: &str| Some(Op::Touch(Touch { name: name.to_owned() }));
        let checked = |ops: &[Option<Op>]| {
            let proposals = ops.iter().map(|op| pb::Proposal {
                op: op.clone(),
                ..pb::Proposal::default()
            });
            let batch = pb::Batch {
                proposals: proposals.collect(),
                ..pb::Batch::default()
            };
            check(&batch).is_ok()
        };
        assert!(checked(&[]));
        assert!(checked(&[touch("a"), touch("b")]));
        // One of a kind that is not known here, and one that no front end lets in.
        assert!(!checked(&[touch("a"), None]));
        assert!(!checked(&[touch("a"), touch("b\n")]));
    }
}
