//! Processes that are killed, stopped, or asked to end.

use std::time::Duration;

use super::stage::{Stage, names};
use crate::cluster::Error;

/// How many nodes at once.
#[derive(Debug, Clone, Copy)]
enum Extent {
    One,
    Leader,
    Minority,
    Majority,
    All,
}

impl Extent {
    const fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Leader => "leader",
            Self::Minority => "minority",
            Self::Majority => "majority",
            Self::All => "all",
        }
    }

    async fn of(self, stage: &mut Stage) -> Vec<u32> {
        let size = stage.cluster.size();
        match self {
            Self::One => stage.pick(1),
            Self::Leader => match stage.a_leader().await {
                Some(leader) => vec![leader],
                None => stage.pick(1),
            },
            Self::Minority => {
                let minority = stage.minority();
                stage.pick(minority)
            }
            Self::Majority => stage.pick(size / 2 + 1),
            Self::All => stage.pick(size),
        }
    }
}

/// kill -9, all targets at once.
pub(super) async fn kill(stage: &mut Stage) -> Result<(), Error> {
    let extents = [
        Extent::One,
        Extent::Leader,
        Extent::Minority,
        Extent::Majority,
        Extent::All,
    ];
    let extent = extents[stage.rng.usize(..extents.len())];
    let ids = extent.of(stage).await;
    let open = stage.begin(&format!("kill-{}", extent.name()), names(&ids));
    let gone = kill_now(stage, &ids).await?;
    stage.last(!matches!(extent, Extent::Majority | Extent::All)).await;
    for id in &ids {
        stage.cluster.start_node(*id).await?;
    }
    stage.end(open, !gone.is_empty(), format!("gone: pids {gone:?}"));
    Ok(())
}

/// kill -9 of these nodes; gives the pids that were ended.
pub(super) async fn kill_now(stage: &Stage, ids: &[u32]) -> Result<Vec<u32>, Error> {
    let mut gone = Vec::new();
    for id in ids {
        gone.extend(stage.cluster.node(*id).hold().await.kill().await?);
    }
    Ok(gone)
}

/// SIGSTOP, and then SIGCONT or kill -9.
pub(super) async fn pause(stage: &mut Stage) -> Result<(), Error> {
    let extents = [
        Extent::One,
        Extent::Leader,
        Extent::Leader,
        Extent::Minority,
        Extent::Majority,
    ];
    let extent = extents[stage.rng.usize(..extents.len())];
    let then_kill = stage.rng.u32(..3) == 0;
    let ids = extent.of(stage).await;
    let name = if then_kill { "pause-kill" } else { "pause" };
    let open = stage.begin(&format!("{name}-{}", extent.name()), names(&ids));
    let mut stopped = Vec::new();
    for id in &ids {
        stopped.extend(stage.cluster.node(*id).hold().await.pause()?);
    }
    // Longer than an election takes, so that somebody else leads when it goes on.
    stage.last(!matches!(extent, Extent::Majority)).await;
    let were_stopped: Vec<u32> = stopped.iter().copied().filter(|pid| is_stopped(*pid)).collect();
    for id in &ids {
        let mut held = stage.cluster.node(*id).hold().await;
        if then_kill {
            held.kill().await?;
            drop(held);
            stage.cluster.start_node(*id).await?;
        } else {
            held.resume()?;
        }
    }
    stage.end(
        open,
        !were_stopped.is_empty(),
        format!("stopped: pids {were_stopped:?}"),
    );
    Ok(())
}

/// Whether the kernel has the process as stopped.
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    let state = stat
        .ok()
        .and_then(|stat| Some(stat.rsplit_once(')')?.1.trim_start().starts_with('T')));
    state == Some(true)
}

/// SIGTERM to one after the other, each started again and ready before the next.
pub(super) async fn rolling_restart(stage: &mut Stage) -> Result<(), Error> {
    let size = stage.cluster.size();
    let mut ids = stage.pick(size);
    stage.rng.shuffle(&mut ids);
    let open = stage.begin("restart-rolling", names(&ids));
    let mut codes = Vec::new();
    for id in ids {
        if stage.is_over() {
            break;
        }
        codes.push(stage.cluster.node(id).hold().await.end().await?);
        stage.cluster.start_node(id).await?;
        for _ in 0..100 {
            if stage.cluster.admin(id).ready().await.is_ok() || stage.is_over() {
                break;
            }
            stage.rest(Duration::from_millis(100)).await;
        }
    }
    stage.end(open, codes.iter().any(Option::is_some), format!("exit codes {codes:?}"));
    Ok(())
}
