//! The admin API's answers, as far as they are used here.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::{Client, ClientError};

/// `/v1/cluster`.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) cluster: String,
    pub(super) answered_by: u64,
    pub(super) meta_leader: Option<u64>,
    pub(super) groups: usize,
    pub(super) groups_without_leader: Vec<u64>,
    pub(super) moves: usize,
    pub(super) wanted_replicas: usize,
    pub(super) silent_nodes: Vec<u64>,
    pub(super) settled: bool,
    pub(super) nodes: Vec<Node>,
}

/// `/v1/cluster/nodes`.
#[derive(Debug, Deserialize)]
pub(super) struct Nodes {
    pub(super) nodes: Vec<Node>,
}

/// One of them.
#[derive(Debug, Deserialize)]
pub(super) struct Node {
    pub(super) id: u64,
    pub(super) peer_address: String,
    pub(super) client_address: String,
    pub(super) admin_address: String,
    pub(super) zone: String,
    pub(super) state: String,
    pub(super) replicas: usize,
    pub(super) votes_in_meta_group: bool,
    pub(super) in_the_way: Option<Vec<String>>,
}

/// `/v1/cluster/groups`.
#[derive(Debug, Deserialize)]
pub(super) struct Groups {
    pub(super) groups: Vec<Group>,
}

/// One of them.
#[derive(Debug, Deserialize)]
pub(super) struct Group {
    pub(super) id: u64,
    pub(super) leader_node: Option<u64>,
    pub(super) term: u64,
    pub(super) applied: u64,
    pub(super) replicas: Vec<Replica>,
    pub(super) change: Option<String>,
}

/// One of its replicas.
#[derive(Debug, Deserialize)]
pub(super) struct Replica {
    pub(super) id: u64,
    pub(super) node: u64,
    pub(super) answers: bool,
    pub(super) lag: Option<u64>,
}

/// An answer, as it came and as it is used.
pub(super) async fn get<T: DeserializeOwned>(client: &Client, path: &str) -> Result<(Value, T), ClientError> {
    let answer = client.send(client.admin(Method::GET, path)).await?;
    understand(client, &answer.body)
}

/// Gives an order once.
pub(super) async fn post(client: &Client, path: &str, order: &Value) -> Result<Value, ClientError> {
    let request = client.admin(Method::POST, path);
    let request = request.header(CONTENT_TYPE, "application/json").body(order.to_string());
    let answer = client.send(request).await?;
    Ok(understand::<Value>(client, &answer.body)?.0)
}

fn understand<T: DeserializeOwned>(client: &Client, body: &[u8]) -> Result<(Value, T), ClientError> {
    let strange = |_| ClientError::NoAdminPort(client.url().to_owned());
    let value: Value = serde_json::from_slice(body).map_err(strange)?;
    let typed = T::deserialize(&value).map_err(strange)?;
    Ok((value, typed))
}

/// The nodes.
pub(super) async fn nodes(client: &Client) -> Result<(Value, Vec<Node>), ClientError> {
    let (value, nodes): (_, Nodes) = get(client, "/v1/cluster/nodes").await?;
    Ok((value, nodes.nodes))
}

/// The groups.
pub(super) async fn groups(client: &Client) -> Result<(Value, Vec<Group>), ClientError> {
    let (value, groups): (_, Groups) = get(client, "/v1/cluster/groups").await?;
    Ok((value, groups.groups))
}
