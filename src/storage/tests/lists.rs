//! Lists: pages, prefixes, and what is not in them.

use weir_protocol::{Lifetime, ListPage, ListRequest};

use crate::support::{CreateWords as _, Store, fork, message, text_stream};

crate::suite! {
    lists_by_name_in_pages,
    a_prefix_is_of_bytes_not_of_segments,
    begins_after_a_name_that_need_not_exist,
    leaves_out_what_clients_cannot_see,
    describes_each_stream,
}

fn list(store: &Store, prefix: &str, after: Option<&str>, limit: usize) -> ListPage {
    let request = ListRequest {
        prefix: prefix.to_owned(),
        after: after.map(str::to_owned),
        limit,
    };
    store.storage().list_streams(&request, store.now).unwrap()
}

fn names(page: &ListPage) -> Vec<&str> {
    page.streams.iter().map(|summary| summary.name.as_str()).collect()
}

fn lists_by_name_in_pages(store: &mut Store) {
    assert_eq!(list(store, "", None, 10), ListPage::default());
    for name in ["c", "a", "é", "b/x", "b"] {
        store.created(name, text_stream());
    }
    store.reopen();
    let page = list(store, "", None, 2);
    assert_eq!((names(&page), page.more), (vec!["a", "b"], true));
    let page = list(store, "", Some("b"), 2);
    assert_eq!((names(&page), page.more), (vec!["b/x", "c"], true));
    let page = list(store, "", Some("c"), 2);
    assert_eq!((names(&page), page.more), (vec!["é"], false));
    let page = list(store, "", None, 5);
    assert_eq!((page.streams.len(), page.more), (5, false));
    assert!(list(store, "", Some("é"), 2).streams.is_empty());
}

fn a_prefix_is_of_bytes_not_of_segments(store: &mut Store) {
    for name in ["a", "ab", "a/b", "b"] {
        store.created(name, text_stream());
    }
    assert_eq!(names(&list(store, "a", None, 10)), ["a", "a/b", "ab"]);
    assert_eq!(names(&list(store, "a/", None, 10)), ["a/b"]);
    assert_eq!(names(&list(store, "a", None, 3)), ["a", "a/b", "ab"]);
    assert!(!list(store, "a", None, 3).more, "what follows has another prefix");
    assert!(list(store, "zz", None, 10).streams.is_empty());
}

fn begins_after_a_name_that_need_not_exist(store: &mut Store) {
    for name in ["a", "b", "c"] {
        store.created(name, text_stream());
    }
    assert_eq!(names(&list(store, "", Some("ab"), 10)), ["b", "c"]);
    assert_eq!(names(&list(store, "b", Some("a"), 10)), ["b"]);
    assert!(list(store, "b", Some("c"), 10).streams.is_empty());
}

fn leaves_out_what_clients_cannot_see(store: &mut Store) {
    store.created("deleted", text_stream());
    store.created("fork", fork("deleted", None, 0));
    store.delete("deleted").unwrap();
    store.created("expired", text_stream().lasting(Lifetime::Ttl(1)));
    store.created("removed", text_stream());
    store.delete("removed").unwrap();
    store.pass_seconds(1);
    let page = list(store, "", None, 1);
    assert_eq!((names(&page), page.more), (vec!["fork"], false));
}

fn describes_each_stream(store: &mut Store) {
    store.created("a", text_stream().with(message("xyz")).closed());
    let page = list(store, "", None, 1);
    assert_eq!(page.streams[0].metadata, store.head("a").unwrap());
}
