//! Appends without producer headers, and reads on every node: from where the client was last, now and then from the
//! beginning, now and then without the barrier.

use std::collections::BTreeMap;

use super::worker::Worker;
use crate::history::{Consistency, From, Op};

/// The streams, spread over all groups; half of them lines, half of them JSON.
const STREAMS: usize = 12;

fn name(number: usize) -> String {
    let kind = if number.is_multiple_of(2) { "j" } else { "t" };
    format!("queue/{number}-{kind}")
}

/// Makes the streams.
pub(super) async fn prepare(worker: &mut Worker) {
    for number in 0..STREAMS {
        create(worker, &name(number)).await;
    }
}

/// Makes a stream, until it is certain that it is there.
pub(super) async fn create(worker: &mut Worker, stream: &str) {
    for _ in 0..20 {
        let op = Op::Create {
            stream: stream.to_owned(),
            messages: Vec::new(),
            ttl_ms: None,
            close: false,
        };
        if worker.perform(op).await.is_ok() {
            return;
        }
        worker.turn_somewhere();
    }
}

/// One client: half of them append, half of them read.
pub(super) async fn work(mut worker: Worker, index: u32) {
    let nodes = worker.nodes();
    // Both kinds on every node.
    let appends = (index / nodes).is_multiple_of(2);
    let mut places = Places::default();
    while worker.turn().await {
        let stream = name(worker.rng.usize(..STREAMS));
        if appends {
            append(&mut worker, &stream).await;
        } else {
            places.read(&mut worker, &stream).await;
        }
    }
}

/// Appends a batch of one to four messages.
pub(super) async fn append(worker: &mut Worker, stream: &str) {
    let count = worker.rng.usize(1..=4);
    let op = Op::Append {
        stream: stream.to_owned(),
        messages: worker.messages(count),
        producer: None,
        close: false,
    };
    // The recorder has it, whatever came of it.
    let _ = worker.perform(op).await;
}

/// Where a client was last in each stream.
#[derive(Default)]
pub(super) struct Places {
    strong: BTreeMap<String, u64>,
    tags: BTreeMap<String, (From, String)>,
}

impl Places {
    /// Reads on.
    pub(super) async fn read(&mut self, worker: &mut Worker, stream: &str) {
        let consistency = match worker.rng.u32(..5) {
            0 => Consistency::Eventual,
            _ => Consistency::Strong,
        };
        let at = self.strong.get(stream).copied();
        let mut from = match worker.rng.u32(..20) {
            0 => From::Start,
            1 => From::Now,
            _ => at.map_or(From::Start, From::At),
        };
        let mut if_none_match = None;
        if worker.rng.u32(..10) == 0
            && let Some((place, tag)) = self.tags.get(stream)
        {
            (from, if_none_match) = (*place, Some(tag.clone()));
        }
        // A replica that lags refuses an offset that it has not reached.
        if consistency == Consistency::Eventual {
            from = From::Start;
        }
        let op = Op::Read {
            stream: stream.to_owned(),
            from,
            consistency,
            max: None,
            if_none_match,
        };
        let Ok(answer) = worker.perform(op).await else {
            return;
        };
        if let (Some(tag), Consistency::Strong) = (answer.etag, consistency) {
            self.tags.insert(stream.to_owned(), (from, tag));
        }
        if let (Some(next), Consistency::Strong) = (answer.next, consistency) {
            let place = self.strong.entry(stream.to_owned()).or_default();
            *place = (*place).max(next);
        }
    }
}
