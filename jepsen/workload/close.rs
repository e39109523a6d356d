//! Streams that are closed while others append to them: by a close alone, with a last message, with producer headers, or
//! at their creation. Each lives for a moment, so that many are closed.

use std::collections::BTreeSet;

use super::queue::append;
use super::worker::Worker;
use crate::history::{Consistency, From, Op, Producer};

/// So many of the newest streams are used.
const NEWEST: usize = 6;

/// Makes the first stream.
pub(super) async fn prepare(worker: &mut Worker) {
    open(worker, false).await;
}

/// A new stream, which is closed from the beginning or not.
async fn open(worker: &mut Worker, close: bool) {
    let number = worker.number();
    let kind = if number.is_multiple_of(2) { "j" } else { "t" };
    let stream = format!("close/{number}-{kind}");
    let op = Op::Create {
        stream: stream.clone(),
        messages: if close { worker.messages(2) } else { Vec::new() },
        ttl_ms: None,
        close,
    };
    // Also when nobody knows whether it is there: others will see.
    let _ = worker.perform(op).await;
    worker.share(stream);
}

/// One client.
pub(super) async fn work(mut worker: Worker, index: u32) {
    let mut produced = BTreeSet::new();
    while worker.turn().await {
        let Some(stream) = worker.shared(NEWEST) else {
            open(&mut worker, false).await;
            continue;
        };
        match worker.rng.u32(..100) {
            0..5 => {
                let close = worker.rng.u32(..6) == 0;
                open(&mut worker, close).await;
            }
            5..60 => append(&mut worker, &stream).await,
            60..75 => {
                let op = Op::Read {
                    stream,
                    from: From::Start,
                    consistency: Consistency::Strong,
                    max: None,
                    if_none_match: None,
                };
                let _ = worker.perform(op).await;
            }
            75..90 => {
                let _ = worker.perform(Op::Head { stream }).await;
            }
            choice => close(&mut worker, stream, index, choice, &mut produced).await,
        }
    }
}

/// Closes a stream. With producer headers a client does that once for each: the same numbers with other messages would
/// be a broken producer.
async fn close(worker: &mut Worker, stream: String, index: u32, choice: u32, produced: &mut BTreeSet<String>) {
    let producer = (choice >= 95 && produced.insert(stream.clone())).then(|| Producer {
        id: format!("c{index}"),
        epoch: 0,
        seq: 0,
    });
    let repeats = producer.is_some() && worker.rng.bool();
    let op = match choice.is_multiple_of(2) {
        true => Op::Close { stream, producer },
        false => Op::Append {
            stream,
            messages: worker.messages(2),
            producer,
            close: true,
        },
    };
    let _ = worker.perform(op.clone()).await;
    if repeats {
        worker.turn_somewhere();
        let _ = worker.perform(op).await;
    }
}
