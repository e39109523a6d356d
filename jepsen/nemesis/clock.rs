//! Wall clocks that are wrong, each process's own. The monotonic clock is left alone, as it is on real machines.

use std::fs;
use std::time::Duration;

use super::stage::{Stage, names};
use crate::cluster::Error;

/// How wrong they get, in milliseconds; what depends on clocks is judged by the sum of two of these.
pub(crate) const LARGEST_MS: i64 = 60_000;

/// One clock jumps, or goes to and fro.
pub(super) async fn strike(stage: &mut Stage) -> Result<(), Error> {
    let count = stage.rng.u32(1..=stage.cluster.size());
    let ids = stage.pick(count);
    let strobes = stage.rng.u32(..3) == 0;
    let ms = *stage.rng.choice(&[2_500, 8_000, LARGEST_MS]).unwrap_or(&2_500);
    let ms = if stage.rng.bool() { ms } else { -ms };
    let name = if strobes { "clock-strobe" } else { "clock-jump" };
    let mut targets = names(&ids);
    targets.push(format!("{ms} ms"));
    let open = stage.begin(name, targets);
    set(stage, &ids, ms)?;
    let seen = observed(stage, &ids).await?;
    if strobes {
        for round in 0..12 {
            stage.rest(Duration::from_millis(250)).await;
            set(stage, &ids, if round % 2 == 0 { 0 } else { ms })?;
        }
    } else {
        stage.last(true).await;
    }
    set(stage, &ids, 0)?;
    let is_seen = seen.iter().any(|off| (off - ms as f64 / 1000.0).abs() < 1.0);
    stage.end(
        open,
        is_seen,
        format!("wrong by {seen:.1?} s as `date` has it on the nodes' clocks"),
    );
    Ok(())
}

fn set(stage: &Stage, ids: &[u32], ms: i64) -> Result<(), Error> {
    for id in ids {
        if let Some(file) = &stage.cluster.node(*id).clock {
            let seconds = ms as f64 / 1000.0;
            // Replaced in one step: a half-written one would be another time.
            let new = file.with_extension("new");
            fs::write(&new, format!("{seconds:+.3}")).map_err(Error::io(new.display()))?;
            fs::rename(&new, file).map_err(Error::io(file.display()))?;
        }
    }
    Ok(())
}

/// By how many seconds the nodes' clocks differ from ours, as a process tells that has the same one. The nodes' own answers
/// do not tell when a clock goes back: who writes the date into them looks at the clock again only when it is later.
async fn observed(stage: &Stage, ids: &[u32]) -> Result<Vec<f64>, Error> {
    let mut seen = Vec::new();
    for id in ids {
        let theirs = stage.cluster.node(*id).date_s().await?;
        let ours = chrono::Utc::now().timestamp_micros() as f64 / 1e6;
        seen.push(theirs - ours);
    }
    Ok(seen)
}
