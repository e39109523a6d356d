//! List streams by name.

use std::ops::ControlFlow;

use weir_protocol::{Fault, ListError, ListPage, ListRequest, StreamSummary, Timestamp};

use crate::machine::head::describe;
use crate::record::State;
use crate::rows::Rows;

pub(crate) fn list<R: Rows>(rows: &R, request: &ListRequest, now: Timestamp) -> Result<ListPage, ListError> {
    let mut page = ListPage::default();
    rows.streams(&request.prefix, request.after.as_deref(), &mut |name, record| {
        if record.state != State::Live || record.is_expired(now) {
            return ControlFlow::Continue(());
        }
        if page.streams.len() == request.limit {
            page.more = true;
            return ControlFlow::Break(());
        }
        page.streams.push(StreamSummary {
            name,
            metadata: describe(record),
        });
        ControlFlow::Continue(())
    })
    .map_err(Fault::from)?;
    Ok(page)
}
