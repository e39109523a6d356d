use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use weir_protocol::sse::{Control, data_event};
use weir_protocol::{ContentType, Offset, json};

/// The dispatching rules of an event stream (HTML Standard, section 9.2.6): every event's type and data.
fn events(stream: &[u8]) -> Vec<(String, String)> {
    let text = std::str::from_utf8(stream)
        .unwrap()
        .replace("\r\n", "\n")
        .replace('\r', "\n");
    let mut found = Vec::new();
    let (mut kind, mut data) = (String::new(), Vec::new());
    for line in text.strip_suffix('\n').unwrap().split('\n') {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match (line, field) {
            ("", _) if data.is_empty() => kind.clear(),
            ("", _) => found.push((std::mem::take(&mut kind), std::mem::take(&mut data).join("\n"))),
            (_, "event") => kind = value.to_owned(),
            (_, "data") => data.push(value.to_owned()),
            _ => panic!("a field that clients ignore: {line}"),
        }
    }
    assert!(data.is_empty() && kind.is_empty(), "the last event is not dispatched");
    found
}

fn one_event(content_type: &str, chunks: &[Bytes]) -> String {
    let event = data_event(&ContentType::parse(content_type).unwrap(), chunks);
    let mut events = events(&event);
    assert_eq!(events.len(), 1, "{event:?}");
    let (kind, data) = events.remove(0);
    assert_eq!(kind, "data");
    data
}

fn chunks(bytes: &[u8], cut: prop::sample::Index) -> Vec<Bytes> {
    let (a, b) = bytes.split_at(cut.index(bytes.len() + 1));
    vec![Bytes::copy_from_slice(a), Bytes::copy_from_slice(b)]
}

proptest! {
    #[test]
    fn text_arrives_as_one_event_with_its_line_breaks(text in "(\r\n|\r|\n|[ :a-zé\u{feff}]|data: |event: control|id: 1){0,12}", cut in any::<prop::sample::Index>()) {
        let expected = text.replace("\r\n", "\n").replace('\r', "\n");
        prop_assert_eq!(one_event("text/plain", &chunks(text.as_bytes(), cut)), expected);
    }

    #[test]
    fn bytes_in_a_text_stream_never_break_the_event_stream(bytes in prop::collection::vec(any::<u8>(), 0..60), cut in any::<prop::sample::Index>()) {
        let expected = String::from_utf8_lossy(&bytes).replace("\r\n", "\n").replace('\r', "\n");
        prop_assert_eq!(one_event("text/plain", &chunks(&bytes, cut)), expected);
    }

    #[test]
    fn binary_arrives_as_base64(bytes in prop::collection::vec(any::<u8>(), 0..60), cut in any::<prop::sample::Index>()) {
        let data = one_event("application/octet-stream", &chunks(&bytes, cut));
        prop_assert_eq!(data.len() % 4, 0);
        prop_assert_eq!(STANDARD.decode(data).unwrap(), bytes);
    }

    #[test]
    fn json_arrives_as_an_array(texts in prop::collection::vec("\\{\r?\n\"a\":[0-9]\r?\\}|\"(\\\\n|:|é){0,3}\"|[1-9]", 1..5)) {
        let payload = json::split(&Bytes::from(format!("[{}]", texts.join(",")))).unwrap();
        let stored: Vec<Value> = texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        let data = one_event("application/json", &[payload.bytes().clone()]);
        prop_assert_eq!(serde_json::from_str::<Vec<Value>>(&data).unwrap(), stored);
    }

    #[test]
    fn a_control_event_says_what_holds(position in 0..=Offset::MAX.position(), cursor in any::<Option<u64>>(), up_to_date in any::<bool>(), stream_closed in any::<bool>()) {
        let offset = Offset::new(position).unwrap();
        let control = Control { stream_next_offset: offset, stream_cursor: cursor, up_to_date, stream_closed };
        let events = events(control.event().as_bytes());
        prop_assert_eq!(events.len(), 1);
        prop_assert_eq!(&events[0].0, "control");
        let mut expected = json!({"streamNextOffset": offset.to_string()});
        if let Some(cursor) = cursor {
            expected["streamCursor"] = json!(cursor.to_string());
        }
        if up_to_date {
            expected["upToDate"] = json!(true);
        }
        if stream_closed {
            expected["streamClosed"] = json!(true);
        }
        prop_assert_eq!(serde_json::from_str::<Value>(&events[0].1).unwrap(), expected);
    }
}

#[test]
fn whole_events() {
    let text = data_event(
        &ContentType::parse("text/plain").unwrap(),
        &[Bytes::from_static(b"a\r\nb\n")],
    );
    assert_eq!(text, "event: data\ndata:a\ndata:b\ndata:\n\n");
    let binary = data_event(&ContentType::octet_stream(), &[Bytes::from_static(&[1, 2, 3, 4, 5, 6])]);
    assert_eq!(binary, "event: data\ndata:AQIDBAUG\n\n");
    let empty = data_event(&ContentType::octet_stream(), &[]);
    assert_eq!(empty, "event: data\ndata:\n\n");
}
