//! What the process that gets killed does: batch after batch, each fixed by its number alone, so that whoever looks at
//! the store afterwards knows what must be in it.

use bytes::Bytes;
use weir_protocol::{Lifetime, Timestamp};
use weir_storage::{Batch, Command, Op};

use crate::support::{
    AppendWords as _, BEGIN, CreateWords as _, append, fork, json_messages, json_stream, message, name, text_stream,
};

/// Streams that are written to. Forks of them come and go.
const STREAMS: [&str; 4] = ["text", "json", "chatty", "big"];

/// The batch with that number. Told twice, its producers make the second time a duplicate.
pub(crate) fn batch(seed: u64, round: u64, number: u64) -> Batch {
    let mut dice = Dice(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut ops = Vec::new();
    if number.is_multiple_of(64) {
        ops.push(Op::Create(name("text"), text_stream()));
        ops.push(Op::Create(name("json"), json_stream()));
        ops.push(Op::Create(name("chatty"), text_stream()));
        ops.push(Op::Create(name("big"), text_stream()));
    }
    for stream in STREAMS {
        if stream == "chatty" || dice.roll(2) == 0 {
            ops.push(write(stream, number, &mut dice));
        }
    }
    if dice.roll(3) == 0 {
        let source = STREAMS[usize::try_from(dice.roll(4)).unwrap()];
        let lifetime = [Lifetime::Forever, Lifetime::Ttl(1)][usize::try_from(dice.roll(2)).unwrap()];
        let mut create = fork(source, None, 0).lasting(lifetime);
        create.content_type = None;
        let branch = format!("fork/{}", dice.roll(6));
        ops.push(Op::Create(name(&branch), create));
        ops.push(write(&branch, number, &mut dice));
    }
    if dice.roll(8) == 0 {
        ops.push(Op::Delete(name(&format!("fork/{}", dice.roll(6)))));
    }
    if dice.roll(40) == 0 {
        let stream = STREAMS[usize::try_from(dice.roll(4)).unwrap()];
        ops.push(Op::Delete(name(stream)));
    }
    if dice.roll(20) == 0 {
        ops.push(Op::Expire {
            cutoff: time(number),
            limit: 1000,
        });
    }
    let at = time(number);
    Batch {
        commands: ops.into_iter().map(|op| Command { at, op }).collect(),
        applied: Some(Bytes::from(format!("{round}:{number}"))),
        durable: is_durable(seed, number),
    }
}

/// Whether the batch with that number asks for durability. Only such a batch is acknowledged.
pub(crate) fn is_durable(seed: u64, number: u64) -> bool {
    Dice(!seed ^ number).roll(3) > 0
}

/// When the batch with that number happens.
pub(crate) fn time(number: u64) -> Timestamp {
    Timestamp::from_millis(BEGIN.as_millis() + number * 10)
}

fn write(stream: &str, number: u64, dice: &mut Dice) -> Op {
    let text = format!("{stream} {number} ");
    let append = match stream {
        "json" => append("application/json", json_messages(&[&format!("\"{text}\""), "1", "[]"])),
        "big" => {
            let times = if dice.roll(30) == 0 { 30_000 } else { 40 };
            append("text/plain", message(&text.repeat(times)))
        }
        // A record that is much longer than what is appended: logs that are worth copying.
        "chatty" => append("text/plain", message(&text)).seq(&format!("{number:0200}")),
        _ => append("text/plain", message(&text)),
    };
    let append = if dice.roll(100) == 0 { append.closing() } else { append };
    Op::Append(name(stream), append.by("writer", number / 1000, number % 1000))
}

/// Numbers that are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}
