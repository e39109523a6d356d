//! Random operations on a plain model and on every backend, and every answer compared.

mod steps;
mod world;

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, TestRunner};
use weir_protocol::{ListRequest, ReadError, ReadFrom, ReadResult, StreamName, TailEvent};
use weir_storage::{Batch, Change, Command, PendingCheckpoint};
use xxhash_rust::xxh3::Xxh3;

use self::steps::{Step, all_names, steps};
use self::world::Seen;
pub(crate) use self::world::World;
use crate::support::{Kind, Store};

/// How many runs of random steps are made on disk; more by an environment variable.
const CASES: u32 = 40;

/// In memory a run is cheap, and the rules are the same.
const CASES_IN_MEMORY: u32 = 10 * CASES;

#[test]
fn memory_answers_as_the_model_does() {
    compare_runs(Kind::Memory, CASES_IN_MEMORY);
}

#[test]
fn file_answers_as_the_model_does() {
    compare_runs(Kind::File, CASES);
}

#[test]
fn redb_answers_as_the_model_does() {
    compare_runs(Kind::Redb, CASES);
}

fn compare_runs(kind: Kind, cases: u32) {
    let cases = std::env::var("WEIR_MODEL_CASES").map_or(cases, |cases| cases.parse().unwrap());
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 4000,
        ..Config::default()
    };
    let run = |steps: Vec<Step>| {
        Run::new(kind).all(&steps);
        Ok(())
    };
    if let Err(error) = TestRunner::new(config).run(&steps(), run) {
        panic!("{error}");
    }
}

/// Nodes with other rules must not apply the same log. Where this fails because a rule changed, and not only what the steps
/// happen to be, `RULES_VERSION` of the cluster goes up.
#[test]
fn the_rules_are_those_of_their_version() {
    let mut runner = TestRunner::deterministic();
    let mut rules = Xxh3::new();
    for _ in 0..100 {
        let mut run = Run::new(Kind::Memory);
        let steps = steps().new_tree(&mut runner).unwrap().current();
        steps.iter().for_each(|step| run.step(step));
        rules.update(run.applications.as_bytes());
    }
    assert_eq!(rules.digest(), 1_041_529_621_594_844_045, "version 1");
}

/// One backend beside its model.
struct Run {
    /// All commands and their outcomes, in words.
    applications: String,
    store: Store,
    world: World,
    applied: Option<Bytes>,
    pending: Vec<PendingCheckpoint>,
}

impl Run {
    fn new(kind: Kind) -> Self {
        Self {
            applications: String::new(),
            store: Store::new(kind),
            world: World::default(),
            applied: None,
            pending: Vec::new(),
        }
    }

    fn all(mut self, steps: &[Step]) {
        for step in steps {
            self.step(step);
        }
        self.compare();
        self.reopen();
        self.compare();
        self.store.maintain();
        self.compare();
    }

    /// In another order than they were begun.
    fn end_checkpoints(&mut self) {
        while let Some(pending) = self.pending.pop() {
            pending().unwrap();
        }
    }

    fn reopen(&mut self) {
        // What was begun holds on to the store; not all of it is ended.
        self.pending.truncate(1);
        self.end_checkpoints();
        self.store.reopen();
    }

    fn step(&mut self, step: &Step) {
        let now = self.store.now;
        match step {
            Step::Batch {
                writes,
                durable,
                applied,
            } => {
                let mut commands = Vec::new();
                let mut outcomes = Vec::new();
                for write in writes {
                    let op = write.op(&self.world, now);
                    let at = weir_protocol::Timestamp::from_millis(now.as_millis() - write.back_millis);
                    let command = Command { at, op };
                    outcomes.push(self.world.apply(&command));
                    commands.push(command);
                }
                self.applications += &format!("{commands:?} {outcomes:?}\n");
                let applied = applied.map(|number| Bytes::from(vec![number; 3]));
                self.applied = applied.clone().or(self.applied.take());
                let batch = Batch {
                    commands,
                    applied,
                    durable: *durable,
                };
                let answer = self.store.storage().apply(batch).unwrap();
                assert_eq!(answer.outcomes, outcomes);
                assert_eq!(by_stream(answer.changes), by_stream(self.world.take_changes()));
            }
            Step::Pass { millis } => {
                self.store.now = weir_protocol::Timestamp::from_millis(now.as_millis() + millis);
            }
            Step::Read { name, from, max_bytes } => {
                let name = name.name(&self.world);
                let from = from.read_from(&self.world, &name);
                self.compare_read(&name, from, *max_bytes);
            }
            Step::List { prefix, after, limit } => self.compare_list(&ListRequest {
                prefix: (*prefix).to_owned(),
                after: after.map(str::to_owned),
                limit: *limit,
            }),
            Step::Reopen => self.reopen(),
            Step::Maintain => drop(self.store.storage().maintain().unwrap()),
            Step::Checkpoint => self.store.storage().checkpoint().unwrap(),
            Step::BeginCheckpoint { applied } => {
                let applied = Bytes::from(vec![*applied; 3]);
                let pending = self.store.storage().begin_checkpoint(applied.clone());
                self.pending.push(pending.unwrap());
                self.applied = Some(applied);
            }
            Step::EndCheckpoints => self.end_checkpoints(),
            Step::Export => drop(self.store.storage().export().unwrap()),
        }
    }

    fn compare(&self) {
        let (storage, now) = (self.store.storage(), self.store.now);
        assert_eq!(storage.applied().unwrap(), self.applied);
        for name in all_names() {
            assert_eq!(storage.head(&name, now), self.world.head(&name, now));
            self.compare_read(&name, ReadFrom::Start, u64::MAX);
        }
        self.compare_list(&ListRequest {
            prefix: String::new(),
            after: None,
            limit: 100,
        });
    }

    fn compare_read(&self, name: &StreamName, from: ReadFrom, max_bytes: u64) {
        let now = self.store.now;
        let answer = self.store.storage().read(name, from, max_bytes, now).map(seen);
        let expected: Result<Seen, ReadError> = self.world.read(name, from, max_bytes, now);
        assert!(
            answer == expected,
            "{:?} reads {name} from {from:?}, at most {max_bytes}: {}\ninstead of {}",
            self.store.kind,
            short(&answer),
            short(&expected)
        );
    }

    fn compare_list(&self, request: &ListRequest) {
        let now = self.store.now;
        let page = self.store.storage().list_streams(request, now).unwrap();
        assert_eq!(page, self.world.list(request, now));
    }
}

/// The beginning of a value in words.
pub(crate) fn short(value: &dyn std::fmt::Debug) -> String {
    format!("{value:?}").chars().take(600).collect()
}

/// Only the order of one stream's events matters.
fn by_stream(changes: Vec<Change>) -> BTreeMap<StreamName, Vec<TailEvent>> {
    let mut events: BTreeMap<StreamName, Vec<TailEvent>> = BTreeMap::new();
    for change in changes {
        events.entry(change.name).or_default().push(change.event);
    }
    events
}

/// A read's answer in the model's terms.
pub(crate) fn seen(result: ReadResult) -> Seen {
    let messages = result.runs.iter().flat_map(|run| {
        assert_eq!(
            run.lengths.iter().map(|length| *length as usize).sum::<usize>(),
            run.payload.len()
        );
        run.messages().map(|message| message.to_vec()).collect::<Vec<_>>()
    });
    Seen {
        incarnation: result.incarnation,
        start: result.start,
        messages: messages.collect(),
        next_offset: result.next_offset,
        at_tail: result.at_tail,
        closed: result.closed,
        content_type: result.content_type,
        ttl_deadline: result.ttl_deadline,
    }
}
