//! Where a fork leaves its source, when the source's bytes at that place are another group's.
//!
//! Bytes and the messages that they are never change, so what is read is still so when the command is applied, if the
//! source is the same life of its stream by then.

use weir_protocol::{
    Consistency, CreateError, Fault, ForkRequest, Offset, Read, ReadError, ReadFrom, ReadResult, Streams as _,
};
use weir_storage::Boundary;

use crate::limits::{BOUNDARY_READ_BYTES, BOUNDARY_TIMEOUT};
use crate::router::Router;

const TOO_FAR: Fault = Fault::Unavailable("where the fork leaves its source could not be found in time");
const CHANGED: Fault = Fault::Unavailable("the fork's source was made anew meanwhile");

impl Router {
    /// Finds the boundary of a fork that leaves its source at a given offset; see `weir_storage`'s rules for forks.
    pub(super) async fn boundary(&self, request: &ForkRequest) -> Result<Boundary, CreateError> {
        let found = tokio::time::timeout(BOUNDARY_TIMEOUT, self.find_boundary(request)).await;
        found.unwrap_or(Err(TOO_FAR.into()))
    }

    async fn find_boundary(&self, request: &ForkRequest) -> Result<Boundary, CreateError> {
        let Some(anchor) = request.offset else {
            // A source's tail is never another group's, unless the source was made anew between the two commands.
            return Err(CHANGED.into());
        };
        let overshoot = CreateError::ForkSubOffsetOvershoot;
        let mut page = self.source_page(request, anchor).await?;
        let (source_id, is_json) = (page.incarnation.id, page.content_type.is_json());
        let found = |base| Ok(Boundary { source_id, base });
        if !is_json {
            // One message at most may be cut.
            let first = page.runs.iter().find_map(|run| run.lengths.first());
            let room = first.copied().map_or(0, u64::from);
            let base = anchor.checked_add(request.sub_offset);
            return match base.filter(|_| request.sub_offset <= room) {
                Some(base) => found(base),
                None => Err(overshoot),
            };
        }
        let (mut at, mut left) = (anchor, request.sub_offset);
        while left > 0 {
            for length in page.runs.iter().flat_map(|run| &run.lengths) {
                at = at.checked_add(u64::from(*length)).ok_or(overshoot.clone())?;
                left -= 1;
                if left == 0 {
                    return found(at);
                }
            }
            if page.at_tail || page.is_empty() {
                return Err(overshoot);
            }
            page = self.source_page(request, page.next_offset).await?;
            if page.incarnation.id != source_id {
                return Err(CHANGED.into());
            }
        }
        found(at)
    }

    async fn source_page(&self, request: &ForkRequest, from: Offset) -> Result<ReadResult, CreateError> {
        let read = Read {
            from: ReadFrom::At(from),
            max_bytes: BOUNDARY_READ_BYTES,
            consistency: Consistency::Linearizable,
            renews: false,
        };
        self.read(&request.source, read).await.map_err(|error| match error {
            ReadError::NotFound => CreateError::SourceNotFound,
            ReadError::Gone => CreateError::SourceGone,
            ReadError::OffsetBeyondTail => CreateError::ForkOffsetBeyondTail,
            ReadError::OffsetInvalid => CreateError::ForkOffsetInvalid,
            ReadError::Elsewhere => CHANGED.into(),
            ReadError::Fault(fault) => fault.into(),
        })
    }
}
