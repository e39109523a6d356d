//! A disk that is lost with all that was on it. A node with an empty disk is a new node: it is let in as such, or another
//! one takes over first.

use super::operator;
use super::stage::{Stage, names};
use crate::cluster::Error;

/// kill -9, and nothing is left of the node's files; later it is replaced.
pub(super) async fn strike(stage: &mut Stage) -> Result<(), Error> {
    let ids = stage.pick_expendable().await;
    if !operator::wait_at_rest(stage).await {
        return Ok(());
    }
    let open = stage.begin("wipe", names(&ids));
    let gone = super::process::kill_now(stage, &ids).await?;
    for id in &ids {
        stage.cluster.node(*id).empty().await?;
    }
    // The others go on without it for a while, or it comes back at once.
    if stage.rng.bool() {
        stage.last(true).await;
    }
    let mut said = Vec::new();
    for id in &ids {
        said.push(operator::replace(stage, *id).await?);
    }
    stage.end(open, !gone.is_empty(), said.join("; "));
    Ok(())
}
