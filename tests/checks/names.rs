//! Stream names: from decoded texts and from URL paths.

use std::fmt::Write as _;

use weir_protocol::StreamName;
use weir_protocol::name::{MAX_NAME_BYTES, NameError};

/// Takes the bytes as a name, as a URL path, and as what a URL path decodes to.
///
/// # Panics
/// When a name breaks a rule, when percent-encoding hides something from the rules, or when a name does not survive
/// its own URL path.
pub fn names(data: &[u8]) {
    let paths = [
        escape(data, |_| false),
        escape(data, |byte| byte.is_ascii_alphanumeric()),
    ];
    let Ok(text) = std::str::from_utf8(data) else {
        // One that is too long as well may be refused for either.
        let errors = [NameError::Encoding, NameError::TooLong];
        let errors = errors
            .get(..=usize::from(data.len() > MAX_NAME_BYTES))
            .unwrap_or_default();
        assert!(
            paths
                .iter()
                .all(|path| StreamName::from_url_path(path).is_err_and(|error| errors.contains(&error)))
        );
        return;
    };
    let expected = StreamName::new(text);
    for path in paths {
        assert_eq!(StreamName::from_url_path(&path), expected, "{path}");
    }
    assert_eq!(expected.is_ok(), obeys_the_rules(text), "{text:?}");
    assert!(expected.is_err() || expected.as_ref().is_ok_and(|name| name.as_str() == text));
    let from_path = StreamName::from_url_path(text);
    if text.contains(['?', '#']) {
        assert!(from_path.is_err(), "{text:?} is more than a path");
    } else if !text.contains('%') {
        assert_eq!(from_path, expected, "{text:?}");
    }
    for name in [expected, from_path].into_iter().flatten() {
        survives(&name);
    }
}

fn obeys_the_rules(text: &str) -> bool {
    let mut segments = text.split('/');
    text.len() <= MAX_NAME_BYTES
        && !text.chars().any(char::is_control)
        && segments.clone().next() != Some("__ds")
        && segments.all(|segment| !["", ".", ".."].contains(&segment))
}

/// A name is valid as it stands, and comes back from its URL path, also through the parser of a web server.
fn survives(name: &StreamName) {
    assert_eq!(StreamName::new(name.as_str()).as_ref(), Ok(name));
    let path = name.to_url_path();
    assert_eq!(StreamName::from_url_path(&path).as_ref(), Ok(name), "{path}");
    let url: http::Uri = format!("http://localhost/v1/stream/{path}?offset=-1")
        .parse()
        .expect("a URL path fits a URL");
    assert_eq!(url.path().strip_prefix("/v1/stream/"), Some(&*path));
}

/// Percent-encodes all bytes but those that `is_plain` leaves.
fn escape(data: &[u8], is_plain: fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(data.len() * 3);
    for &byte in data {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02x}").expect("a string takes everything");
        }
    }
    out
}
