//! The routes.

use axum::Router;
use axum::extract::Request;
use axum::routing::{any, get};
use weir_protocol::name::NameError;

use crate::app::Shared;
use crate::problem::{Code, Problem};
use crate::{append, compression, create, delete, edge, head, list, read, reserved};

/// The path under which all streams are.
pub const STREAM_ROOT: &str = "/v1/stream";

/// The routes, without what is around every request.
pub(crate) fn routes(app: Shared) -> Router {
    // Only GET passes the compressor: nothing else has a body worth it, and appends are spared the way through.
    let stream = get(read::handle)
        .layer(compression::layer())
        .head(head::handle)
        .put(create::handle)
        .post(append::handle)
        .delete(delete::handle)
        .fallback(|| async { Problem::method_not_allowed(edge::STREAM_METHODS) });
    let list = get(list::handle)
        .layer(compression::layer())
        .fallback(|| async { Problem::method_not_allowed("GET, HEAD, OPTIONS") });
    Router::new()
        .route("/v1/stream", any(no_name))
        .route("/v1/stream/", any(no_name))
        .route("/v1/stream/__ds", any(reserved::handle))
        .route("/v1/stream/__ds/", any(reserved::handle))
        .route("/v1/stream/__ds/{*rest}", any(reserved::handle))
        .route("/v1/stream/{*name}", stream)
        .route("/v1/streams", list)
        .fallback(unknown_path)
        .with_state(app)
}

async fn no_name() -> Problem {
    NameError::Empty.into()
}

async fn unknown_path(request: Request) -> Problem {
    let path = request.uri().path();
    Problem::new(
        Code::UnknownPath,
        format!("no resource at {path}; streams are under {STREAM_ROOT}/"),
    )
}
