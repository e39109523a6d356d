//! The control paths under `__ds` (protocol sections 6 and 7): reserved, and not served yet.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};

/// The protocol's error envelope for control paths, which is not RFC 9457.
const BODY: &str = r#"{"error":{"code":"SUBSCRIPTIONS_NOT_SUPPORTED","message":"this server does not serve subscriptions; paths under __ds are reserved for them"}}"#;

/// Whether what follows the root of all streams in a path is a control path.
pub(crate) fn has(name: &str) -> bool {
    name.strip_prefix("__ds")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// 501 for every method.
pub(crate) fn answer() -> Response {
    let mut response = (StatusCode::NOT_IMPLEMENTED, BODY).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The handler of the control paths.
pub(crate) async fn handle() -> Response {
    answer()
}
