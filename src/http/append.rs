//! POST: append, close, or both in one step (protocol sections 5.2 and 5.3).

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use weir_protocol::{
    Append, AppendError, Appended, Consistency, ContentType, Payload, ProducerHeaders, StreamName, StreamSeq, headers,
};

use crate::app::{App, Shared};
use crate::body::Incoming;
use crate::budget::Reservation;
use crate::problem::{Code, Problem};
use crate::{answer, framing, request};

pub(crate) async fn handle(State(app): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut body = Incoming::new(&parts.headers, body);
    match append(&app, &parts, &mut body).await {
        Ok(response) => response,
        Err(problem) => {
            body.linger();
            problem.into_response()
        }
    }
}

async fn append(app: &App, parts: &Parts, body: &mut Incoming) -> Result<Response, Problem> {
    let name = request::stream_name(&parts.uri)?;
    let mut append = parse(&parts.headers)?;
    let received = body.receive(app.allowance()).await?;
    if received.0.is_empty() {
        if !append.close {
            return Err(Problem::new(
                Code::EmptyBody,
                "only a request with Stream-Closed: true may have no body",
            ));
        }
    } else {
        let framed = frame(app, &parts.headers, received).await;
        let (content_type, payload) = match framed {
            Ok(framed) => framed,
            Err(problem) => return Err(sooner(app, &name, &parts.headers, problem).await),
        };
        append.content_type = Some(content_type);
        append.payload = payload;
    }
    let closes_only = append.payload.is_empty();
    let appended = app.streams.append(&name, append).await?;
    Ok(respond(&appended, closes_only))
}

/// Everything but the body and its type.
fn parse(headers: &HeaderMap) -> Result<Append, Problem> {
    request::refuse_content_encoding(headers)?;
    let producer = ProducerHeaders::parse(
        request::header(headers, headers::PRODUCER_ID)?,
        request::header(headers, headers::PRODUCER_EPOCH)?,
        request::header(headers, headers::PRODUCER_SEQ)?,
    )
    .map_err(|error| Problem::of(Code::InvalidProducer, &error))?;
    let stream_seq = request::header(headers, headers::STREAM_SEQ)?
        .map(StreamSeq::new)
        .transpose()
        .map_err(|error| Problem::of(Code::InvalidStreamSeq, &error))?;
    Ok(Append {
        content_type: None,
        payload: Payload::empty(),
        close: request::stream_closed(headers),
        stream_seq,
        producer,
    })
}

/// The type is looked at only when there is a body: a close without one succeeds whatever type a client library
/// attaches to it. Whether it is the stream's type is decided with the append, after whether the stream is closed.
async fn frame(app: &App, headers: &HeaderMap, body: (Bytes, Reservation)) -> Result<(ContentType, Payload), Problem> {
    let content_type = request::header(headers, "content-type")?
        .filter(|text| !text.is_empty())
        .ok_or_else(|| Problem::new(Code::MissingContentType, "name the stream's content type"))?;
    let content_type =
        ContentType::parse(content_type).map_err(|error| Problem::of(Code::InvalidContentType, &error))?;
    let payload = framing::frame(app, &content_type, body).await?;
    if payload.is_empty() {
        return Err(Problem::new(
            Code::EmptyJsonArray,
            "the array's elements are the messages, and it has none",
        ));
    }
    Ok((content_type, payload))
}

/// The body is framed before the stream is looked at, as that takes a write. Where framing failed, what would have been
/// wrong sooner is answered all the same (protocol section 5.2): there is no such stream, it is closed, or it has another
/// type.
async fn sooner(app: &App, name: &StreamName, headers: &HeaderMap, problem: Problem) -> Problem {
    let stream = match app.streams.head(name, Consistency::Linearizable).await {
        Ok(stream) => stream,
        Err(error) => return error.into(),
    };
    if stream.closed {
        let next_offset = stream.next_offset;
        return AppendError::Closed { next_offset }.into();
    }
    let given = request::header(headers, "content-type").ok().flatten();
    match given.and_then(|text| ContentType::parse(text).ok()) {
        Some(given) if !given.same_media_type(&stream.content_type) => {
            AppendError::ContentTypeMismatch(stream.content_type).into()
        }
        _ => problem,
    }
}

/// 204; 200 only where a producer learns that its data is new (protocol section 5.2.1).
fn respond(appended: &Appended, closes_only: bool) -> Response {
    let fresh = appended.producer.is_some_and(|producer| !producer.duplicate);
    let mut response = answer::empty(if fresh && !closes_only {
        StatusCode::OK
    } else {
        StatusCode::NO_CONTENT
    });
    let headers = response.headers_mut();
    answer::no_store(headers);
    answer::set(headers, headers::STREAM_NEXT_OFFSET, &appended.next_offset);
    answer::set_true(headers, headers::STREAM_CLOSED, appended.closed);
    if let Some(producer) = &appended.producer {
        answer::set(headers, headers::PRODUCER_EPOCH, &producer.epoch);
        answer::set(headers, headers::PRODUCER_SEQ, &producer.highest_seq);
    }
    response
}
