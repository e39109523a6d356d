//! Files that somebody restored: a node's directory, or one file in it, as it was some time before.
//!
//! A node whose directory is older than it was has forgotten what it acknowledged and for whom it voted since, which no
//! checksum can tell, and which Raft does not allow. Weir promises for it what holds all the same: as long as every group
//! is led without such nodes, and has a majority without them, they get what they lack from the others. So one is started
//! when the others lead.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::operator;
use super::stage::{Stage, names};
use crate::cluster::command::run;
use crate::cluster::{Error, node::Node};

/// How long the node goes on after the copy, in milliseconds.
const OLDER_MS: std::ops::RangeInclusive<u64> = 2_000..=8_000;

/// Copies a node's files, lets it go on, and puts the copy in their place.
pub(super) async fn strike(stage: &mut Stage) -> Result<(), Error> {
    let ids = stage.pick_expendable().await;
    if !operator::wait_at_rest(stage).await {
        return Ok(());
    }
    let whole = stage.rng.bool();
    let name = if whole { "old-copy-directory" } else { "old-copy-file" };
    let open = stage.begin(name, names(&ids));
    // A copy of files that nobody writes: of others not even a crash could have left them so.
    let before = operator::marks(&stage.cluster, &[]).await;
    super::process::kill_now(stage, &ids).await?;
    for id in &ids {
        let node = stage.cluster.node(*id);
        replace_by(&copy_of(node), node.data_dir()).await?;
        stage.cluster.start_node(*id).await?;
    }
    let mut said = Vec::new();
    for id in &ids {
        let came = operator::wait_whole(stage, *id, &before).await;
        if !matches!(came, operator::Came::Whole) {
            said.push(format!("n{id} did not come back to go on: {came:?}"));
        }
    }
    let ms = stage.rng.u64(OLDER_MS);
    stage.rest(Duration::from_millis(ms)).await;
    super::process::kill_now(stage, &ids).await?;
    for id in &ids {
        let (copy, dir) = {
            let node = stage.cluster.node(*id);
            (copy_of(node), node.data_dir().to_owned())
        };
        let file = match whole {
            true => None,
            false => stage.rng.choice(changed_files(&copy, &dir).await?),
        };
        stage.spoiled.insert(*id);
        match file {
            Some(file) => {
                let (from, to) = (copy.join(&file), dir.join(&file));
                run("cp", &["-a", "--sparse=always", &text(&from), &text(&to)]).await?;
                said.push(format!("n{id}: {file} as it was {ms} ms before"));
            }
            None => {
                replace_by(&dir, &copy).await?;
                said.push(format!("n{id}: all as it was {ms} ms before"));
            }
        }
    }
    said.extend(operator::bring_back(stage, &ids).await?);
    stage.end(open, true, said.join("; "));
    Ok(())
}

/// Where a node's copy is: beside its disk, not on it.
fn copy_of(node: &Node) -> PathBuf {
    let folder = node.data_dir().parent().unwrap_or(node.data_dir());
    folder.with_extension("copy")
}

/// Makes `to` the same as `from`.
async fn replace_by(to: &Path, from: &Path) -> Result<(), Error> {
    if to.exists() {
        std::fs::remove_dir_all(to).map_err(Error::io(to.display()))?;
    }
    run("cp", &["-a", "--sparse=always", &text(from), &text(to)])
        .await
        .map(drop)
}

/// The files with content below a copy that have changed since, relative to it.
async fn changed_files(copy: &Path, dir: &Path) -> Result<Vec<String>, Error> {
    let found = run("find", &[&text(copy), "-type", "f", "-size", "+0", "-printf", "%P\n"]).await?;
    let is_content = |name: &&str| !matches!(*name, "LOCK" | "RESERVE") && !name.ends_with(".spare");
    let mut changed = Vec::new();
    for name in found.lines().filter(is_content) {
        let (old, new) = (copy.join(name), dir.join(name));
        // It ends with an error when they differ, or when there is no such file any more.
        if run("cmp", &["-s", &text(&old), &text(&new)]).await.is_err() {
            changed.push(name.to_owned());
        }
    }
    changed.sort_unstable();
    Ok(changed)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
