//! What every request passes on its way in and every answer on its way out.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CONTENT_LENGTH, HOST, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Method, StatusCode, Version};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::app::App;
use crate::body::Incoming;
use crate::limits::MAX_TARGET_BYTES;
use crate::meters::Operation;
use crate::problem::{Code, Problem};
use crate::serve::Excess;
use crate::{answer, chunks};

/// The methods of a stream.
pub(crate) const STREAM_METHODS: &str = "GET, HEAD, PUT, POST, DELETE, OPTIONS";

/// What a page of another origin may send: every request header of the protocol, and `If-None-Match`, without which
/// a browser's cache cannot revalidate.
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static(
    "accept, authorization, cache-control, content-type, if-none-match, last-event-id, stream-ttl, stream-expires-at, \
     stream-seq, stream-closed, stream-forked-from, stream-fork-offset, stream-fork-sub-offset, producer-id, \
     producer-epoch, producer-seq, weir-consistency",
);

/// What a page of another origin may see: every response header of the protocol, and those that a client acts on.
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static(
    "etag, location, retry-after, stream-next-offset, stream-cursor, stream-up-to-date, stream-closed, stream-ttl, \
     stream-expires-at, stream-sse-data-encoding, producer-epoch, producer-seq, producer-expected-seq, \
     producer-received-seq",
);

/// How long a browser may remember a preflight's answer: a day, in seconds.
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("86400");

/// Answers a request by `inner`, unless no operation would take it.
pub(crate) async fn pass<F: Future<Output = Response>>(
    app: &App,
    request: Request,
    inner: impl FnOnce(Request) -> F,
) -> Response {
    let started = Instant::now();
    let operation = Operation::of(&request);
    let is_head = request.method() == Method::HEAD;
    let span = tracing::debug_span!("request", method = %request.method(), operation = operation.label());
    let mut response = match refuse(&request) {
        Some(problem) => {
            let (parts, body) = request.into_parts();
            Incoming::new(&parts.headers, body).linger();
            problem.into_response()
        }
        None if request.method() == Method::OPTIONS => preflight(),
        None => inner(request).instrument(span.clone()).await,
    };
    if is_head || matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        *response.body_mut() = chunks::none();
        // The router says what the body has that is not sent.
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    guard(app, &mut response);
    let (status, elapsed) = (response.status(), started.elapsed());
    span.in_scope(|| tracing::debug!(status = status.as_u16(), ?elapsed, "answered"));
    app.meters.answered(operation, status, elapsed);
    response
}

/// What no operation would take.
fn refuse(request: &Request) -> Option<Problem> {
    if request.extensions().get::<Excess>().is_some() {
        let problem = Problem::new(Code::Unavailable, "this node has as many connections as it may have");
        return Some(problem.ending(request.version()).retry_later());
    }
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > MAX_TARGET_BYTES {
        let detail = format!("path and query may have {MAX_TARGET_BYTES} bytes together");
        return Some(Problem::new(Code::TargetTooLong, detail));
    }
    // RFC 9112 section 3.2. HTTP/2 has the host in the target, HTTP/1.0 may have none.
    let hosts = request.headers().get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Some(Problem::new(Code::InvalidHost, "send one Host header"));
    }
    None
}

/// The answer to a browser that asks whether a page of another origin may send its request.
fn preflight() -> Response {
    let mut response = answer::empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    let methods = HeaderValue::from_static(STREAM_METHODS);
    headers.insert(ALLOW, methods.clone());
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
    response
}

/// CORS, and what keeps browsers from taking a stream's bytes for something else.
fn guard(app: &App, response: &mut Response) {
    let headers = response.headers_mut();
    if let Some(origin) = &app.cors_allow_origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("cross-origin"),
    );
}
