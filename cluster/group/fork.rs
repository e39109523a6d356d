//! What a group does for forks between it and other groups.

use bytes::Bytes;
use prost::Message as _;
use weir_proto::entry as pb;
use weir_protocol::{Fault, Offset, Read, ReadError, StreamName, Timestamp};
use weir_storage::{Elsewhere, Fetched, Inherited, Reference, ReferenceCursor, ReferencePage};

use super::remote::NOBODY;
use super::{Group, renew};
use crate::codec::{Malformed, fetch_from_pb, fetch_to_pb, fetched_from_pb, fetched_to_pb};
use crate::limits::READ_TIMEOUT;
use crate::peer::{Kind, Room, Status};

const NOT_HERE: Fault = Fault::Unavailable("this node has no replica of the stream any more");
const MISSING: &str = "the source of a fork is missing";

impl Group {
    /// Whether the replica here leads.
    pub(crate) fn leads(&self) -> bool {
        self.hosted().is_some_and(|hosted| hosted.replica.is_leader())
    }

    /// The time, as this node has it.
    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Where the beginning of a stream of the replica here is, and what else `read` of it answers.
    pub(crate) async fn inherited(&self, name: &StreamName, read: Read) -> Result<Inherited, ReadError> {
        let hosted = self.hosted().ok_or(NOT_HERE)?;
        let now = self.now();
        let wanted = name.clone();
        let inherited = self.with_storage(&hosted, move |storage| storage.inherited(&wanted, now));
        let inherited = inherited.await??;
        renew::renew(self, name, read, (now, inherited.ttl_deadline)).await?;
        Ok(inherited)
    }

    /// Reads what a fork in another group inherited from a stream of this one. Those bytes never change, so a replica
    /// that has them need ask nobody.
    pub(crate) async fn fetch(
        &self,
        place: &Elsewhere,
        from: Offset,
        max_bytes: u64,
        room: &mut Room,
    ) -> Result<Fetched, ReadError> {
        if self.serving().is_none() {
            let request = fetch_to_pb(place, from, max_bytes);
            let reply: pb::FetchReply = self.ask(Kind::Fetch, &request, READ_TIMEOUT).await?;
            return fetched_from_pb(reply).map_err(|_| NOBODY)?;
        }
        room.claim(max_bytes).await?;
        let fetched = self.fetch_here(place, from, max_bytes).await?;
        if fetched != Fetched::Behind {
            return Ok(fetched);
        }
        room.let_go();
        self.barrier().await?;
        room.claim(max_bytes).await?;
        match self.fetch_here(place, from, max_bytes).await? {
            Fetched::Behind => Err(Fault::Storage(MISSING.to_owned()).into()),
            fetched => Ok(fetched),
        }
    }

    async fn fetch_here(&self, place: &Elsewhere, from: Offset, max_bytes: u64) -> Result<Fetched, ReadError> {
        let hosted = self.hosted().ok_or(NOT_HERE)?;
        let place = place.clone();
        self.with_storage(&hosted, move |storage| storage.fetch(&place, from, max_bytes))
            .await?
    }

    pub(super) async fn serve_fetch(&self, body: Bytes, room: &mut Room) -> Result<(Status, Bytes), Malformed> {
        let (place, from, max_bytes) = fetch_from_pb(&pb::FetchRequest::decode(body)?)?;
        let reply = fetched_to_pb(self.fetch(&place, from, max_bytes, room).await);
        Ok((Status::Done, reply.encode_to_vec().into()))
    }

    /// Releases that wait in the replica here.
    pub(crate) async fn outbox(&self, limit: usize) -> Result<Vec<Reference>, Fault> {
        let hosted = self.hosted().ok_or(NOT_HERE)?;
        Ok(self
            .with_storage(&hosted, move |storage| storage.outbox(limit))
            .await??)
    }

    /// References to streams of the replica here.
    pub(crate) async fn references(
        &self,
        after: Option<ReferenceCursor>,
        limit: usize,
    ) -> Result<ReferencePage, Fault> {
        let hosted = self.hosted().ok_or(NOT_HERE)?;
        Ok(self
            .with_storage(&hosted, move |storage| storage.references(after.as_ref(), limit))
            .await??)
    }
}
