//! Reads: limits, the truth about the tail, and where messages begin and end.

use weir_protocol::{ReadError, ReadFrom};

use crate::support::{
    ALL, CreateWords as _, Store, append, at, json, json_messages, json_stream, message, offset, stream, text,
    text_stream, texts,
};

crate::suite! {
    reads_from_anywhere,
    stops_at_the_limit,
    returns_one_message_whatever_the_limit,
    reaches_the_tail_and_says_so,
    begins_inside_a_message_of_a_byte_stream,
    begins_only_between_messages_of_a_json_stream,
    refuses_what_lies_past_the_tail,
    an_empty_stream_is_read_to_its_tail,
    reads_messages_larger_than_a_row,
    reads_many_small_messages,
    tells_which_life_it_read,
    looks_up_nothing_for_now,
}

/// Larger than what a store keeps in one piece.
const LARGE: usize = 300_000;

fn reads_from_anywhere(store: &mut Store) {
    store.created("a", text_stream());
    for part in ["one", "two", "three"] {
        store.append("a", text(part)).unwrap();
    }
    let read = |from| texts(&store.read("a", from, ALL).unwrap());
    assert_eq!(read(ReadFrom::Start), ["one", "two", "three"]);
    assert_eq!(read(at(0)), ["one", "two", "three"]);
    assert_eq!(read(at(3)), ["two", "three"]);
    assert_eq!(read(at(6)), ["three"]);
    assert!(read(at(11)).is_empty());
    assert!(read(ReadFrom::Now).is_empty());
}

fn stops_at_the_limit(store: &mut Store) {
    store.created("a", text_stream());
    for part in ["aa", "bb", "cc"] {
        store.append("a", text(part)).unwrap();
    }
    for (limit, messages) in [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3), (7, 3)] {
        let result = store.read("a", ReadFrom::Start, limit).unwrap();
        assert_eq!(texts(&result).len(), messages, "limit {limit}");
        assert_eq!(result.next_offset, offset(messages as u64 * 2));
        assert_eq!(result.at_tail, messages == 3);
    }
}

fn returns_one_message_whatever_the_limit(store: &mut Store) {
    store.created("a", text_stream().with(message("message")));
    let result = store.read("a", ReadFrom::Start, 0).unwrap();
    assert_eq!(texts(&result), ["message"]);
    assert!(result.at_tail);
    let large = "x".repeat(LARGE);
    store.append("a", text(&large)).unwrap();
    for limit in [0, 1, LARGE as u64 / 2] {
        assert_eq!(texts(&store.read("a", at(7), limit).unwrap()), [&*large]);
    }
}

fn reaches_the_tail_and_says_so(store: &mut Store) {
    store.created("a", text_stream().with(message("x")).closed());
    store.created("b", text_stream().with(message("x")));
    let result = store.read("a", ReadFrom::Start, ALL).unwrap();
    assert!(result.at_tail && result.closed && result.at_end());
    let result = store.read("b", ReadFrom::Start, ALL).unwrap();
    assert!(result.at_tail && !result.closed);
    store.append("b", text("y")).unwrap();
    store.close_stream("b").unwrap();
    let result = store.read("b", ReadFrom::Start, 1).unwrap();
    assert!(!result.at_tail && result.closed && !result.at_end());
    let result = store.read("b", at(2), ALL).unwrap();
    assert!(result.is_empty() && result.at_end());
}

fn begins_inside_a_message_of_a_byte_stream(store: &mut Store) {
    store.created("a", text_stream());
    store.append("a", text("hello")).unwrap();
    store.append("a", text("world")).unwrap();
    let result = store.read("a", at(2), ALL).unwrap();
    assert_eq!(texts(&result), ["llo", "world"]);
    assert_eq!((result.start, result.next_offset), (offset(2), offset(10)));
    let result = store.read("a", at(4), 1).unwrap();
    assert_eq!(texts(&result), ["o"]);
    assert_eq!(texts(&store.read("a", at(4), 5).unwrap()), ["o"]);
    assert_eq!(texts(&store.read("a", at(4), 6).unwrap()), ["o", "world"]);
}

fn begins_only_between_messages_of_a_json_stream(store: &mut Store) {
    store.created("a", json_stream());
    store.append("a", json(&["11", "22"])).unwrap();
    store.append("a", json(&["33"])).unwrap();
    for (position, messages) in [(0, 3), (3, 2), (6, 1), (9, 0)] {
        assert_eq!(texts(&store.read("a", at(position), ALL).unwrap()).len(), messages);
    }
    for position in [1, 2, 4, 5, 7, 8] {
        assert_eq!(
            store.read("a", at(position), ALL),
            Err(ReadError::OffsetInvalid),
            "{position}"
        );
    }
}

fn refuses_what_lies_past_the_tail(store: &mut Store) {
    store.created("a", text_stream().with(message("x")));
    assert_eq!(store.read("a", at(2), ALL), Err(ReadError::OffsetBeyondTail));
    assert_eq!(store.read("b", at(0), ALL), Err(ReadError::NotFound));
}

fn an_empty_stream_is_read_to_its_tail(store: &mut Store) {
    store.created("a", json_stream());
    for from in [ReadFrom::Start, ReadFrom::Now, at(0)] {
        let result = store.read("a", from, ALL).unwrap();
        assert!(result.is_empty() && result.at_tail && !result.closed);
        assert_eq!(result.next_offset, offset(0));
    }
}

fn reads_messages_larger_than_a_row(store: &mut Store) {
    store.created("a", text_stream());
    let large: String = (0..LARGE)
        .map(|at| char::from(b'a' + u8::try_from(at % 26).unwrap()))
        .collect();
    store.append("a", text("small")).unwrap();
    store.append("a", text(&large)).unwrap();
    store.append("a", text("end")).unwrap();
    store.reopen();
    assert_eq!(store.texts("a"), ["small", &large, "end"]);
    let result = store.read("a", at(5), 10).unwrap();
    assert_eq!(texts(&result), [&*large]);
    assert!(!result.at_tail);
    assert_eq!(texts(&store.read("a", ReadFrom::Start, 10).unwrap()), ["small"]);
    let inside = LARGE as u64 / 2;
    assert_eq!(
        texts(&store.read("a", at(5 + inside), ALL).unwrap()),
        [&large[LARGE / 2..], "end"]
    );
    let last = 5 + LARGE as u64 - 1;
    assert_eq!(
        texts(&store.read("a", at(last), ALL).unwrap()),
        [&large[LARGE - 1..], "end"]
    );
}

fn reads_many_small_messages(store: &mut Store) {
    store.created("a", stream("application/json"));
    let numbers: Vec<String> = (0..40_000).map(|number| number.to_string()).collect();
    let borrowed: Vec<&str> = numbers.iter().map(String::as_str).collect();
    store
        .append("a", append("application/json", json_messages(&borrowed)))
        .unwrap();
    let framed: Vec<String> = numbers.iter().map(|number| format!("{number},")).collect();
    assert_eq!(store.texts("a"), framed);
    let (mut from, mut found) = (at(0), Vec::new());
    loop {
        let result = store.read("a", from, 1_000).unwrap();
        found.extend(texts(&result));
        from = ReadFrom::At(result.next_offset);
        if result.at_tail {
            break;
        }
        assert!(!result.is_empty());
    }
    assert_eq!(found, framed);
}

fn tells_which_life_it_read(store: &mut Store) {
    store.created("a", text_stream().with(message("x")));
    let first = store.read("a", at(0), ALL).unwrap();
    store.delete("a").unwrap();
    store.pass_seconds(1);
    store.created("a", text_stream().with(message("x")));
    let second = store.read("a", at(0), ALL).unwrap();
    assert_ne!(first.incarnation, second.incarnation);
    assert_ne!(first.etag().to_string(), second.etag().to_string());
    store.reopen();
    assert_eq!(store.read("a", at(0), ALL).unwrap().incarnation, second.incarnation);
}

fn looks_up_nothing_for_now(store: &mut Store) {
    store.created("a", text_stream().with(message("xyz")));
    let result = store.read("a", ReadFrom::Now, ALL).unwrap();
    assert!(result.is_empty() && result.at_tail);
    assert_eq!((result.start, result.next_offset), (offset(3), offset(3)));
}
