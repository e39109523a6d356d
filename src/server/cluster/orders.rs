//! What can be done to a cluster.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::client::{Client, ClientError, report};

use super::api::{self, Group, Node};
use super::wait;

/// Have another replica lead a group.
#[derive(Debug, Args)]
pub(super) struct TransferArgs {
    /// The group
    group: u64,
    /// The node that should lead it; it must have a replica of the group
    #[arg(long, value_name = "NODE")]
    to: u64,
    /// Wait until it leads
    #[arg(long)]
    wait: bool,
}

/// Move a replica of a group to another node.
#[derive(Debug, Args)]
pub(super) struct MoveArgs {
    /// The group
    group: u64,
    /// The node whose replica goes
    #[arg(long, value_name = "NODE")]
    from: u64,
    /// The node that gets one
    #[arg(long, value_name = "NODE")]
    to: u64,
    /// Wait until the move is finished
    #[arg(long)]
    wait: bool,
}

/// A node.
#[derive(Debug, Args)]
pub(super) struct NodeArgs {
    /// The node
    node: u64,
}

/// A node, and whether to wait.
#[derive(Debug, Args)]
pub(super) struct WaitNodeArgs {
    /// The node
    node: u64,
    /// Wait until the node may be removed, and say so
    #[arg(long)]
    wait: bool,
}

/// One node for another.
#[derive(Debug, Args)]
pub(super) struct ReplaceArgs {
    /// The node that goes
    node: u64,
    /// The node that takes over
    #[arg(long, value_name = "NODE")]
    with: u64,
    /// Wait until the old node may be removed, and say so
    #[arg(long)]
    wait: bool,
}

/// An election takes less; after it the order is given again.
const TRANSFER_PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn transfer(client: &Client, args: &TransferArgs, json: bool) -> Result<(), ClientError> {
    let TransferArgs { group, to, wait } = *args;
    let path = format!("/v1/cluster/groups/{group}/transfer");
    let order = json!({ "node": to });
    if !wait {
        let answer = api::post(client, &path, &order).await?;
        return report(json, &answer, &format!("node {to} was asked to lead group {group}"));
    }
    let mut given: Option<(Instant, Value)> = None;
    let ask = async || {
        // A replica that lacks an entry just then does not take over, and nobody says so.
        let is_fresh = given.as_ref().is_some_and(|(at, _)| at.elapsed() < TRANSFER_PATIENCE);
        if !is_fresh {
            given = Some((Instant::now(), api::post(client, &path, &order).await?));
        }
        Ok(api::groups(client).await?.1)
    };
    let missing = |groups: &Vec<Group>| {
        let known = groups.iter().find(|known| known.id == group);
        match known.and_then(|known| known.leader_node) {
            Some(node) if node == to => None,
            Some(node) => Some(format!("node {node} still leads group {group}")),
            None => Some(format!("group {group} has no leader now")),
        }
    };
    wait::until(ask, missing).await?;
    let answer = given.map(|(_, answer)| answer).unwrap_or_default();
    report(json, &answer, &format!("node {to} leads group {group}"))
}

pub(super) async fn move_replica(client: &Client, args: &MoveArgs, json: bool) -> Result<(), ClientError> {
    let MoveArgs { group, from, to, wait } = *args;
    let path = format!("/v1/cluster/groups/{group}/move");
    let answer = api::post(client, &path, &json!({ "from_node": from, "to_node": to })).await?;
    if !wait {
        let text = format!("a replica of group {group} moves from node {from} to node {to}");
        return report(json, &answer, &text);
    }
    let to_replica = answer.get("to_replica").and_then(Value::as_u64).unwrap_or_default();
    let mut seen = false;
    until_group(client, group, |known| {
        seen |= known.replicas.iter().any(|replica| replica.id == to_replica);
        let under_way = known
            .change
            .as_ref()
            .filter(|change| change.ends_with(&names(to_replica, to)));
        match under_way {
            Some(change) => Some(format!("group {group}: {change}")),
            None if seen => None,
            None => Some(format!(
                "group {group} has not begun to move, as far as this node knows"
            )),
        }
    })
    .await?;
    report(
        json,
        &answer,
        &format!("the move of group {group} from node {from} to node {to} is over"),
    )
}

/// How the admin API names the replica that a move brings.
fn names(replica: u64, node: u64) -> String {
    format!("replica {replica} on node {node}")
}

async fn until_group(
    client: &Client,
    group: u64,
    mut pending: impl FnMut(&Group) -> Option<String>,
) -> Result<(), ClientError> {
    let ask = async || Ok(api::groups(client).await?.1);
    let missing = |groups: &Vec<Group>| match groups.iter().find(|known| known.id == group) {
        Some(known) => pending(known),
        None => Some(format!("group {group} is not known")),
    };
    wait::until(ask, missing).await.map(drop)
}

pub(super) async fn decommission(client: &Client, args: &WaitNodeArgs, json: bool) -> Result<(), ClientError> {
    let answer = about_node(client, args.node, "decommission", &json!({})).await?;
    leaving(client, args.node, args.wait, json, &answer).await
}

pub(super) async fn replace(client: &Client, args: &ReplaceArgs, json: bool) -> Result<(), ClientError> {
    let answer = about_node(client, args.node, "replace", &json!({ "with": args.with })).await?;
    leaving(client, args.node, args.wait, json, &answer).await
}

/// Tells of a node that goes, now or when it may.
async fn leaving(client: &Client, node: u64, wait: bool, json: bool, answer: &Value) -> Result<(), ClientError> {
    if !wait {
        let text = format!(
            "the replicas of node {node} move away as far as others can take them; `weir cluster nodes` says when it may be removed, or repeat this with --wait"
        );
        return report(json, answer, &text);
    }
    let ask = async || Ok(api::nodes(client).await?.1);
    let missing = |nodes: &Vec<Node>| match nodes.iter().find(|known| known.id == node) {
        Some(known) => in_the_way(known),
        None => Some(format!("node {node} is not known")),
    };
    wait::until(ask, missing).await?;
    report(
        json,
        answer,
        &format!("node {node} may be removed: end it, then `weir cluster remove {node}`"),
    )
}

/// The reasons would fill a screen, so they are counted.
fn in_the_way(node: &Node) -> Option<String> {
    let id = node.id;
    match &node.in_the_way {
        Some(reasons) if reasons.is_empty() => None,
        Some(reasons) => {
            let stuck = reasons
                .iter()
                .filter(|reason| reason.contains("no other node can take"))
                .count();
            let first = reasons.first().map(String::as_str).unwrap_or_default();
            Some(match (stuck, reasons.len()) {
                (0, 1) => format!("node {id}: {first}"),
                (0, count) => format!("node {id}: {count} reasons are left, such as: {first}"),
                (stuck, _) => format!("node {id}: no other node can take {stuck} of its replicas; add a node"),
            })
        }
        // Removed meanwhile, by somebody else.
        None if node.state == "removed" => None,
        None => Some(format!("node {id} is still {}, as far as this node knows", node.state)),
    }
}

pub(super) async fn activate(client: &Client, args: &NodeArgs, json: bool) -> Result<(), ClientError> {
    let answer = about_node(client, args.node, "activate", &json!({})).await?;
    report(json, &answer, &format!("node {} is active", args.node))
}

pub(super) async fn remove(client: &Client, args: &NodeArgs, json: bool) -> Result<(), ClientError> {
    let answer = about_node(client, args.node, "remove", &json!({})).await?;
    let text = format!(
        "node {} is removed; its data directory must be emptied before it can join again",
        args.node
    );
    report(json, &answer, &text)
}

async fn about_node(client: &Client, node: u64, order: &str, body: &Value) -> Result<Value, ClientError> {
    api::post(client, &format!("/v1/cluster/nodes/{node}/{order}"), body).await
}
