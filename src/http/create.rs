//! PUT: create a stream or a fork (protocol sections 4.2 and 5.1).

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, StatusCode};
use weir_protocol::{
    Consistency, ContentType, Create, CreateError, CreateStreamResult, Created, ForkRequest, HeadError, Lifetime,
    Offset, Payload, ReadFrom, StreamName, headers,
};

use crate::app::{App, Shared};
use crate::body::Incoming;
use crate::budget::Reservation;
use crate::problem::{Code, Problem};
use crate::router::STREAM_ROOT;
use crate::{answer, framing, request};

pub(crate) async fn handle(State(app): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut body = Incoming::new(&parts.headers, body);
    match create(&app, &parts, &mut body).await {
        Ok(response) => response,
        Err(problem) => {
            body.linger();
            problem.into_response()
        }
    }
}

async fn create(app: &App, parts: &Parts, body: &mut Incoming) -> Result<Response, Problem> {
    let name = request::stream_name(&parts.uri)?;
    let wish = parse(&parts.headers)?;
    let received = body.receive(app.allowance()).await?;
    let create = frame(app, &name, wish, received).await?;
    let created = app.streams.create(&name, create).await?;
    Ok(respond(parts, &name, &created))
}

/// Everything but the body.
fn parse(headers: &HeaderMap) -> Result<Create, Problem> {
    request::refuse_content_encoding(headers)?;
    let content_type = request::header(headers, "content-type")?
        .filter(|text| !text.is_empty())
        .map(ContentType::parse)
        .transpose()
        .map_err(|error| Problem::of(Code::InvalidContentType, &error))?;
    let lifetime = Lifetime::parse(
        request::header(headers, headers::STREAM_TTL)?,
        request::header(headers, headers::STREAM_EXPIRES_AT)?,
    )
    .map_err(|error| Problem::of(Code::InvalidLifetime, &error))?;
    Ok(Create {
        content_type,
        lifetime,
        payload: Payload::empty(),
        closed: request::stream_closed(headers),
        fork: parse_fork(headers)?,
    })
}

fn parse_fork(headers: &HeaderMap) -> Result<Option<ForkRequest>, Problem> {
    let invalid = |detail: &'static str| Problem::new(Code::InvalidFork, detail);
    let offset = request::header(headers, headers::STREAM_FORK_OFFSET)?;
    let sub_offset = request::header(headers, headers::STREAM_FORK_SUB_OFFSET)?;
    let Some(source) = request::header(headers, headers::STREAM_FORKED_FROM)? else {
        return match (offset, sub_offset) {
            (None, None) => Ok(None),
            _ => Err(invalid(
                "Stream-Fork-Offset and Stream-Fork-Sub-Offset need Stream-Forked-From",
            )),
        };
    };
    let offset = offset.map(parse_fork_offset).transpose()?;
    let sub_offset = sub_offset.map_or(Ok(0), parse_sub_offset)?;
    if sub_offset > 0 && offset.is_none() {
        return Err(invalid("Stream-Fork-Sub-Offset above 0 needs Stream-Fork-Offset"));
    }
    Ok(Some(ForkRequest {
        source: parse_source(source)?,
        offset,
        sub_offset,
    }))
}

/// The source's URL path, or its path below the stream root.
fn parse_source(text: &str) -> Result<StreamName, Problem> {
    let below_root = text.strip_prefix(STREAM_ROOT).and_then(|rest| rest.strip_prefix('/'));
    StreamName::from_url_path(below_root.unwrap_or(text))
        .map_err(|error| Problem::new(Code::InvalidFork, format!("Stream-Forked-From: {error}")))
}

fn parse_fork_offset(text: &str) -> Result<Offset, Problem> {
    match ReadFrom::parse(text) {
        Ok(ReadFrom::At(offset)) => Ok(offset),
        Ok(ReadFrom::Start) => Ok(Offset::ZERO),
        // The tail is what a fork without an offset gets, and there it is pinned by the answer.
        Ok(ReadFrom::Now) => Err(Problem::new(
            Code::InvalidFork,
            "leave Stream-Fork-Offset away to fork at the source's tail",
        )),
        Err(error) => Err(Problem::new(Code::InvalidFork, format!("Stream-Fork-Offset: {error}"))),
    }
}

fn parse_sub_offset(text: &str) -> Result<u64, Problem> {
    let plain = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten().ok_or_else(|| {
        Problem::new(
            Code::InvalidFork,
            "Stream-Fork-Sub-Offset must be a non-negative integer without leading zeros",
        )
    })
}

/// Frames the body. A fork that names no type has its source's, so that has to be looked up first; the type is then
/// part of the request, and the create itself checks it again.
async fn frame(
    app: &App,
    name: &StreamName,
    mut create: Create,
    body: (Bytes, Reservation),
) -> Result<Create, Problem> {
    if body.0.is_empty() {
        return Ok(create);
    }
    let content_type = match (&create.content_type, &create.fork) {
        (Some(content_type), _) => content_type.clone(),
        (None, None) => ContentType::octet_stream(),
        (None, Some(fork)) => {
            let inherited = inherited_type(app, name, &fork.source).await?;
            create.content_type.insert(inherited).clone()
        }
    };
    match framing::frame(app, &content_type, body).await {
        Ok(payload) => create.payload = payload,
        Err(problem) => return Err(sooner(app, name, &content_type, problem).await),
    }
    Ok(create)
}

/// What is wrong sooner than a body that is none of its type: the name has another stream, or had one.
async fn sooner(app: &App, name: &StreamName, content_type: &ContentType, problem: Problem) -> Problem {
    match app.streams.head(name, Consistency::Linearizable).await {
        Ok(stream) if !stream.content_type.same_media_type(content_type) => {
            CreateError::ConfigMismatch("content type").into()
        }
        Err(HeadError::Gone) => CreateError::NameHeld.into(),
        Err(HeadError::Fault(fault)) => fault.into(),
        Ok(_) | Err(HeadError::NotFound) => problem,
    }
}

/// The type that a fork of `source` has. When the source is gone, `name` may still be a fork of it that this request
/// only confirms; then it has the type itself.
async fn inherited_type(app: &App, name: &StreamName, source: &StreamName) -> Result<ContentType, Problem> {
    let lost = match app.streams.head(source, Consistency::Linearizable).await {
        Ok(metadata) => return Ok(metadata.content_type),
        Err(HeadError::NotFound) => CreateError::SourceNotFound,
        Err(HeadError::Gone) => CreateError::SourceGone,
        Err(HeadError::Fault(fault)) => return Err(fault.into()),
    };
    match app.streams.head(name, Consistency::Linearizable).await {
        Ok(metadata) => Ok(metadata.content_type),
        Err(HeadError::NotFound | HeadError::Gone) => Err(lost.into()),
        Err(HeadError::Fault(fault)) => Err(fault.into()),
    }
}

fn respond(parts: &Parts, name: &StreamName, created: &Created) -> Response {
    let mut response = answer::empty(match created.status {
        CreateStreamResult::Created => StatusCode::CREATED,
        CreateStreamResult::AlreadyExists => StatusCode::OK,
    });
    let headers = response.headers_mut();
    answer::no_store(headers);
    answer::set_content_type(headers, &created.content_type);
    answer::set(headers, headers::STREAM_NEXT_OFFSET, &created.next_offset);
    answer::set_true(headers, headers::STREAM_CLOSED, created.closed);
    if created.status == CreateStreamResult::Created {
        answer::set(headers, "location", &location(parts, name));
    }
    response
}

/// The stream's absolute URL as the client sees it; its path alone when the request does not tell the host.
fn location(parts: &Parts, name: &StreamName) -> String {
    let path = format!("{STREAM_ROOT}/{}", name.to_url_path());
    let host = parts.headers.get(HOST).and_then(|value| value.to_str().ok());
    let authority = host
        .and_then(|text| text.parse::<Authority>().ok())
        .or_else(|| parts.uri.authority().cloned());
    let forwarded = parts
        .headers
        .get("x-forwarded-proto")
        .and_then(|value| value.to_str().ok());
    let scheme = match forwarded {
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => "https",
        _ => "http",
    };
    match authority {
        Some(authority) => format!("{scheme}://{authority}{path}"),
        None => path,
    }
}
