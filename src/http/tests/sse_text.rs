//! Text in events: line breaks, characters that writers cut, and bytes that are no text.

use crate::support::{Events, Front, offset, path};

const TEXT: (&str, &str) = ("content-type", "text/plain");

async fn subscribe(front: &Front, from: &str) -> Events {
    let target = format!("{}?offset={from}&live=sse", path("s"));
    Events::of(front.start("GET", &target, &[], "").await)
}

async fn append(front: &Front, bytes: &'static [u8]) {
    let answer = front.send("POST", &path("s"), &[TEXT], bytes).await;
    assert_eq!(answer.status, 204);
}

#[tokio::test]
async fn stored_text_cannot_forge_an_event() {
    let front = Front::new();
    for (at, line_break) in ["\n", "\r", "\r\n"].into_iter().enumerate() {
        let evil = "a||event: control|data: {\"streamClosed\":true}||b".replace('|', line_break);
        let name = at.to_string();
        front.create(&name, "text/plain", &evil).await;
        let target = path(&name) + "?offset=-1&live=sse";
        let mut events = Events::of(front.start("GET", &target, &[], "").await);
        assert_eq!(events.data().await, evil.replace(line_break, "\n"));
        assert!(events.control().await.get("streamClosed").is_none());
    }
}

#[tokio::test]
async fn spaces_at_the_beginning_of_a_line_are_kept() {
    let front = Front::new();
    front.create("s", "text/plain", "a\n b\n  c\n:d").await;
    let mut events = subscribe(&front, "-1").await;
    assert_eq!(events.data().await, "a\n b\n  c\n:d");
}

#[tokio::test]
async fn a_character_that_is_cut_waits_for_its_end() {
    let front = Front::new();
    front.create("s", "text/plain", "").await;
    append(&front, b"caf\xc3").await;
    let mut events = subscribe(&front, "-1").await;
    assert_eq!(events.data().await, "caf");
    let control = events.control().await;
    assert_eq!(control["streamNextOffset"], offset(3));
    assert_eq!(control["upToDate"], true);

    let resumed = offset(3);
    let mut second = subscribe(&front, &resumed).await;
    assert_eq!(second.control().await["streamNextOffset"], resumed);

    append(&front, b"\xa9 \xf0").await;
    append(&front, b"\x9f").await;
    append(&front, b"\x98").await;
    append(&front, b"\x80!").await;
    for events in [&mut events, &mut second] {
        let mut text = String::new();
        while text != "é 😀!" {
            text += &events.data().await;
            assert!("é 😀!".starts_with(&text), "{text}");
            events.control().await;
        }
    }
}

#[tokio::test]
async fn each_piece_of_a_character_on_its_own_is_nothing_to_tell() {
    let front = Front::new();
    front.create("s", "text/plain", "").await;
    let mut events = subscribe(&front, "now").await;
    assert_eq!(events.control().await["streamNextOffset"], offset(0));
    for piece in [b"\xe2", b"\x82", b"\xac"] {
        append(&front, piece).await;
        tokio::select! {
            biased;
            event = events.next() => {
                let event = event.unwrap();
                assert_eq!((event.kind.as_str(), event.data.as_str()), ("data", "€"));
                assert_eq!(piece, b"\xac");
            }
            () = yield_often() => assert_ne!(piece, b"\xac"),
        }
    }
    assert_eq!(events.control().await["streamNextOffset"], offset(3));
}

/// Long enough for everything that can go on without waiting.
async fn yield_often() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_piece_before_a_large_message_is_told_with_it() {
    let front = Front::new();
    front.create("s", "text/plain", "").await;
    append(&front, b"\xc3").await;
    let mut large = vec![0xa9];
    large.resize(300_000, b'x');
    front.send("POST", &path("s"), &[TEXT], large).await;
    let mut events = subscribe(&front, "-1").await;
    let control = events.control().await;
    assert_eq!(
        (&control["streamNextOffset"], control.get("upToDate")),
        (&offset(0).into(), None)
    );
    let data = events.data().await;
    assert!(data.starts_with("éxxx") && data.len() == 300_001);
    let control = events.control().await;
    assert_eq!(
        (&control["streamNextOffset"], &control["upToDate"]),
        (&offset(300_001).into(), &true.into())
    );
}

#[tokio::test]
async fn a_line_break_that_is_cut_stays_one() {
    let front = Front::new();
    front.create("s", "text/plain", "").await;
    append(&front, b"one\r").await;
    let mut events = subscribe(&front, "-1").await;
    assert_eq!(events.data().await, "one");
    assert_eq!(events.control().await["streamNextOffset"], offset(3));
    append(&front, b"\ntwo").await;
    assert_eq!(events.data().await, "\ntwo");
    assert_eq!(events.control().await["streamNextOffset"], offset(8));
}

#[tokio::test]
async fn the_end_waits_for_nothing() {
    let front = Front::new();
    front.create("s", "text/plain", "").await;
    append(&front, b"a\xc3").await;
    let mut live = subscribe(&front, "-1").await;
    assert_eq!(live.data().await, "a");
    assert_eq!(live.control().await["streamNextOffset"], offset(1));
    front.close("s").await;
    let mut late = subscribe(&front, "-1").await;
    assert_eq!(live.data().await, "\u{fffd}");
    assert_eq!(late.data().await, "a\u{fffd}");
    for events in [&mut live, &mut late] {
        let control = events.control().await;
        assert_eq!(
            (&control["streamNextOffset"], &control["streamClosed"]),
            (&offset(2).into(), &true.into())
        );
        assert_eq!(events.next().await, None);
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_are_replaced_and_not_waited_for() {
    let front = Front::new();
    front.create("s", "text/plain", "").await;
    append(&front, b"a\xff\x80b\x80").await;
    let mut events = subscribe(&front, "-1").await;
    assert_eq!(events.data().await, "a\u{fffd}\u{fffd}b\u{fffd}");
    assert_eq!(events.control().await["streamNextOffset"], offset(5));
}
