//! Delete, streams that are kept for their forks, and the cascade that ends them.

use weir_protocol::{AppendError, CreateError, DeleteError, HeadError, ReadError, ReadFrom};

use crate::support::{ALL, CreateWords as _, Store, fork, message, text, text_stream};

crate::suite! {
    deletes_a_stream,
    a_name_can_be_used_again,
    a_source_is_gone_but_kept_for_its_forks,
    a_kept_source_takes_no_new_forks,
    the_last_fork_takes_its_source_along,
    a_chain_ends_from_its_last_fork,
    a_live_source_outlives_its_forks,
    frees_what_deleted_streams_held,
}

fn deletes_a_stream(store: &mut Store) {
    store.created("a", text_stream().with(message("x")));
    assert_eq!(store.delete("a"), Ok(()));
    store.reopen();
    assert_eq!(store.delete("a"), Err(DeleteError::NotFound));
    assert_eq!(store.head("a"), Err(HeadError::NotFound));
    assert_eq!(store.read("a", ReadFrom::Start, ALL), Err(ReadError::NotFound));
    assert_eq!(store.append("a", text("x")), Err(AppendError::NotFound));
}

fn a_name_can_be_used_again(store: &mut Store) {
    store.created("a", text_stream().with(message("old")));
    store.delete("a").unwrap();
    store.created("a", text_stream().with(message("new")));
    store.reopen();
    assert_eq!(store.texts("a"), ["new"]);
    store.maintain();
    assert_eq!(store.texts("a"), ["new"]);
}

fn a_source_is_gone_but_kept_for_its_forks(store: &mut Store) {
    store.created("a", text_stream().with(message("x")));
    store.created("b", fork("a", None, 0));
    assert_eq!(store.delete("a"), Ok(()));
    store.reopen();
    assert_eq!(store.delete("a"), Err(DeleteError::Gone));
    assert_eq!(store.head("a"), Err(HeadError::Gone));
    assert_eq!(store.read("a", ReadFrom::Now, ALL), Err(ReadError::Gone));
    assert_eq!(store.append("a", text("x")), Err(AppendError::Gone));
    assert_eq!(store.close_stream("a"), Err(AppendError::Gone));
    assert_eq!(store.create("a", text_stream()), Err(CreateError::NameHeld));
    store.maintain();
    assert_eq!(store.texts("b"), ["x"]);
}

fn a_kept_source_takes_no_new_forks(store: &mut Store) {
    store.created("a", text_stream());
    store.created("b", fork("a", None, 0));
    store.delete("a").unwrap();
    assert_eq!(store.create("c", fork("a", None, 0)), Err(CreateError::SourceGone));
}

fn the_last_fork_takes_its_source_along(store: &mut Store) {
    store.created("a", text_stream());
    store.created("b", fork("a", None, 0));
    store.created("c", fork("a", None, 0));
    store.delete("a").unwrap();
    store.delete("b").unwrap();
    assert_eq!(store.head("a"), Err(HeadError::Gone));
    store.reopen();
    store.delete("c").unwrap();
    assert_eq!(store.head("a"), Err(HeadError::NotFound));
    store.created("a", text_stream());
}

fn a_chain_ends_from_its_last_fork(store: &mut Store) {
    store.created("a", text_stream().with(message("a")));
    store.created("b", fork("a", None, 0).with(message("b")));
    store.created("c", fork("b", None, 0).with(message("c")));
    store.delete("b").unwrap();
    store.delete("a").unwrap();
    store.reopen();
    assert_eq!(store.texts("c"), ["a", "b", "c"]);
    assert_eq!(
        (store.head("a"), store.head("b")),
        (Err(HeadError::Gone), Err(HeadError::Gone))
    );
    store.delete("c").unwrap();
    store.reopen();
    assert_eq!(
        (store.head("a"), store.head("b")),
        (Err(HeadError::NotFound), Err(HeadError::NotFound))
    );
}

fn a_live_source_outlives_its_forks(store: &mut Store) {
    store.created("a", text_stream().with(message("a")));
    store.created("b", fork("a", None, 0));
    store.delete("b").unwrap();
    assert_eq!(store.texts("a"), ["a"]);
    store.delete("a").unwrap();
    assert_eq!(
        store.head("a"),
        Err(HeadError::NotFound),
        "no fork is left to keep it for"
    );
}

fn frees_what_deleted_streams_held(store: &mut Store) {
    let large = "0123456789".repeat(100_000);
    for number in 0..8 {
        store.created(&number.to_string(), text_stream().with(message(&large)));
    }
    for number in 0..8 {
        store.delete(&number.to_string()).unwrap();
    }
    store.maintain();
    assert!(!store.storage().maintain().unwrap(), "nothing is left to do");
    if store.kind == crate::support::Kind::File {
        let logs = store
            .files()
            .into_iter()
            .filter(|(path, _)| path.ends_with(".log") && path != "redo.log");
        assert_eq!(logs.count(), 0);
    }
    store.reopen();
    store.created("0", text_stream());
    assert!(store.texts("0").is_empty());
}
