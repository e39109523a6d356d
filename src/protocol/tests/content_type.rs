use proptest::prelude::*;
use weir_protocol::ContentType;
use weir_protocol::content_type::MAX_CONTENT_TYPE_BYTES;

fn types() -> impl Strategy<Value = String> {
    "[A-Za-z][A-Za-z0-9.+-]{0,8}/[A-Za-z0-9!#$&^_.+-]{1,8}([ \t]?;[ \t]?([a-zA-Z]{1,4}=([A-Za-z0-9]{1,5}|\"[ -!#-\\[\\]-~]{0,5}\"))?){0,3}"
}

proptest! {
    #[test]
    fn the_media_type_is_lower_case_and_the_rest_is_kept(text in types()) {
        let parsed = ContentType::parse(&text).unwrap();
        let (essence, rest) = parsed.as_str().split_at(parsed.essence().len());
        prop_assert_eq!(essence, essence.to_ascii_lowercase());
        prop_assert!(text.to_ascii_lowercase().starts_with(essence));
        prop_assert_eq!(rest, text[essence.len()..].trim_end_matches([' ', '\t']));
        prop_assert_eq!(ContentType::parse(parsed.as_str()), Ok(parsed));
    }

    #[test]
    fn case_and_parameters_do_not_matter(text in types(), parameter in "[a-z]{1,3}=[A-Z]{1,3}") {
        let parsed = ContentType::parse(&text).unwrap();
        let shouted = ContentType::parse(&text.to_ascii_uppercase()).unwrap();
        let other = ContentType::parse(&format!("{};{parameter}", parsed.essence())).unwrap();
        prop_assert!(parsed.same_media_type(&shouted) && other.same_media_type(&parsed));
        prop_assert_eq!(parsed.is_json(), other.is_json());
        prop_assert_eq!(parsed.is_sse_text(), other.is_sse_text());
    }

    #[test]
    fn what_parses_fits_a_header(text in "[a-z ,]{1,3}/[a-z ,]{1,3}(; ?[a-z]{1,2}=(\"[ -~\r\n\t\u{e9}]{0,3}\"|[ -~\t]{1,3})){0,2}") {
        if let Ok(parsed) = ContentType::parse(&text) {
            prop_assert!(parsed.as_str().bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')));
            prop_assert!(parsed.essence().split('/').count() == 2);
            prop_assert!(!parsed.essence().contains([' ', '\t', ';', '"', ',']));
        }
    }
}

#[test]
fn malformed_types_are_refused() {
    for text in [
        "",
        "text",
        "text/",
        "/plain",
        "te xt/plain",
        "text /plain",
        "text/pla/in",
        "text/plain, text/html",
        "text/plain; charset",
        "text/plain; charset=",
        "text/plain; =utf-8",
        "text/plain; a=\"b",
        "text/plain; a=\"b\\\"",
        "text/plain; a=b c",
        "text/plain x",
        "text/plain;a=b,c",
        "text/plain; a = b",
        "text/plain\r\nx: y",
        "text/plän",
        "text/plain; a=\"é\"",
        "text/plain; a=\"b\nc\"",
    ] {
        assert!(ContentType::parse(text).is_err(), "{text}");
    }
    let long = format!("text/{}", "x".repeat(MAX_CONTENT_TYPE_BYTES));
    assert!(ContentType::parse(&long[..=MAX_CONTENT_TYPE_BYTES]).is_err());
    assert!(ContentType::parse(&long[..MAX_CONTENT_TYPE_BYTES]).is_ok());
}

#[test]
fn modes_follow_the_media_type() {
    let table = [
        ("application/json", true, true),
        (" Application/JSON ; charset=UTF-8;", true, true),
        ("text/plain", false, true),
        ("TEXT/html", false, true),
        ("multipart/mixed; boundary=\"a;\\\"b/c\"", false, false),
        ("application/ndjson", false, false),
        ("application/json-seq", false, false),
        ("application/x-protobuf", false, false),
        ("application/octet-stream", false, false),
    ];
    for (text, json, sse_text) in table {
        let parsed = ContentType::parse(text).unwrap();
        assert_eq!((parsed.is_json(), parsed.is_sse_text()), (json, sse_text), "{text}");
    }
    assert_eq!(ContentType::octet_stream().as_str(), "application/octet-stream");
    assert_eq!(
        ContentType::parse("Multipart/Mixed; boundary=AbC").unwrap().as_str(),
        "multipart/mixed; boundary=AbC"
    );
    let text = ContentType::parse("text/plain").unwrap();
    assert!(!text.same_media_type(&ContentType::octet_stream()));
}
