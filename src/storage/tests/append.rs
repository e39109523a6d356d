//! Append, close, both at once, and `Stream-Seq`.

use weir_protocol::{Append, AppendError, Payload};

use crate::support::{
    AppendWords as _, CreateWords as _, Store, append, content_type, json, json_stream, message, offset, stream, text,
    text_stream,
};

crate::suite! {
    appends_in_order,
    counts_messages_and_bytes,
    needs_a_stream,
    needs_the_streams_media_type,
    closes_and_appends_in_one_step,
    refuses_appends_to_a_closed_stream,
    closes_again_without_a_change,
    tells_of_the_close_before_the_content_type,
    ignores_the_content_type_of_a_plain_close,
    keeps_stream_seq_increasing,
    compares_stream_seq_by_bytes,
    a_refused_append_keeps_stream_seq,
    refuses_to_pass_the_largest_offset,
    remembers_when_it_was_written,
}

fn appends_in_order(store: &mut Store) {
    store.created("a", text_stream());
    for (number, end) in [(1, 5), (2, 10), (3, 15)] {
        let appended = store.append("a", text(&format!("text{number}"))).unwrap();
        assert_eq!(appended.next_offset, offset(end));
        assert!(!appended.closed && appended.producer.is_none());
    }
    store.reopen();
    assert_eq!(store.texts("a"), ["text1", "text2", "text3"]);
}

fn counts_messages_and_bytes(store: &mut Store) {
    store.created("a", json_stream());
    store.append("a", json(&["1", "22", "333"])).unwrap();
    store.append("a", json(&["{}"])).unwrap();
    let head = store.head("a").unwrap();
    assert_eq!((head.message_count, head.total_bytes), (4, 12));
    assert_eq!(head.next_offset, offset(12));
}

fn needs_a_stream(store: &mut Store) {
    assert_eq!(store.append("a", text("x")), Err(AppendError::NotFound));
    assert_eq!(store.close_stream("a"), Err(AppendError::NotFound));
}

fn needs_the_streams_media_type(store: &mut Store) {
    store.created("a", stream("text/plain; charset=utf-8"));
    let mismatch = Err(AppendError::ContentTypeMismatch(content_type(
        "text/plain; charset=utf-8",
    )));
    assert_eq!(store.append("a", append("text/html", message("x"))), mismatch);
    let untyped = Append {
        content_type: None,
        ..text("x")
    };
    assert_eq!(store.append("a", untyped), mismatch);
    store.append("a", append("TEXT/plain", message("x"))).unwrap();
    assert_eq!(store.texts("a"), ["x"]);
}

fn closes_and_appends_in_one_step(store: &mut Store) {
    store.created("a", text_stream());
    let appended = store.append("a", text("last").closing()).unwrap();
    assert!(appended.closed);
    assert_eq!(appended.next_offset, offset(4));
    store.reopen();
    assert!(store.head("a").unwrap().closed);
    assert_eq!(store.texts("a"), ["last"]);
}

fn refuses_appends_to_a_closed_stream(store: &mut Store) {
    store.created("a", text_stream().with(message("x")));
    store.close_stream("a").unwrap();
    let closed = Err(AppendError::Closed { next_offset: offset(1) });
    assert_eq!(store.append("a", text("y")), closed);
    assert_eq!(store.append("a", text("y").closing()), closed);
    assert_eq!(store.append("a", text("y").by("p", 0, 0)), closed);
    assert_eq!(store.append("a", Append::close().by("p", 0, 0)), closed);
    assert_eq!(store.texts("a"), ["x"]);
}

fn closes_again_without_a_change(store: &mut Store) {
    store.created("a", text_stream().with(message("x")));
    let first = store.close_stream("a").unwrap();
    assert_eq!(store.close_stream("a"), Ok(first));
    assert_eq!(first.next_offset, offset(1));
}

fn tells_of_the_close_before_the_content_type(store: &mut Store) {
    store.created("a", text_stream().closed());
    let wrong_type = append("text/html", message("x")).seq("1");
    assert_eq!(
        store.append("a", wrong_type),
        Err(AppendError::Closed { next_offset: offset(0) })
    );
}

fn ignores_the_content_type_of_a_plain_close(store: &mut Store) {
    store.created("a", json_stream());
    let close = append("text/html", Payload::empty()).closing();
    assert!(store.append("a", close).unwrap().closed);
}

fn keeps_stream_seq_increasing(store: &mut Store) {
    store.created("a", text_stream());
    store.append("a", text("x").seq("b")).unwrap();
    for stale in ["b", "a", "B"] {
        assert_eq!(
            store.append("a", text("y").seq(stale)),
            Err(AppendError::StreamSeqRegression)
        );
    }
    store.append("a", text("y")).unwrap();
    store.reopen();
    assert_eq!(
        store.append("a", text("z").seq("b")),
        Err(AppendError::StreamSeqRegression)
    );
    store.append("a", text("z").seq("ba")).unwrap();
    assert_eq!(store.texts("a"), ["x", "y", "z"]);
}

fn compares_stream_seq_by_bytes(store: &mut Store) {
    store.created("a", text_stream());
    store.append("a", text("x").seq("9")).unwrap();
    assert_eq!(
        store.append("a", text("y").seq("10")),
        Err(AppendError::StreamSeqRegression)
    );
    store.append("a", text("y").seq("é")).unwrap();
    assert_eq!(
        store.append("a", text("z").seq("z")),
        Err(AppendError::StreamSeqRegression)
    );
}

fn a_refused_append_keeps_stream_seq(store: &mut Store) {
    store.created("a", text_stream());
    store.append("a", text("x").by("p", 0, 0)).unwrap();
    // A repeated write and a gap are settled before the sequence is looked at.
    store.append("a", text("x").by("p", 0, 0).seq("9")).unwrap();
    store.append("a", text("x").by("p", 0, 5).seq("9")).unwrap_err();
    store
        .append("a", append("text/html", message("x")).seq("9"))
        .unwrap_err();
    store.append("a", text("y").seq("1")).unwrap();
    assert_eq!(store.texts("a"), ["x", "y"]);
}

fn refuses_to_pass_the_largest_offset(store: &mut Store) {
    // No stream gets there by appending; that the sum is checked shows in the record that a fork begins with.
    store.created("a", text_stream().with(message("x")));
    let beyond = crate::support::fork("a", Some(1), u64::MAX);
    assert_eq!(
        store.create("b", beyond),
        Err(weir_protocol::CreateError::ForkSubOffsetOvershoot)
    );
}

fn remembers_when_it_was_written(store: &mut Store) {
    store.created("a", text_stream());
    let created = store.now;
    store.pass_seconds(5);
    store.append("a", text("x")).unwrap();
    assert_eq!(store.head("a").unwrap().updated_at, store.now);
    store.now = created;
    store.append("a", text("x")).unwrap();
    assert_eq!(
        store.head("a").unwrap().updated_at,
        created.plus_seconds(5),
        "time runs back"
    );
}
