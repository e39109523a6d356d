//! Live reads: one poll, or one SSE connection, cut at a byte that the caller chooses.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt as _, Full};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use weir_protocol::{Offset, headers};

use super::http::Http;
use super::payload::{Format, decode};
use super::perform::{is_true, offset_of, position, refusal, request, text};
use super::sse::{Event, Parser};
use crate::history::{Answer, Ended, Failure, From, LiveMode};

/// Where the client ends an SSE answer by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    /// After this many bytes of it.
    pub(crate) bytes: usize,
    /// After this time.
    pub(crate) after: Duration,
}

/// One poll or one connection. Whatever came is an answer, also when the connection broke then.
///
/// # Errors
/// The refusal, or how nothing at all came.
pub(crate) async fn perform(
    http: &mut Http,
    stream: &str,
    from: From,
    mode: LiveMode,
    cut: Cut,
) -> Result<Answer, Failure> {
    let mode_name = match mode {
        LiveMode::LongPoll => "long-poll",
        LiveMode::Sse => "sse",
    };
    let query = format!("?offset={}&live={mode_name}", offset_of(from));
    let request = request(Method::GET, stream, &query).body(Full::new(Bytes::new()));
    let request = request.map_err(|_| Failure::transport("not-a-request"))?;
    match mode {
        LiveMode::LongPoll => poll(http, stream, from, request).await,
        LiveMode::Sse => listen(http, stream, from, request, cut).await,
    }
}

async fn poll(
    http: &mut Http,
    stream: &str,
    from: From,
    request: http::Request<Full<Bytes>>,
) -> Result<Answer, Failure> {
    let whole = http.send(request).await?;
    let (status, from_server) = (whole.head.status, &whole.head.headers);
    if !status.is_success() {
        return Err(refusal(status.as_u16(), from_server, &whole.body));
    }
    let next = position(from_server);
    let (messages, garbage) = decode(Format::of(stream), &whole.body);
    let next_offset = next.unwrap_or_default();
    Ok(Answer {
        status: status.as_u16(),
        start: start(from).or(next_offset.filter(|_| messages.is_empty())),
        next: next_offset,
        messages,
        up_to_date: is_true(from_server, headers::STREAM_UP_TO_DATE),
        closed: is_true(from_server, headers::STREAM_CLOSED),
        etag: text(from_server, "etag").map(str::to_owned),
        ended: Some(Ended::Server),
        garbage: garbage + u64::from(next.is_err()),
        ..Answer::default()
    })
}

const fn start(from: From) -> Option<u64> {
    match from {
        From::Start => Some(0),
        From::At(position) => Some(position),
        From::Now => None,
    }
}

/// A control event.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Control {
    stream_next_offset: String,
    #[serde(default)]
    up_to_date: bool,
    #[serde(default)]
    stream_closed: bool,
}

async fn listen(
    http: &mut Http,
    stream: &str,
    from: From,
    request: http::Request<Full<Bytes>>,
    cut: Cut,
) -> Result<Answer, Failure> {
    let ends_at = Instant::now() + cut.after;
    let response = http.open(request).await?;
    let status = response.status();
    let (head, mut body) = response.into_parts();
    if !status.is_success() {
        let bytes = timeout_at(Instant::now() + http.timeout(), body.collect()).await;
        let bytes = bytes.ok().and_then(Result::ok).map(http_body_util::Collected::to_bytes);
        return Err(refusal(status.as_u16(), &head.headers, &bytes.unwrap_or_default()));
    }
    let mut received = Received {
        format: Format::of(stream),
        is_base64: text(&head.headers, headers::STREAM_SSE_DATA_ENCODING) == Some("base64"),
        answer: Answer {
            status: status.as_u16(),
            start: start(from),
            ..Answer::default()
        },
    };
    let mut parser = Parser::default();
    let mut left = cut.bytes;
    let ended = loop {
        match timeout_at(ends_at, body.frame()).await {
            Err(_) => break Ended::Client,
            Ok(None) => break Ended::Server,
            Ok(Some(Err(_))) => break Ended::Broken,
            Ok(Some(Ok(frame))) => {
                let data = frame.into_data().unwrap_or_default();
                let taken = data.len().min(left);
                left -= taken;
                for event in parser.push(&data[..taken]) {
                    received.take(&event);
                }
                if left == 0 {
                    break Ended::Client;
                }
            }
        }
    };
    let mut answer = received.answer;
    answer.ended = Some(ended);
    answer.start = answer.start.or(answer.next.filter(|_| answer.messages.is_empty()));
    Ok(answer)
}

/// What has come so far.
struct Received {
    format: Format,
    is_base64: bool,
    answer: Answer,
}

impl Received {
    fn take(&mut self, event: &Event) {
        match event.name.as_str() {
            "data" => self.data(&event.data),
            "control" => self.control(&event.data),
            _ => self.answer.garbage += 1,
        }
    }

    fn data(&mut self, data: &str) {
        let bytes = match self.is_base64 {
            true => STANDARD.decode(data).unwrap_or_else(|_| vec![0]),
            false => data.as_bytes().to_vec(),
        };
        let (messages, garbage) = decode(self.format, &bytes);
        // An event may only follow the control event of the one before; two in a row keep both unconfirmed.
        self.answer.unconfirmed.extend(messages);
        self.answer.garbage += garbage;
    }

    fn control(&mut self, data: &str) {
        let answer = &mut self.answer;
        let control = serde_json::from_str::<Control>(data).ok();
        let offset = control
            .as_ref()
            .and_then(|control| Offset::parse(&control.stream_next_offset).ok());
        let (Some(control), Some(offset)) = (control, offset) else {
            answer.garbage += 1;
            return;
        };
        if let Some(before) = answer.next {
            answer.marks.push((answer.messages.len() as u64, before));
        }
        // A reader from `now` learns where it is from the first control event.
        if answer.start.is_none() && answer.unconfirmed.is_empty() {
            answer.start = Some(offset.position());
        }
        answer.messages.append(&mut answer.unconfirmed);
        answer.next = Some(offset.position());
        answer.up_to_date = control.up_to_date;
        answer.closed |= control.stream_closed;
    }
}
