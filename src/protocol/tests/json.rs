use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;
use weir_protocol::{Payload, Run, json};

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[\\PC\n,\\[\\]\"\\\\]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z,]{0,3}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The messages of a payload, as texts and without their framing comma.
fn messages(payload: &Payload) -> Vec<String> {
    let run = Run {
        payload: payload.bytes().clone(),
        lengths: payload.lengths().to_vec(),
    };
    run.messages()
        .map(|message| String::from_utf8(message.to_vec()).unwrap())
        .map(|message| message.strip_suffix(',').unwrap().to_owned())
        .collect()
}

fn array_text(chunks: Vec<Bytes>) -> Vec<u8> {
    json::array(chunks).concat()
}

fn split(text: &str) -> Payload {
    json::split(&Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

proptest! {
    #[test]
    fn one_value_is_one_message_and_an_array_is_its_elements(value in values(), spaced in any::<bool>()) {
        let text = if spaced { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let payload = split(&format!(" \r\n{text}\t"));
        let stored: Vec<Value> = messages(&payload).iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        let expected = match value {
            Value::Array(elements) => elements,
            value => vec![value],
        };
        prop_assert_eq!(stored, expected);
    }

    #[test]
    fn the_bytes_of_messages_are_kept(texts in prop::collection::vec("1\\.50e\\+3|\"\\\\u00e9/\"|\\{ \"a\": 1, \"a\" :2 \\}|-0|\\[ \\]", 1..5)) {
        prop_assert_eq!(messages(&split(&format!("[ {} ]", texts.join(" ,\n")))), texts);
    }

    #[test]
    fn any_range_of_whole_messages_reads_as_an_array(value in prop::collection::vec(values(), 0..6), cuts in any::<(prop::sample::Index, prop::sample::Index)>()) {
        let payload = split(&Value::from(value.clone()).to_string());
        let (a, b) = (cuts.0.index(value.len() + 1), cuts.1.index(value.len() + 1));
        let (from, to) = (a.min(b), a.max(b));
        let position = |count: usize| payload.lengths()[..count].iter().sum::<u32>() as usize;
        let chunks = vec![payload.bytes().slice(..position(from)), payload.bytes().slice(position(from)..position(to))];
        prop_assert_eq!(serde_json::from_slice::<Vec<Value>>(&array_text(chunks.clone())).unwrap(), &value[..to]);
        prop_assert_eq!(serde_json::from_slice::<Vec<Value>>(&array_text(chunks[1..].to_vec())).unwrap(), &value[from..to]);
    }

    #[test]
    fn a_cut_body_is_refused(value in values(), cut in any::<prop::sample::Index>()) {
        let text = Value::from(vec![value]).to_string();
        let end = cut.index(text.len());
        prop_assert!(json::split(&Bytes::copy_from_slice(&text.as_bytes()[..end])).is_err());
    }
}

#[test]
fn the_examples_of_the_specification() {
    let table: [(&str, &[&str]); 7] = [
        (r#"{"event": "created"}"#, &[r#"{"event": "created"}"#]),
        (
            r#"[{"event": "a"}, {"event": "b"}]"#,
            &[r#"{"event": "a"}"#, r#"{"event": "b"}"#],
        ),
        ("[[1,2], [3,4]]", &["[1,2]", "[3,4]"]),
        ("[[[1,2,3]]]", &["[[1,2,3]]"]),
        ("[]", &[]),
        (" [ ] ", &[]),
        ("[[]]", &["[]"]),
    ];
    for (body, expected) in table {
        assert_eq!(messages(&split(body)), expected, "{body}");
    }
    assert_eq!(array_text(vec![]), b"[]");
    assert_eq!(
        array_text(vec![Bytes::new(), Bytes::from_static(b"1,"), Bytes::new()]),
        b"[1]"
    );
}

#[test]
fn what_is_not_one_json_value_is_refused() {
    let bodies: [&[u8]; 14] = [
        b"",
        b" ",
        b"[1,]",
        b"[1 2]",
        b"1 2",
        b"[1]]",
        b"[1],",
        b"{'a':1}",
        b"nul",
        b"\"\n\"",
        b"\xff",
        b"\"\xff\"",
        b"\xef\xbb\xbf1",
        b"01",
    ];
    for body in bodies {
        let error = json::split(&Bytes::from_static(body)).unwrap_err();
        assert!(matches!(error, json::JsonError::Invalid(_)), "{body:?}: {error}");
    }
}

#[test]
fn deep_nesting_takes_no_stack() {
    let depth = 200_000;
    let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(messages(&split(&deep)), [&deep[1..deep.len() - 1]]);
}
