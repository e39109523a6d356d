//! Streams with a TTL of a few seconds: some are read, some are written to, some are only looked at by HEAD, which must not
//! keep them alive, and some are left alone until they should be gone. Besides these each client keeps a stream alive, so
//! that at the end of a run there are some that a replica may have removed by mistake.

use super::queue::append;
use super::worker::Worker;
use crate::history::{Consistency, Failure, From, Op};

/// So many of the newest streams are used, and so many of older ones looked at.
const NEWEST: usize = 12;
const OLDER: usize = 80;

/// The TTL of streams that are kept alive: about as little as a clock that is wrong is wrong by.
const KEPT_MS: u64 = 3000;

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

/// Appends to the stream that this client keeps alive; makes another one when that is gone, as it may be where clocks are
/// wrong.
async fn keep(worker: &mut Worker, kept: &mut Option<String>) {
    if let Some(stream) = kept {
        let op = Op::Append {
            stream: stream.clone(),
            messages: worker.messages(1),
            producer: None,
            close: false,
        };
        let gone = |failure: &Failure| matches!(failure.status, Some(404 | 410));
        if worker.perform(op).await.err().is_some_and(|failure| gone(&failure)) {
            *kept = None;
        }
        return;
    }
    let stream = format!("ttl/kept-{}-j", worker.number());
    let op = Op::Create {
        stream: stream.clone(),
        messages: Vec::new(),
        ttl_ms: Some(KEPT_MS),
        close: false,
    };
    *kept = worker.perform(op).await.is_ok().then_some(stream);
}

/// One client.
pub(super) async fn work(mut worker: Worker) {
    let mut kept = None;
    while worker.turn().await {
        if worker.rng.u32(..6) == 0 {
            keep(&mut worker, &mut kept).await;
            continue;
        }
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
