//! Idempotent producers. What has no known outcome is sent again, with the same headers and messages, until it has one,
//! mostly to another node. Two clients share each producer id and take it from one another by newer epochs; now and then
//! an old epoch, or what was acknowledged already, is sent on purpose.

use std::collections::BTreeMap;

use super::queue::create;
use super::worker::Worker;
use crate::history::{Answer, Consistency, Failure, From, MessageId, Op, Producer};

const STREAMS: usize = 8;

fn name(number: usize) -> String {
    let kind = if number.is_multiple_of(2) { "j" } else { "t" };
    format!("producer/{number}-{kind}")
}

/// Makes the streams.
pub(super) async fn prepare(worker: &mut Worker) {
    for number in 0..STREAMS {
        create(worker, &name(number)).await;
    }
}

/// A write, to be sent until its outcome is known.
#[derive(Debug, Clone)]
struct Write {
    epoch: u64,
    seq: u64,
    messages: Vec<MessageId>,
}

/// Where a producer is in one stream.
#[derive(Debug, Clone, Default)]
struct Place {
    epoch: u64,
    next_seq: u64,
    waiting: Option<Write>,
    last: Option<Write>,
}

impl Place {
    /// The next epoch of ours after `epoch`: two clients with one id have every second one each, so that no two ever
    /// say different things under the same numbers.
    fn renew(&mut self, epoch: u64, parity: u64) {
        self.epoch = epoch + 1 + u64::from((epoch + 1) % 2 != parity);
        self.next_seq = 0;
        self.waiting = None;
        self.last = None;
    }
}

/// One client.
pub(super) async fn work(mut worker: Worker, index: u32) {
    let (id, parity) = (format!("p{}", index / 2), u64::from(index % 2));
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    while worker.turn().await {
        let stream = name(worker.rng.usize(..STREAMS));
        if worker.rng.u32(..8) == 0 {
            read(&mut worker, stream).await;
            continue;
        }
        let place = places.entry(stream.clone()).or_insert_with(|| Place {
            epoch: parity,
            ..Place::default()
        });
        step(&mut worker, &id, parity, &stream, place).await;
    }
}

async fn read(worker: &mut Worker, stream: String) {
    let op = Op::Read {
        stream,
        from: From::Start,
        consistency: Consistency::Strong,
        max: None,
        if_none_match: None,
    };
    // The recorder has it.
    let _ = worker.perform(op).await;
}

async fn step(worker: &mut Worker, id: &str, parity: u64, stream: &str, place: &mut Place) {
    match worker.rng.u32(..100) {
        0..2 => place.renew(place.epoch, parity),
        2..5 if place.epoch >= 2 => {
            let stale = Write {
                epoch: place.epoch - 2,
                seq: place.next_seq,
                messages: worker.messages(1),
            };
            // It must be refused; the checkers look whether it was.
            let _ = send(worker, id, stream, &stale).await;
            return;
        }
        5..12 if place.waiting.is_none() => {
            if let Some(last) = place.last.clone() {
                let _ = send(worker, id, stream, &last).await;
                return;
            }
        }
        _ => {}
    }
    let write = match place.waiting.take() {
        Some(write) => {
            worker.turn_somewhere();
            write
        }
        None => {
            let count = worker.rng.usize(1..=4);
            Write {
                epoch: place.epoch,
                seq: place.next_seq,
                messages: worker.messages(count),
            }
        }
    };
    match send(worker, id, stream, &write).await {
        Ok(_) => {
            place.next_seq = write.seq + 1;
            place.last = Some(write);
        }
        Err(failure) => match failure.code.as_str() {
            "producer-fenced" => place.renew(failure.epoch.unwrap_or(place.epoch), parity),
            "producer-gap" | "producer-epoch-start" => place.renew(place.epoch, parity),
            _ => place.waiting = Some(write),
        },
    }
}

async fn send(worker: &mut Worker, id: &str, stream: &str, write: &Write) -> Result<Answer, Failure> {
    let op = Op::Append {
        stream: stream.to_owned(),
        messages: write.messages.clone(),
        producer: Some(Producer {
            id: id.to_owned(),
            epoch: write.epoch,
            seq: write.seq,
        }),
        close: false,
    };
    worker.perform(op).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_of_two_clients_never_meet_and_always_grow() {
        for parity in [0, 1] {
            let mut place = Place::default();
            for epoch in 0..20 {
                place.renew(epoch, parity);
                assert!(place.epoch > epoch);
                assert_eq!(place.epoch % 2, parity);
            }
        }
    }
}
