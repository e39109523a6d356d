//! `weir stream append`.

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, IsTerminal as _, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use weir_protocol::{StreamName, headers};

use crate::client::error::ClientError;
use crate::client::http::Client;
use crate::client::split::{Piece, Pieces, Split, SplitError};
use crate::client::{output, retry};

/// Append an argument, a file or standard input.
///
/// Input for a JSON stream is a sequence of JSON values, such as JSON Lines. Long input is sent in several appends.
/// Each is sent under a producer id, so that trying again never appends twice.
#[derive(Debug, Args)]
pub(crate) struct AppendArgs {
    /// The stream
    #[arg(value_parser = StreamName::new)]
    name: StreamName,
    /// What to append; without it and without --file, standard input
    #[arg(conflicts_with = "file")]
    data: Option<String>,
    /// Append this file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The input's content type; the stream's own when absent
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Close the stream with it
    #[arg(long)]
    close: bool,
    /// About how much one append may have, in bytes
    #[arg(long, value_name = "BYTES", default_value = "1048576", value_parser = clap::value_parser!(u32).range(1..))]
    append_bytes: u32,
    /// How long one append is tried again for when no answer comes
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    retry_for: Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(client: &Client, args: &AppendArgs) -> Result<(), ClientError> {
    // Tells the type, and a server or a stream that is not there before any input is read.
    let head = client.send(client.stream(Method::HEAD, &args.name)).await?;
    let content_type = match &args.content_type {
        Some(content_type) => content_type.clone(),
        None => head.content_type().ok_or(ClientError::NoStreamServer("Content-Type"))?,
    };
    let (input, path, length) = open(args)?;
    let split = Split::of(&content_type);
    let mut upload = Upload {
        client,
        args,
        content_type,
        producer_id: producer_id(),
        appends: 0,
        appended_bytes: 0,
        next_offset: head.next_offset()?,
        closed: false,
    };
    let bar = progress_bar(args, length);
    let mut pieces = Pieces::new(input, split, args.append_bytes as usize, length.is_some());
    loop {
        let piece = pieces
            .next()
            .map_err(|cause| upload.partly(cannot_read(&path, cause)))?;
        let Some(piece) = piece else { break };
        let read_bytes = piece.read_bytes;
        let sent = upload.send(piece).await;
        sent.map_err(|cause| upload.partly(cause))?;
        upload.appended_bytes = read_bytes;
        bar.set_position(read_bytes);
    }
    bar.finish_and_clear();
    if args.close && !upload.closed {
        upload.close().await.map_err(|cause| upload.partly(cause))?;
    } else if upload.appends == 0 {
        return Err(ClientError::BadInput("there is nothing to append".to_owned()));
    }
    upload.report()
}

/// The input, its name in messages, and its length where that is known before.
type Input = (Box<dyn Read>, PathBuf, Option<u64>);

fn open(args: &AppendArgs) -> Result<Input, ClientError> {
    match (&args.data, &args.file) {
        (Some(data), _) => {
            let length = data.len() as u64;
            Ok((
                Box::new(io::Cursor::new(data.clone())),
                PathBuf::from("the argument"),
                Some(length),
            ))
        }
        (None, Some(path)) => {
            let failed = |cause| ClientError::Input {
                path: path.clone(),
                cause,
            };
            let file = File::open(path).map_err(failed)?;
            let metadata = file.metadata().map_err(failed)?;
            let length = metadata.is_file().then_some(metadata.len());
            Ok((Box::new(file), path.clone(), length))
        }
        (None, None) => Ok((Box::new(io::stdin()), PathBuf::from("standard input"), None)),
    }
}

fn cannot_read(path: &Path, error: SplitError) -> ClientError {
    match error {
        SplitError::Read(cause) => ClientError::Input {
            path: path.to_owned(),
            cause,
        },
        SplitError::Json(_) => ClientError::BadInput(format!("{}: {error}", path.display())),
    }
}

/// One input on its way.
struct Upload<'a> {
    client: &'a Client,
    args: &'a AppendArgs,
    content_type: String,
    producer_id: String,
    /// How many appends have been answered, which is the next one's sequence number.
    appends: u64,
    appended_bytes: u64,
    next_offset: String,
    closed: bool,
}

impl Upload<'_> {
    async fn send(&mut self, piece: Piece) -> Result<(), ClientError> {
        let body = bytes::Bytes::from(piece.body);
        let content_type = self.content_type.clone();
        self.append(piece.last && self.args.close, |request| {
            request.header(CONTENT_TYPE, &content_type).body(body.clone())
        })
        .await
    }

    async fn close(&mut self) -> Result<(), ClientError> {
        self.append(true, |request| request).await
    }

    async fn append(
        &mut self,
        close: bool,
        with_body: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<(), ClientError> {
        let request = || {
            let request = self
                .client
                .stream(Method::POST, &self.args.name)
                .header(headers::PRODUCER_ID, &self.producer_id)
                .header(headers::PRODUCER_EPOCH, 0)
                .header(headers::PRODUCER_SEQ, self.appends);
            with_body(if close {
                request.header(headers::STREAM_CLOSED, "true")
            } else {
                request
            })
        };
        let answer = retry::send(self.client, self.args.retry_for, request).await?;
        self.next_offset = answer.next_offset()?;
        self.closed = answer.closed();
        self.appends += 1;
        Ok(())
    }

    fn partly(&self, cause: ClientError) -> ClientError {
        match self.appended_bytes {
            0 => cause,
            appended_bytes => ClientError::Partly {
                appended_bytes,
                cause: Box::new(cause),
            },
        }
    }

    fn report(&self) -> Result<(), ClientError> {
        let Self {
            appends,
            appended_bytes,
            next_offset,
            closed,
            ..
        } = self;
        let name = self.args.name.as_str();
        let value = json!({
            "stream": name, "input_bytes": appended_bytes, "appends": appends, "next_offset": next_offset,
            "closed": closed,
        });
        let closing = if *closed { ", closed" } else { "" };
        let text = format!("{name}: {appended_bytes} bytes appended, next offset {next_offset}{closing}");
        output::report(self.args.json, &value, &text)
    }
}

/// Another one for every run: sequence numbers begin at 0.
fn producer_id() -> String {
    let random = || RandomState::new().hash_one(std::process::id());
    format!("weir-cli-{:016x}{:016x}", random(), random())
}

/// A progress bar; hidden unless somebody looks and there is something to wait for.
fn progress_bar(args: &AppendArgs, length: Option<u64>) -> ProgressBar {
    let bar = match length {
        Some(length) if length > u64::from(args.append_bytes) && io::stderr().is_terminal() => ProgressBar::new(length),
        _ => ProgressBar::hidden(),
    };
    match ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
