//! What can be done to the cluster. Any node takes any order and hands it to whoever carries it out.
//!
//! The port has no login, so a web page must not be able to use its reader's browser for an order: an order needs a
//! content type that a page cannot send elsewhere without asking first, and none that a browser says the origin of is
//! taken.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::timeout;
use weir_cluster::meta::{Detail, GroupId, MetaCommand, MetaOutcome, NodeId, ReplicaId};

use super::Admin;
use super::cluster::{answer, node, number};
use super::problem::{Code, Problem};

/// An order is a handful of numbers.
const MAX_ORDER_BYTES: usize = 16 * 1024;
const ORDER_TIMEOUT: Duration = Duration::from_secs(10);

/// The routes of this file.
pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route("/v1/cluster/groups/{group}/transfer", post(transfer))
        .route("/v1/cluster/groups/{group}/move", post(move_replica))
        .route("/v1/cluster/nodes/{node}/decommission", post(decommission))
        .route("/v1/cluster/nodes/{node}/activate", post(activate))
        .route("/v1/cluster/nodes/{node}/remove", post(remove))
        .route("/v1/cluster/nodes/{node}/replace", post(replace))
}

/// Which node is to lead.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transfer {
    node: u64,
}

async fn transfer(
    State(admin): State<Admin>,
    Path(group): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let order: Transfer = parse(&headers, body).await?;
    let group = number("group", &group)?;
    node(&admin)?.transfer(group, order.node).await?;
    Ok(answer(
        StatusCode::ACCEPTED,
        &json!({ "group": group, "node": order.node }),
    ))
}

/// Which replica goes, named by itself or by its node, and where another one comes. One of the two may be absent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MoveReplica {
    from_replica: Option<u64>,
    from_node: Option<u64>,
    to_node: Option<u64>,
}

async fn move_replica(
    State(admin): State<Admin>,
    Path(group): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let order: MoveReplica = parse(&headers, body).await?;
    let group = number("group", &group)?;
    let from = match (order.from_replica, order.from_node) {
        (Some(_), Some(_)) => {
            let detail = "from_replica and from_node say the same: give one of them";
            return Err(Problem::new(Code::InvalidOrder, detail));
        }
        (Some(replica), None) => Some(replica),
        (None, Some(from)) => Some(replica_on(node(&admin)?, group, from).await?),
        (None, None) => None,
    };
    let command = MetaCommand::StartMove {
        group: GroupId(group),
        from: from.map(ReplicaId),
        to: order.to_node.map(NodeId),
    };
    let outcome = node(&admin)?.run(&command).await?;
    let to = match outcome.detail {
        Detail::MoveStarted { change, .. } => change.to,
        _ => None,
    };
    let body = json!({
        "group": group,
        "from_replica": from,
        "to_replica": to.map(|replica| replica.id.0),
        "to_node": order.to_node,
        "version": outcome.version,
    });
    Ok(answer(StatusCode::ACCEPTED, &body))
}

async fn replica_on(admin: &weir_cluster::Admin, group: u64, node: u64) -> Result<u64, Problem> {
    let unknown = |text: String| Problem::new(Code::Unknown, text);
    let groups = admin.groups().await;
    let known = groups.iter().find(|known| known.id == group);
    let known = known.ok_or_else(|| unknown(format!("there is no group {group}")))?;
    let replica = known.replicas.iter().find(|replica| replica.node == node);
    let replica = replica.ok_or_else(|| unknown(format!("group {group} has no replica on node {node}")))?;
    Ok(replica.id)
}

/// Nothing.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn decommission(
    admin: State<Admin>,
    node: Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    about_node(admin, node, headers, body, MetaCommand::SetDraining).await
}

async fn activate(
    admin: State<Admin>,
    node: Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    about_node(admin, node, headers, body, MetaCommand::SetActive).await
}

async fn remove(admin: State<Admin>, node: Path<String>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    about_node(admin, node, headers, body, MetaCommand::RemoveNode).await
}

async fn about_node(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
    command: impl FnOnce(NodeId) -> MetaCommand,
) -> Result<Response, Problem> {
    let Nothing {} = parse(&headers, body).await?;
    let id = number("node", &id)?;
    let MetaOutcome { version, .. } = node(&admin)?.run(&command(NodeId(id))).await?;
    Ok(answer(StatusCode::OK, &json!({ "node": id, "version": version })))
}

/// Which node takes over.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replace {
    with: u64,
}

async fn replace(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let order: Replace = parse(&headers, body).await?;
    let id = number("node", &id)?;
    let command = MetaCommand::ReplaceNode {
        old: NodeId(id),
        new: NodeId(order.with),
    };
    let outcome = node(&admin)?.run(&command).await?;
    let groups: Vec<u64> = match outcome.detail {
        Detail::Replacing(groups) => groups.into_iter().map(|group| group.0).collect(),
        _ => Vec::new(),
    };
    let body = json!({ "node": id, "with": order.with, "groups": groups, "version": outcome.version });
    Ok(answer(StatusCode::ACCEPTED, &body))
}

/// An order; an empty body is an empty object.
async fn parse<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Problem> {
    if headers.contains_key(ORIGIN) {
        return Err(Problem::new(
            Code::CrossSite,
            "requests with an Origin header are refused",
        ));
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|text| text.split(';').next()).unwrap_or_default();
    if !essence.trim().eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(Code::NotJson, "send Content-Type: application/json"));
    }
    let invalid = |text: String| Problem::new(Code::InvalidOrder, text);
    let received = timeout(ORDER_TIMEOUT, axum::body::to_bytes(body, MAX_ORDER_BYTES)).await;
    let received = received.map_err(|_| invalid(format!("the body took longer than {ORDER_TIMEOUT:?} to arrive")))?;
    let received =
        received.map_err(|_| invalid(format!("the body broke off, or has more than {MAX_ORDER_BYTES} bytes")))?;
    let text: &[u8] = if received.is_empty() { b"{}" } else { &received };
    serde_json::from_slice(text).map_err(|error| invalid(error.to_string()))
}
