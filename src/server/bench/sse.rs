//! `weir bench sse`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::client::{Client, Failed, connect, unreachable_at};
use super::connection::{Connection, Head};
use super::error::BenchError;
use super::fan_out::{self, Receiver, Writer, WriterArgs};
use super::gate::Window;
use super::options::{self, Options};
use super::sse_text::{Event, Events};
use super::threads::Start;
use super::{prepare, report, target, threads};

/// Deliver messages to subscribers by Server-Sent Events.
///
/// One writer appends at a rate; an operation is the delivery of one message to one subscriber, and its latency counts
/// from the moment at which the message should have been sent. Missing and repeated messages are errors.
#[derive(Debug, Args)]
pub(super) struct SseArgs {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    writer: WriterArgs,
    /// How many connections subscribe
    #[arg(long, default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,
}

pub(super) fn run(args: &SseArgs) -> Result<(), BenchError> {
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
    let writer = Writer::start(&streams, write_address, size);
    let subscribers = (0..args.connections as usize).map(|index| {
        let (address, path) = streams.reader(index);
        let start: Start = Box::new(move |client| Box::pin(Subscriber::new(address, path, client, size).run()));
        start
    });
    let starts = std::iter::once(writer).chain(subscribers).collect();
    let measured = threads::run(options, Some(args.writer.rate), starts)?;
    let settings = vec![
        ("connections", json!(args.connections)),
        ("streams", json!(args.writer.streams)),
        ("size", json!(args.writer.size)),
        ("nodes", json!(streams.addresses.len())),
    ];
    let work = report::Work {
        name: "sse",
        operations: "deliveries",
        rate: Some(args.writer.rate),
        settings,
    };
    report::print(options, &work, &measured)
}

/// Events are short.
const BUFFER_BYTES: usize = 16 * 1024;
const RECONNECT_DELAY: Duration = Duration::from_millis(20);

/// One subscriber.
struct Subscriber {
    address: String,
    path: String,
    client: Client,
    receiver: Receiver,
    events: Events,
    /// The last control event's data, which says where to go on.
    control: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Control {
    stream_next_offset: String,
}

impl Subscriber {
    fn new(address: String, path: String, client: Client, size: usize) -> Self {
        Self {
            address,
            path,
            receiver: Receiver::new(Arc::clone(&client.tally), size),
            client,
            events: Events::default(),
            control: Vec::new(),
        }
    }

    /// Subscribes until the last message has come, or should have.
    async fn run(mut self) -> Result<(), BenchError> {
        let first = self.subscribe().await;
        let mut connection = first.map_err(|failed| unreachable_at(&self.address, &failed))?;
        let window = self.client.gate.ready().await;
        let Some(until) = window.until else { return Ok(()) };
        let end = tokio::time::Instant::from_std(until + self.client.timeout);
        let tally = Arc::clone(&self.client.tally);
        let outcome = tokio::time::timeout_at(end, self.follow(&window, &mut connection)).await;
        if outcome.is_err() {
            tally.lock().failed(Cow::Borrowed("the last message did not come"), 1);
        }
        Ok(())
    }

    /// Follows the stream, over as many answers as it takes.
    async fn follow(&mut self, window: &Window, connection: &mut (Connection, Head)) {
        loop {
            let (receiver, events, control) = (&mut self.receiver, &mut self.events, &mut self.control);
            let (link, head) = connection;
            let take = |bytes: &[u8]| {
                events.read(bytes, |event, data| match event {
                    Event::Data => receiver.take(window, data),
                    Event::Control => {
                        control.clear();
                        control.extend_from_slice(data);
                    }
                    Event::Other => {}
                });
                !receiver.is_over
            };
            let ended = link.body_while(head, take).await;
            if self.receiver.is_over {
                return;
            }
            if let Err(broken) = ended {
                let failed = Failed::from(broken);
                self.client.tally.lock().failed(failed.name(), 1);
            }
            self.client.tally.lock().count("reconnects", 1);
            *connection = loop {
                match self.subscribe().await {
                    Ok(connection) => break connection,
                    Err(failed) => self.client.tally.lock().failed(failed.name(), 1),
                }
                tokio::time::sleep(RECONNECT_DELAY).await;
            };
        }
    }

    /// Connects, and takes the head of the answer.
    async fn subscribe(&mut self) -> Result<(Connection, Head), Failed> {
        let offset = match serde_json::from_slice::<Control>(&self.control) {
            Ok(control) => control.stream_next_offset,
            // Nothing has been appended yet: the streams are this run's own.
            Err(_) => "-1".to_owned(),
        };
        self.events = Events::default();
        let mut connection = connect(&self.address, BUFFER_BYTES).await?;
        let query = format!("offset={offset}&live=sse");
        connection.send(&target::get(&self.address, &self.path, &query)).await?;
        let head = connection.head(|_, _| {}).await?;
        head.expect(&[200], 0)?;
        Ok((connection, head))
    }
}
