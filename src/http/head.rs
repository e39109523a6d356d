//! HEAD (protocol section 5.5).

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use weir_protocol::{Lifetime, StreamMetadata, headers};

use crate::app::Shared;
use crate::problem::Problem;
use crate::request::Query;
use crate::{answer, request};

pub(crate) async fn handle(State(app): State<Shared>, request: Request) -> Result<Response, Problem> {
    let name = request::stream_name(request.uri())?;
    let consistency = request::consistency(request.headers(), &Query::of(request.uri()))?;
    let metadata = app.streams.head(&name, consistency).await?;
    Ok(respond(&metadata))
}

/// Forks are transparent: nothing here tells them from other streams.
fn respond(metadata: &StreamMetadata) -> Response {
    let mut response = answer::empty(StatusCode::OK);
    let headers = response.headers_mut();
    answer::no_store(headers);
    answer::set_content_type(headers, &metadata.content_type);
    answer::set(headers, headers::STREAM_NEXT_OFFSET, &metadata.next_offset);
    answer::set_true(headers, headers::STREAM_CLOSED, metadata.closed);
    match metadata.lifetime {
        Lifetime::Forever => {}
        Lifetime::Ttl(seconds) => answer::set(headers, headers::STREAM_TTL, &seconds),
        Lifetime::ExpiresAt(at) => answer::set(headers, headers::STREAM_EXPIRES_AT, &at.to_rfc3339()),
    }
    response
}
