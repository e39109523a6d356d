//! `weir bench catch-up`.

use clap::Args;
use serde_json::json;

use super::client::{Done, Failed, Operation, connect};
use super::connection::Connection;
use super::error::BenchError;
use super::options::{Options, RateOption};
use super::{append, prepare, report, target, threads};

/// Read whole streams.
///
/// The streams are made and filled first. Each reader reads its stream from the beginning to the end, again and again,
/// going on where each answer says. An operation is a whole stream; one that does not come back in full is an error.
#[derive(Debug, Args)]
pub(super) struct CatchUpArgs {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    rate: RateOption,
    /// How many connections read
    #[arg(long, default_value = "16", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,
    /// How many streams there are
    #[arg(long, default_value = "16", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    streams: u32,
    /// How long each stream is, in bytes
    #[arg(long, value_name = "BYTES", default_value = "16777216", value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    stream_bytes: u64,
    /// In appends of which size the streams are filled, in bytes
    #[arg(long, value_name = "BYTES", default_value = "65536", value_parser = clap::value_parser!(u32).range(1..=1 << 30))]
    size: u32,
}

const CONTENT_TYPE: &str = "application/octet-stream";

pub(super) fn run(args: &CatchUpArgs) -> Result<(), BenchError> {
    let options = &args.options;
    options.target.must_speak_the_protocol()?;
    let streams = prepare::streams(options, args.streams.into(), CONTENT_TYPE)?;
    let message = append::message(CONTENT_TYPE, args.size as usize);
    prepare::fill(&streams, args.stream_bytes, &message, CONTENT_TYPE)?;
    let starts = (0..args.connections as usize).map(|client| {
        let stream = client % streams.streams.len();
        let (node, _) = streams.share(client);
        threads::client(CatchUp {
            address: streams.addresses[node].clone(),
            path: streams.streams[stream].path.clone(),
            stream_bytes: args.stream_bytes,
        })
    });
    let measured = threads::run(options, args.rate.rate, starts.collect())?;
    let settings = vec![
        ("connections", json!(args.connections)),
        ("streams", json!(args.streams)),
        ("stream_bytes", json!(args.stream_bytes)),
        ("size", json!(args.size)),
        ("nodes", json!(streams.addresses.len())),
    ];
    let work = report::Work {
        name: "catch-up",
        operations: "streams",
        rate: args.rate.rate,
        settings,
    };
    report::print(options, &work, &measured)
}

/// One reader.
struct CatchUp {
    address: String,
    path: String,
    stream_bytes: u64,
}

/// Large, so that long answers take few reads.
const BUFFER_BYTES: usize = 256 * 1024;

impl Operation for CatchUp {
    type Link = Connection;

    fn address(&self) -> &str {
        &self.address
    }

    async fn connect(&self) -> Result<Connection, Failed> {
        connect(&self.address, BUFFER_BYTES).await
    }

    async fn perform(&mut self, connection: &mut Connection) -> Result<Done, Failed> {
        let mut offset = "-1".to_owned();
        let (mut bytes, mut requests) = (0, 0);
        loop {
            let request = target::get(&self.address, &self.path, &format!("offset={offset}"));
            let mut progress = target::Progress::default();
            let mut page_bytes = 0;
            let take = |piece: &[u8]| page_bytes += piece.len() as u64;
            let head = connection
                .exchange(&request, |name, value| progress.see(name, value), take)
                .await?;
            requests += 1;
            let done = head.expect(&[200], 0)?;
            bytes += page_bytes;
            if progress.up_to_date && bytes == self.stream_bytes {
                return Ok(Done {
                    bytes,
                    requests,
                    ..done
                });
            }
            match progress.next_offset {
                Some(next) if !progress.up_to_date && !done.closes && page_bytes > 0 => offset = next,
                _ => return Err(Failed::Wrong("not the whole stream")),
            }
        }
    }
}
