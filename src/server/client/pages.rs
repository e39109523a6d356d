//! A stream's messages page by page, up to what was its tail when the last page was read.

use std::time::Duration;

use bytes::Bytes;
use weir_protocol::{StreamName, headers};

use crate::client::error::ClientError;
use crate::client::http::{Answer, Client};
use crate::client::retry;

/// How long a read that has begun is tried again for. The first page is not: a server that was never there is better
/// reported at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// A walk from an offset to the tail.
#[derive(Debug)]
pub(crate) struct Pages<'a> {
    client: &'a Client,
    name: &'a StreamName,
    /// Where the next page begins; afterwards, where whatever comes later will.
    pub(crate) offset: String,
    /// Whether the stream is closed and all of it was read.
    pub(crate) closed: bool,
    begun: bool,
    done: bool,
}

/// The messages of one answer.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) is_json: bool,
    pub(crate) body: Bytes,
}

impl<'a> Pages<'a> {
    /// From `offset` on: an offset, `-1` or `now`.
    pub(crate) fn new(client: &'a Client, name: &'a StreamName, offset: &str) -> Self {
        Self {
            client,
            name,
            offset: offset.to_owned(),
            closed: false,
            begun: false,
            done: false,
        }
    }

    /// The next page, whole: a page that broke off is asked for again and never shown in part. `None` at the tail.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub(crate) async fn next(&mut self) -> Result<Option<Page>, ClientError> {
        if self.done {
            return Ok(None);
        }
        let patience = if self.begun { PATIENCE } else { Duration::ZERO };
        let answer = retry::send(self.client, patience, || self.client.read(self.name, &self.offset)).await?;
        self.begun = true;
        self.advance(&answer)?;
        Ok(Some(Page {
            is_json: answer.is_json(),
            body: answer.body,
        }))
    }

    fn advance(&mut self, answer: &Answer) -> Result<(), ClientError> {
        self.offset = answer.next_offset()?;
        self.closed = answer.closed();
        // A server that sends nothing and does not say that this is all must not be asked for ever.
        self.done = self.closed || answer.says(headers::STREAM_UP_TO_DATE) || answer.body.is_empty();
        Ok(())
    }
}
