//! Readers that stay: each follows a stream from its beginning or its end, is cut off after some bytes or some time, and
//! goes on at the offset that it was given last, on another node, by long-poll or SSE.

use std::time::Duration;

use super::queue::{append, create};
use super::worker::Worker;
use crate::client::live::Cut;
use crate::history::{From, LiveMode, Op};

const STREAMS: [&str; 5] = ["live/a-j", "live/b-t", "live/c-j", "live/d-j", "live/e-t"];

/// How many connections a reader makes before it is another one.
const PIECES: u32 = 40;

/// Makes the streams.
pub(super) async fn prepare(worker: &mut Worker) {
    for stream in STREAMS {
        create(worker, stream).await;
    }
}

/// One client: every third writes, the others read.
pub(super) async fn work(mut worker: Worker, index: u32) {
    if (index / worker.nodes()).is_multiple_of(3) {
        while worker.turn().await {
            let stream = STREAMS[worker.rng.usize(..STREAMS.len())];
            append(&mut worker, stream).await;
        }
        return;
    }
    while !worker.is_stopped() {
        follow(&mut worker).await;
    }
}

/// One reader.
async fn follow(worker: &mut Worker) {
    let session = worker.number();
    // Half of all are at one stream: who shares it on a node is served together.
    let stream = match worker.rng.bool() {
        true => STREAMS[0],
        false => STREAMS[worker.rng.usize(..STREAMS.len())],
    };
    let mut from = if worker.rng.bool() { From::Start } else { From::Now };
    for _ in 0..PIECES {
        if !worker.turn().await {
            return;
        }
        worker.turn_somewhere();
        let mode = if worker.rng.u32(..3) == 0 {
            LiveMode::LongPoll
        } else {
            LiveMode::Sse
        };
        let most = if worker.rng.bool() { 600 } else { 20_000 };
        let cut = Cut {
            bytes: worker.rng.usize(1..most),
            after: Duration::from_millis(worker.rng.u64(100..4000)),
        };
        let op = Op::Live {
            stream: stream.to_owned(),
            from,
            mode,
            session,
        };
        if let Ok(answer) = worker.listen(op, cut).await
            && let Some(next) = answer.next
        {
            from = From::At(next);
        }
    }
}
