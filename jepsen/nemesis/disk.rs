//! Disks that are full, slow, or do not take writes.

use super::stage::{Stage, names};
use crate::cluster::Error;

/// No space left, on as many nodes as every group can do without: with fewer, groups take nothing, renewals neither.
pub(super) async fn full(stage: &mut Stage) -> Result<(), Error> {
    let count = stage.rng.u32(1..=stage.expendable().max(1));
    let ids = stage.pick(count);
    let open = stage.begin("disk-full", names(&ids));
    let (mut taken, mut said) = (Vec::new(), Vec::new());
    for id in &ids {
        if let Some(disk) = &stage.cluster.node(*id).disk {
            taken.push(disk.fill().await?);
        }
    }
    stage.last(true).await;
    for id in &ids {
        if let Some(disk) = &stage.cluster.node(*id).disk {
            disk.empty()?;
        }
        // A node whose storage fails stops by itself, as it should.
        let ended = stage.cluster.node(*id).hold().await.take_refusals();
        said.extend(ended.iter().map(ToString::to_string));
        stage.cluster.start_node(*id).await?;
    }
    stage.end(open, !taken.is_empty(), format!("{taken:?} bytes taken; {said:?}"));
    Ok(())
}

/// Few writes per second, on one node or a minority.
pub(super) async fn slow(stage: &mut Stage) -> Result<(), Error> {
    let count = stage.rng.u32(1..=stage.minority().max(1));
    let ids = stage.pick(count);
    let writes_per_s = stage.rng.u32(3..40);
    let open = stage.begin("disk-slow", names(&ids));
    let mut slowed = 0;
    for id in &ids {
        slowed += u32::from(limit(stage, *id, Some(writes_per_s)).await?);
    }
    stage.last(true).await;
    for id in &ids {
        limit(stage, *id, None).await?;
    }
    stage.end(open, slowed > 0, format!("{slowed} nodes at {writes_per_s} writes/s"));
    Ok(())
}

async fn limit(stage: &Stage, id: u32, writes_per_s: Option<u32>) -> Result<bool, Error> {
    let mut held = stage.cluster.node(id).hold().await;
    let (Some(pid), Some(disk)) = (held.pid(), &held.node().disk.clone()) else {
        return Ok(false);
    };
    disk.throttle(pid, writes_per_s).await?;
    Ok(true)
}

/// A file system that turns read-only, as ext4 does on an error of its device; later the node is started anew on the
/// repaired one.
pub(super) async fn read_only(stage: &mut Stage) -> Result<(), Error> {
    let ids = stage.pick(1);
    let open = stage.begin("disk-ro", names(&ids));
    let mut refused = 0;
    for id in &ids {
        if let Some(disk) = &stage.cluster.node(*id).disk {
            disk.refuse_writes().await?;
            refused += u32::from(std::fs::write(disk.mount_point().join("probe"), b"x").is_err());
        }
    }
    stage.last(true).await;
    let mut ended = Vec::new();
    for id in &ids {
        let mut held = stage.cluster.node(*id).hold().await;
        ended.extend(held.take_refusals().iter().map(ToString::to_string));
        held.kill().await?;
        if let Some(disk) = &held.node().disk {
            disk.repair().await?;
        }
        drop(held);
        stage.cluster.start_node(*id).await?;
    }
    stage.end(open, refused > 0, format!("{refused} disks refused writes; {ended:?}"));
    Ok(())
}
