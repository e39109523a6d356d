//! `weir stream delete`.

use clap::Args;
use reqwest::Method;
use serde_json::json;
use weir_protocol::StreamName;

use crate::client::error::ClientError;
use crate::client::http::Client;
use crate::client::output;

/// Delete a stream.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The stream
    #[arg(value_parser = StreamName::new)]
    name: StreamName,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(client: &Client, args: &DeleteArgs) -> Result<(), ClientError> {
    client.send(client.stream(Method::DELETE, &args.name)).await?;
    let value = json!({ "stream": args.name.as_str(), "deleted": true });
    output::report(args.json, &value, &format!("{}: deleted", args.name))
}
