//! `weir stream list`.

use std::io::{self, Write as _};

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use crate::client::error::ClientError;
use crate::client::http::Client;

/// List streams by name.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only names that begin with this
    #[arg(default_value = "")]
    prefix: String,
    /// At most this many; all when absent
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// Print JSON, one object per line
    #[arg(long)]
    json: bool,
}

/// How many streams are asked for at once.
const PAGE: usize = 1000;

#[derive(Deserialize)]
struct Page {
    streams: Vec<Value>,
    more: bool,
}

pub(crate) async fn run(client: &Client, args: &ListArgs) -> Result<(), ClientError> {
    let mut left = args.limit.unwrap_or(usize::MAX);
    let mut after: Option<String> = None;
    while left > 0 {
        let limit = left.min(PAGE).to_string();
        let mut query = vec![("prefix", args.prefix.as_str()), ("limit", &limit)];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let answer = client.send(client.list(&query)).await?;
        let page: Page = serde_json::from_slice(&answer.body).map_err(|_| ClientError::NoStreamServer("list"))?;
        print(&page.streams, args.json)?;
        left = left.saturating_sub(page.streams.len());
        after = page.streams.last().map(|stream| text(stream, "name").to_owned());
        if !page.more || after.is_none() {
            break;
        }
    }
    Ok(())
}

fn print(streams: &[Value], json: bool) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for stream in streams {
        if json {
            writeln!(out, "{stream}")?;
        } else {
            let number = |key| stream.get(key).and_then(Value::as_u64).unwrap_or_default();
            let closed = stream.get("closed").and_then(Value::as_bool).unwrap_or_default();
            writeln!(
                out,
                "{:>14} B {:>10} messages  {:<6}  {:<24}  {}",
                number("total_bytes"),
                number("message_count"),
                if closed { "closed" } else { "open" },
                text(stream, "content_type"),
                text(stream, "name")
            )?;
        }
    }
    out.flush()
}

fn text<'a>(stream: &'a Value, key: &str) -> &'a str {
    stream.get(key).and_then(Value::as_str).unwrap_or_default()
}
