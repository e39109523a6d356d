use proptest::prelude::*;
use weir_protocol::StreamName;
use weir_protocol::name::{MAX_NAME_BYTES, NameError};

/// Names that are mostly valid: segments of any printable character.
fn names() -> impl Strategy<Value = String> {
    prop::collection::vec("[a-z0-9._~ %?#\"é漢😀-]{1,6}", 1..5).prop_map(|segments| segments.join("/"))
}

/// Texts of the pieces that the rules are about.
fn odd_texts() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/", ".", "..", "__ds", "a", "%", "%2", "%2F", "%2e", "%00", "%ff", "\0", "\n", "\u{7f}", "\u{85}", "é", "?",
        "#",
    ]);
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_name_survives_its_url_path(text in names()) {
        if let Ok(name) = StreamName::new(&text) {
            let path = name.to_url_path();
            let is_plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=:@%".contains(&byte));
            prop_assert!(is_plain);
            prop_assert_eq!(StreamName::from_url_path(&path), Ok(name));
        }
    }

    #[test]
    fn percent_encoding_hides_nothing(text in odd_texts()) {
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        prop_assert_eq!(StreamName::from_url_path(&encoded), StreamName::new(&text));
    }

    #[test]
    fn a_name_obeys_every_rule(text in odd_texts()) {
        let Ok(name) = StreamName::new(&text) else { return Ok(()) };
        prop_assert_eq!(name.as_str(), &text);
        prop_assert!(!text.chars().any(char::is_control));
        prop_assert!(text.split('/').all(|segment| !["", ".", ".."].contains(&segment)));
        prop_assert!(!text.starts_with("__ds/") && text != "__ds");
    }

    #[test]
    fn the_length_limit_counts_decoded_bytes(length in MAX_NAME_BYTES - 3..MAX_NAME_BYTES + 3) {
        let expected = if length > MAX_NAME_BYTES { Err(NameError::TooLong) } else { Ok(()) };
        prop_assert_eq!(StreamName::new(&"a".repeat(length)).map(|_| ()), expected);
        prop_assert_eq!(StreamName::from_url_path(&"%61".repeat(length)).map(|_| ()), expected);
    }
}

#[test]
fn each_rule_has_its_error() {
    let table = [
        ("", NameError::Empty),
        ("/a", NameError::EmptySegment),
        ("a/", NameError::EmptySegment),
        ("a//b", NameError::EmptySegment),
        ("a%2F%2Fb", NameError::EmptySegment),
        ("..", NameError::DotSegment),
        ("a/./b", NameError::DotSegment),
        ("a/%2e%2e/b", NameError::DotSegment),
        ("a%00b", NameError::ControlCharacter),
        ("a%0d%0ab", NameError::ControlCharacter),
        ("a%c2%85b", NameError::ControlCharacter),
        ("a%", NameError::Encoding),
        ("a%4", NameError::Encoding),
        ("a%+4", NameError::Encoding),
        ("a%gg", NameError::Encoding),
        ("a%ff", NameError::Encoding),
        ("a%ed%a0%80", NameError::Encoding),
        ("a?offset=1", NameError::Encoding),
        ("a#b", NameError::Encoding),
        ("__ds", NameError::Reserved),
        ("__ds/subscriptions/1", NameError::Reserved),
        ("%5F_ds/x", NameError::Reserved),
    ];
    for (raw, error) in table {
        assert_eq!(StreamName::from_url_path(raw), Err(error), "{raw}");
    }
    for raw in [
        "a",
        "a/b",
        "...",
        "a/__ds",
        "__dsx",
        "__DS",
        "a%3Fb%23c",
        "%25",
        "-1",
        "now",
    ] {
        assert!(StreamName::from_url_path(raw).is_ok(), "{raw}");
    }
}
