//! The first start of a node: founding a cluster, or joining one.
//!
//! All nodes of a new cluster are started with the same list of peer addresses. The first of the list founds the
//! cluster, and only when every other node of the list has answered that it belongs to none. So a node that lost its
//! disk cannot found a second cluster: at least one other node would have to have lost its own as well, which is then
//! a new cluster in fact. Whoever is not the first, or finds a cluster, joins it as a new node.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use thiserror::Error;
use weir_meta::{ClusterId, Found, FoundingNode, MetaCommand, NodeId, NodeUuid, ReplicaId};
use weir_proto::control as pb;

use super::identity::Member;
use crate::peer::{Kind, Peers};

/// The pause between two attempts to find the others.
const RETRY_PAUSE: Duration = Duration::from_millis(300);
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// What a node tells of itself, and whom it may ask.
#[derive(Debug, Clone)]
pub(crate) struct Introduced {
    /// This node.
    pub(crate) node: FoundingNode,
    /// The peer addresses of the nodes that found the cluster together; empty for a cluster of one.
    pub(crate) listed: Vec<String>,
    /// Peer addresses of a cluster that is there already. With them the node never founds one.
    pub(crate) join: Vec<String>,
    /// How many groups a new cluster has.
    pub(crate) groups: u64,
    /// How many replicas a group should have.
    pub(crate) replication_factor: u32,
}

/// A node cannot become part of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormError {
    /// The cluster does not want it.
    #[error("the cluster refuses this node: {0}")]
    Refused(String),
    /// The list of nodes does not have this one.
    #[error("the list of nodes does not have this node's own address {0}")]
    NotListed(String),
}

/// Founds or joins; tries as long as it takes.
pub(crate) async fn form(introduced: &Introduced, peers: &Arc<Peers>) -> Result<Member, FormError> {
    let own = introduced.node.addresses.peer.as_str();
    if !introduced.join.is_empty() {
        return join_any(introduced, peers, &introduced.join).await;
    }
    if introduced.listed.is_empty() {
        return Ok(found(introduced, vec![introduced.node.clone()]));
    }
    if !introduced.listed.iter().any(|address| address == own) {
        return Err(FormError::NotListed(own.to_owned()));
    }
    let others: Vec<String> = introduced
        .listed
        .iter()
        .filter(|address| *address != own)
        .cloned()
        .collect();
    let is_founder = introduced.listed.first().is_some_and(|first| first == own);
    let mut told = false;
    loop {
        match look_around(&others, &introduced.node, peers).await {
            Around::Cluster => {
                if let Some(member) = try_join(introduced, peers, &others).await? {
                    return Ok(member);
                }
            }
            Around::AllNew(others) if is_founder => {
                // Every node keeps the order of the list, so that a repeated founding is the same one.
                let nodes = std::iter::once(introduced.node.clone()).chain(others).collect();
                return Ok(found(introduced, nodes));
            }
            Around::AllNew(_) | Around::Missing => {}
        }
        if !told {
            tracing::info!(nodes = ?introduced.listed, "waiting for the other nodes to form a cluster");
            told = true;
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// What the other listed nodes are.
enum Around {
    /// One of them belongs to a cluster.
    Cluster,
    /// All of them answered, and none belongs to a cluster.
    AllNew(Vec<FoundingNode>),
    /// Not all of them answered.
    Missing,
}

async fn look_around(others: &[String], own: &FoundingNode, peers: &Arc<Peers>) -> Around {
    let mut new: Vec<FoundingNode> = Vec::new();
    let mut missing = false;
    for address in others {
        let answer = peers.call_at(address, Kind::Hello, Bytes::new(), CALL_TIMEOUT).await;
        let hello = answer.ok().and_then(|body| pb::HelloReply::decode(body).ok());
        match hello {
            Some(hello) if !hello.cluster.is_empty() => return Around::Cluster,
            Some(hello) => match founding_node(&hello) {
                Some(node) if node.uuid == own.uuid || new.iter().any(|other| other.uuid == node.uuid) => {
                    tracing::error!(
                        address,
                        "two addresses of the list lead to the same node: it must name each once"
                    );
                    missing = true;
                }
                Some(node) => new.push(node),
                None => missing = true,
            },
            None => missing = true,
        }
    }
    if missing { Around::Missing } else { Around::AllNew(new) }
}

fn founding_node(hello: &pb::HelloReply) -> Option<FoundingNode> {
    Some(FoundingNode {
        uuid: hello.uuid.parse::<NodeUuid>().ok()?,
        addresses: weir_meta::Addresses {
            peer: hello.peer_address.parse().ok()?,
            client: hello.client_address.parse().ok()?,
            admin: hello.admin_address.parse().ok()?,
        },
        zone: hello.zone.parse().ok()?,
    })
}

fn found(introduced: &Introduced, nodes: Vec<FoundingNode>) -> Member {
    let peers = (1..)
        .zip(&nodes)
        .map(|(id, node)| (id, node.addresses.peer.to_string()));
    let peers = peers.collect();
    let found = Found {
        cluster: ClusterId(uuid::Uuid::new_v4().as_u128()),
        groups: introduced.groups,
        replication_factor: introduced.replication_factor,
        nodes,
    };
    let own = found.members().find(|(uuid, _, _)| *uuid == introduced.node.uuid);
    let (_, node, meta_replica) = own.unwrap_or((introduced.node.uuid, NodeId(1), ReplicaId(1)));
    Member {
        cluster: found.cluster,
        node,
        meta_replica,
        founding: MetaCommand::Found(found).encode(),
        started: false,
        peers,
    }
}

async fn join_any(introduced: &Introduced, peers: &Arc<Peers>, addresses: &[String]) -> Result<Member, FormError> {
    tracing::info!(?addresses, "joining a cluster");
    loop {
        if let Some(member) = try_join(introduced, peers, addresses).await? {
            return Ok(member);
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Asks each of `addresses` to be let in; `None` when none of them can do that now.
async fn try_join(
    introduced: &Introduced,
    peers: &Arc<Peers>,
    addresses: &[String],
) -> Result<Option<Member>, FormError> {
    let body = Bytes::from(MetaCommand::RegisterNode(introduced.node.clone()).encode());
    for address in addresses {
        let answer = peers.call_at(address, Kind::Join, body.clone(), CALL_TIMEOUT * 6).await;
        let Some(reply) = answer.ok().and_then(|body| pb::JoinReply::decode(body).ok()) else {
            continue;
        };
        if !reply.refused.is_empty() {
            return Err(FormError::Refused(reply.refused));
        }
        if let Ok(cluster) = reply.cluster.parse() {
            return Ok(Some(Member {
                cluster,
                node: NodeId(reply.node),
                meta_replica: ReplicaId(reply.meta_replica),
                founding: Vec::new(),
                started: false,
                peers: reply.peers.into_iter().collect(),
            }));
        }
    }
    Ok(None)
}
