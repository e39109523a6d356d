//! `weir bench append`.

use std::sync::Arc;

use bytes::Bytes;
use clap::Args;
use serde_json::json;

use super::client::{Done, Failed, Operation, connect};
use super::connection::Connection;
use super::error::BenchError;
use super::etcd::{Channels, Put};
use super::options::{Options, RateOption};
use super::target::Target;
use super::threads::Measured;
use super::{prepare, report, target, threads};

/// Append messages.
///
/// Each connection goes through the streams in turn, beginning at another one than the others. Nothing is deleted
/// afterwards.
#[derive(Debug, Args)]
pub(super) struct AppendArgs {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    rate: RateOption,
    /// How many connections append
    #[arg(long, default_value = "64", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,
    /// To how many streams
    #[arg(long, default_value = "100", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    streams: u32,
    /// How long each message is, in bytes
    #[arg(long, value_name = "BYTES", default_value = "256", value_parser = clap::value_parser!(u32).range(2..=1 << 30))]
    size: u32,
    /// The streams' content type; JSON messages are strings
    #[arg(long, value_name = "TYPE", default_value = "application/octet-stream")]
    content_type: String,
}

pub(super) fn run(args: &AppendArgs) -> Result<(), BenchError> {
    let options = &args.options;
    if options.target == Target::Etcd {
        return run_etcd(args);
    }
    let streams = prepare::streams(options, args.streams.into(), &args.content_type)?;
    let body = message(&args.content_type, args.size as usize);
    let heads = streams.streams.iter().map(|stream| {
        let mut request =
            target::request_with_body("POST", &streams.addresses[0], &stream.path, &args.content_type, &body);
        request.truncate(request.len() - body.len());
        request
    });
    let messages = Arc::new(Messages {
        heads: heads.collect(),
        body,
    });
    let starts = (0..args.connections as usize).map(|client| {
        let (node, mine) = streams.share(client);
        let append = Append {
            address: streams.addresses[node].clone(),
            next: client % mine.len(),
            mine,
            messages: Arc::clone(&messages),
            request: Vec::new(),
        };
        threads::client(append)
    });
    let measured = threads::run(options, args.rate.rate, starts.collect())?;
    print(args, streams.addresses.len(), &measured)
}

/// Puts to etcd: a stream is a key.
fn run_etcd(args: &AppendArgs) -> Result<(), BenchError> {
    let options = &args.options;
    let (addresses, prefix, clients) = (options.addresses()?, options.prefix(), args.connections as usize);
    let keys = (0..args.streams).map(|key| options.target.path(&prefix, key.into()).into());
    let keys: Arc<[Bytes]> = keys.collect();
    let value = Bytes::from(message(&args.content_type, args.size as usize));
    let channels = Arc::new(Channels::new(&addresses));
    let starts = (0..clients).map(|client| {
        threads::client(Put {
            channels: Arc::clone(&channels),
            client,
            next: client % keys.len(),
            keys: Arc::clone(&keys),
            value: value.clone(),
        })
    });
    let measured = threads::run(options, args.rate.rate, starts.collect())?;
    print(args, addresses.len(), &measured)
}

fn print(args: &AppendArgs, nodes: usize, measured: &Measured) -> Result<(), BenchError> {
    let settings = vec![
        ("connections", json!(args.connections)),
        ("streams", json!(args.streams)),
        ("size", json!(args.size)),
        ("nodes", json!(nodes)),
    ];
    let work = report::Work {
        name: "append",
        operations: "appends",
        rate: args.rate.rate,
        settings,
    };
    report::print(&args.options, &work, measured)
}

/// A message of this size that the content type allows.
pub(super) fn message(content_type: &str, size: usize) -> Vec<u8> {
    let mut message: Vec<u8> = (0..size).map(|_| fastrand::alphanumeric() as u8).collect();
    if content_type.starts_with("application/json") {
        message[0] = b'"';
        message[size - 1] = b'"';
    }
    message
}

/// What is sent: the head for each stream, and the message.
struct Messages {
    heads: Vec<Vec<u8>>,
    body: Vec<u8>,
}

/// One connection's appends.
struct Append {
    address: String,
    /// The streams that it goes through.
    mine: Vec<usize>,
    next: usize,
    messages: Arc<Messages>,
    /// Head and message side by side, so that they leave with one write.
    request: Vec<u8>,
}

/// An answer to an append has no body, unless it is an error.
const BUFFER_BYTES: usize = 16 * 1024;

impl Operation for Append {
    type Link = Connection;

    fn address(&self) -> &str {
        &self.address
    }

    async fn connect(&self) -> Result<Connection, Failed> {
        connect(&self.address, BUFFER_BYTES).await
    }

    async fn perform(&mut self, connection: &mut Connection) -> Result<Done, Failed> {
        let stream = self.mine[self.next];
        self.next = (self.next + 1) % self.mine.len();
        let body = &self.messages.body;
        self.request.clear();
        self.request.extend_from_slice(&self.messages.heads[stream]);
        self.request.extend_from_slice(body);
        let head = connection.exchange(&self.request, |_, _| {}, |_| {}).await?;
        head.expect(&[200, 204], body.len() as u64)
    }
}
