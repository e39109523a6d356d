//! The end of a run: all replicas agree, and say what they have.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::check::Verdict;
use crate::cli;
use crate::client::{self, Tcp};
use crate::cluster::command::run;
use crate::cluster::{Cluster, Error, View};
use crate::history::{Mark, Recorder, StateHash};

/// How long a healed cluster may take until every group has a leader and every replica has what the leader has. Longer
/// than what is allowed, so that the history shows how long it took.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(45);

/// Waits until all nodes are ready and all groups are led, or for as long as makes sense.
pub(super) async fn settle(cluster: &Cluster) {
    match cluster.wait_settled(SETTLE_TIMEOUT).await {
        Ok(took) => println!("jepsen: healed and settled after {took:.1?}"),
        Err(error) => println!("jepsen: {error}"),
    }
}

/// Waits until no replica lacks anything, and asks each for its state's hash.
pub(super) async fn converge(cluster: &Cluster, recorder: &Recorder) {
    let began = Instant::now();
    while began.elapsed() < SETTLE_TIMEOUT {
        if let Ok(view) = cluster.view().await {
            let mut lags = view
                .groups
                .iter()
                .flat_map(|group| &group.replicas)
                .map(|replica| replica.lag);
            if lags.all(|lag| lag == Some(0)) && hashes(cluster, recorder, &view).await {
                recorder.mark(Mark::Converged);
                println!("jepsen: converged after {:.1?}", began.elapsed());
                return;
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
    recorder.mark(Mark::NotConverged);
    println!("jepsen: replicas still differ after {SETTLE_TIMEOUT:?}");
}

/// Records the hash of every replica's state, and says whether all replicas of a group were at one index. Upkeep writes
/// to a group even when no client does, so a round may have to be repeated.
async fn hashes(cluster: &Cluster, recorder: &Recorder, view: &View) -> bool {
    let mut are_level = true;
    for group in &view.groups {
        let mut applied = BTreeSet::new();
        for replica in &group.replicas {
            let Some(id) = view.number(replica.node) else {
                continue;
            };
            match cluster.admin(id).state_hash(group.id).await {
                Ok(Some(state)) => {
                    applied.insert(state.applied);
                    let hash = StateHash {
                        group: group.id,
                        applied: state.applied,
                        hash: state.hash,
                    };
                    recorder.state_hash(id, hash);
                }
                // A program from before there were hashes.
                Ok(None) => {}
                Err(_) => are_level = false,
            }
        }
        are_level &= applied.len() <= 1;
    }
    are_level
}

/// Every stream as every node has it by itself.
pub(super) async fn read_all(cluster: &Arc<Cluster>, recorder: &Recorder, streams: &[String]) {
    let members: Vec<_> = cluster.members().collect();
    let highest = members.iter().map(|node| node.id).max().unwrap_or(0);
    let mut addresses = vec![SocketAddr::from(([127, 0, 0, 1], 0)); highest as usize];
    for node in &members {
        addresses[node.id as usize - 1] = node.addresses.client;
    }
    let nodes = members.iter().map(|node| node.id).collect();
    client::read_all(Arc::new(Tcp(addresses)), nodes, recorder, streams).await;
}

/// Judges the history in this folder and writes the report.
///
/// # Errors
/// When the history cannot be read, or the report not be written.
pub(super) fn judge(store: &Path) -> Result<Verdict, Error> {
    cli::conclude(store).map_err(Error::state)
}

/// Copies the nodes' files, which go with the run, to where somebody can look into them.
///
/// # Errors
/// When they cannot be copied.
pub(super) async fn keep_data(cluster: &Cluster, store: &Path) -> Result<(), Error> {
    for node in cluster.nodes().iter().filter(|node| node.data_dir().exists()) {
        let folder = store.join("data").join(node.name());
        std::fs::create_dir_all(&folder).map_err(Error::io(folder.display()))?;
        let (from, to) = (node.data_dir().display().to_string(), folder.display().to_string());
        // Journals are mostly zeros.
        run("cp", &["-a", "--sparse=always", &format!("{from}/."), &to]).await?;
    }
    println!("jepsen: the nodes' files are in {}", store.join("data").display());
    Ok(())
}
