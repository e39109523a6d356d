//! Reading a fork from where its bytes are another group's.

use bytes::Bytes;
use prost::Message as _;
use weir_proto::entry as pb;
use weir_protocol::{Consistency, Fault, Offset, Read, ReadError, ReadFrom, ReadResult, Run, StreamName};
use weir_storage::{Elsewhere, Fetched};

use crate::codec::{Malformed, read_answer_to_pb, read_from_pb};
use crate::group::Group;
use crate::peer::Room;
use crate::router::Router;

const CHANGED: Fault = Fault::Unavailable("the stream was made anew meanwhile");

/// What was gathered of an answer.
struct Gathered {
    runs: Vec<Run>,
    at: Offset,
    left: u64,
}

impl Gathered {
    /// Takes messages up to `next`, if they fit: only the first of an answer may be larger than its limit.
    fn take(&mut self, runs: Vec<Run>, next: Offset) -> bool {
        let bytes = next.position().saturating_sub(self.at.position());
        let fits = bytes <= self.left || self.runs.is_empty();
        if fits {
            self.runs.extend(runs.into_iter().filter(|run| !run.lengths.is_empty()));
            self.at = next;
            self.left = self.left.saturating_sub(bytes);
        }
        fits && bytes > 0
    }

    fn is_full(&self) -> bool {
        self.left == 0 && !self.runs.is_empty()
    }
}

impl Router {
    /// Reads a stream of `group`.
    pub(crate) async fn read_from(
        &self,
        group: &Group,
        name: &StreamName,
        read: Read,
        room: &mut Room,
    ) -> Result<ReadResult, ReadError> {
        match group.read(name, read, room).await {
            // Only a replica here answers so: other nodes' routers resolve it.
            Err(ReadError::Elsewhere) => {
                room.claim_elsewhere(read.max_bytes).await?;
                self.read_inherited(group, name, read).await
            }
            answer => answer,
        }
    }

    /// Answers another node's read.
    pub(crate) async fn serve_read(&self, group: &Group, body: Bytes, room: &mut Room) -> Result<Bytes, Malformed> {
        let (name, read) = read_from_pb(&pb::ReadRequest::decode(body)?)?;
        let reply = read_answer_to_pb(self.read_from(group, &name, read, room).await);
        Ok(reply.encode_to_vec().into())
    }

    /// Reads a stream of `group`, which has a replica here and has just answered that the read begins elsewhere.
    async fn read_inherited(&self, group: &Group, name: &StreamName, read: Read) -> Result<ReadResult, ReadError> {
        let inherited = group.inherited(name, read).await?;
        let start = match read.from {
            ReadFrom::Start => Offset::ZERO,
            ReadFrom::Now => inherited.tail,
            ReadFrom::At(offset) if offset > inherited.tail => return Err(ReadError::OffsetBeyondTail),
            ReadFrom::At(offset) => offset,
        };
        let mut gathered = Gathered {
            runs: Vec::new(),
            at: start,
            left: read.max_bytes,
        };
        let place = &inherited.place;
        let mut goes_on = true;
        while goes_on && gathered.at < place.until && !gathered.is_full() {
            let (runs, next) = self.fetch(place, gathered.at, gathered.left).await?;
            goes_on = gathered.take(runs, next);
        }
        let mut result = ReadResult {
            incarnation: inherited.incarnation,
            content_type: inherited.content_type,
            start,
            runs: Vec::new(),
            next_offset: gathered.at,
            at_tail: gathered.at == inherited.tail,
            closed: inherited.closed,
            ttl_deadline: inherited.ttl_deadline,
        };
        if goes_on && gathered.at >= place.until && !gathered.is_full() && !result.at_tail {
            let rest = Read {
                from: ReadFrom::At(gathered.at),
                max_bytes: gathered.left,
                // The read that was answered with `Elsewhere` has waited for what this one must see.
                consistency: Consistency::Eventual,
                renews: false,
            };
            // That has its room with what was gathered before.
            let rest = group.read(name, rest, &mut Room::default()).await?;
            if rest.incarnation != result.incarnation {
                return Err(CHANGED.into());
            }
            result.closed = rest.closed;
            if gathered.take(rest.runs, rest.next_offset) {
                result.at_tail = rest.at_tail;
            }
        }
        result.runs = gathered.runs;
        result.next_offset = gathered.at;
        Ok(result)
    }

    /// Reads from `from` on, which lies in `place`, along the chain of groups to whose bytes those are.
    async fn fetch(&self, place: &Elsewhere, from: Offset, max_bytes: u64) -> Result<(Vec<Run>, Offset), ReadError> {
        let mut place = place.clone();
        loop {
            let group = self.group(&place.source)?;
            match group.fetch(&place, from, max_bytes, &mut Room::default()).await? {
                Fetched::Messages { runs, next_offset } => return Ok((runs, next_offset)),
                Fetched::Elsewhere(next) => place = next,
                Fetched::Behind => return Err(Fault::Unavailable("the fork's source does not answer now").into()),
            }
        }
    }
}
