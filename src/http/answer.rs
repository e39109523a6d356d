//! A read's result as a response (protocol sections 5.6 and 10.1).

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use weir_protocol::{ContentType, ETag, Offset, ReadResult, headers, json};

use crate::outflow::Claim;
use crate::{chunks, compression};

const TRUE: HeaderValue = HeaderValue::from_static("true");

/// Stored messages never change, so an answer with messages in it may be kept by anybody.
const PUBLIC: HeaderValue = HeaderValue::from_static("public, max-age=60, stale-while-revalidate=300");
/// An empty answer from an open stream says no more than "nothing yet". Kept for a minute it would hide what is
/// appended in that minute, and a close, so caches have to ask again; the entity tag makes that cheap.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Room for the headers of any answer, those that `edge` and hyper add included, so that the map never grows.
const HEADERS: usize = 16;

/// A response without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    response.headers_mut().reserve(HEADERS);
    *response.status_mut() = status;
    response
}

/// Sets a header whose value is made of digits, letters and punctuation only.
pub(crate) fn set(headers: &mut HeaderMap, name: &'static str, value: &impl ToString) {
    if let Ok(value) = HeaderValue::try_from(value.to_string()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// Sets a header to `true`, or leaves it away: the protocol knows no `false`.
pub(crate) fn set_true(headers: &mut HeaderMap, name: &'static str, holds: bool) {
    if holds {
        headers.insert(HeaderName::from_static(name), TRUE);
    }
}

/// Sets `Content-Type` to a stream's type.
pub(crate) fn set_content_type(headers: &mut HeaderMap, content_type: &ContentType) {
    // A content type is printable ASCII, so this has no way to fail.
    if let Ok(value) = HeaderValue::from_str(content_type.as_str()) {
        headers.insert(CONTENT_TYPE, value);
    }
}

/// Forbids caches to keep an answer.
pub(crate) fn no_store(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, NO_STORE);
}

/// The headers that tell where a reader stands.
pub(crate) fn position(headers: &mut HeaderMap, next_offset: Offset, at_tail: bool, at_end: bool) {
    set(headers, headers::STREAM_NEXT_OFFSET, &next_offset);
    set_true(headers, headers::STREAM_UP_TO_DATE, at_tail);
    set_true(headers, headers::STREAM_CLOSED, at_end);
}

/// Whether the request's URL names a fixed range of the stream. `offset=now` does not: what it answers must neither
/// be kept nor be tagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Range {
    Fixed,
    Moving,
}

/// 200 with the messages. The stored bytes are shared, not copied, and `claim` is kept until they have left.
pub(crate) fn data(result: &ReadResult, range: Range, claim: Claim) -> Response {
    let mut response = empty(StatusCode::OK);
    let headers = response.headers_mut();
    describe(headers, result, range);
    set_content_type(headers, &result.content_type);
    let mut pieces: Vec<Bytes> = result.runs.iter().map(|run| run.payload.clone()).collect();
    claim.held_by(&mut pieces);
    let is_json = result.content_type.is_json();
    *response.body_mut() = chunks::body(if is_json { json::array(pieces) } else { pieces });
    response
}

/// As [`data`], open to compression, and 304 when the client has this very answer.
pub(crate) fn catch_up(result: &ReadResult, range: Range, request: &HeaderMap, claim: Claim) -> Response {
    let mut response = if range == Range::Fixed && is_known(request, result.etag()) {
        let mut response = empty(StatusCode::NOT_MODIFIED);
        describe(response.headers_mut(), result, range);
        response
    } else {
        data(result, range, claim)
    };
    if compression::is_worthwhile(&result.content_type) {
        response
            .headers_mut()
            .insert(VARY, HeaderValue::from_static("accept-encoding"));
        compression::allow(&mut response);
    }
    response
}

fn describe(headers: &mut HeaderMap, result: &ReadResult, range: Range) {
    position(headers, result.next_offset, result.at_tail, result.at_end());
    let caching = match range {
        Range::Moving => NO_STORE,
        Range::Fixed if result.is_empty() && !result.at_end() => REVALIDATE,
        Range::Fixed => PUBLIC,
    };
    headers.insert(CACHE_CONTROL, caching);
    if range == Range::Fixed {
        // The tag names the messages, whatever coding they are sent in. Only a weak one may do that (RFC 9110
        // section 8.8.3.3).
        let weak = if compression::is_worthwhile(&result.content_type) {
            "W/"
        } else {
            ""
        };
        set(headers, "etag", &format_args!("{weak}{}", result.etag()));
    }
}

fn is_known(request: &HeaderMap, etag: ETag) -> bool {
    request
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| etag.matches(value))
}
