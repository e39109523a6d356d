//! Streams with a TTL of a few seconds: some are read, some are written to, some are only looked at by HEAD, which must not
//! keep them alive, and some are left alone until they should be gone.

use super::queue::append;
use super::worker::Worker;
use crate::history::{Consistency, From, Op};

/// So many of the newest streams are used, and so many of older ones looked at.
const NEWEST: usize = 12;
const OLDER: usize = 80;

/// Makes the first stream.
pub(super) async fn prepare(worker: &mut Worker) {
    open(worker).await;
}

async fn open(worker: &mut Worker) {
    let number = worker.number();
    let stream = format!("ttl/{number}-j");
    let op = Op::Create {
        stream: stream.clone(),
        messages: worker.messages(1),
        ttl_ms: Some(worker.rng.u64(2..=5) * 1000),
        close: false,
    };
    if worker.perform(op).await.is_ok() {
        worker.share(stream);
    }
}

/// How a stream is used follows from its number.
fn is_read(stream: &str) -> bool {
    stream.contains(['0', '1', '2', '3'])
}

fn is_written(stream: &str) -> bool {
    stream.contains(['4', '5'])
}

/// One client.
pub(super) async fn work(mut worker: Worker) {
    while worker.turn().await {
        let choice = worker.rng.u32(..20);
        let newest = if choice < 12 { NEWEST } else { OLDER };
        let Some(stream) = worker.shared(newest) else {
            open(&mut worker).await;
            continue;
        };
        match choice {
            0 => open(&mut worker).await,
            1..10 if is_read(&stream) => {
                let op = Op::Read {
                    stream,
                    from: From::Start,
                    consistency: Consistency::Strong,
                    max: None,
                    if_none_match: None,
                };
                let _ = worker.perform(op).await;
            }
            1..10 if is_written(&stream) => append(&mut worker, &stream).await,
            _ => {
                let _ = worker.perform(Op::Head { stream }).await;
            }
        }
    }
}
