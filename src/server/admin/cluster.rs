//! What can be seen of the cluster. Any node answers.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde::Serialize;
use serde_json::json;

use super::Admin;
use super::problem::{Code, Problem};

/// The routes of this file.
pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route("/v1/cluster", get(status))
        .route("/v1/cluster/nodes", get(nodes))
        .route("/v1/cluster/groups", get(groups))
        .route("/v1/cluster/groups/{group}/hash", get(hash))
}

async fn status(State(admin): State<Admin>) -> Result<Response, Problem> {
    Ok(answer(StatusCode::OK, &node(&admin)?.status().await))
}

async fn nodes(State(admin): State<Admin>) -> Result<Response, Problem> {
    Ok(answer(StatusCode::OK, &json!({ "nodes": node(&admin)?.nodes() })))
}

async fn groups(State(admin): State<Admin>) -> Result<Response, Problem> {
    Ok(answer(
        StatusCode::OK,
        &json!({ "groups": node(&admin)?.groups().await }),
    ))
}

async fn hash(State(admin): State<Admin>, Path(group): Path<String>) -> Result<Response, Problem> {
    let group = number("group", &group)?;
    Ok(answer(StatusCode::OK, &node(&admin)?.state_hash(group).await?))
}

/// The node, once there is one to ask.
pub(super) fn node(admin: &Admin) -> Result<&weir_cluster::Admin, Problem> {
    let starting = || Problem::new(Code::Unavailable, "this node recovers, or waits for the others");
    admin.readiness.node().ok_or_else(starting)
}

/// A number in a path.
pub(super) fn number(what: &str, text: &str) -> Result<u64, Problem> {
    let digits = text
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok());
    digits
        .flatten()
        .ok_or_else(|| Problem::new(Code::Unknown, format!("there is no {what} '{text}'")))
}

/// JSON.
pub(super) fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    // Maps with text keys, lists and numbers have no way to fail.
    let body = serde_json::to_vec(body).unwrap_or_default();
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (status, headers, body).into_response()
}
