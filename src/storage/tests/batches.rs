//! Batches: one transaction, in order, with what later commands owe to earlier ones.

use bytes::Bytes;
use weir_protocol::{
    AppendError, CreateError, CreateStreamResult, DeleteError, HeadError, Lifetime, ReadFrom, TailEvent, Timestamp,
};
use weir_storage::{Batch, Change, Command, Expired, Op, Outcome};

use crate::support::{
    ALL, AppendWords as _, CreateWords as _, Store, fork, json, json_stream, message, name, offset, text, text_stream,
    texts,
};

crate::suite! {
    later_commands_see_earlier_ones,
    a_stream_lives_and_dies_in_one_batch,
    forks_read_what_the_batch_appended,
    a_cascade_in_one_batch,
    a_refusal_does_not_end_the_batch,
    a_deadline_within_the_batch,
    one_sweep_after_another_in_one_batch,
    tells_what_changed,
    keeps_the_applied_mark,
    what_is_not_durable_is_visible,
    an_empty_batch_is_nothing,
    time_is_each_commands_own,
    large_batches,
}

fn create(stream: &str, create: weir_protocol::Create) -> Op {
    Op::Create(name(stream), create)
}

fn append(stream: &str, append: weir_protocol::Append) -> Op {
    Op::Append(name(stream), append)
}

fn delete(stream: &str) -> Op {
    Op::Delete(name(stream))
}

/// How each command ended, in a word.
fn words(outcomes: &[Outcome]) -> Vec<String> {
    let word = |outcome: &Outcome| match outcome {
        Outcome::Create(Ok(created)) if created.status == CreateStreamResult::Created => "created".to_owned(),
        Outcome::Create(Ok(_)) => "confirmed".to_owned(),
        Outcome::Append(Ok(appended)) => appended.next_offset.position().to_string(),
        Outcome::Delete(Ok(())) => "deleted".to_owned(),
        Outcome::Create(Err(error)) => format!("{error:?}"),
        Outcome::Append(Err(error)) => format!("{error:?}"),
        Outcome::Delete(Err(error)) => format!("{error:?}"),
        Outcome::Touch => "touched".to_owned(),
        Outcome::Expire(expired) => format!("{} expired", expired.removed),
        other => format!("{other:?}"),
    };
    outcomes.iter().map(word).collect()
}

fn later_commands_see_earlier_ones(store: &mut Store) {
    let answers = store.apply(vec![
        append("a", text("early")),
        create("a", text_stream().with(message("0"))),
        create("a", text_stream()),
        append("a", text("1").by("p", 0, 0)),
        append("a", text("1").by("p", 0, 0)),
        append("a", text("2").by("p", 0, 1).seq("5")),
        append("a", text("3").seq("5")),
        append("a", text("4").closing()),
        append("a", text("5")),
    ]);
    let expected = [
        "NotFound",
        "created",
        "confirmed",
        "2",
        "2",
        "3",
        "StreamSeqRegression",
        "4",
        "Closed { next_offset: Offset(4) }",
    ];
    assert_eq!(words(&answers.outcomes), expected);
    store.reopen();
    assert_eq!(store.texts("a"), ["0", "1", "2", "4"]);
    assert_eq!(store.head("a").unwrap().message_count, 4);
}

fn a_stream_lives_and_dies_in_one_batch(store: &mut Store) {
    let answers = store.apply(vec![
        create("a", text_stream().with(message("x"))),
        append("a", text("y").by("p", 0, 0)),
        delete("a"),
        append("a", text("z")),
        create("a", json_stream()),
        append("a", json(&["1"]).by("p", 0, 0)),
        delete("b"),
    ]);
    let expected = ["created", "2", "deleted", "NotFound", "created", "2", "NotFound"];
    assert_eq!(words(&answers.outcomes), expected);
    store.reopen();
    assert_eq!(store.texts("a"), ["1,"]);
    store.apply(vec![
        create("gone", text_stream()),
        append("gone", text("x")),
        delete("gone"),
    ]);
    store.maintain();
    store.reopen();
    assert_eq!(store.head("gone"), Err(HeadError::NotFound));
}

fn forks_read_what_the_batch_appended(store: &mut Store) {
    store.created("a", text_stream().with(message("stored")));
    let answers = store.apply(vec![
        append("a", text("staged")),
        create("b", fork("a", Some(6), 3)),
        append("b", text("!")),
        create("c", fork("b", Some(9), 1)),
        create("d", fork("b", Some(9), 2)),
    ]);
    assert_eq!(
        words(&answers.outcomes),
        ["12", "created", "10", "created", "ForkSubOffsetOvershoot"]
    );
    store.reopen();
    assert_eq!(store.texts("c"), ["stored", "sta", "!"]);
}

fn a_cascade_in_one_batch(store: &mut Store) {
    store.created("a", text_stream());
    let answers = store.apply(vec![
        create("b", fork("a", None, 0)),
        create("c", fork("b", None, 0)),
        delete("a"),
        delete("b"),
        create("a", text_stream()),
        delete("c"),
        create("a", text_stream().with(message("new"))),
        delete("b"),
    ]);
    let expected = [
        "created", "created", "deleted", "deleted", "NameHeld", "deleted", "created", "NotFound",
    ];
    assert_eq!(words(&answers.outcomes), expected);
    store.reopen();
    assert_eq!(store.texts("a"), ["new"]);
}

fn a_refusal_does_not_end_the_batch(store: &mut Store) {
    let answers = store.apply(vec![
        create("a", text_stream()),
        create("b", fork("none", None, 0)),
        append("a", crate::support::append("text/html", message("x"))),
        delete("none"),
        append("a", text("x")),
    ]);
    let refused = [
        Outcome::Create(Err(CreateError::SourceNotFound)),
        Outcome::Append(Err(AppendError::ContentTypeMismatch(crate::support::content_type(
            "text/plain",
        )))),
        Outcome::Delete(Err(DeleteError::NotFound)),
    ];
    assert_eq!(answers.outcomes[1..4], refused);
    assert_eq!(store.texts("a"), ["x"]);
}

fn a_deadline_within_the_batch(store: &mut Store) {
    let sweep = Op::Expire {
        cutoff: store.now.plus_seconds(10),
        limit: 10,
    };
    let answers = store.apply(vec![
        create("a", text_stream().lasting(Lifetime::Ttl(10))),
        create("b", text_stream().lasting(Lifetime::Ttl(11))),
        create("c", text_stream().lasting(Lifetime::Ttl(10))),
        delete("c"),
        sweep,
        append("a", text("x")),
    ]);
    let expected = ["created", "created", "created", "deleted", "1 expired", "NotFound"];
    assert_eq!(words(&answers.outcomes), expected);
}

fn one_sweep_after_another_in_one_batch(store: &mut Store) {
    for stream in ["a", "b", "c"] {
        store.created(stream, text_stream().lasting(Lifetime::Ttl(1)));
    }
    store.pass_seconds(1);
    let sweep = || Op::Expire {
        cutoff: store.now,
        limit: 2,
    };
    let answers = store.apply(vec![sweep(), sweep(), sweep()]);
    let expected = [(2, true), (1, false), (0, false)];
    let expected = expected.map(|(removed, more)| Outcome::Expire(Expired { removed, more }));
    assert_eq!(answers.outcomes, expected);
}

fn tells_what_changed(store: &mut Store) {
    let changes = store.apply(vec![
        create("a", text_stream().lasting(Lifetime::Ttl(60))),
        create("a", text_stream().lasting(Lifetime::Ttl(60))),
        append("a", text("x").by("p", 0, 0)),
        append("a", text("x").by("p", 0, 0)),
        append("a", crate::support::append("text/html", message("x"))),
        Op::Touch(name("a")),
        append("a", weir_protocol::Append::close()),
        delete("a"),
    ]);
    let tail = |position, closed| TailEvent::Tail {
        next_offset: offset(position),
        closed,
    };
    let events = [tail(0, false), tail(1, false), tail(1, true), TailEvent::Gone];
    let expected: Vec<Change> = events
        .into_iter()
        .map(|event| Change { name: name("a"), event })
        .collect();
    assert_eq!(changes.changes, expected);
}

fn keeps_the_applied_mark(store: &mut Store) {
    assert_eq!(store.storage().applied().unwrap(), None);
    let mark = |store: &Store, mark: &'static [u8], ops| {
        let batch = Batch {
            applied: Some(Bytes::from_static(mark)),
            ..store.batch(ops)
        };
        store.storage().apply(batch).unwrap();
    };
    mark(store, b"1", vec![]);
    store.reopen();
    assert_eq!(store.storage().applied().unwrap().as_deref(), Some(&b"1"[..]));
    mark(store, b"22", vec![create("a", text_stream())]);
    store.append("a", text("x")).unwrap();
    store.maintain();
    store.reopen();
    assert_eq!(store.storage().applied().unwrap().as_deref(), Some(&b"22"[..]));
    mark(store, b"", vec![delete("none")]);
    store.reopen();
    assert_eq!(store.storage().applied().unwrap().as_deref(), Some(&b""[..]));
}

fn what_is_not_durable_is_visible(store: &mut Store) {
    for number in 0..20 {
        let batch = Batch {
            durable: false,
            ..store.batch(vec![
                create(&format!("{number}"), text_stream()),
                create("a", text_stream()),
                append("a", text("x").by("p", 0, number)),
            ])
        };
        store.storage().apply(batch).unwrap();
        assert_eq!(store.texts("a").len() as u64, number + 1);
    }
    assert_eq!(texts(&store.read("a", ReadFrom::At(offset(7)), 3).unwrap()).len(), 3);
    store.storage().checkpoint().unwrap();
    store.append("a", text("y")).unwrap();
    store.reopen();
    assert_eq!(store.texts("a").len(), 21);
    assert!(store.head("19").is_ok());
}

fn an_empty_batch_is_nothing(store: &mut Store) {
    let applied = store.storage().apply(Batch::default()).unwrap();
    assert!(applied.outcomes.is_empty() && applied.changes.is_empty());
}

fn time_is_each_commands_own(store: &mut Store) {
    let at = |seconds: u64, op: Op| Command {
        at: Timestamp::from_millis(store.now.as_millis() + seconds * 1000),
        op,
    };
    let batch = Batch {
        commands: vec![
            at(0, create("a", text_stream().lasting(Lifetime::Ttl(10)))),
            at(9, append("a", text("x"))),
            at(18, append("a", text("y"))),
            at(28, append("a", text("z"))),
        ],
        applied: None,
        durable: true,
    };
    let answers = store.storage().apply(batch).unwrap();
    assert_eq!(words(&answers.outcomes), ["created", "1", "2", "NotFound"]);
    assert_eq!(
        store
            .storage()
            .read(&name("a"), ReadFrom::Start, ALL, store.now)
            .unwrap()
            .runs
            .len(),
        1
    );
}

fn large_batches(store: &mut Store) {
    let mut ops = Vec::new();
    for stream in 0..200 {
        ops.push(create(&format!("s/{stream}"), text_stream()));
    }
    for round in 0..20 {
        for stream in 0..200 {
            ops.push(append(
                &format!("s/{stream}"),
                text(&format!("{stream}/{round};")).by("p", 0, round),
            ));
        }
    }
    let answers = store.apply(ops);
    assert_eq!(answers.outcomes.len(), 4200);
    store.reopen();
    for stream in [0, 99, 199] {
        let expected: Vec<String> = (0..20).map(|round| format!("{stream}/{round};")).collect();
        assert_eq!(store.texts(&format!("s/{stream}")), expected);
    }
}
