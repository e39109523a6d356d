//! A disk that is lost when that hurts most: of the three that have replicas of a group one lags, one loses its disk, and
//! the third, which alone has everything then, is cut off while the second comes back. Whoever takes the empty disk for
//! the one that was there finds a majority of two that knows nothing of what was acknowledged last.

use std::time::Duration;

use super::operator;
use super::stage::{Stage, names};
use crate::cluster::{Cluster, Error};
use crate::net::{End, Rule};

/// How long writes go on while one lags.
const LAG: Duration = Duration::from_secs(2);

/// How long the one that has everything is away: long enough for the others to elect, and to let a new node in.
const AWAY: Duration = Duration::from_secs(8);

/// Who plays what.
struct Cast {
    /// Leads the group.
    whole: u32,
    /// Loses its disk.
    lost: u32,
    /// Lags.
    lagging: u32,
}

/// Loses a disk.
pub(super) async fn strike(stage: &mut Stage) -> Result<(), Error> {
    // One disk at a time: groups must have all their replicas before the next one is lost.
    let cast = match operator::wait_at_rest(stage).await {
        true => cast(stage).await,
        false => None,
    };
    let Some(Cast { whole, lost, lagging }) = cast else {
        return Ok(());
    };
    let open = stage.begin("amnesia", names(&[lost, lagging, whole]));
    cut_off(&stage.cluster, lagging);
    stage.rest(LAG).await;
    let gone = super::process::kill_now(stage, &[lost]).await?;
    stage.cluster.node(lost).empty().await?;
    // Nobody can acknowledge anything between the two.
    cut_off(&stage.cluster, whole);
    stage.cluster.rules.heal_end(lagging as End);
    cut_off(&stage.cluster, whole);
    stage.cluster.start_node(lost).await?;
    stage.rest(AWAY).await;
    stage.cluster.rules.heal();
    let how = operator::join(stage, lost).await?;
    let evidence = format!("pids {gone:?} gone with their files; {how}");
    stage.end(open, !gone.is_empty(), evidence);
    Ok(())
}

/// A group with a leader and two followers; which of these lags is a matter of chance.
async fn cast(stage: &mut Stage) -> Option<Cast> {
    let view = stage.cluster.view().await.ok()?;
    let led: Vec<_> = view
        .groups
        .iter()
        .filter_map(|group| Some((group, view.number(group.leader_node?)?)))
        .collect();
    let (group, whole) = stage.rng.choice(led)?;
    let followers = group.replicas.iter().filter_map(|replica| view.number(replica.node));
    let mut followers: Vec<u32> = followers.filter(|id| *id != whole).collect();
    stage.rng.shuffle(&mut followers);
    match followers.as_slice() {
        [lost, lagging] => Some(Cast {
            whole,
            lost: *lost,
            lagging: *lagging,
        }),
        _ => None,
    }
}

/// From all other nodes, not from clients.
fn cut_off(cluster: &Cluster, id: u32) {
    for other in (1..=cluster.size()).filter(|other| *other != id) {
        cluster.rules.set_both(id as End, other as End, Rule::CUT);
    }
}
