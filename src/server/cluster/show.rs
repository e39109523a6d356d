//! What can be seen: `status`, `nodes`, `groups`, and how to add a node.

use clap::Args;
use serde_json::json;

use crate::client::{Client, ClientError, report};

use super::api::{self, Group, Node, Status};
use super::table::table;
use super::wait;

/// The cluster at a glance.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Wait until every group has a leader and all its replicas, and nothing is left to move
    #[arg(long)]
    wait: bool,
}

pub(super) async fn status(client: &Client, args: &StatusArgs, json: bool) -> Result<(), ClientError> {
    let (value, status): (_, Status) = if args.wait {
        wait::until(
            || api::get(client, "/v1/cluster"),
            |(_, status): &(_, Status)| pending(status),
        )
        .await?
    } else {
        api::get(client, "/v1/cluster").await?
    };
    let leader = status
        .meta_leader
        .map_or_else(|| "none".to_owned(), |node| format!("node {node}"));
    let without = match status.groups_without_leader.len() {
        0 => "all with a leader".to_owned(),
        count => format!("{count} without a leader: {}", numbers(&status.groups_without_leader)),
    };
    let text = format!(
        "cluster       {}\nanswered by   node {}\nmeta group    led by {leader}\n\
         groups        {}, {without}\nreplicas      {} of each group are wanted\nmoves         {}\nsettled       {}\n\n{}",
        status.cluster,
        status.answered_by,
        status.groups,
        status.wanted_replicas,
        status.moves,
        match (status.settled, status.silent_nodes.as_slice()) {
            (true, _) => "yes".to_owned(),
            (false, []) => "no".to_owned(),
            (false, silent) => format!("no: no answer from node {}", numbers(silent)),
        },
        nodes_table(&status.nodes)
    );
    report(json, &value, &text)
}

/// The groups.
#[derive(Debug, Args)]
pub(super) struct GroupsArgs {
    /// Compare what the replicas of each group hold, by asking every node for a hash of its whole state
    #[arg(long)]
    pub(super) hash: bool,
}

/// What is still missing, in a few words.
fn pending(status: &Status) -> Option<String> {
    (!status.settled).then(|| {
        let without = status.groups_without_leader.len();
        match (status.moves, without, status.silent_nodes.as_slice()) {
            (0, 0, []) => "not settled yet: moves or votes in the meta group are about to change".to_owned(),
            (0, 0, silent) => format!("not settled yet: no answer from node {}", numbers(silent)),
            (moves, _, _) => format!("not settled yet: {moves} moves under way, {without} groups without a leader"),
        }
    })
}

pub(super) async fn nodes(client: &Client, json: bool) -> Result<(), ClientError> {
    let (value, nodes) = api::nodes(client).await?;
    report(json, &value, &nodes_table(&nodes))
}

fn nodes_table(nodes: &[Node]) -> String {
    let row = |node: &Node| {
        [
            node.id.to_string(),
            removable(node),
            node.replicas.to_string(),
            if node.votes_in_meta_group { "voter" } else { "" }.to_owned(),
            node.zone.clone(),
            node.client_address.clone(),
            node.peer_address.clone(),
            node.admin_address.clone(),
        ]
    };
    let rows: Vec<_> = nodes.iter().map(row).collect();
    table(
        ["NODE", "STATE", "REPLICAS", "META", "ZONE", "CLIENTS", "PEERS", "ADMIN"],
        &rows,
    )
}

fn removable(node: &Node) -> String {
    match &node.in_the_way {
        Some(reasons) if reasons.is_empty() => format!("{}, may be removed", node.state),
        _ => node.state.clone(),
    }
}

pub(super) async fn groups(client: &Client, json: bool) -> Result<(), ClientError> {
    let (value, groups) = api::groups(client).await?;
    let row = |group: &Group| {
        let leader = group
            .leader_node
            .map_or_else(|| "none".to_owned(), |node| node.to_string());
        let replicas = group.replicas.iter().map(|replica| {
            let lag = match replica.lag {
                _ if !replica.answers => " (no answer)".to_owned(),
                Some(0) => String::new(),
                Some(lag) => format!(" (lacks {lag})"),
                None => " (unknown)".to_owned(),
            };
            format!("{} on node {}{lag}", replica.id, replica.node)
        });
        [
            group.id.to_string(),
            leader,
            group.term.to_string(),
            group.applied.to_string(),
            replicas.collect::<Vec<_>>().join(", "),
            group.change.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = groups.iter().map(row).collect();
    let heading = ["GROUP", "LEADER", "TERM", "APPLIED", "REPLICAS", "MOVE"];
    report(json, &value, &table(heading, &rows))
}

pub(super) async fn add(client: &Client, json: bool) -> Result<(), ClientError> {
    let (_, nodes) = api::nodes(client).await?;
    let active = nodes.iter().filter(|node| node.state == "active");
    let peers: Vec<&str> = active.map(|node| node.peer_address.as_str()).collect();
    let join = peers.join(",");
    let text = format!(
        "A node adds itself when it is started. On the new machine, with an empty data directory:

  weir serve --join {join} --data-dir DIR --listen 0.0.0.0:4437 --peer-advertise HOST:4436

HOST is the name or address under which the other nodes reach the new one. It takes its share of the replicas by itself;
see `weir cluster status --wait`."
    );
    report(json, &json!({ "join": peers }), &text)
}

fn numbers(ids: &[u64]) -> String {
    let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
    texts.join(", ")
}
