//! `weir stream create`.

use clap::Args;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;
use weir_protocol::{StreamName, headers};

use crate::client::error::ClientError;
use crate::client::http::{Answer, Client};
use crate::client::output;

/// Create a stream, or confirm that it exists as described.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The stream
    #[arg(value_parser = StreamName::new)]
    name: StreamName,
    /// Its content type; application/octet-stream when absent
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    #[command(flatten)]
    lifetime: LifetimeArgs,
    /// Its first content
    #[arg(long, value_name = "TEXT")]
    data: Option<String>,
    /// Create it closed
    #[arg(long)]
    closed: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How long a new stream lives.
#[derive(Debug, Args)]
pub(crate) struct LifetimeArgs {
    /// Delete it after this long without a read or a write, in whole seconds: 3600 or 1h
    #[arg(long, value_name = "DURATION", value_parser = whole_seconds, conflicts_with = "expires_at")]
    ttl: Option<u64>,
    /// Delete it at this time, such as 2030-01-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
}

impl LifetimeArgs {
    /// The request with these wishes in it.
    pub(crate) fn apply(&self, mut request: RequestBuilder) -> RequestBuilder {
        if let Some(seconds) = self.ttl {
            request = request.header(headers::STREAM_TTL, seconds);
        }
        if let Some(time) = &self.expires_at {
            request = request.header(headers::STREAM_EXPIRES_AT, time);
        }
        request
    }
}

fn whole_seconds(text: &str) -> Result<u64, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration.subsec_nanos() == 0 {
        Ok(duration.as_secs())
    } else {
        Err("the smallest unit is a second".to_owned())
    }
}

pub(crate) async fn run(client: &Client, args: &CreateArgs) -> Result<(), ClientError> {
    let mut request = args.lifetime.apply(client.stream(Method::PUT, &args.name));
    if let Some(content_type) = &args.content_type {
        request = request.header(CONTENT_TYPE, content_type);
    }
    if args.closed {
        request = request.header(headers::STREAM_CLOSED, "true");
    }
    if let Some(data) = &args.data {
        request = request.body(data.clone());
    }
    report(&args.name, &client.send(request).await?, args.json)
}

/// Prints what a PUT did.
pub(crate) fn report(name: &StreamName, answer: &Answer, json: bool) -> Result<(), ClientError> {
    let created = answer.status == StatusCode::CREATED;
    let next_offset = answer.next_offset()?;
    let content_type = answer.content_type().unwrap_or_default();
    let value = json!({
        "stream": name.as_str(), "created": created, "content_type": content_type, "next_offset": next_offset,
        "closed": answer.closed(),
    });
    let verb = if created { "created" } else { "exists" };
    output::report(
        json,
        &value,
        &format!("{name}: {verb}, {content_type}, next offset {next_offset}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_a_number_or_a_duration_of_whole_seconds() {
        assert_eq!(whole_seconds("3600"), Ok(3600));
        assert_eq!(whole_seconds("1h 5s"), Ok(3605));
        assert!(whole_seconds("1500ms").is_err());
        assert!(whole_seconds("-1").is_err());
        assert!(whole_seconds("soon").is_err());
    }
}
