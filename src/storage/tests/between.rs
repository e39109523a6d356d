//! Forks between groups: each store here is one group. The driver's part is played by the tests.

use weir_protocol::{CreateError, CreateStreamResult, Fault, ForkRequest, Lifetime, Offset, ReadError, ReadFrom};
use weir_storage::{
    Boundary, Elsewhere, Fetched, Given, Op, Outcome, Probed, RETAINED_FOR_MS, RedbOptions, RedbStorage, Reference,
    Retain, Retained, Storage,
};

use crate::support::*;

fn request(source: &str, offset: Option<u64>, sub_offset: u64) -> ForkRequest {
    fork(source, offset, sub_offset).fork.unwrap()
}

fn retain(store: &Store, request: ForkRequest, fork_id: u64) -> Result<Retained, CreateError> {
    let retain = Retain {
        request,
        content_type: None,
        lifetime: Lifetime::Forever,
        fork: name("fork"),
        fork_id,
        boundary: None,
    };
    match one(store, Op::Retain(retain)) {
        Outcome::Retain(result) => result,
        other => panic!("{other:?}"),
    }
}

fn one(store: &Store, op: Op) -> Outcome {
    store.storage().apply_one(op, store.now).unwrap()
}

fn references(store: &Store) -> Vec<Reference> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        // As few as possible at a time, so that the cursor stands everywhere once.
        let page = store.storage().references(after.as_ref(), 1).unwrap();
        all.extend(page.references);
        after = page.next;
        if after.is_none() {
            assert_eq!(store.storage().references(None, 1000).unwrap().references, all);
            return all;
        }
    }
}

/// A source `abc` of three messages, kept for a fork at `b`.
fn kept() -> (Store, Retained) {
    let store = Store::new(Kind::Redb);
    one(&store, Op::Create(name("source"), text_stream().with(message("a"))));
    one(&store, Op::Append(name("source"), text("b")));
    one(&store, Op::Append(name("source"), text("c")));
    let retained = retain(&store, request("source", Some(2), 0), 7).unwrap();
    (store, retained)
}

/// A store with the fork of [`kept`] in it, which has a message of its own.
fn with_fork(retained: &Retained) -> Store {
    let store = Store::new(Kind::Redb);
    let create = fork("source", Some(2), 0).with(message("z"));
    let made = one(
        &store,
        Op::Fork(name("fork"), create, Given::Retained(retained.clone())),
    );
    assert!(matches!(made, Outcome::Create(Ok(created)) if created.status == CreateStreamResult::Created));
    store
}

#[test]
fn a_source_is_kept_until_its_reference_is_released() {
    let (mut store, retained) = kept();
    assert_eq!(retained.base, Offset::new(2).unwrap());
    assert_eq!(references(&store), std::slice::from_ref(&retained.reference));
    one(&store, Op::Create(name("local"), fork("source", Some(1), 0)));
    one(&store, Op::Delete(name("source")));
    one(&store, Op::Delete(name("local")));
    let place = Elsewhere {
        source: name("source"),
        source_id: retained.reference.source_id,
        until: retained.base,
    };
    store.reopen();
    assert_eq!(references(&store), std::slice::from_ref(&retained.reference));
    let fetched = store.storage().fetch(&place, Offset::ZERO, 100).unwrap();
    let Fetched::Messages { runs, next_offset } = fetched else {
        panic!("{fetched:?}");
    };
    let payload: Vec<u8> = runs.iter().flat_map(|run| run.payload.to_vec()).collect();
    assert_eq!((payload.as_slice(), next_offset), (b"ab".as_slice(), retained.base));
    // Another life of the source, or more than it has, is not there yet.
    for place in [
        Elsewhere {
            source_id: place.source_id + 1,
            ..place.clone()
        },
        Elsewhere {
            until: Offset::new(4).unwrap(),
            ..place.clone()
        },
        Elsewhere {
            source: name("other"),
            ..place.clone()
        },
    ] {
        assert_eq!(store.storage().fetch(&place, Offset::ZERO, 100), Ok(Fetched::Behind));
    }
    let other = Reference {
        fork_id: 8,
        ..retained.reference.clone()
    };
    one(&store, Op::Release(other));
    assert_eq!(store.read("source", ReadFrom::Start, ALL), Err(ReadError::Gone));
    one(&store, Op::Release(retained.reference.clone()));
    assert_eq!(store.read("source", ReadFrom::Start, ALL), Err(ReadError::NotFound));
    assert_eq!(references(&store), []);
    assert_eq!(one(&store, Op::Release(retained.reference)), Outcome::Release);
}

#[test]
fn a_retain_is_refused_as_its_create_would_be() {
    let (store, _) = kept();
    assert_eq!(
        retain(&store, request("none", None, 0), 1),
        Err(CreateError::SourceNotFound)
    );
    assert_eq!(
        retain(&store, request("source", Some(9), 0), 1),
        Err(CreateError::ForkOffsetBeyondTail)
    );
    assert_eq!(
        retain(&store, request("source", Some(0), 2), 1),
        Err(CreateError::ForkSubOffsetOvershoot)
    );
    one(&store, Op::Delete(name("source")));
    assert_eq!(
        retain(&store, request("source", None, 0), 1),
        Err(CreateError::SourceGone)
    );
    assert_eq!(references(&store).len(), 1);
}

#[test]
fn a_fork_that_goes_leaves_a_release_behind() {
    let (_, retained) = kept();
    let mut store = with_fork(&retained);
    assert_eq!(store.storage().outbox(10), Ok(Vec::new()));
    one(&store, Op::Create(name("branch"), fork("fork", None, 0)));
    one(&store, Op::Delete(name("fork")));
    assert_eq!(
        store.storage().outbox(10),
        Ok(Vec::new()),
        "a hidden fork needs its source"
    );
    let probed = one(&store, Op::Probe(retained.reference.clone()));
    assert_eq!(
        probed,
        Outcome::Probe(Probed {
            exists: true,
            decided: false
        })
    );
    one(&store, Op::Delete(name("branch")));
    store.reopen();
    assert_eq!(store.storage().outbox(10), Ok(vec![retained.reference.clone()]));
    let probed = one(&store, Op::Probe(retained.reference.clone()));
    assert_eq!(
        probed,
        Outcome::Probe(Probed {
            exists: false,
            decided: false
        })
    );
    one(&store, Op::Settle { fork_id: 8 });
    assert_eq!(store.storage().outbox(10), Ok(vec![retained.reference]));
    one(&store, Op::Settle { fork_id: 7 });
    assert_eq!(store.storage().outbox(10), Ok(Vec::new()));
}

#[test]
fn an_expired_fork_leaves_a_release_behind() {
    let (_, mut retained) = kept();
    retained.lifetime = Lifetime::Ttl(1);
    for makes_anew in [false, true] {
        let mut store = with_fork(&retained);
        store.now = store.now.plus_seconds(5);
        if makes_anew {
            one(&store, Op::Create(name("fork"), text_stream()));
        } else {
            one(
                &store,
                Op::Expire {
                    cutoff: store.now,
                    limit: 10,
                },
            );
        }
        assert_eq!(store.storage().outbox(10), Ok(vec![retained.reference.clone()]));
    }
}

#[test]
fn a_fork_is_not_made_too_late() {
    let (_, retained) = kept();
    for (late_ms, is_made) in [(RETAINED_FOR_MS, true), (RETAINED_FOR_MS + 1, false)] {
        let mut store = Store::new(Kind::Redb);
        store.now = weir_protocol::Timestamp::from_millis(BEGIN.as_millis() + late_ms);
        let probed = one(&store, Op::Probe(retained.reference.clone()));
        assert_eq!(
            probed,
            Outcome::Probe(Probed {
                exists: false,
                decided: !is_made
            })
        );
        let given = Given::Retained(retained.clone());
        let made = one(&store, Op::Fork(name("fork"), fork("source", Some(2), 0), given));
        match made {
            Outcome::Create(Ok(_)) => assert!(is_made),
            Outcome::Create(Err(CreateError::Fault(Fault::Unavailable(_)))) => assert!(!is_made),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_a_fork_inherited_is_elsewhere() {
    let (_, retained) = kept();
    let store = with_fork(&retained);
    one(&store, Op::Create(name("branch"), fork("fork", Some(3), 0)));
    let place = Elsewhere {
        source: name("source"),
        source_id: retained.reference.source_id,
        until: retained.base,
    };
    for stream in ["fork", "branch"] {
        assert_eq!(store.read(stream, ReadFrom::Start, ALL), Err(ReadError::Elsewhere));
        let own = store.read(stream, ReadFrom::At(retained.base), ALL).unwrap();
        assert_eq!(own.into_chunks().concat(), b"z");
        let inherited = store.storage().inherited(&name(stream), store.now).unwrap();
        assert_eq!((inherited.place, inherited.tail.position()), (place.clone(), 3));
    }
    assert!(matches!(
        store.storage().inherited(&name("none"), store.now),
        Err(ReadError::NotFound)
    ));
    // Where the source's message ends is not known here: it must be told.
    let create = fork("fork", Some(0), 1);
    let made = one(&store, Op::Create(name("cut"), create.clone()));
    assert_eq!(made, Outcome::Create(Err(CreateError::Elsewhere)));
    let source_id = store.storage().head(&name("fork"), store.now).unwrap().incarnation.id;
    for (source_id, is_made) in [(source_id + 9, false), (source_id, true)] {
        let boundary = Boundary {
            source_id,
            base: Offset::new(1).unwrap(),
        };
        let made = one(&store, Op::Fork(name("cut"), create.clone(), Given::Boundary(boundary)));
        match made {
            Outcome::Create(Ok(created)) => assert_eq!((is_made, created.next_offset.position()), (true, 1)),
            other => assert!(!is_made, "{other:?}"),
        }
    }
    // A place in inherited bytes that needs no looking is no matter of theirs.
    let made = one(&store, Op::Create(name("plain"), fork("fork", Some(1), 0)));
    assert!(matches!(made, Outcome::Create(Ok(_))), "{made:?}");
    let made = one(&store, Op::Fork(name("absent"), create, Given::Existing));
    assert_eq!(made, Outcome::Create(Err(CreateError::Elsewhere)));
}

#[test]
fn references_and_outbox_are_exported() {
    let (sources, retained) = kept();
    let forks = with_fork(&retained);
    one(&forks, Op::Delete(name("fork")));
    one(&sources, Op::Create(name("local"), fork("source", None, 0)));
    for store in [&sources, &forks] {
        let export = store.storage().export().unwrap().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let options = RedbOptions {
            path: dir.path().join("copy.redb"),
            cache_bytes: 1 << 20,
            waits_for_space: false,
        };
        let mut import = RedbStorage::import(&options).unwrap();
        let mut cursor = Some(bytes::Bytes::new());
        while let Some(at) = cursor {
            let (piece, next) = export.piece(&at, 1).unwrap();
            import.put(piece).unwrap();
            cursor = next;
        }
        import.finish().unwrap();
        let copy = RedbStorage::open(&options).unwrap();
        assert_eq!(copy.outbox(10), store.storage().outbox(10));
        assert_eq!(copy.references(None, 10), store.storage().references(None, 10));
    }
    assert_eq!(forks.storage().outbox(10).unwrap().len(), 1);
}
