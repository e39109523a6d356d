//! Forks, and forks of forks, at places that were seen, at the tail, or some messages further; all names together, so that
//! source and fork are mostly in different groups. Both are written to, and sources are deleted.

use std::collections::BTreeMap;

use super::queue::append;
use super::worker::Worker;
use crate::history::{Consistency, From, Op};

/// So many of the newest streams are used.
const NEWEST: usize = 16;

/// Places that a client has seen in each stream: whole messages lie before and behind.
type Places = BTreeMap<String, Vec<u64>>;

/// Makes the first streams.
pub(super) async fn prepare(worker: &mut Worker) {
    for _ in 0..4 {
        root(worker).await;
    }
}

/// A new stream that is no fork.
async fn root(worker: &mut Worker) {
    let number = worker.number();
    let kind = if number.is_multiple_of(2) { "j" } else { "t" };
    let stream = format!("fork/{number}-{kind}");
    let op = Op::Create {
        stream: stream.clone(),
        messages: worker.messages(3),
        ttl_ms: None,
        close: false,
    };
    if worker.perform(op).await.is_ok() {
        worker.share(stream);
    }
}

/// One client.
pub(super) async fn work(mut worker: Worker) {
    let mut places = Places::default();
    while worker.turn().await {
        let Some(stream) = worker.shared(NEWEST) else {
            root(&mut worker).await;
            continue;
        };
        match worker.rng.u32(..100) {
            0..2 => root(&mut worker).await,
            2..10 => fork(&mut worker, &stream, &places).await,
            10..12 => {
                let _ = worker.perform(Op::Delete { stream }).await;
            }
            12..60 => append(&mut worker, &stream).await,
            60..65 => {
                let _ = worker.perform(Op::Head { stream }).await;
            }
            _ => read(&mut worker, stream, &mut places).await,
        }
    }
}

async fn fork(worker: &mut Worker, source: &str, places: &Places) {
    let known = places.get(source).and_then(|places| worker.rng.choice(places)).copied();
    // A fork's messages are written as its source's.
    let kind = source.rsplit('-').next().unwrap_or("j");
    let stream = format!("fork/{}-{kind}", worker.number());
    let at = known.filter(|_| worker.rng.u32(..3) > 0);
    let sub = at.filter(|_| worker.rng.u32(..3) == 0).map(|_| worker.rng.u64(1..=2));
    let op = Op::Fork {
        stream: stream.clone(),
        source: source.to_owned(),
        at,
        sub,
        ttl_ms: None,
    };
    let made = worker.perform(op.clone()).await;
    if made.as_ref().is_err_and(|failure| !failure.is_definite()) {
        // It may be there; the same again says so, or makes it.
        worker.turn_somewhere();
        let _ = worker.perform(op).await;
    }
    if !made.is_err_and(|failure| failure.is_definite()) {
        worker.share(stream);
    }
}

async fn read(worker: &mut Worker, stream: String, places: &mut Places) {
    let seen = places.entry(stream.clone()).or_default();
    let from = match worker.rng.choice(&*seen) {
        Some(at) if worker.rng.bool() => From::At(*at),
        _ => From::Start,
    };
    let op = Op::Read {
        stream,
        from,
        consistency: Consistency::Strong,
        max: None,
        if_none_match: None,
    };
    if let Ok(answer) = worker.perform(op).await {
        seen.extend(answer.next);
    }
}
