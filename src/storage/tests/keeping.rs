//! What is on disk: nothing more than was asked for, and all of it after opening again.

use std::sync::atomic::{AtomicBool, Ordering};

use weir_protocol::{Append, Lifetime, ReadFrom};
use weir_storage::{Batch, Op};

use crate::support::{
    ALL, AppendWords as _, CreateWords as _, Store, fork, json_messages, json_stream, message, name, text, text_stream,
    texts,
};

crate::suite! {
    what_changes_nothing_writes_nothing,
    reopening_keeps_everything,
    housekeeping_changes_nothing,
    readers_see_whole_batches,
    readers_and_housekeeping_run_beside_a_writer,
    one_process_at_a_time,
}

fn what_changes_nothing_writes_nothing(store: &mut Store) {
    store.created("a", text_stream());
    store.append("a", text("x").by("p", 1, 0).seq("5")).unwrap();
    store.created("b", fork("a", None, 0));
    store.created("kept", text_stream());
    store.created("kept/fork", fork("kept", None, 0));
    store.delete("kept").unwrap();
    store.append("b", text("y").closing()).unwrap();
    store.storage().checkpoint().unwrap();
    let before = store.files();
    let ops = vec![
        Op::Create(name("a"), text_stream()),
        Op::Create(name("a"), json_stream()),
        Op::Create(name("c"), fork("none", None, 0)),
        Op::Create(name("c"), fork("a", Some(99), 0)),
        Op::Create(name("c"), fork("a", Some(0), 99)),
        Op::Create(name("c"), fork("kept", None, 0)),
        Op::Create(name("kept"), text_stream()),
        Op::Append(name("none"), text("x")),
        Op::Append(name("kept"), text("x")),
        Op::Append(name("a"), crate::support::append("text/html", message("x"))),
        Op::Append(name("a"), text("x").by("p", 1, 0)),
        Op::Append(name("a"), text("x").by("p", 1, 5)),
        Op::Append(name("a"), text("x").by("p", 0, 0)),
        Op::Append(name("a"), text("x").by("p", 2, 1)),
        Op::Append(name("a"), text("x").seq("4")),
        Op::Append(name("b"), text("z")),
        Op::Append(name("b"), Append::close()),
        Op::Delete(name("none")),
        Op::Delete(name("kept")),
        Op::Touch(name("a")),
        Op::Touch(name("none")),
        Op::Expire {
            cutoff: store.now,
            limit: 10,
        },
    ];
    for op in ops {
        for durable in [false, true] {
            let batch = Batch {
                durable,
                ..store.batch(vec![op.clone()])
            };
            let applied = store.storage().apply(batch).unwrap();
            assert!(applied.changes.is_empty(), "{op:?}");
            assert!(store.files() == before, "{op:?} wrote something");
        }
    }
    store.storage().maintain().unwrap();
    store.read("a", ReadFrom::Start, ALL).unwrap();
    assert!(store.files() == before, "housekeeping wrote something");
}

fn reopening_keeps_everything(store: &mut Store) {
    store.created("text", text_stream().with(message("x")).lasting(Lifetime::Ttl(100)));
    store.created("json", json_stream().with(json_messages(&["1", "[2]"])).closed());
    store.created("fork", fork("text", None, 0).with(message("y")));
    store.append("fork", text("z").by("p", 0, 0).seq("7")).unwrap();
    store.created(
        "é/ü",
        text_stream().lasting(Lifetime::ExpiresAt(store.now.plus_seconds(50))),
    );
    let see = |store: &Store| {
        let names = ["text", "json", "fork", "é/ü"];
        names.map(|name| (store.head(name), store.read(name, ReadFrom::Start, ALL)))
    };
    let before = see(store);
    for _ in 0..3 {
        store.reopen();
        assert_eq!(see(store), before);
    }
    store.append("fork", text("z").by("p", 0, 0)).unwrap();
    assert_eq!(see(store), before, "a duplicate after reopening");
}

fn housekeeping_changes_nothing(store: &mut Store) {
    store.created("a", text_stream());
    store.created("b", fork("a", None, 0));
    let seq = |number: u64| format!("{number:0250}");
    for number in 0..400 {
        let batch = Batch {
            durable: false,
            ..store.batch(vec![
                Op::Append(
                    name("a"),
                    text(&format!("<{number}>"))
                        .by("p", number / 7, number % 7)
                        .seq(&seq(number)),
                ),
                Op::Append(name("b"), text("b").by("p", 0, number)),
            ])
        };
        store.storage().apply(batch).unwrap();
    }
    let see = |store: &Store| ["a", "b"].map(|name| (store.head(name), store.texts(name)));
    let before = see(store);
    let size = |store: &Store| store.files().iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    store.storage().checkpoint().unwrap();
    let size_before = size(store);
    store.maintain();
    assert_eq!(see(store), before);
    if store.kind == crate::support::Kind::File {
        assert!(
            size(store) < size_before / 4,
            "{} of {size_before} bytes are left",
            size(store)
        );
    }
    let middle = store.read("a", ReadFrom::At(crate::support::offset(500)), 100).unwrap();
    store.reopen();
    assert_eq!(see(store), before);
    assert_eq!(
        store.read("a", ReadFrom::At(crate::support::offset(500)), 100).unwrap(),
        middle
    );
    store.append("a", text("after").by("p", 57, 1).seq(&seq(400))).unwrap();
    assert_eq!(
        store
            .append("b", text("b").by("p", 0, 7))
            .unwrap()
            .producer
            .unwrap()
            .highest_seq,
        399
    );
    store.reopen();
    assert_eq!(store.texts("a").len(), 401);
}

fn readers_see_whole_batches(store: &mut Store) {
    let both = |store: &Store, text_of: &str| {
        store.apply(vec![
            Op::Append(name("a"), text(text_of)),
            Op::Append(name("b"), text(text_of)),
        ]);
    };
    store.apply(vec![
        Op::Create(name("a"), text_stream()),
        Op::Create(name("b"), text_stream()),
    ]);
    let done = AtomicBool::new(false);
    let store = &*store;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let first = store.texts("b").len();
                    let second = store.texts("a").len();
                    let third = store.texts("b").len();
                    assert!(first <= second && second <= third + 1, "{first} {second} {third}");
                }
            });
        }
        for number in 0..60 {
            both(store, &number.to_string());
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(store.texts("a").len(), 60);
}

fn readers_and_housekeeping_run_beside_a_writer(store: &mut Store) {
    store.created("a", text_stream());
    let done = AtomicBool::new(false);
    let store = &*store;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                store.storage().maintain().unwrap();
            }
        });
        scope.spawn(|| {
            let mut from = ReadFrom::Start;
            let mut next = 0;
            while next < 1_500 {
                let result = store.read("a", from, 1_000).unwrap();
                for message in texts(&result) {
                    assert_eq!(message, format!("<{next}>"));
                    next += 1;
                }
                from = ReadFrom::At(result.next_offset);
            }
        });
        for number in 0..1_500_u64 {
            let append = text(&format!("<{number}>")).seq(&format!("{number:0250}"));
            let batch = Batch {
                durable: number % 100 == 0,
                ..store.batch(vec![Op::Append(name("a"), append)])
            };
            store.storage().apply(batch).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    store.maintain();
    assert_eq!(store.texts("a").len(), 1_500);
}

fn one_process_at_a_time(store: &mut Store) {
    if store.kind.is_persistent() {
        let error = store.kind.open(store.dir.path()).err().expect("opened twice");
        assert!(error.to_string().contains("in use by another process"), "{error}");
    }
    store.created("a", text_stream());
}
