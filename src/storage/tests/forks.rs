//! Forks: chains, sub-offsets, bodies, and what they inherit.

use weir_protocol::{CreateError, CreateStreamResult, Lifetime, ReadError, Timestamp};

use crate::support::{
    ALL, AppendWords as _, CreateWords as _, Store, at, content_type, fork, json, json_messages, json_stream, message,
    name, offset, stream, text, text_stream, texts,
};

crate::suite! {
    inherits_up_to_the_offset,
    leaves_at_the_tail_by_default,
    goes_its_own_way,
    keeps_its_own_body,
    forks_of_forks_stitch_their_shares,
    a_fork_before_its_sources_fork_skips_it,
    sub_offset_counts_json_messages,
    sub_offset_counts_bytes_up_to_the_message_end,
    sub_offset_on_an_empty_source_overshoots,
    cuts_a_message_for_the_fork_only,
    cuts_a_message_that_spans_rows,
    json_offsets_are_boundaries,
    takes_the_sources_content_type,
    inherits_a_lifetime_by_the_table,
    begins_open_and_without_writers,
    confirms_the_same_fork,
    refuses_another_origin,
    needs_a_source,
    never_sees_what_its_source_gets_later,
    counts_its_own_messages_only,
}

fn three(store: &Store, stream: &str) {
    store.created(stream, text_stream());
    for part in ["one", "two", "three"] {
        store.append(stream, text(part)).unwrap();
    }
}

fn inherits_up_to_the_offset(store: &mut Store) {
    three(store, "a");
    assert_eq!(store.created("b", fork("a", Some(6), 0)).next_offset, offset(6));
    assert_eq!(store.texts("b"), ["one", "two"]);
    store.created("start", fork("a", Some(0), 0));
    assert!(store.texts("start").is_empty());
    assert_eq!(
        store.create("c", fork("a", Some(12), 0)),
        Err(CreateError::ForkOffsetBeyondTail)
    );
    let head = store.head("b").unwrap();
    assert_eq!(head.fork, Some((name("a"), offset(6))));
}

fn leaves_at_the_tail_by_default(store: &mut Store) {
    three(store, "a");
    assert_eq!(store.created("b", fork("a", None, 0)).next_offset, offset(11));
    assert_eq!(store.texts("b"), ["one", "two", "three"]);
}

fn goes_its_own_way(store: &mut Store) {
    three(store, "a");
    store.created("b", fork("a", Some(3), 0));
    store.append("b", text("B")).unwrap();
    store.append("a", text("A")).unwrap();
    store.reopen();
    assert_eq!(store.texts("a"), ["one", "two", "three", "A"]);
    assert_eq!(store.texts("b"), ["one", "B"]);
    assert_eq!(texts(&store.read("b", at(3), ALL).unwrap()), ["B"]);
    assert_eq!(texts(&store.read("b", at(1), 3).unwrap()), ["ne", "B"]);
}

fn keeps_its_own_body(store: &mut Store) {
    three(store, "a");
    let created = store.created("b", fork("a", Some(3), 0).with(message("body")).closed());
    assert_eq!(created.next_offset, offset(7));
    assert!(created.closed);
    assert_eq!(store.texts("b"), ["one", "body"]);
}

fn forks_of_forks_stitch_their_shares(store: &mut Store) {
    store.created("0", text_stream().with(message("0")));
    for depth in 1..12 {
        let source = (depth - 1).to_string();
        store.created(&depth.to_string(), fork(&source, None, 0));
        store.append(&depth.to_string(), text(&depth.to_string())).unwrap();
        store.append(&source, text("not inherited")).unwrap();
    }
    store.reopen();
    let expected: Vec<String> = (0..12).map(|depth| depth.to_string()).collect();
    assert_eq!(store.texts("11"), expected);
    assert_eq!(texts(&store.read("11", at(5), 3).unwrap()), ["5", "6", "7"]);
}

fn a_fork_before_its_sources_fork_skips_it(store: &mut Store) {
    three(store, "a");
    store.created("b", fork("a", Some(6), 0).with(message("B")));
    store.created("c", fork("b", Some(3), 0).with(message("C")));
    assert_eq!(store.texts("c"), ["one", "C"]);
    assert_eq!(store.head("c").unwrap().fork, Some((name("b"), offset(3))));
}

fn sub_offset_counts_json_messages(store: &mut Store) {
    store.created("a", json_stream());
    store.append("a", json(&["1", "22", "333"])).unwrap();
    store.append("a", json(&["4"])).unwrap();
    for (number, (anchor, count, expected)) in [
        (0, 0, 0),
        (0, 1, 2),
        (0, 2, 5),
        (0, 3, 9),
        (0, 4, 11),
        (2, 2, 9),
        (9, 1, 11),
    ]
    .into_iter()
    .enumerate()
    {
        let created = store.created(&number.to_string(), fork("a", Some(anchor), count));
        assert_eq!(created.next_offset, offset(expected), "{count} messages after {anchor}");
    }
    assert_eq!(
        store.create("x", fork("a", Some(0), 5)),
        Err(CreateError::ForkSubOffsetOvershoot)
    );
    assert_eq!(
        store.create("x", fork("a", Some(11), 1)),
        Err(CreateError::ForkSubOffsetOvershoot)
    );
}

fn sub_offset_counts_bytes_up_to_the_message_end(store: &mut Store) {
    three(store, "a");
    assert_eq!(store.created("b", fork("a", Some(3), 2)).next_offset, offset(5));
    assert_eq!(store.texts("b"), ["one", "tw"]);
    assert_eq!(store.created("c", fork("a", Some(3), 3)).next_offset, offset(6));
    assert_eq!(
        store.create("d", fork("a", Some(3), 4)),
        Err(CreateError::ForkSubOffsetOvershoot)
    );
    assert_eq!(
        store.create("d", fork("a", Some(11), 1)),
        Err(CreateError::ForkSubOffsetOvershoot)
    );
    assert_eq!(store.created("d", fork("a", Some(4), 2)).next_offset, offset(6));
    assert_eq!(
        store.create("e", fork("a", Some(4), 3)),
        Err(CreateError::ForkSubOffsetOvershoot)
    );
}

fn sub_offset_on_an_empty_source_overshoots(store: &mut Store) {
    store.created("bytes", text_stream());
    store.created("json", json_stream());
    for source in ["bytes", "json"] {
        assert_eq!(
            store.create("x", fork(source, Some(0), 1)),
            Err(CreateError::ForkSubOffsetOvershoot)
        );
        assert_eq!(
            store.create("x", fork(source, Some(0), u64::MAX)),
            Err(CreateError::ForkSubOffsetOvershoot)
        );
    }
}

fn cuts_a_message_for_the_fork_only(store: &mut Store) {
    store.created("a", text_stream().with(message("hello world")));
    store.created("b", fork("a", Some(0), 5));
    store.append("b", text("!")).unwrap();
    assert_eq!(store.texts("b"), ["hello", "!"]);
    assert_eq!(texts(&store.read("b", at(2), ALL).unwrap()), ["llo", "!"]);
    assert_eq!(texts(&store.read("b", at(2), 3).unwrap()), ["llo"]);
    assert_eq!(store.texts("a"), ["hello world"]);
    // The cut message ends at the boundary for further forks as well.
    store.created("c", fork("b", Some(5), 1));
    assert_eq!(store.texts("c"), ["hello", "!"]);
    assert_eq!(
        store.create("d", fork("b", Some(3), 3)),
        Err(CreateError::ForkSubOffsetOvershoot)
    );
}

fn cuts_a_message_that_spans_rows(store: &mut Store) {
    let large = "0123456789".repeat(40_000);
    store.created("a", text_stream().with(message("x")));
    store.append("a", text(&large)).unwrap();
    store.created("b", fork("a", Some(1), 250_003));
    store.append("b", text("end")).unwrap();
    store.reopen();
    assert_eq!(store.texts("b"), ["x", &large[..250_003], "end"]);
    assert_eq!(texts(&store.read("b", at(250_001), ALL).unwrap()), ["012", "end"]);
    store.maintain();
    assert_eq!(store.texts("b"), ["x", &large[..250_003], "end"]);
}

fn json_offsets_are_boundaries(store: &mut Store) {
    store.created("a", json_stream().with(json_messages(&["11", "22"])));
    assert_eq!(
        store.create("b", fork("a", Some(1), 0)),
        Err(CreateError::ForkOffsetInvalid)
    );
    assert_eq!(
        store.create("b", fork("a", Some(4), 1)),
        Err(CreateError::ForkOffsetInvalid)
    );
    store.created("b", fork("a", Some(3), 0));
    store.append("b", json(&["3"])).unwrap();
    assert_eq!(store.texts("b"), ["11,", "3,"]);
    assert_eq!(store.read("b", at(2), ALL), Err(ReadError::OffsetInvalid));
    store.created("c", fork("b", Some(3), 1));
    assert_eq!(store.texts("c"), ["11,", "3,"]);
}

fn takes_the_sources_content_type(store: &mut Store) {
    store.created("a", stream("text/plain; charset=utf-8"));
    assert_eq!(
        store.created("b", fork("a", None, 0)).content_type,
        content_type("text/plain; charset=utf-8")
    );
    let mut typed = fork("a", None, 0);
    typed.content_type = Some(content_type("TEXT/PLAIN"));
    assert_eq!(
        store.created("c", typed.clone()).content_type,
        content_type("text/plain; charset=utf-8")
    );
    typed.content_type = Some(content_type("text/html"));
    let mismatch = CreateError::SourceTypeMismatch(content_type("text/plain; charset=utf-8"));
    assert_eq!(store.create("d", typed), Err(mismatch));
}

fn inherits_a_lifetime_by_the_table(store: &mut Store) {
    let absolute = |seconds: u64| Lifetime::ExpiresAt(Timestamp::from_millis(store.now.as_millis() + seconds * 1000));
    let sources = [Lifetime::Forever, Lifetime::Ttl(60), absolute(60)];
    let requests = [Lifetime::Forever, Lifetime::Ttl(90), absolute(90)];
    for (row, source) in sources.into_iter().enumerate() {
        let source_name = format!("source{row}");
        store.created(&source_name, text_stream().lasting(source));
        for (column, request) in requests.into_iter().enumerate() {
            let fork_name = format!("fork{row}{column}");
            let asked = || fork(&source_name, None, 0).lasting(request);
            store.created(&fork_name, asked());
            let expected = if request == Lifetime::Forever { source } else { request };
            assert_eq!(store.head(&fork_name).unwrap().lifetime, expected);
            assert_eq!(
                store.create(&fork_name, asked()).unwrap().status,
                CreateStreamResult::AlreadyExists
            );
        }
    }
}

fn begins_open_and_without_writers(store: &mut Store) {
    store.created("a", text_stream());
    store.append("a", text("x").by("p", 3, 0).seq("9")).unwrap();
    store.append("a", text("y").by("p", 3, 1).closing()).unwrap();
    let created = store.created("b", fork("a", Some(1), 0));
    assert!(!created.closed);
    let appended = store.append("b", text("z").by("p", 0, 0).seq("1")).unwrap();
    assert!(!appended.producer.unwrap().duplicate);
    assert_eq!(store.texts("b"), ["x", "z"]);
}

fn confirms_the_same_fork(store: &mut Store) {
    three(store, "a");
    store.created("at", fork("a", Some(3), 1));
    store.created("named", fork("a", Some(3), 0));
    store.created("tail", fork("a", None, 0));
    store.append("a", text("more")).unwrap();
    store.append("tail", text("own")).unwrap();
    store.reopen();
    let confirmed = |name: &str, request| {
        assert_eq!(
            store.create(name, request).unwrap().status,
            CreateStreamResult::AlreadyExists
        );
    };
    confirmed("at", fork("a", Some(3), 1));
    confirmed("at", fork("a", Some(4), 0));
    confirmed("named", fork("a", Some(3), 0));
    confirmed("named", fork("a", None, 0));
    confirmed("tail", fork("a", None, 0));
    confirmed("tail", fork("a", Some(11), 0));
}

fn refuses_another_origin(store: &mut Store) {
    three(store, "a");
    three(store, "b");
    store.created("f", fork("a", Some(3), 0));
    let mismatch = Err(CreateError::ConfigMismatch("fork origin"));
    assert_eq!(store.create("f", fork("a", Some(6), 0)), mismatch);
    assert_eq!(store.create("f", fork("a", Some(3), 1)), mismatch);
    assert_eq!(store.create("f", fork("b", Some(3), 0)), mismatch);
    assert_eq!(store.create("f", fork("b", None, 0)), mismatch);
    assert_eq!(store.create("f", text_stream()), mismatch);
    assert_eq!(store.create("a", fork("b", Some(3), 0)), mismatch);
    assert_eq!(store.create("a", fork("a", Some(3), 0)), mismatch);
}

fn needs_a_source(store: &mut Store) {
    assert_eq!(store.create("b", fork("a", None, 0)), Err(CreateError::SourceNotFound));
    assert_eq!(store.create("b", fork("b", None, 0)), Err(CreateError::SourceNotFound));
    store.created("a", text_stream().lasting(Lifetime::Ttl(1)));
    store.pass_seconds(1);
    assert_eq!(store.create("b", fork("a", None, 0)), Err(CreateError::SourceNotFound));
    assert!(store.head("b").is_err());
}

fn never_sees_what_its_source_gets_later(store: &mut Store) {
    store.created("a", text_stream());
    store.created("b", fork("a", None, 0));
    store.append("a", text("later")).unwrap();
    let result = store.read("b", at(0), ALL).unwrap();
    assert!(result.is_empty() && result.at_tail);
}

fn counts_its_own_messages_only(store: &mut Store) {
    three(store, "a");
    store.created("b", fork("a", Some(6), 0).with(message("B")));
    store.append("b", text("C")).unwrap();
    let head = store.head("b").unwrap();
    assert_eq!((head.total_bytes, head.message_count), (2, 2));
}
