//! Header values: every line of the input in every role.

use http::HeaderValue;
use weir_protocol::content_type::MAX_CONTENT_TYPE_BYTES;
use weir_protocol::producer::{self, MAX_PRODUCER_ID_BYTES, MAX_SAFE_INTEGER, ProducerCheck};
use weir_protocol::stream_seq::MAX_STREAM_SEQ_BYTES;
use weir_protocol::{
    ContentType, ETag, Incarnation, Lifetime, Offset, ProducerHeaders, Reach, StreamSeq, Timestamp, cursor,
};

/// More lines say nothing new.
const MAX_LINES: usize = 16;

/// Takes each line of the bytes as the value of each header, and the bytes as a history of a producer's writes.
///
/// # Panics
/// When a value that was accepted is not what it shows as, or breaks the rule of its header.
pub fn headers(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<&str> = text.split('\n').take(MAX_LINES).collect();
    for line in &lines {
        lifetime(line);
        content_type(line);
        stream_seq(line, lines.first().unwrap_or(line));
        client_cursor(line, data.len() as u64);
        if_none_match(line, data.len() as u64);
        producer(["p", line, "0"]);
        producer(["p", "0", line]);
        producer([line, "1", "2"]);
    }
    for three in lines.windows(3) {
        if let [id, epoch, seq] = three {
            producer([id, epoch, seq]);
        }
    }
    producer_history(data);
}

fn is_number(text: &str, max: u64) -> Option<u64> {
    let digits = text.trim_start_matches('0');
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = digits.bytes().try_fold(0_u64, |value, digit| {
        value.checked_mul(10)?.checked_add(u64::from(digit.wrapping_sub(b'0')))
    });
    value.filter(|value| is_plain && *value <= max)
}

fn lifetime(text: &str) {
    let ttl = is_number(text, u64::MAX).filter(|seconds| seconds.to_string() == text);
    assert_eq!(
        Lifetime::parse(Some(text), None).ok(),
        ttl.map(Lifetime::Ttl),
        "{text:?}"
    );
    assert!(Lifetime::parse(Some(text), Some(text)).is_err());
    if let Ok(Lifetime::ExpiresAt(at)) = Lifetime::parse(None, Some(text)) {
        let shown = at.to_rfc3339();
        assert!(text.is_ascii() && shown.len() == 24, "{text:?} {shown}");
        assert_eq!(Timestamp::parse_rfc3339(&shown), Some(at), "{text:?} {shown}");
    }
}

fn content_type(text: &str) {
    let Ok(parsed) = ContentType::parse(text) else {
        return;
    };
    let shown = parsed.as_str();
    assert!(shown.len() <= MAX_CONTENT_TYPE_BYTES && shown.eq_ignore_ascii_case(text.trim_matches([' ', '\t'])));
    assert!(
        HeaderValue::from_str(shown).is_ok_and(|value| value.to_str().is_ok()),
        "{text:?}"
    );
    assert_eq!(ContentType::parse(shown).as_ref(), Ok(&parsed));
    let essence = parsed.essence();
    let of_essence = ContentType::parse(essence).expect("a media type is a content type");
    assert!(of_essence.same_media_type(&parsed) && of_essence.as_str() == essence);
    assert_eq!(
        (of_essence.is_json(), of_essence.is_sse_text()),
        (parsed.is_json(), parsed.is_sse_text())
    );
    assert!(!essence.contains([' ', '\t', ';', ',', '"']) && !essence.bytes().any(|byte| byte.is_ascii_uppercase()));
    let shouted = ContentType::parse(&text.to_ascii_uppercase()).expect("case does not matter");
    assert!(shouted.same_media_type(&parsed));
}

fn stream_seq(text: &str, other: &str) {
    let fits = |text: &str| (1..=MAX_STREAM_SEQ_BYTES).contains(&text.len());
    let parsed = StreamSeq::new(text).ok();
    assert_eq!(
        parsed.as_ref().map(StreamSeq::as_str),
        Some(text).filter(|text| fits(text))
    );
    if let (Some(parsed), Ok(other_parsed)) = (parsed, StreamSeq::new(other)) {
        assert_eq!(
            parsed.cmp(&other_parsed),
            text.as_bytes().cmp(other.as_bytes()),
            "{text:?} {other:?}"
        );
    }
}

fn client_cursor(text: &str, entropy: u64) {
    let client = cursor::parse(text);
    assert_eq!(client, is_number(text, u64::MAX), "{text:?}");
    for now in [0, cursor::CURSOR_EPOCH.as_millis() + 12_345_678, u64::MAX].map(Timestamp::from_millis) {
        let next = cursor::next(now, client, entropy);
        assert!(next >= cursor::interval(now));
        assert!(
            client.is_none_or(|client| next > client || client == u64::MAX),
            "{text:?}"
        );
    }
}

fn if_none_match(text: &str, number: u64) {
    let tag = ETag {
        incarnation: Incarnation {
            id: number,
            created_at: Timestamp::from_millis(number),
        },
        start: Offset::ZERO,
        end: Offset::MAX,
        reach: [Reach::Partial, Reach::Tail, Reach::End][(number % 3) as usize],
    };
    let own = tag.to_string();
    if tag.matches(text) {
        assert!(text.trim() == "*" || text.contains(&own), "{text:?} matches {own}");
    }
    let other = if tag.reach == Reach::Tail {
        Reach::End
    } else {
        Reach::Tail
    };
    for list in [format!("{text},{own}"), format!("W/{own} , {text}")] {
        assert!(tag.matches(&list), "{list:?} does not match {own}");
        assert!(!ETag { reach: other, ..tag }.matches(&format!("{own}, \"x\"")));
    }
    assert!(HeaderValue::from_str(&own).is_ok());
}

fn producer([id, epoch, seq]: [&str; 3]) {
    let expected = (1..=MAX_PRODUCER_ID_BYTES)
        .contains(&id.len())
        .then(|| Some((is_number(epoch, MAX_SAFE_INTEGER)?, is_number(seq, MAX_SAFE_INTEGER)?)))
        .flatten();
    let parsed = ProducerHeaders::parse(Some(id), Some(epoch), Some(seq)).ok().flatten();
    assert_eq!(
        parsed.as_ref().map(|parsed| (parsed.epoch, parsed.seq)),
        expected,
        "{id:?} {epoch:?} {seq:?}"
    );
    assert!(parsed.is_none_or(|parsed| *parsed.id == *id));
    for some in [
        (None, Some(epoch), Some(seq)),
        (Some(id), None, Some(seq)),
        (Some(id), Some(epoch), None),
    ] {
        assert!(ProducerHeaders::parse(some.0, some.1, some.2).is_err());
    }
}

/// Each byte is a write of a small epoch and a small number. Every epoch's numbers are accepted once, in order, from 0
/// on, and never again after a newer epoch; a duplicate is always of something accepted.
fn producer_history(data: &[u8]) {
    let mut state = None;
    let mut accepted = std::collections::BTreeSet::new();
    let mut last = None;
    for byte in data {
        let (epoch, seq) = (u64::from(byte >> 5), u64::from(byte % 8));
        match producer::check(state, epoch, seq) {
            ProducerCheck::Accept(next) => {
                assert!((next.epoch, next.last_seq) == (epoch, seq) && last < Some((epoch, seq)));
                assert!(seq == 0 || accepted.contains(&(epoch, seq - 1)));
                last = Some((epoch, seq));
                accepted.insert((epoch, seq));
                state = Some(next);
            }
            ProducerCheck::Duplicate(known) => {
                assert!(accepted.contains(&(epoch, seq)) && Some(known) == state);
            }
            ProducerCheck::Fenced { current_epoch } => assert!(current_epoch > epoch),
            ProducerCheck::Gap { expected, received } => {
                assert!(received == seq && seq > expected && !accepted.contains(&(epoch, seq)));
            }
            ProducerCheck::EpochMustStartAtZero => assert!(seq > 0 && last < Some((epoch, 0))),
        }
    }
}
