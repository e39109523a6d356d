//! Few streams, and many clients that want to know where they end, on every node: whatever one of them was told, nobody
//! may be told less afterwards.

use super::queue::{append, create};
use super::worker::Worker;
use crate::history::{Consistency, From, Op};

const STREAMS: [&str; 4] = ["tail/a-t", "tail/b-j", "tail/c-t", "tail/d-j"];

/// Makes the streams.
pub(super) async fn prepare(worker: &mut Worker) {
    for stream in STREAMS {
        create(worker, stream).await;
    }
}

/// One client. Where it was last is shared by nobody, so that reads begin everywhere.
pub(super) async fn work(mut worker: Worker) {
    let mut last = [0; STREAMS.len()];
    while worker.turn().await {
        // Now and then another node, as behind a balancer.
        if worker.rng.u32(..6) == 0 {
            worker.turn_somewhere();
        }
        let at = worker.rng.usize(..STREAMS.len());
        let stream = STREAMS[at].to_owned();
        let answer = match worker.rng.u32(..10) {
            0..4 => {
                append(&mut worker, &stream).await;
                continue;
            }
            4..7 => worker.perform(Op::Head { stream }).await,
            choice => {
                let from = if choice == 9 { From::Now } else { From::At(last[at]) };
                let op = Op::Read {
                    stream,
                    from,
                    consistency: Consistency::Strong,
                    max: None,
                    if_none_match: None,
                };
                worker.perform(op).await
            }
        };
        if let Ok(next) = answer.map(|answer| answer.next.unwrap_or(0)) {
            last[at] = last[at].max(next);
        }
    }
}
