//! `weir bench long-poll`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::client::{Client, Failed, connect, unreachable_at};
use super::connection::Connection;
use super::error::BenchError;
use super::fan_out::{self, Receiver, Writer, WriterArgs};
use super::gate::Window;
use super::options::{self, Options};
use super::target::Progress;
use super::threads::Start;
use super::{prepare, report, target, threads};

/// Deliver messages to readers by long-poll.
///
/// One writer appends at a rate; an operation is the delivery of one message to one reader, and its latency counts from
/// the moment at which the message should have been sent. Missing and repeated messages are errors.
#[derive(Debug, Args)]
pub(super) struct LongPollArgs {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    writer: WriterArgs,
    /// How many connections read
    #[arg(long, default_value = "100", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,
}

pub(super) fn run(args: &LongPollArgs) -> Result<(), BenchError> {
    let options = &args.options;
    options.target.must_speak_the_protocol()?;
    options.must_be_timed()?;
    let streams = Arc::new(prepare::streams(
        options,
        args.writer.streams.into(),
        fan_out::CONTENT_TYPE,
    )?);
    let write_address = args.writer.write_url.as_deref().map(options::address).transpose()?;
    let size = args.writer.size as usize;
    let readers = (0..args.connections as usize).map(|index| {
        let (address, path) = streams.reader(index);
        let start: Start = Box::new(move |client| {
            let reader = Reader {
                receiver: Receiver::new(Arc::clone(&client.tally), size),
                address,
                path,
                client,
            };
            Box::pin(reader.run())
        });
        start
    });
    let writer = Writer::start(&streams, write_address, size);
    let starts = std::iter::once(writer).chain(readers).collect();
    let measured = threads::run(options, Some(args.writer.rate), starts)?;
    let settings = vec![
        ("connections", json!(args.connections)),
        ("streams", json!(args.writer.streams)),
        ("size", json!(args.writer.size)),
        ("nodes", json!(streams.addresses.len())),
    ];
    let work = report::Work {
        name: "long-poll",
        operations: "deliveries",
        rate: Some(args.writer.rate),
        settings,
    };
    report::print(options, &work, &measured)
}

const BUFFER_BYTES: usize = 16 * 1024;
const RETRY_DELAY: Duration = Duration::from_millis(20);

/// How long a server may keep a reader waiting before it says that there is nothing, beyond `--timeout`.
const SILENCE: Duration = Duration::from_secs(60);

/// One reader.
struct Reader {
    address: String,
    path: String,
    client: Client,
    receiver: Receiver,
}

/// Where a reader is.
#[derive(Debug, Default)]
struct Place {
    offset: String,
    cursor: Option<String>,
}

impl Reader {
    /// Reads until the last message has come, or should have.
    async fn run(mut self) -> Result<(), BenchError> {
        let first = connect(&self.address, BUFFER_BYTES).await;
        let first = first.map_err(|failed| unreachable_at(&self.address, &failed))?;
        let window = self.client.gate.ready().await;
        let Some(until) = window.until else { return Ok(()) };
        let end = tokio::time::Instant::from_std(until + self.client.timeout);
        let tally = Arc::clone(&self.client.tally);
        if tokio::time::timeout_at(end, self.follow(&window, first)).await.is_err() {
            tally.lock().failed(Cow::Borrowed("the last message did not come"), 1);
        }
        Ok(())
    }

    async fn follow(&mut self, window: &Window, first: Connection) {
        let mut link = Some(first);
        // The streams are this run's own, so nothing was missed before.
        let mut place = Place {
            offset: "-1".to_owned(),
            cursor: None,
        };
        while !self.receiver.is_over {
            let patience = self.client.timeout + SILENCE;
            let outcome = tokio::time::timeout(patience, self.poll(window, &mut link, &mut place)).await;
            let Err(failed) = outcome.unwrap_or(Err(Failed::Timeout)) else {
                continue;
            };
            self.client.tally.lock().failed(failed.name(), 1);
            if failed.closes() {
                link = None;
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }

    async fn poll(&mut self, window: &Window, link: &mut Option<Connection>, place: &mut Place) -> Result<(), Failed> {
        let connection = match link {
            Some(connection) => connection,
            None => link.insert(connect(&self.address, BUFFER_BYTES).await?),
        };
        let mut query = format!("offset={}&live=long-poll", place.offset);
        if let Some(cursor) = &place.cursor {
            query = format!("{query}&cursor={cursor}");
        }
        let request = target::get(&self.address, &self.path, &query);
        let mut progress = Progress::default();
        connection.send(&request).await?;
        let head = connection.head(|name, value| progress.see(name, value)).await?;
        if head.status != 200 {
            connection.body(&head, |_| {}).await?;
            head.expect(&[200, 204], 0)?;
        } else {
            // A page that breaks off is read again from its beginning, so it counts only when it is whole.
            let mut page = Vec::new();
            connection.body(&head, |bytes| page.extend_from_slice(bytes)).await?;
            self.receiver.take(window, &page);
        }
        place.offset = progress.next_offset.ok_or(Failed::Wrong("no Stream-Next-Offset"))?;
        place.cursor = progress.cursor;
        if head.closes {
            *link = None;
        }
        Ok(())
    }
}
