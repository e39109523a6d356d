//! `weir stream fork`.

use clap::Args;
use reqwest::Method;
use weir_protocol::{StreamName, headers};

use crate::client::create::{self, LifetimeArgs};
use crate::client::error::ClientError;
use crate::client::http::Client;

/// Create a stream that begins with another one's messages.
#[derive(Debug, Args)]
pub(crate) struct ForkArgs {
    /// The stream whose messages it begins with
    #[arg(value_parser = StreamName::new)]
    source: StreamName,
    /// The new stream
    #[arg(value_parser = StreamName::new)]
    name: StreamName,
    /// Where it leaves its source; at its tail when absent
    #[arg(long)]
    offset: Option<String>,
    /// How much further on: messages of a JSON stream, bytes of any other
    #[arg(long, requires = "offset", value_name = "COUNT")]
    sub_offset: Option<u64>,
    #[command(flatten)]
    lifetime: LifetimeArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(client: &Client, args: &ForkArgs) -> Result<(), ClientError> {
    let source = format!("{}/{}", weir_http::STREAM_ROOT, args.source.to_url_path());
    let request = client.stream(Method::PUT, &args.name);
    let mut request = args.lifetime.apply(request).header(headers::STREAM_FORKED_FROM, source);
    if let Some(offset) = &args.offset {
        request = request.header(headers::STREAM_FORK_OFFSET, offset);
    }
    if let Some(sub_offset) = args.sub_offset {
        request = request.header(headers::STREAM_FORK_SUB_OFFSET, sub_offset);
    }
    create::report(&args.name, &client.send(request).await?, args.json)
}
