//! `weir bench create`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;
use serde_json::json;

use super::client::{Done, Failed, Operation, connect};
use super::connection::Connection;
use super::error::BenchError;
use super::options::{Options, RateOption};
use super::target::{self, Target};
use super::{append, report, threads};

/// Create streams.
///
/// Nothing is deleted afterwards.
#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    rate: RateOption,
    /// How many connections create streams
    #[arg(long, default_value = "64", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,
    /// How long the message is that each stream begins with, in bytes; 0 for none
    #[arg(long, value_name = "BYTES", default_value = "0", value_parser = clap::value_parser!(u32).range(0..=1 << 30))]
    size: u32,
    /// The streams' content type; JSON messages are strings
    #[arg(long, value_name = "TYPE", default_value = "application/octet-stream")]
    content_type: String,
}

pub(super) fn run(args: &CreateArgs) -> Result<(), BenchError> {
    let options = &args.options;
    options.target.must_speak_the_protocol()?;
    let addresses = options.addresses()?;
    let names = Arc::new(Names {
        target: options.target,
        prefix: options.prefix(),
        next: AtomicU64::new(0),
    });
    let body = append::message(&args.content_type, args.size as usize);
    let starts = (0..args.connections as usize).map(|client| {
        let create = Create {
            address: addresses[client % addresses.len()].clone(),
            names: Arc::clone(&names),
            content_type: args.content_type.clone(),
            body: body.clone(),
        };
        threads::client(create)
    });
    let measured = threads::run(options, args.rate.rate, starts.collect())?;
    let settings = vec![
        ("connections", json!(args.connections)),
        ("size", json!(args.size)),
        ("nodes", json!(addresses.len())),
    ];
    let work = report::Work {
        name: "create",
        operations: "streams",
        rate: args.rate.rate,
        settings,
    };
    report::print(options, &work, &measured)
}

/// The names that were not used yet.
struct Names {
    target: Target,
    prefix: String,
    next: AtomicU64,
}

impl Names {
    fn next(&self) -> String {
        self.target
            .path(&self.prefix, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// One connection's streams.
struct Create {
    address: String,
    names: Arc<Names>,
    content_type: String,
    body: Vec<u8>,
}

const BUFFER_BYTES: usize = 16 * 1024;

impl Operation for Create {
    type Link = Connection;

    fn address(&self) -> &str {
        &self.address
    }

    async fn connect(&self) -> Result<Connection, Failed> {
        connect(&self.address, BUFFER_BYTES).await
    }

    async fn perform(&mut self, connection: &mut Connection) -> Result<Done, Failed> {
        let request =
            target::request_with_body("PUT", &self.address, &self.names.next(), &self.content_type, &self.body);
        let head = connection.exchange(&request, |_, _| {}, |_| {}).await?;
        // 200 would mean that the stream was there.
        head.expect(&[201], self.body.len() as u64)
    }
}
