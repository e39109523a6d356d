//! A history of a store, out of bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use weir_protocol::{
    Append, ContentType, Create, ForkRequest, Lifetime, Offset, Payload, ProducerHeaders, StreamName, StreamSeq,
    Timestamp, json,
};
use weir_storage::{Batch, Command, FileStorage, MemoryStorage, Op, Storage as _};

use super::input::Input;
use super::state::{LOOK_AT, State};
use super::{files, open};

const MAX_STEPS: u64 = 20;

/// Sizes of messages: within a row, beyond one, and beyond what is read from a log at a time.
const SIZES: [usize; 8] = [0, 1, 2, 7, 300, 5_000, 40_000, 150_000];

/// So many batches in a row replace enough of a log for housekeeping to copy it.
const BURST: usize = 90;

/// A store with all that ever happened to it.
pub(super) struct History {
    pub(super) store: FileStorage,
    pub(super) names: Vec<StreamName>,
    pub(super) batches: Vec<Batch>,
    /// Before the first batch, and after each.
    pub(super) states: Vec<State>,
    pub(super) synced: Synced,
}

/// What a power loss leaves.
#[derive(Debug, Default)]
pub(super) struct Synced {
    /// So many batches.
    pub(super) batches: usize,
    /// So many bytes of the redo log.
    pub(super) redo_bytes: u64,
    /// So many bytes of every log.
    pub(super) logs: BTreeMap<PathBuf, u64>,
}

/// Does what `input` says with a new store in `dir`, and compares every answer with the memory backend's.
pub(super) fn play(dir: &Path, input: &mut Input<'_>) -> History {
    let names: Vec<StreamName> = ["bytes", "json/a", "fork"]
        .iter()
        .map(|name| StreamName::new(name).expect("a valid name"))
        .collect();
    let model = MemoryStorage::new();
    let mut history = History {
        store: open(dir).expect("a new store opens"),
        states: vec![State::of(&model, &names)],
        names,
        batches: Vec::new(),
        synced: Synced::default(),
    };
    history.synced.note_reset(dir, 0);
    for _ in 0..input.below(MAX_STEPS) {
        let redo_bytes_before = redo_bytes(dir);
        let mut durable = true;
        match input.byte() % 16 {
            0 => {
                history.store.checkpoint().expect("a checkpoint");
            }
            1 => {
                history.store.maintain().expect("housekeeping");
                durable = false;
            }
            2 => {
                drop(history.store);
                // Opening syncs the redo log before it relies on it.
                history.store = open(dir).expect("a store that nothing happened to opens");
            }
            3 if input.byte().is_multiple_of(4) => {
                let which = usize::from(input.byte());
                durable = input.byte() >= 128;
                for number in 0..BURST {
                    history.apply(&model, heavy_batch(number, which, &history.names, durable));
                }
            }
            _ => {
                let batch = batch(history.batches.len(), &history.names, input);
                durable = batch.durable;
                history.apply(&model, batch);
            }
        }
        // Every batch takes more of the redo log than its beginning, so a new one is always shorter.
        if redo_bytes(dir) < redo_bytes_before {
            history.synced.note_reset(dir, history.batches.len());
        } else if durable {
            history.synced.batches = history.batches.len();
            history.synced.redo_bytes = redo_bytes(dir);
        }
    }
    let last = State::of(&history.store, &history.names);
    assert!(last.is_sound() && Some(&last) == history.states.last(), "{last:#?}");
    history
}

impl History {
    fn apply(&mut self, model: &MemoryStorage, batch: Batch) {
        let answer = self.store.apply(batch.clone()).expect("a batch");
        assert_eq!(answer, model.apply(batch.clone()).expect("a batch"), "{batch:?}");
        self.states.push(State::of(model, &self.names));
        self.batches.push(batch);
    }
}

impl Synced {
    /// The redo log was begun anew, for which everything else had to be durable.
    fn note_reset(&mut self, dir: &Path, batches: usize) {
        self.batches = batches;
        self.redo_bytes = redo_bytes(dir);
        self.logs = files(dir)
            .into_iter()
            .map(|path| (path.clone(), bytes(&dir.join(path))))
            .collect();
    }
}

fn bytes(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

fn redo_bytes(dir: &Path) -> u64 {
    bytes(&dir.join("redo.log"))
}

/// An append of little that takes much to remember.
fn heavy_batch(number: usize, which: usize, names: &[StreamName], durable: bool) -> Batch {
    let name = names.get(which % names.len()).expect("an index within").clone();
    let append = Append {
        content_type: Some(content_type(false)),
        payload: Payload::single(Bytes::from_static(b"x")).expect("a valid payload"),
        close: false,
        stream_seq: StreamSeq::new(&format!("{number:0>250}")).ok(),
        producer: Some(ProducerHeaders {
            id: "p".repeat(250).into(),
            epoch: 0,
            seq: number as u64,
        }),
    };
    Batch {
        commands: vec![Command {
            at: LOOK_AT,
            op: Op::Append(name, append),
        }],
        applied: Some(Bytes::copy_from_slice(&number.to_le_bytes())),
        durable,
    }
}

/// What a store answers to this tells what it knows of producers and sequence values, and which id comes next.
pub(super) fn probe(names: &[StreamName]) -> Batch {
    let mut ops = Vec::new();
    for name in names {
        for (id, seq) in [
            ("producer-0", 1),
            ("producer-0", 0),
            ("producer-1", 1),
            ("producer-1", 3),
        ] {
            let mut append = Append::close();
            append.close = false;
            append.content_type = Some(content_type(false));
            append.payload = Payload::single(Bytes::from_static(b"y")).expect("a valid payload");
            append.stream_seq = (seq == 3).then(|| StreamSeq::new("1").expect("a valid value"));
            append.producer = Some(ProducerHeaders {
                id: id.into(),
                epoch: 0,
                seq,
            });
            ops.push(Op::Append(name.clone(), append));
        }
    }
    ops.push(Op::Expire {
        cutoff: LOOK_AT,
        limit: 8,
    });
    for name in names.iter().rev() {
        let create = Create {
            content_type: None,
            lifetime: Lifetime::Forever,
            payload: Payload::empty(),
            closed: false,
            fork: None,
        };
        ops.extend([Op::Delete(name.clone()), Op::Create(name.clone(), create)]);
    }
    Batch {
        commands: ops.into_iter().map(|op| Command { at: LOOK_AT, op }).collect(),
        applied: None,
        durable: true,
    }
}

/// The batch that follows on `number` others.
fn batch(number: usize, names: &[StreamName], input: &mut Input<'_>) -> Batch {
    let at = Timestamp::from_millis(LOOK_AT.as_millis() - 60_000 + number as u64 * 1000);
    let shape = input.byte();
    let ops = (0..=shape % 3).map(|_| op(names, at, input));
    Batch {
        commands: ops.map(|op| Command { at, op }).collect(),
        applied: Some(Bytes::copy_from_slice(&number.to_le_bytes())),
        durable: shape >= 128,
    }
}

fn op(names: &[StreamName], at: Timestamp, input: &mut Input<'_>) -> Op {
    let (kind, which, detail) = (input.byte(), usize::from(input.byte()), input.byte());
    let pick = |which: usize| names.get(which % names.len()).expect("an index within").clone();
    let name = pick(which);
    let is_json = name.as_str().starts_with("json");
    match kind % 12 {
        0 | 1 => Op::Create(
            name,
            Create {
                content_type: Some(content_type(is_json)),
                lifetime: match detail >> 5 {
                    0 => Lifetime::Ttl(u64::from(detail)),
                    1 => Lifetime::ExpiresAt(at.plus_seconds(u64::from(detail % 32))),
                    _ => Lifetime::Forever,
                },
                payload: payload(is_json, detail, input),
                closed: detail % 16 == 15,
                fork: None,
            },
        ),
        2 | 3 => Op::Create(
            name,
            Create {
                content_type: None,
                lifetime: Lifetime::Forever,
                payload: Payload::empty(),
                closed: false,
                fork: Some(ForkRequest {
                    source: pick(which + 1 + usize::from(detail % 2)),
                    offset: (detail % 4 > 1).then_some(Offset::ZERO),
                    sub_offset: u64::from(if detail % 4 > 1 { detail % 8 / 4 } else { 0 }),
                }),
            },
        ),
        4..=8 => {
            let payload = payload(is_json, detail, input);
            let close = payload.is_empty() || detail > 240;
            Op::Append(
                name,
                Append {
                    content_type: Some(content_type(is_json)),
                    payload,
                    close,
                    stream_seq: (kind > 200).then(|| StreamSeq::new(&kind.to_string()).expect("a valid value")),
                    producer: (kind < 100).then(|| ProducerHeaders {
                        id: format!("producer-{}", detail % 2).into(),
                        epoch: u64::from(kind / 64),
                        seq: u64::from(detail / 2 % 4),
                    }),
                },
            )
        }
        9 => Op::Delete(name),
        10 => Op::Touch(name),
        _ => Op::Expire { cutoff: at, limit: 8 },
    }
}

fn content_type(is_json: bool) -> ContentType {
    let json = ContentType::parse("application/json").expect("a valid type");
    // Long, so that every record is.
    let bytes = format!("application/octet-stream; padding={}", "x".repeat(200));
    if is_json {
        json
    } else {
        ContentType::parse(&bytes).expect("a valid type")
    }
}

fn payload(is_json: bool, detail: u8, input: &mut Input<'_>) -> Payload {
    let choice = SIZES.get(usize::from(detail % 8)).copied().unwrap_or_default();
    // Sizes that take long to write are rare.
    let size = if choice > 300 && !input.byte().is_multiple_of(8) {
        12
    } else {
        choice
    };
    let payload = if is_json {
        let texts: Vec<String> = (0..size / 3).map(|number| (number % 90 + 10).to_string()).collect();
        json::split(&Bytes::from(format!("[{}]", texts.join(",")))).ok()
    } else {
        let bytes: Vec<u8> = (0..size).map(|at| detail.wrapping_add(at.to_le_bytes()[0])).collect();
        Payload::single(bytes.into())
    };
    payload.expect("a valid payload")
}
