//! `weir stream close`.

use clap::Args;
use reqwest::Method;
use serde_json::json;
use weir_protocol::{StreamName, headers};

use crate::client::error::ClientError;
use crate::client::http::Client;
use crate::client::output;

/// Close a stream: nothing can be appended any more.
#[derive(Debug, Args)]
pub(crate) struct CloseArgs {
    /// The stream
    #[arg(value_parser = StreamName::new)]
    name: StreamName,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(client: &Client, args: &CloseArgs) -> Result<(), ClientError> {
    let request = client
        .stream(Method::POST, &args.name)
        .header(headers::STREAM_CLOSED, "true");
    let next_offset = client.send(request).await?.next_offset()?;
    let value = json!({ "stream": args.name.as_str(), "next_offset": next_offset, "closed": true });
    output::report(args.json, &value, &format!("{}: closed at {next_offset}", args.name))
}
