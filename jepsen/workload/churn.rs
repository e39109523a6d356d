//! Streams that are made, deleted and made again under the same names. Only a search can tell whether what all clients saw
//! fits together, so a name is used for a moment and by few.

use super::queue::append;
use super::worker::Worker;
use crate::history::{Consistency, From, Op};

/// How many names are in use at a time, and for how long.
const NAMES: u64 = 8;
const ROUND_MS: u128 = 1500;

/// One client.
pub(super) async fn work(mut worker: Worker) {
    while worker.turn().await {
        let round = worker.elapsed().as_millis() / ROUND_MS;
        let number = worker.rng.u64(..NAMES);
        let kind = if number.is_multiple_of(2) { "j" } else { "t" };
        let stream = format!("churn/{round}-{number}-{kind}");
        let op = match worker.rng.u32(..20) {
            0..6 => Op::Create {
                stream,
                messages: worker.messages(1),
                ttl_ms: None,
                close: false,
            },
            6..9 => Op::Delete { stream },
            9..14 => {
                append(&mut worker, &stream).await;
                continue;
            }
            14..16 => Op::Head { stream },
            _ => Op::Read {
                stream,
                from: From::Start,
                consistency: Consistency::Strong,
                max: None,
                if_none_match: None,
            },
        };
        // The recorder has it.
        let _ = worker.perform(op).await;
    }
}
