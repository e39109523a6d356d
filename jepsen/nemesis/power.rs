//! Power loss: a node's disk takes nothing any more, what was not synced is gone, and the process with it. The node is cut
//! off first, so that nobody hears from it between the one and the other.

use std::time::Duration;

use super::stage::{Stage, names};
use crate::cluster::Error;
use crate::cluster::disk::LastBreath;
use crate::net::{CLIENTS, End, Rule};

/// One node, or as many as a majority can do without.
pub(super) async fn some(stage: &mut Stage) -> Result<(), Error> {
    match stage.rng.u32(..3) {
        0 => {
            let minority = stage.minority();
            let ids = stage.pick(minority);
            cut(stage, "power-minority", ids).await
        }
        1 => all(stage).await,
        _ => {
            let ids = match stage.a_leader().await {
                Some(leader) => vec![leader],
                None => stage.pick(1),
            };
            cut(stage, "power-one", ids).await
        }
    }
}

/// All at once.
pub(super) async fn all(stage: &mut Stage) -> Result<(), Error> {
    let size = stage.cluster.size();
    let ids = stage.pick(size);
    cut(stage, "power-all", ids).await
}

async fn cut(stage: &mut Stage, name: &str, ids: Vec<u32>) -> Result<(), Error> {
    let breath = match stage.rng.bool() {
        true => LastBreath::Flushed,
        false => LastBreath::Lost,
    };
    let suffix = match breath {
        LastBreath::Flushed => "log-flushed",
        LastBreath::Lost => "log-lost",
    };
    let open = stage.begin(&format!("{name}-{suffix}"), names(&ids));
    let silent = ids
        .iter()
        .flat_map(|id| (CLIENTS..=stage.cluster.nodes().len()).map(move |end| (*id as End, end)));
    for (node, end) in silent.filter(|(node, end)| node != end) {
        stage.cluster.rules.set_both(node, end, Rule::CUT);
    }
    // All disks first, as when a whole rack goes dark; then the processes.
    let disks = ids.iter().filter_map(|id| stage.cluster.node(*id).disk.clone());
    let cuts: Vec<_> = disks
        .map(|disk| tokio::spawn(async move { disk.cut_power(breath).await }))
        .collect();
    let mut dark = 0;
    for cut in cuts {
        cut.await.map_err(|error| Error::state(error.to_string()))??;
        dark += 1;
    }
    let gone = super::process::kill_now(stage, &ids).await?;
    let mut ended = Vec::new();
    for id in &ids {
        // One that noticed before it was killed stops by itself, as it should.
        let refusals = stage.cluster.node(*id).hold().await.take_refusals();
        ended.extend(refusals.iter().map(ToString::to_string));
    }
    let ms = stage.rng.u64(300..1500);
    stage.rest(Duration::from_millis(ms)).await;
    for id in &ids {
        if let Some(disk) = &stage.cluster.node(*id).disk {
            disk.remount().await?;
        }
    }
    stage.cluster.rules.heal();
    for id in &ids {
        stage.cluster.start_node(*id).await?;
    }
    // What a node had to do to recover belongs to the fault.
    stage.last(true).await;
    stage.end(
        open,
        dark > 0,
        format!("{dark} disks cut off, pids {gone:?} gone; {ended:?}"),
    );
    Ok(())
}
