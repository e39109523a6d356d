//! Reads of a group that has no replica on this node.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use prost::Message;
use tokio::time::Instant;
use weir_proto::entry as pb;
use weir_protocol::{
    Consistency, Fault, HeadError, ListError, ListPage, ListRequest, Offset, Read, ReadError, ReadResult,
    StreamMetadata, StreamName, TailEvent, TailWatch,
};

use super::Group;
use crate::codec::{head_answer_from_pb, list_answer_from_pb, read_answer_from_pb, read_to_pb};
use crate::limits::{LEADER_PAUSE, READ_TIMEOUT, WAIT_TIMEOUT};
use crate::peer::{Address, Kind, Lane};

pub(super) const NOBODY: Fault = Fault::Unavailable("no node that has this stream answers now");

impl Group {
    pub(super) async fn read_elsewhere(&self, name: &StreamName, read: &Read) -> Result<ReadResult, ReadError> {
        let reply: pb::ReadReply = self.ask(Kind::Read, &read_to_pb(name, read), READ_TIMEOUT).await?;
        read_answer_from_pb(reply).map_err(|_| NOBODY)?
    }

    pub(super) async fn head_elsewhere(
        &self,
        name: &StreamName,
        consistency: Consistency,
    ) -> Result<StreamMetadata, HeadError> {
        let request = pb::HeadRequest {
            name: name.to_string(),
            eventual: consistency == Consistency::Eventual,
        };
        let reply: pb::HeadReply = self.ask(Kind::Head, &request, READ_TIMEOUT).await?;
        head_answer_from_pb(reply).map_err(|_| NOBODY)?
    }

    pub(super) async fn list_elsewhere(&self, request: &ListRequest) -> Result<ListPage, ListError> {
        let request = pb::ListRequest {
            prefix: request.prefix.clone(),
            after: request.after.clone(),
            limit: request.limit as u64,
        };
        let reply: pb::ListReply = self.ask(Kind::List, &request, READ_TIMEOUT).await?;
        list_answer_from_pb(reply).map_err(|_| NOBODY)?
    }

    /// Asks one replica after the other, the leader first, until one answers.
    pub(super) async fn ask<R: Message + Default>(
        &self,
        kind: Kind,
        request: &impl Message,
        timeout: Duration,
    ) -> Result<R, Fault> {
        // A watch waits for something that may never come; its lane has room for that.
        let (lane, _turn) = match kind {
            Kind::Wait => (Lane::Watch, None),
            _ => {
                let turn = self.elsewhere.try_acquire().map_err(|_| Fault::Overloaded)?;
                (Lane::Read, Some(turn))
            }
        };
        let body = Bytes::from(request.encode_to_vec());
        let deadline = Instant::now() + timeout;
        let mut turn = 0;
        while Instant::now() < deadline {
            if let Some((replica, node)) = self.who_reads(turn) {
                let address = Address {
                    node,
                    group: self.id,
                    from: 0,
                    to: replica,
                };
                let left = deadline.saturating_duration_since(Instant::now());
                let call = self.shared.peers.call(address, lane, kind, body.clone(), left);
                match call.await {
                    Ok(answer) => return R::decode(answer).map_err(|_| NOBODY),
                    Err(error) if error.is_away() => self.forget_leader(replica),
                    // It may only have much to do, and leads all the same: writes are still its.
                    Err(_) => {}
                }
            }
            turn += 1;
            tokio::time::sleep(LEADER_PAUSE).await;
        }
        Err(NOBODY)
    }

    /// A replica of another node to be asked, the leader first and in every other turn.
    fn who_reads(&self, turn: usize) -> Option<(u64, u64)> {
        let is_elsewhere = |(_, node): &(u64, u64)| *node != self.shared.node;
        let leader = self.leader().filter(is_elsewhere);
        let view = self.shared.views.now();
        let mut others = view.replicas(self.id).iter().copied().filter(is_elsewhere);
        let count = others.clone().count();
        let next = others.nth((turn / 2) % count.max(1));
        match turn % 2 {
            0 => leader.or(next),
            _ => next.or(leader),
        }
    }
}

/// A watch on a stream whose replicas are all elsewhere: one of them is asked to answer when something changes.
///
/// The first event comes at once and tells where the stream is.
pub(super) struct RemoteWatch {
    group: Arc<Group>,
    name: StreamName,
    seen: Option<(Offset, bool)>,
    gone: bool,
}

impl RemoteWatch {
    pub(super) fn new(group: Arc<Group>, name: StreamName) -> Self {
        Self {
            group,
            name,
            seen: None,
            gone: false,
        }
    }
}

#[async_trait]
impl TailWatch for RemoteWatch {
    async fn changed(&mut self) -> TailEvent {
        while !self.gone {
            let (after, was_closed) = self.seen.unwrap_or_default();
            let request = pb::WaitRequest {
                name: self.name.to_string(),
                after: after.position(),
                was_closed,
                timeout_ms: u64::try_from(WAIT_TIMEOUT.as_millis()).unwrap_or(u64::MAX),
            };
            let asked = self.group.ask::<pb::WaitReply>(Kind::Wait, &request, WAIT_TIMEOUT * 2);
            match asked.await {
                Ok(reply) if reply.gone => self.gone = true,
                Ok(reply) => {
                    let Some(next_offset) = Offset::new(reply.next_offset) else {
                        continue;
                    };
                    if reply.changed || self.seen.is_none() {
                        self.seen = Some((next_offset, reply.closed));
                        return TailEvent::Tail {
                            next_offset,
                            closed: reply.closed,
                        };
                    }
                }
                Err(_) => tokio::time::sleep(LEADER_PAUSE).await,
            }
        }
        TailEvent::Gone
    }
}
