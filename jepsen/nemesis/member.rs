//! Nodes that come and go under load: one more joins, one takes over from another, one is sent away; replicas move. At
//! the end everybody is where they were.

use std::time::Duration;

use serde_json::json;

use super::operator;
use super::stage::{Stage, names};
use crate::cluster::{Error, View};

/// How long a move of one replica may take.
const MOVE_LIMIT: Duration = Duration::from_secs(30);

/// What happens to nodes.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// One joins, replicas move to and fro, and it is sent away.
    Add,
    /// One joins and takes over from another, and that one from it.
    Replace,
    /// One joins, another is sent away for ever, and comes as a new one.
    Decommission,
}

/// Changes who is a member, and back.
pub(super) async fn strike(stage: &mut Stage) -> Result<(), Error> {
    let Some(spare) = operator::spare(stage) else {
        return Ok(());
    };
    if !operator::wait_at_rest(stage).await {
        return Ok(());
    }
    let changes = [Change::Add, Change::Replace, Change::Decommission];
    let change = changes[stage.rng.usize(..changes.len())];
    let founder = stage.pick(1)[0];
    let (name, targets) = match change {
        Change::Add => ("member-add", vec![spare]),
        Change::Replace => ("member-replace", vec![founder, spare]),
        Change::Decommission => ("member-decommission", vec![founder, spare]),
    };
    let open = stage.begin(name, names(&targets));
    let before = stage.cluster.view().await.map(|view| placement(&view));
    let mut said = vec![operator::join(stage, spare).await?];
    let member = operator::active(stage, &[], founder).await;
    match (change, member) {
        (Change::Add, _) | (_, None) => {
            said.push(trouble(stage).await?);
            for _ in 0..2 {
                said.push(move_a_replica(stage, spare).await);
            }
        }
        (Change::Replace, Some(old)) => {
            let with = operator::active(stage, &[], spare).await;
            let path = format!("/v1/cluster/nodes/{old}/replace");
            let is_taken = operator::order(stage, &[], &path, &json!({ "with": with })).await;
            said.push(format!("replace n{founder} with n{spare}: {}", taken(is_taken)));
            said.push(trouble(stage).await?);
            said.push(operator::take_over(stage, &[], old, spare).await);
        }
        (Change::Decommission, Some(old)) => {
            let path = format!("/v1/cluster/nodes/{old}/decommission");
            let is_taken = operator::order(stage, &[], &path, &json!({})).await;
            said.push(format!("decommission n{founder}: {}", taken(is_taken)));
            said.push(trouble(stage).await?);
            let is_empty = operator::decommission(stage, &[], old).await;
            let is_gone = is_empty && operator::remove(stage, &[], old).await;
            said.push(format!("emptied: {is_empty}, removed: {is_gone}"));
        }
    }
    let between = stage.cluster.view().await.map(|view| placement(&view));
    stage.last(true).await;
    if !matches!(change, Change::Add) && member.is_some() {
        // Who was removed can only come as somebody new.
        stage.cluster.node(founder).empty().await?;
        said.push(operator::join(stage, founder).await?);
    }
    said.push(operator::send_away(stage, spare).await?);
    let moved = matches!((before, between), (Ok(before), Ok(between)) if before != between);
    said.retain(|line| !line.is_empty());
    stage.end(open, moved, said.join("; "));
    Ok(())
}

const fn taken(is_taken: bool) -> &'static str {
    if is_taken { "accepted" } else { "refused" }
}

/// Which nodes have replicas of which groups.
fn placement(view: &View) -> Vec<(u64, Vec<Option<u32>>)> {
    let nodes = |replicas: &[crate::cluster::admin::Replica]| {
        let mut nodes: Vec<_> = replicas.iter().map(|replica| view.number(replica.node)).collect();
        nodes.sort_unstable();
        nodes
    };
    view.groups
        .iter()
        .map(|group| (group.id, nodes(&group.replicas)))
        .collect()
}

/// In half of the cases some node is killed while the change is under way, and started again.
async fn trouble(stage: &mut Stage) -> Result<String, Error> {
    if stage.rng.bool() {
        return Ok(String::new());
    }
    let ms = stage.rng.u64(100..1500);
    stage.rest(Duration::from_millis(ms)).await;
    let ids: Vec<u32> = (1..=stage.cluster.size() + 1).collect();
    let id = stage.rng.choice(ids).unwrap_or(1);
    let gone = super::process::kill_now(stage, &[id]).await?;
    let ms = stage.rng.u64(100..2500);
    stage.rest(Duration::from_millis(ms)).await;
    stage.cluster.start_node(id).await?;
    Ok(format!("n{id} killed meanwhile: pids {gone:?}"))
}

/// One replica to the spare node, or from it to one that has none of its group.
async fn move_a_replica(stage: &mut Stage, spare: u32) -> String {
    let Some((group, from, to)) = a_move(stage, spare).await else {
        return "no replica can move".to_owned();
    };
    let path = format!("/v1/cluster/groups/{group}/move");
    let order = json!({ "from_node": from, "to_node": to });
    if !operator::order(stage, &[], &path, &order).await {
        return format!("group {group} from node {from} to {to}: refused");
    }
    let is_done = async || {
        let view = stage.cluster.view().await;
        view.is_ok_and(|view| {
            let on = |member| view.groups_on(member).any(|known| known.id == group);
            on(to) && !on(from)
        })
    };
    let is_done = stage.until(MOVE_LIMIT, is_done).await;
    format!(
        "group {group} from node {from} to {to}: {}",
        if is_done { "moved" } else { "NOT MOVED" }
    )
}

async fn a_move(stage: &mut Stage, spare: u32) -> Option<(u64, u64, u64)> {
    let view = stage.cluster.view().await.ok()?;
    let new = view.members_of(spare).find(|member| member.state == "active")?.id;
    let group = stage.rng.choice(&view.groups)?;
    let hosts: Vec<u64> = group.replicas.iter().map(|replica| replica.node).collect();
    let founders = (1..=stage.cluster.size()).filter_map(|id| Some(view.members_of(id).next_back()?.id));
    if hosts.contains(&new) {
        let without: Vec<u64> = founders.filter(|member| !hosts.contains(member)).collect();
        return Some((group.id, new, stage.rng.choice(without)?));
    }
    let from = stage.rng.choice(hosts)?;
    Some((group.id, from, new))
}
