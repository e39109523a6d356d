//! The last reads: every stream as every node has it by itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::connect::Connect;
use super::http::Http;
use super::perform::perform;
use crate::history::{Answer, Client, Failure, Op, Recorder};

/// How long one of the last reads may take, and how long they are repeated where a node lags.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
const FINAL_READS_TIMEOUT: Duration = Duration::from_secs(30);

/// So many streams that a node does not give after all that time are enough.
const FEW: usize = 3;

/// Every stream as every node has it by itself, once that is as far as its tail was when it was asked for it.
pub async fn read_all(network: Arc<dyn Connect>, nodes: Vec<u32>, recorder: &Recorder, streams: &[String]) {
    let streams: Arc<[String]> = streams.into();
    let deadline = Instant::now() + FINAL_READS_TIMEOUT;
    let mut readers = JoinSet::new();
    for node in nodes {
        let mut reader = Reader {
            client: recorder.client(),
            http: Http::to(Arc::clone(&network), node, READ_TIMEOUT),
            node,
            deadline,
        };
        let streams = Arc::clone(&streams);
        readers.spawn(async move {
            let mut failed = 0;
            for stream in streams.iter() {
                failed += usize::from(!reader.read(stream).await);
                // A node that cannot give some streams in time is known well enough.
                if failed >= FEW && Instant::now() >= reader.deadline {
                    return;
                }
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
    /// Whether the node gave the stream as far as it must.
    async fn read(&mut self, stream: &str) -> bool {
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
                return is_done;
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
