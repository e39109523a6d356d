//! `weir stream tail`.

use std::collections::VecDeque;
use std::time::Duration;

use backon::ExponentialBackoff;
use clap::Args;
use reqwest::{Method, StatusCode};
use tokio::time::sleep;
use weir_protocol::{Offset, StreamName, headers};

use crate::client::error::ClientError;
use crate::client::http::{Answer, Client};
use crate::client::pages::Pages;
use crate::client::{output, retry};

/// Print a stream's last lines, and with -f what follows.
///
/// A line of a JSON stream is a message. Streams that are neither text nor JSON have no lines: of them, only what
/// follows is printed.
#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// The stream
    #[arg(value_parser = StreamName::new)]
    name: StreamName,
    /// Go on until the stream is closed, across restarts of the server
    #[arg(short, long)]
    follow: bool,
    /// How many lines
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 10)]
    lines: usize,
    /// Begin at this offset instead; -1 is the beginning
    #[arg(long, allow_hyphen_values = true, conflicts_with = "lines")]
    offset: Option<String>,
}

/// How far back a text stream is first looked at, and how far at most, in bytes.
const FIRST_WINDOW: u64 = 64 * 1024;
const LARGEST_WINDOW: u64 = 64 * 1024 * 1024;

/// Where following begins.
struct Place {
    offset: String,
    closed: bool,
    is_json: bool,
}

pub(crate) async fn run(client: &Client, args: &TailArgs) -> Result<(), ClientError> {
    let head = client.send(client.stream(Method::HEAD, &args.name)).await?;
    let is_json = head.is_json();
    let is_text = head
        .content_type()
        .is_some_and(|kind| crate::client::http::is_text(&kind));
    let place = match &args.offset {
        Some(offset) if offset != "now" => from(client, &args.name, offset, is_json).await?,
        None if args.lines > 0 && is_json => last_messages(client, &args.name, args.lines).await?,
        None if args.lines > 0 && is_text => last_lines(client, &args.name, args.lines, &head.next_offset()?).await?,
        // Not the server's `now`: if the first answer is lost, so is what was appended meanwhile.
        _ => Place {
            offset: head.next_offset()?,
            closed: false,
            is_json,
        },
    };
    if args.follow && !place.closed {
        Follower::new(client, &args.name, place).run().await?;
    }
    Ok(())
}

/// Prints everything from `offset` on.
async fn from(client: &Client, name: &StreamName, offset: &str, is_json: bool) -> Result<Place, ClientError> {
    let mut pages = Pages::new(client, name, offset);
    while let Some(page) = pages.next().await? {
        output::page(is_json, &page.body)?;
    }
    Ok(Place {
        offset: pages.offset,
        closed: pages.closed,
        is_json,
    })
}

/// Prints the last `count` messages. Where a message begins is known only from the beginning on, so all are read.
async fn last_messages(client: &Client, name: &StreamName, count: usize) -> Result<Place, ClientError> {
    let mut pages = Pages::new(client, name, "-1");
    let mut last = VecDeque::new();
    while let Some(page) = pages.next().await? {
        last.extend(output::json_lines(&page.body)?);
        last.drain(..last.len().saturating_sub(count));
    }
    output::page(false, &last.make_contiguous().concat())?;
    Ok(Place {
        offset: pages.offset,
        closed: pages.closed,
        is_json: true,
    })
}

/// Prints the last `count` lines: looks back from the tail, further and further.
async fn last_lines(client: &Client, name: &StreamName, count: usize, tail: &str) -> Result<Place, ClientError> {
    let mut window = FIRST_WINDOW;
    loop {
        let start = start_of_window(tail, window);
        let mut pages = Pages::new(client, name, &start);
        let mut text = Vec::new();
        while let Some(page) = pages.next().await? {
            text.extend_from_slice(&page.body);
        }
        let begin = begin_of_last_lines(&text, count);
        if begin > 0 || start == "-1" || window >= LARGEST_WINDOW {
            output::page(false, &text[begin..])?;
            return Ok(Place {
                offset: pages.offset,
                closed: pages.closed,
                is_json: false,
            });
        }
        window *= 4;
    }
}

/// The offset `window` bytes before the tail; the beginning where there is none, or where the server's offsets are
/// not Weir's.
fn start_of_window(tail: &str, window: u64) -> String {
    let position = Offset::parse(tail)
        .ok()
        .and_then(|tail| tail.position().checked_sub(window));
    match position.and_then(Offset::new) {
        Some(start) if start > Offset::ZERO => start.to_string(),
        _ => "-1".to_owned(),
    }
}

/// Where the last `count` lines begin; 0 when there are not more. A line break at the very end ends the last line.
fn begin_of_last_lines(text: &[u8], count: usize) -> usize {
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let breaks = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
    breaks.map(|(at, _)| at + 1).nth(count.saturating_sub(1)).unwrap_or(0)
}

/// Prints what is appended, until the stream is closed.
struct Follower<'a> {
    client: &'a Client,
    name: &'a StreamName,
    place: Place,
    cursor: Option<String>,
    /// Set while there is no connection: how long to wait next.
    outage: Option<ExponentialBackoff>,
}

impl<'a> Follower<'a> {
    fn new(client: &'a Client, name: &'a StreamName, place: Place) -> Self {
        Self {
            client,
            name,
            place,
            cursor: None,
            outage: None,
        }
    }

    async fn run(mut self) -> Result<(), ClientError> {
        while !self.place.closed {
            let request = self
                .client
                .long_poll(self.name, &self.place.offset, self.cursor.as_deref());
            match self.client.send(request).await {
                Ok(answer) => self.take(&answer)?,
                Err(error) if error.is_transient() => self.wait(&error).await,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Prints an answer. It came whole or not at all, so nothing is ever printed twice.
    fn take(&mut self, answer: &Answer) -> Result<(), ClientError> {
        if self.outage.take().is_some() {
            output::say(format!("weir: connected again, reading on from {}", self.place.offset));
        }
        let next_offset = answer.next_offset()?;
        if answer.status != StatusCode::NO_CONTENT {
            output::page(self.place.is_json, &answer.body)?;
        }
        self.place.offset = next_offset;
        self.place.closed = answer.closed();
        self.cursor = answer.header(headers::STREAM_CURSOR).map(ToOwned::to_owned);
        Ok(())
    }

    async fn wait(&mut self, error: &ClientError) {
        if self.outage.is_none() {
            output::say(format!("weir: {error}; trying again until there is an answer"));
        }
        let delay = self
            .outage
            .get_or_insert_with(retry::delays)
            .next()
            .unwrap_or(LONGEST_PAUSE);
        sleep(delay.max(error.retry_after().unwrap_or_default())).await;
    }
}

/// Should the backoff ever end, which it does not.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_counted_from_the_end() {
        let cases: [(&[u8], usize, usize); 7] = [
            (b"", 3, 0),
            (b"a\nb\nc\n", 2, 2),
            (b"a\nb\nc", 2, 2),
            (b"a\nb\nc\n", 3, 0),
            (b"a\nb\nc\n", 4, 0),
            (b"a\nb\n\n", 1, 4),
            (b"no line break", 1, 0),
        ];
        for (text, count, begin) in cases {
            assert_eq!(begin_of_last_lines(text, count), begin, "{text:?} {count}");
        }
    }

    #[test]
    fn the_window_begins_at_an_offset_or_at_the_beginning() {
        let tail = Offset::new(100).unwrap().to_string();
        assert_eq!(start_of_window(&tail, 40), Offset::new(60).unwrap().to_string());
        assert_eq!(start_of_window(&tail, 100), "-1");
        assert_eq!(start_of_window(&tail, 101), "-1");
        assert_eq!(start_of_window("some-other-server's", 1), "-1");
    }
}
