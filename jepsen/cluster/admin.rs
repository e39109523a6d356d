//! The admin API of one node.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::Error;
use crate::client::http::{Http, Whole};

const ADMIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The admin API of one node.
pub(crate) struct Admin {
    address: SocketAddr,
}

/// The cluster at a glance.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    pub(crate) meta_leader: Option<u64>,
    pub(crate) groups_without_leader: Vec<u64>,
    pub(crate) moves: usize,
    pub(crate) settled: bool,
    pub(crate) nodes: Vec<Member>,
}

/// A node as the cluster knows it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Member {
    pub(crate) id: u64,
    pub(crate) admin_address: String,
    /// `active`, `draining`, `lost` or `removed`.
    pub(crate) state: String,
    /// Of a node that is to go: what keeps it.
    #[serde(default)]
    pub(crate) in_the_way: Option<Vec<String>>,
}

/// A group.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Group {
    pub(crate) id: u64,
    pub(crate) leader_node: Option<u64>,
    pub(crate) term: u64,
    /// The index of the last entry that the leader has applied.
    pub(crate) applied: u64,
    pub(crate) replicas: Vec<Replica>,
}

/// One replica of a group.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Replica {
    pub(crate) node: u64,
    #[serde(default)]
    pub(crate) lag: Option<u64>,
}

/// What a replica holds, as one number.
#[derive(Debug, Deserialize)]
pub(crate) struct ReplicaHash {
    pub(crate) applied: u64,
    pub(crate) hash: String,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

impl Admin {
    /// At this address.
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Whether the node serves and has all its replicas.
    ///
    /// # Errors
    /// When it does not, or does not answer.
    pub(crate) async fn ready(&self) -> Result<(), Error> {
        self.call(Method::GET, "/readyz", None).await.map(drop)
    }

    /// The cluster at a glance.
    ///
    /// # Errors
    /// When the node does not answer.
    pub(crate) async fn status(&self) -> Result<Status, Error> {
        self.get("/v1/cluster").await
    }

    /// The groups.
    ///
    /// # Errors
    /// When the node does not answer.
    pub(crate) async fn groups(&self) -> Result<Vec<Group>, Error> {
        let Groups { groups } = self.get("/v1/cluster/groups").await?;
        Ok(groups)
    }

    /// The hash of the node's replica of a group; `None` when the program knows no hashes.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn state_hash(&self, group: u64) -> Result<Option<ReplicaHash>, Error> {
        let path = format!("/v1/cluster/groups/{group}/hash");
        let answer = self.ask(Method::GET, &path, None).await?;
        let is_unknown = String::from_utf8_lossy(&answer.body).contains("urn:weir:problem:unknown-path");
        if is_unknown {
            return Ok(None);
        }
        let body = succeeded(&path, answer)?.body;
        let hash = serde_json::from_slice(&body).map_err(|error| Error::state(format!("{path}: {error}")))?;
        Ok(Some(hash))
    }

    /// Gives an order.
    ///
    /// # Errors
    /// When it is refused, or the node does not answer.
    pub(crate) async fn order(&self, path: &str, body: &Value) -> Result<(), Error> {
        self.call(Method::POST, path, Some(body)).await.map(drop)
    }

    /// Asks for JSON.
    ///
    /// # Errors
    /// When the node does not answer as it should.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let body = self.call(Method::GET, path, None).await?;
        serde_json::from_slice(&body).map_err(|error| Error::state(format!("{path}: {error}")))
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Bytes, Error> {
        let answer = self.ask(method, path, body).await?;
        succeeded(path, answer).map(|answer| answer.body)
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Whole, Error> {
        let failed = |said: String| Error::state(format!("{path}: {said}"));
        let mut request = Request::builder().method(method).uri(path).header("host", "weir");
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let bytes = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(bytes)));
        let request = request.map_err(|error| failed(error.to_string()))?;
        let answer = Http::new(self.address, ADMIN_TIMEOUT).send(request).await;
        answer.map_err(|failure| failed(failure.code))
    }
}

fn succeeded(path: &str, answer: Whole) -> Result<Whole, Error> {
    match answer.head.status.is_success() {
        true => Ok(answer),
        false => Err(Error::state(format!(
            "{path}: {}: {}",
            answer.head.status,
            String::from_utf8_lossy(&answer.body).trim()
        ))),
    }
}
