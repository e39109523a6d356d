//! One operation of a history as a request, and its answer as the history has it.

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::Full;
use weir_protocol::{Offset, headers};

use super::http::{Http, Whole};
use super::payload::{Format, LINE_BYTES, decode, encode};
use crate::history::{Answer, Consistency, Failure, From, MessageId, Op, Producer};

/// Pages of one read, so that no reader goes on for ever.
const MAX_PAGES: u32 = 10_000;

/// Performs `op`; a live read is `live::perform`'s.
///
/// # Errors
/// The refusal or the unknown outcome, which [`Failure::is_definite`] tells apart.
pub(crate) async fn perform(http: &mut Http, op: &Op) -> Result<Answer, Failure> {
    let format = Format::of(op.stream());
    match op {
        Op::Create {
            messages,
            ttl_ms,
            close,
            ..
        } => {
            let mut request = put(op.stream());
            request = request.header("content-type", format.content_type());
            request = lifetime(request, *ttl_ms);
            write(http, closing(request, *close), format, messages).await
        }
        Op::Append {
            messages,
            producer,
            close,
            ..
        } => {
            let mut request = post(op.stream()).header("content-type", format.content_type());
            request = produced_by(closing(request, *close), producer.as_ref());
            write(http, request, format, messages).await
        }
        Op::Close { producer, .. } => {
            let request = produced_by(closing(post(op.stream()), true), producer.as_ref());
            write(http, request, format, &[]).await
        }
        Op::Delete { .. } => answer(http, request(Method::DELETE, op.stream(), ""), Bytes::new())
            .await
            .map(|whole| written(&whole)),
        Op::Head { .. } => {
            let whole = answer(http, request(Method::HEAD, op.stream(), ""), Bytes::new()).await?;
            Ok(written(&whole))
        }
        Op::Fork {
            source,
            at,
            sub,
            ttl_ms,
            ..
        } => {
            let mut request = put(op.stream()).header(headers::STREAM_FORKED_FROM, path(source));
            if let Some(at) = at {
                request = request.header(headers::STREAM_FORK_OFFSET, offset(*at));
            }
            if let Some(sub) = sub {
                // Messages of a JSON stream, bytes of any other.
                let unit = match format {
                    Format::Json => 1,
                    Format::Lines => LINE_BYTES as u64,
                };
                request = request.header(headers::STREAM_FORK_SUB_OFFSET, (sub * unit).to_string());
            }
            let whole = answer(http, lifetime(request, *ttl_ms), Bytes::new()).await?;
            Ok(written(&whole))
        }
        Op::Read {
            from,
            consistency,
            max,
            if_none_match,
            ..
        } => {
            let pages = Pages {
                from: *from,
                consistency: *consistency,
                max: max.unwrap_or(1),
                if_none_match: if_none_match.as_deref(),
            };
            read(http, op.stream(), &pages).await
        }
        Op::FinalRead { .. } => {
            let pages = Pages {
                from: From::Start,
                consistency: Consistency::Eventual,
                max: MAX_PAGES,
                if_none_match: None,
            };
            read(http, op.stream(), &pages).await
        }
        Op::Live { .. } => Err(Failure::transport("not-a-single-request")),
    }
}

type Builder = http::request::Builder;

/// The path of a stream whose name needs no encoding.
fn path(stream: &str) -> String {
    format!("/v1/stream/{stream}")
}

/// A request for a stream, with what follows its path.
pub(super) fn request(method: Method, stream: &str, query: &str) -> Builder {
    Request::builder()
        .method(method)
        .uri(format!("{}{query}", path(stream)))
        .header("host", "weir")
}

fn put(stream: &str) -> Builder {
    request(Method::PUT, stream, "")
}

fn post(stream: &str) -> Builder {
    request(Method::POST, stream, "")
}

fn closing(request: Builder, close: bool) -> Builder {
    match close {
        true => request.header(headers::STREAM_CLOSED, "true"),
        false => request,
    }
}

fn lifetime(request: Builder, ttl_ms: Option<u64>) -> Builder {
    match ttl_ms {
        Some(ms) => request.header(headers::STREAM_TTL, (ms / 1000).to_string()),
        None => request,
    }
}

fn produced_by(request: Builder, producer: Option<&Producer>) -> Builder {
    match producer {
        Some(Producer { id, epoch, seq }) => request
            .header(headers::PRODUCER_ID, id)
            .header(headers::PRODUCER_EPOCH, epoch.to_string())
            .header(headers::PRODUCER_SEQ, seq.to_string()),
        None => request,
    }
}

/// The text of an offset.
pub(super) fn offset(position: u64) -> String {
    Offset::new(position).unwrap_or(Offset::MAX).to_string()
}

/// `offset=` for where a read begins.
pub(super) fn offset_of(from: From) -> String {
    match from {
        From::Start => "-1".to_owned(),
        From::Now => "now".to_owned(),
        From::At(position) => offset(position),
    }
}

async fn write(http: &mut Http, request: Builder, format: Format, messages: &[MessageId]) -> Result<Answer, Failure> {
    let body = match messages {
        [] => Vec::new(),
        messages => encode(format, messages),
    };
    let has_body = !body.is_empty();
    let mut answer = written(&answer(http, request, body.into()).await?);
    // Only where there was data does the status tell what became of it.
    answer.duplicate &= has_body;
    Ok(answer)
}

/// Sends it. Anything but a success is a failure.
async fn answer(http: &mut Http, request: Builder, body: Bytes) -> Result<Whole, Failure> {
    let request = request.body(Full::new(body));
    let request = request.map_err(|_| Failure::transport("not-a-request"))?;
    let whole = http.send(request).await?;
    let status = whole.head.status;
    if status.is_success() || status.as_u16() == 304 {
        return Ok(whole);
    }
    Err(refusal(status.as_u16(), &whole.head.headers, &whole.body))
}

/// What a refusal says.
pub(super) fn refusal(status: u16, from: &HeaderMap, body: &[u8]) -> Failure {
    let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let kind = problem.as_ref().and_then(|problem| problem.get("type")?.as_str());
    let code = kind.map_or("none", |kind| kind.trim_start_matches("urn:weir:problem:"));
    Failure {
        next: position(from).ok().flatten(),
        closed: is_true(from, headers::STREAM_CLOSED),
        epoch: number(from, headers::PRODUCER_EPOCH),
        expected: number(from, headers::PRODUCER_EXPECTED_SEQ),
        ..Failure::refusal(status, code)
    }
}

/// What the headers of a success say.
fn written(whole: &Whole) -> Answer {
    let from = &whole.head.headers;
    let next = position(from);
    Answer {
        status: whole.head.status.as_u16(),
        garbage: u64::from(next.is_err()),
        next: next.unwrap_or_default(),
        up_to_date: is_true(from, headers::STREAM_UP_TO_DATE),
        closed: is_true(from, headers::STREAM_CLOSED),
        duplicate: whole.head.status.as_u16() == 204 && from.contains_key(headers::PRODUCER_SEQ),
        etag: text(from, "etag").map(str::to_owned),
        epoch: number(from, headers::PRODUCER_EPOCH),
        seq: number(from, headers::PRODUCER_SEQ),
        ..Answer::default()
    }
}

pub(super) fn text<'a>(from: &'a HeaderMap, name: &str) -> Option<&'a str> {
    from.get(name)?.to_str().ok()
}

fn number(from: &HeaderMap, name: &str) -> Option<u64> {
    text(from, name)?.parse().ok()
}

pub(super) fn is_true(from: &HeaderMap, name: &str) -> bool {
    text(from, name) == Some("true")
}

/// `Stream-Next-Offset`, if there is one; an error if it is none that Weir makes.
pub(super) fn position(from: &HeaderMap) -> Result<Option<u64>, ()> {
    let Some(text) = text(from, headers::STREAM_NEXT_OFFSET) else {
        return Ok(None);
    };
    Offset::parse(text)
        .map(|offset| Some(offset.position()))
        .map_err(|_| ())
}

/// How a read goes through a stream.
struct Pages<'a> {
    from: From,
    consistency: Consistency,
    max: u32,
    if_none_match: Option<&'a str>,
}

/// Page after page, until the tail or the last page that is wanted. All count as one read, as it is at its tail that it
/// sees the stream: the tag is the first page's, the rest the last one's.
async fn read(http: &mut Http, stream: &str, pages: &Pages<'_>) -> Result<Answer, Failure> {
    let mut whole: Option<Answer> = None;
    let mut from = pages.from;
    for page in 0..pages.max {
        let tag = pages.if_none_match.filter(|_| page == 0);
        let answer = read_page(http, stream, from, pages.consistency, tag).await?;
        let (is_last, next) = (answer.up_to_date || answer.status == 304, answer.next);
        whole = Some(match whole.take() {
            None => answer,
            Some(before) => joined(before, answer),
        });
        match next {
            Some(next) if !is_last => from = From::At(next),
            _ => break,
        }
    }
    whole.ok_or_else(|| Failure::transport("no-page-wanted"))
}

async fn read_page(
    http: &mut Http,
    stream: &str,
    from: From,
    consistency: Consistency,
    if_none_match: Option<&str>,
) -> Result<Answer, Failure> {
    let eventual = match consistency {
        Consistency::Strong => "",
        Consistency::Eventual => "&consistency=eventual",
    };
    let query = format!("?offset={}{eventual}", offset_of(from));
    let mut builder = request(Method::GET, stream, &query);
    if let Some(tag) = if_none_match {
        builder = builder.header("if-none-match", tag);
    }
    let whole = answer(http, builder, Bytes::new()).await?;
    let mut answer = written(&whole);
    answer.duplicate = false;
    let (messages, garbage) = match answer.status {
        304 => (Vec::new(), 0),
        _ => decode(Format::of(stream), &whole.body),
    };
    answer.messages = messages;
    answer.garbage += garbage;
    answer.start = match from {
        From::Start => Some(0),
        From::At(position) => Some(position),
        From::Now => answer.next,
    };
    Ok(answer)
}

fn joined(mut before: Answer, page: Answer) -> Answer {
    if let Some(offset) = before.next {
        before.marks.push((before.messages.len() as u64, offset));
    }
    before.messages.extend(page.messages);
    Answer {
        status: page.status,
        start: before.start,
        next: page.next,
        messages: before.messages,
        marks: before.marks,
        up_to_date: page.up_to_date,
        closed: page.closed,
        etag: before.etag,
        garbage: before.garbage + page.garbage,
        ..Answer::default()
    }
}
