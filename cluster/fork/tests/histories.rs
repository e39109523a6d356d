//! Random histories: eight groups answer as one store with one group does.

use weir_protocol::{DeleteError, Run, Streams as _};
use weir_storage::{MemoryStorage, Storage as _};

use super::*;

const STEPS: usize = 1000;

type Answer = (Vec<u8>, Vec<u32>, u64, bool, bool);

fn answer(result: ReadResult) -> Answer {
    let lengths = result.runs.iter().flat_map(|run: &Run| run.lengths.clone()).collect();
    let (next, at_tail, closed) = (result.next_offset.position(), result.at_tail, result.closed);
    (result.into_chunks().concat(), lengths, next, at_tail, closed)
}

/// Mostly a place where a message of `source` ends.
fn random_offset(random: &mut fastrand::Rng, one: &MemoryStorage, source: &StreamName, now: Timestamp) -> u64 {
    let read = one.read(source, ReadFrom::Start, 1 << 20, now).map(answer);
    let (_, lengths, ..) = read.unwrap_or_default();
    match random.u8(..4) {
        0 => random.u64(..40),
        _ => lengths[..random.usize(..=lengths.len())]
            .iter()
            .map(|length| u64::from(*length))
            .sum(),
    }
}

fn random_create(
    random: &mut fastrand::Rng,
    one: &MemoryStorage,
    names: &[StreamName],
    is_json: bool,
    now: Timestamp,
) -> Create {
    let content_type = if is_json { "application/json" } else { "text/plain" };
    let mut create = Create {
        content_type: Some(ContentType::parse(content_type).unwrap()),
        ..text()
    };
    if random.u8(..4) > 0 {
        // Mostly of its own type, which every other name has.
        let parity = usize::from(is_json == (random.u8(..8) == 0));
        let source = random.usize(..names.len() / 2) * 2 + parity;
        let source = &names[source];
        let offset = (random.u8(..4) > 0).then(|| random_offset(random, one, source, now));
        let sub_offset = if offset.is_some() { random.u64(..4) } else { 0 };
        create.fork = fork(source, offset, sub_offset).fork;
        if random.bool() {
            create.content_type = None;
        }
    }
    create
}

async fn run(seed: u64) {
    let world = World::new().await;
    let one = MemoryStorage::new();
    let mut random = fastrand::Rng::with_seed(seed);
    let names: Vec<StreamName> = (0..12)
        .map(|number| world.name(&format!("n{number}"), number % 5))
        .collect();
    let (mut forks, mut bytes_read) = (0, 0);
    for step in 0..STEPS {
        let now = world.clock.now();
        let name = &names[random.usize(..names.len())];
        let is_free = one.head(name, now) == Err(HeadError::NotFound);
        let is_json = names.iter().position(|other| other == name).unwrap() % 2 == 0;
        let context = format!("seed {seed}, step {step}, {name}");
        match random.u8(..10) {
            // A free name takes a create, a taken one mostly something else.
            dice if dice == 0 || (is_free && dice < 9) => {
                let create = random_create(&mut random, &one, &names, is_json, now);
                let expected = one.create_stream(name, create.clone(), now);
                assert_eq!(
                    world.create(name, create.clone()).await,
                    expected,
                    "{context}: {create:?}"
                );
                let group = |name: &StreamName| world.router().group(name).unwrap().id();
                let is_made = expected.is_ok_and(|created| created.status == CreateStreamResult::Created);
                let source = create.fork.map(|fork| fork.source);
                forks += usize::from(is_made && source.is_some_and(|source| group(&source) != group(name)));
            }
            1..=4 => {
                let words = ["1,", "22,", "333,", "4444,"];
                let count = random.usize(1..5);
                let words: Vec<&str> = (0..count).map(|_| words[random.usize(..words.len())]).collect();
                let mut append = append(if is_json { "application/json" } else { "text/plain" }, &words);
                append.close = random.u8(..20) == 0;
                let expected = one.append(name, append.clone(), now);
                assert_eq!(world.router().append(name, append).await, expected, "{context}");
            }
            5..=6 => {
                let expected = one.delete(name, now);
                assert_eq!(world.router().delete(name).await, expected, "{context}");
                assert!(!matches!(expected, Err(DeleteError::Fault(_))));
                world.settle_all().await;
            }
            _ => {
                let from = match random.u8(..4) {
                    0 => ReadFrom::Start,
                    1 => ReadFrom::Now,
                    _ => ReadFrom::At(Offset::new(random_offset(&mut random, &one, name, now)).unwrap()),
                };
                let max_bytes = random.u64(1..60);
                let expected = one.read(name, from, max_bytes, now).map(answer);
                let read = world.read(name, from, max_bytes).await.map(answer);
                assert_eq!(read, expected, "{context}: {from:?}, {max_bytes}");
                bytes_read += expected.map_or(0, |(bytes, ..)| bytes.len());
            }
        }
        world.pass(u64::from(random.u8(..20) == 0));
    }
    assert!(
        forks > 20 && bytes_read > 500,
        "too little happened: {forks} forks between groups, {bytes_read} bytes read"
    );
    world.pass(61);
    world.reconcile().await;
    for name in &names {
        let read = world.read(name, ReadFrom::Start, 1 << 20).await.map(answer);
        assert_eq!(
            read,
            one.read(name, ReadFrom::Start, 1 << 20, world.clock.now()).map(answer),
            "{name}"
        );
    }
    for name in &names {
        let expected = one.delete(name, world.clock.now());
        assert_eq!(world.router().delete(name).await, expected, "{name}");
        world.settle_all().await;
    }
    world.assert_no_leak().await;
    for name in &names {
        assert_eq!(one.head(name, world.clock.now()), Err(HeadError::NotFound), "{name}");
        assert_eq!(world.head(name).await, Err(HeadError::NotFound), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_groups_answer_as_one() {
    for seed in 1..=3 {
        run(seed).await;
    }
}
