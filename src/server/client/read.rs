//! `weir stream read`.

use clap::Args;
use weir_protocol::StreamName;

use crate::client::error::ClientError;
use crate::client::http::Client;
use crate::client::output;
use crate::client::pages::Pages;

/// Print what a stream holds now.
///
/// JSON messages are printed one per line.
#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// The stream
    #[arg(value_parser = StreamName::new)]
    name: StreamName,
    /// Where to begin: an offset, or -1 for the beginning
    #[arg(long, default_value = "-1", allow_hyphen_values = true)]
    offset: String,
    /// Say on stderr afterwards where to read on
    #[arg(long)]
    show_offset: bool,
}

pub(crate) async fn run(client: &Client, args: &ReadArgs) -> Result<(), ClientError> {
    let mut pages = Pages::new(client, &args.name, &args.offset);
    while let Some(page) = pages.next().await? {
        output::page(page.is_json, &page.body)?;
    }
    if args.show_offset {
        let closed = if pages.closed { " (closed)" } else { "" };
        output::say(format!("next offset: {}{closed}", pages.offset));
    }
    Ok(())
}
