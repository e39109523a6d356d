//! Create, confirm, conflict.

use weir_protocol::{ContentType, Create, CreateError, CreateStreamResult, Lifetime, Timestamp};

use crate::support::{
    CreateWords as _, Store, content_type, json_messages, json_stream, message, stream, text, text_stream,
};

crate::suite! {
    makes_a_stream,
    keeps_the_body,
    defaults_to_octet_stream,
    confirms_the_same_request,
    refuses_another_content_type,
    refuses_another_lifetime,
    compares_the_current_closed_state,
    ignores_the_body_of_a_confirmation,
}

fn makes_a_stream(store: &mut Store) {
    let created = store.created("a/b", text_stream());
    assert_eq!(created.next_offset.position(), 0);
    assert_eq!(created.content_type, content_type("text/plain"));
    assert!(!created.closed);
    let head = store.head("a/b").unwrap();
    assert_eq!((head.total_bytes, head.message_count), (0, 0));
    assert_eq!(head.incarnation.created_at, store.now);
    assert_eq!(head.updated_at, store.now);
}

fn keeps_the_body(store: &mut Store) {
    let created = store.created("a", json_stream().with(json_messages(&["1", "[2]"])).closed());
    assert_eq!(created.next_offset.position(), 6);
    assert!(created.closed);
    assert_eq!(store.texts("a"), ["1,", "[2],"]);
    assert_eq!(store.head("a").unwrap().message_count, 2);
}

fn defaults_to_octet_stream(store: &mut Store) {
    let plain = Create {
        content_type: None,
        ..text_stream()
    };
    assert_eq!(
        store.created("a", plain.clone()).content_type,
        ContentType::octet_stream()
    );
    assert_eq!(
        store.create("a", plain).unwrap().status,
        CreateStreamResult::AlreadyExists
    );
}

fn confirms_the_same_request(store: &mut Store) {
    let request = stream("Text/Plain; charset=utf-8").lasting(Lifetime::Ttl(60));
    store.created("a", request.clone());
    store.append("a", text("x")).unwrap();
    store.pass_seconds(10);
    let again = store.create("a", request).unwrap();
    assert_eq!(again.status, CreateStreamResult::AlreadyExists);
    assert_eq!(again.next_offset.position(), 1);
    assert_eq!(again.content_type, content_type("text/plain; charset=utf-8"));
    let other_parameter = stream("text/plain;charset=ascii").lasting(Lifetime::Ttl(60));
    assert_eq!(
        store.create("a", other_parameter).unwrap().status,
        CreateStreamResult::AlreadyExists
    );
}

fn refuses_another_content_type(store: &mut Store) {
    store.created("a", text_stream());
    assert_eq!(
        store.create("a", json_stream()),
        Err(CreateError::ConfigMismatch("content type"))
    );
    let none = Create {
        content_type: None,
        ..text_stream()
    };
    assert_eq!(
        store.create("a", none),
        Err(CreateError::ConfigMismatch("content type"))
    );
}

fn refuses_another_lifetime(store: &mut Store) {
    let at = Lifetime::ExpiresAt(Timestamp::from_millis(store.now.as_millis() + 60_000));
    store.created("ttl", text_stream().lasting(Lifetime::Ttl(60)));
    store.created("at", text_stream().lasting(at));
    store.created("ever", text_stream());
    let mismatch = Err(CreateError::ConfigMismatch("lifetime"));
    assert_eq!(store.create("ttl", text_stream().lasting(Lifetime::Ttl(61))), mismatch);
    assert_eq!(store.create("ttl", text_stream()), mismatch);
    assert_eq!(store.create("ttl", text_stream().lasting(at)), mismatch);
    assert_eq!(store.create("ever", text_stream().lasting(at)), mismatch);
    assert_eq!(store.create("at", text_stream().lasting(Lifetime::Ttl(60))), mismatch);
    assert_eq!(
        store.create("at", text_stream().lasting(at)).unwrap().status,
        CreateStreamResult::AlreadyExists
    );
}

fn compares_the_current_closed_state(store: &mut Store) {
    store.created("a", text_stream());
    assert_eq!(
        store.create("a", text_stream().closed()),
        Err(CreateError::ConfigMismatch("closed state"))
    );
    store.close_stream("a").unwrap();
    assert_eq!(
        store.create("a", text_stream()),
        Err(CreateError::ConfigMismatch("closed state"))
    );
    let again = store.create("a", text_stream().closed()).unwrap();
    assert_eq!(again.status, CreateStreamResult::AlreadyExists);
    assert!(again.closed);
}

fn ignores_the_body_of_a_confirmation(store: &mut Store) {
    store.created("a", text_stream().with(message("first")));
    let again = store.create("a", text_stream().with(message("second"))).unwrap();
    assert_eq!(again.status, CreateStreamResult::AlreadyExists);
    assert_eq!(store.texts("a"), ["first"]);
}
