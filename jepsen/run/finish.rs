//! The end of a run: all replicas agree, and say what they have.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::check::Verdict;
use crate::cli;
use crate::client::http::Http;
use crate::client::perform::perform;
use crate::cluster::command::run;
use crate::cluster::{Cluster, Error, View};
use crate::history::{Answer, Client, Failure, Mark, Op, Recorder, StateHash};

/// How long a healed cluster may take until every group has a leader and every replica has what the leader has. Longer
/// than what is allowed, so that the history shows how long it took.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(45);

/// How long one of the last reads may take, and how long they are repeated where a node lags.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
const FINAL_READS_TIMEOUT: Duration = Duration::from_secs(30);

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

/// Every stream as every node has it by itself, once that is as far as its tail was when it was asked for it.
pub(super) async fn read_all(cluster: &Arc<Cluster>, recorder: &Recorder, streams: &[String]) {
    let streams: Arc<[String]> = streams.into();
    let deadline = Instant::now() + FINAL_READS_TIMEOUT;
    let mut readers = JoinSet::new();
    for node in cluster.members() {
        let mut reader = Reader {
            client: recorder.client(),
            http: Http::new(node.addresses.client, READ_TIMEOUT),
            node: node.id,
            deadline,
        };
        let streams = Arc::clone(&streams);
        readers.spawn(async move {
            for stream in streams.iter() {
                reader.read(stream).await;
            }
        });
    }
    while readers.join_next().await.is_some() {}
}

/// Reads what one node has.
struct Reader {
    client: Client,
    http: Http,
    node: u32,
    deadline: Instant,
}

impl Reader {
    async fn read(&mut self, stream: &str) {
        let stream = || stream.to_owned();
        loop {
            let tail = self.perform(Op::Head { stream: stream() }).await;
            let read = self.perform(Op::FinalRead { stream: stream() }).await;
            let is_done = match (tail, read) {
                (Ok(tail), Ok(read)) => read.next >= tail.next && read.closed == tail.closed,
                // Gone, and known to be.
                (Err(tail), Err(read)) => tail.is_definite() && read.is_definite(),
                (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
            };
            if is_done || Instant::now() >= self.deadline {
                return;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    async fn perform(&mut self, op: Op) -> Result<Answer, Failure> {
        let pending = self.client.invoke(Some(self.node), op.clone());
        let result = perform(&mut self.http, &op).await;
        match &result {
            Ok(answer) => pending.ok(answer.clone()),
            Err(failure) => pending.fail(failure.clone()),
        }
        result
    }
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
