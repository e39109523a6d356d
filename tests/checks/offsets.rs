//! Offsets: texts as positions, and positions as texts.

use weir_protocol::{Offset, ReadFrom};

/// Takes the bytes as the text of an offset, and as two positions.
///
/// # Panics
/// When a text parses that is not what its offset shows as, when the order of texts is not the order of positions, or
/// when an offset reads as a sentinel.
pub fn offsets(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        parse(text);
    }
    let number = |at: usize| {
        let mut bytes = [0; 8];
        let found = data.iter().skip(at).take(8);
        bytes.iter_mut().zip(found).for_each(|(to, from)| *to = *from);
        u64::from_le_bytes(bytes)
    };
    pair(number(0), number(8));
    // Most numbers of 64 bits are too large to be a position.
    pair(number(0) >> 11, number(8) >> 11);
}

fn parse(text: &str) {
    let is_minted = text.len() == 33
        && text.starts_with("0000000000000000_")
        && text.bytes().skip(17).all(|byte| byte.is_ascii_digit());
    let parsed = Offset::parse(text);
    assert_eq!(parsed.is_ok(), is_minted, "{text:?}");
    let expected = match text {
        "-1" => Ok(ReadFrom::Start),
        "now" => Ok(ReadFrom::Now),
        _ => parsed.map(ReadFrom::At),
    };
    assert_eq!(ReadFrom::parse(text), expected, "{text:?}");
    if let Ok(offset) = parsed {
        assert_eq!(offset.to_string(), text);
        assert_eq!(Offset::new(offset.position()), Some(offset));
    }
}

fn pair(a: u64, b: u64) {
    let is_position = |number: u64| number <= Offset::MAX.position();
    assert_eq!(Offset::new(a).is_some(), is_position(a), "{a}");
    let Some(offset) = Offset::new(a) else {
        return;
    };
    let sum = a.checked_add(b).filter(|sum| is_position(*sum));
    assert_eq!(offset.checked_add(b).map(Offset::position), sum, "{a} + {b}");
    assert_eq!(Offset::parse(&offset.to_string()), Ok(offset));
    if let Some(other) = Offset::new(b) {
        assert_eq!(offset.cmp(&other), a.cmp(&b));
        assert_eq!(offset.to_string().cmp(&other.to_string()), a.cmp(&b), "{a} {b}");
    }
}
