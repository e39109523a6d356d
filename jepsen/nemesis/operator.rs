//! What an operator does about nodes, by the admin API: lets them in, sends them away, puts one in another's place.
//!
//! What the cluster refuses or does not do in time is no error of the harness: it is told in words, and what comes of it
//! the checkers see.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::stage::{Stage, names};
use crate::cluster::node::Ended;
use crate::cluster::{Cluster, Error, View};

/// How long nodes may take to come, to go, and to take over from each other.
const CHANGE_LIMIT: Duration = Duration::from_secs(60);

/// How long a node may take from its start until it has all that the others have.
const START_LIMIT: Duration = Duration::from_secs(45);

/// How long earlier changes may take to come to rest.
const REST_LIMIT: Duration = Duration::from_secs(20);

/// A replica that lacks no more than so many entries is there: under load there are always some on their way.
const CAUGHT_UP_ENTRIES: u64 = 500;

/// How a node came up on files that may be spoiled.
#[derive(Debug)]
pub(super) enum Came {
    /// It serves, and has all that the others have.
    Whole,
    /// It ended, and said why.
    Refused(Ended),
    /// It serves, but cannot read what it has.
    Sick(String),
    /// It serves, and is not where the others are: whether it ever is shows at the end.
    Behind(String),
}

/// How far every group has applied its log.
type Marks = BTreeMap<u64, u64>;

/// The marks of now, as nodes other than these know them.
pub(super) async fn marks(cluster: &Cluster, but: &[u32]) -> Marks {
    let view = cluster.view_of_others(but).await;
    let groups = view.map(|view| view.groups).unwrap_or_default();
    groups.iter().map(|group| (group.id, group.applied)).collect()
}

/// Waits until all groups and the control plane are led by others than these nodes. Then what the groups acknowledged is
/// known to a majority without them.
pub(super) async fn wait_led_by_others(stage: &Stage, ids: &[u32]) -> bool {
    let is_other = |view: &View, member: Option<u64>| {
        let number = member.and_then(|member| view.number(member));
        number.is_some_and(|number| !ids.contains(&number))
    };
    let are_led = async || {
        let Ok(view) = stage.cluster.view_of_others(ids).await else {
            return false;
        };
        let mut leaders = view.groups.iter().map(|group| group.leader_node);
        leaders.all(|leader| is_other(&view, leader)) && is_other(&view, view.meta_leader)
    };
    stage.until(START_LIMIT, are_led).await
}

/// Waits until a node that was started has come to these marks, has ended, or cannot read what it has.
pub(super) async fn wait_whole(stage: &Stage, id: u32, marks: &Marks) -> Came {
    let mut last = Came::Behind("it was not asked".to_owned());
    let is_decided = async || {
        last = look(&stage.cluster, id, marks).await;
        matches!(last, Came::Whole | Came::Refused(_))
    };
    stage.until(START_LIMIT, is_decided).await;
    last
}

async fn look(cluster: &Cluster, id: u32, marks: &Marks) -> Came {
    {
        let mut held = cluster.node(id).hold().await;
        if held.pid().is_none() {
            let mut ends = held.take_ends();
            return match ends.pop() {
                Some(ended) if ended.is_refusal() => Came::Refused(ended),
                Some(ended) => {
                    let said = ended.to_string();
                    // A crash is one, whatever the files are like.
                    held.put_back(ended);
                    Came::Sick(said)
                }
                None => Came::Sick("it does not run".to_owned()),
            };
        }
    }
    let admin = cluster.admin(id);
    if let Err(error) = admin.ready().await {
        return Came::Behind(error.to_string());
    }
    let Ok(view) = cluster.view_of_others(&[id]).await else {
        return Came::Behind("no other node answers".to_owned());
    };
    // One that has lost its disk is two members until the old one is removed: only replicas of the new one are here.
    let Some(member) = view.members_of(id).rfind(|member| member.state != "lost") else {
        return Came::Behind("the others do not know it".to_owned());
    };
    for group in view.groups_on(member.id) {
        match admin.state_hash(group.id).await {
            Ok(Some(state)) if state.applied >= marks.get(&group.id).copied().unwrap_or_default() => {}
            Ok(Some(state)) => return Came::Behind(format!("group {} is at {}", group.id, state.applied)),
            Ok(None) => return Came::Behind("it knows no hashes".to_owned()),
            Err(error) if error.to_string().contains("cannot be read") => return Came::Sick(error.to_string()),
            Err(error) => return Came::Behind(error.to_string()),
        }
    }
    Came::Whole
}

/// Puts another in the place of nodes that did not come up whole, and says what became of each. One that cannot read what
/// it has is ended first.
pub(super) async fn mend(stage: &mut Stage, id: u32, came: &Came) -> Result<String, Error> {
    let name = names(&[id]).concat();
    match came {
        Came::Whole => {
            stage.spoiled.remove(&id);
            Ok(format!("{name} serves all"))
        }
        Came::Behind(why) => Ok(format!("{name} is behind: {why}")),
        Came::Refused(ended) => {
            let how = replace(stage, id).await?;
            Ok(format!("{name} refused ({}), {how}", ended.last_line))
        }
        Came::Sick(why) => {
            let how = replace(stage, id).await?;
            Ok(format!("{name} is sick ({why}), {how}"))
        }
    }
}

/// A node's disk is given up: it comes back with an empty one, or, where there is a node to spare, that one takes over
/// first. Says how it went.
pub(super) async fn replace(stage: &mut Stage, id: u32) -> Result<String, Error> {
    let spare = spare(stage).filter(|_| stage.rng.bool());
    let open = stage.begin("replace", names(&[id]));
    stage.cluster.node(id).empty().await?;
    let mut said = Vec::new();
    if let Some(spare) = spare {
        let view = stage.cluster.view_of_others(&[id]).await;
        let old: Vec<u64> = view
            .iter()
            .flat_map(|view| view.members_of(id))
            .map(|old| old.id)
            .collect();
        said.push(join(stage, spare).await?);
        for old in old {
            said.push(take_over(stage, &[id], old, spare).await);
        }
        stage.last(true).await;
    }
    said.push(join(stage, id).await?);
    if let Some(spare) = spare {
        said.push(send_away(stage, spare).await?);
    }
    stage.spoiled.remove(&id);
    let said = said.join("; ");
    stage.end(open, true, said.clone());
    Ok(said)
}

/// The node that is not there at first, if there is one.
pub(super) fn spare(stage: &Stage) -> Option<u32> {
    let id = stage.cluster.size() + 1;
    (stage.cluster.nodes().len() >= id as usize).then_some(id)
}

/// Starts a node on an empty disk and waits until it is a member and nothing is left to move; removes those that had its
/// address before.
pub(super) async fn join(stage: &Stage, id: u32) -> Result<String, Error> {
    let name = names(&[id]).concat();
    stage.cluster.start_node(id).await?;
    let mut member = None;
    let is_in = async || {
        let Ok(view) = stage.cluster.view_of_others(&[id]).await else {
            return false;
        };
        let active = view.members_of(id).filter(|member| member.state == "active");
        member = active.map(|member| member.id).next_back();
        member.is_some() && view.settled && stage.cluster.admin(id).ready().await.is_ok()
    };
    let is_in = stage.until(CHANGE_LIMIT, is_in).await;
    let Some(member) = member.filter(|_| is_in) else {
        return Ok(format!("{name} has not joined after {CHANGE_LIMIT:?}"));
    };
    let mut said = format!("{name} joined as node {member}");
    let view = stage.cluster.view_of_others(&[id]).await;
    let others = view.iter().flat_map(|view| view.members_of(id));
    for old in others.map(|old| old.id).filter(|old| *old != member) {
        said.push_str(match remove(stage, &[], old).await {
            true => ", its forerunner was removed",
            false => ", its forerunner could not be removed",
        });
    }
    Ok(said)
}

/// Has a node take over from a member, which is removed then.
pub(super) async fn take_over(stage: &Stage, but: &[u32], old: u64, new: u32) -> String {
    let ordered = async || {
        let Some(with) = active(stage, but, new).await else {
            return false;
        };
        order(
            stage,
            but,
            &format!("/v1/cluster/nodes/{old}/replace"),
            &json!({ "with": with }),
        )
        .await
    };
    if !stage.until(CHANGE_LIMIT, ordered).await {
        return format!("nobody let n{new} take over from node {old}");
    }
    match remove(stage, but, old).await {
        true => format!("n{new} took over from node {old}"),
        false => format!("n{new} has not taken over from node {old} after {CHANGE_LIMIT:?}"),
    }
}

/// The member that a node is, when it is active.
pub(super) async fn active(stage: &Stage, but: &[u32], id: u32) -> Option<u64> {
    let view = stage.cluster.view_of_others(but).await.ok()?;
    let mut active = view.members_of(id).filter(|member| member.state == "active");
    active.next_back().map(|member| member.id)
}

/// Sends a node away: decommissions it, waits until it may go, removes it, and ends it. Its disk is empty then.
pub(super) async fn send_away(stage: &Stage, id: u32) -> Result<String, Error> {
    let view = stage.cluster.view_of_others(&[id]).await;
    let members: Vec<u64> = view
        .iter()
        .flat_map(|view| view.members_of(id))
        .map(|member| member.id)
        .collect();
    let mut gone = true;
    for member in members {
        gone &= decommission(stage, &[id], member).await && remove(stage, &[id], member).await;
    }
    if !gone {
        return Ok(format!("n{id} could not be sent away within {CHANGE_LIMIT:?}"));
    }
    stage.cluster.node(id).empty().await?;
    Ok(format!("n{id} was sent away"))
}

/// Has a member's replicas moved away, and waits until none is left.
pub(super) async fn decommission(stage: &Stage, but: &[u32], member: u64) -> bool {
    let path = format!("/v1/cluster/nodes/{member}/decommission");
    if !stage
        .until(CHANGE_LIMIT, async || order(stage, but, &path, &json!({})).await)
        .await
    {
        return false;
    }
    stage
        .until(CHANGE_LIMIT, async || may_go(stage, but, member).await)
        .await
}

/// Whether nothing keeps a member that is to go.
async fn may_go(stage: &Stage, but: &[u32], member: u64) -> bool {
    let Ok(view) = stage.cluster.view_of_others(but).await else {
        return false;
    };
    let found = view.members.iter().find(|known| known.id == member);
    found.is_some_and(|found| found.state == "removed" || found.in_the_way.as_ref().is_some_and(Vec::is_empty))
}

/// Removes a member for ever, as soon as that may be.
pub(super) async fn remove(stage: &Stage, but: &[u32], member: u64) -> bool {
    let path = format!("/v1/cluster/nodes/{member}/remove");
    let removed = async || may_go(stage, but, member).await && order(stage, but, &path, &json!({})).await;
    stage.until(CHANGE_LIMIT, removed).await
}

/// Gives an order to whoever takes it, but for these; whether it was taken.
pub(super) async fn order(stage: &Stage, but: &[u32], path: &str, body: &Value) -> bool {
    for node in stage.cluster.nodes().iter().filter(|node| !but.contains(&node.id)) {
        if node.hold().await.is_up() && stage.cluster.admin(node.id).order(path, body).await.is_ok() {
            return true;
        }
    }
    false
}

/// Waits until nothing is left of earlier changes: every node is there, and nothing moves. A disk more is not given up
/// before.
pub(super) async fn wait_at_rest(stage: &Stage) -> bool {
    let is_at_rest = async || {
        for node in stage.cluster.members() {
            if stage.cluster.admin(node.id).ready().await.is_err() {
                return false;
            }
        }
        let Ok(view) = stage.cluster.view().await else {
            return false;
        };
        let lags = view
            .groups
            .iter()
            .flat_map(|group| &group.replicas)
            .map(|replica| replica.lag);
        let has_spare = spare(stage).is_some_and(|spare| view.members_of(spare).next().is_some());
        view.settled && !has_spare && lags.flatten().all(|lag| lag < CAUGHT_UP_ENTRIES)
    };
    !stage.is_over() && stage.until(REST_LIMIT, is_at_rest).await
}

/// Starts nodes again whose files were spoiled, while the others lead, and does with each what an operator does. Says what
/// became of them.
pub(super) async fn bring_back(stage: &mut Stage, ids: &[u32]) -> Result<Vec<String>, Error> {
    let mut said = Vec::new();
    let are_led = wait_led_by_others(stage, ids).await;
    stage.last(true).await;
    if !are_led {
        said.push("the others do not lead everything".to_owned());
    }
    let marks = marks(&stage.cluster, ids).await;
    for id in ids {
        stage.cluster.start_node(*id).await?;
    }
    for id in ids {
        let came = wait_whole(stage, *id, &marks).await;
        said.push(mend(stage, *id, &came).await?);
    }
    Ok(said)
}
