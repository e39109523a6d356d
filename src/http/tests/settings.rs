//! What an operator may set.

use std::time::Duration;

use weir_http::Settings;

#[test]
fn impossible_values_are_refused_by_name() {
    Settings::default().validate().unwrap();
    type Break = fn(&mut Settings);
    let rows: [(&str, Break); 12] = [
        ("max_body_bytes", |settings| settings.max_body_bytes = 0),
        ("max_body_bytes", |settings| settings.max_body_bytes = (1 << 30) + 1),
        ("max_inflight_answer_bytes", |settings| {
            settings.max_inflight_answer_bytes = settings.max_read_bytes - 1
        }),
        ("max_inflight_body_bytes", |settings| {
            settings.max_inflight_body_bytes = settings.max_body_bytes - 1
        }),
        ("max_read_bytes", |settings| settings.max_read_bytes = 0),
        ("long_poll_timeout", |settings| {
            settings.long_poll_timeout = Duration::ZERO
        }),
        ("sse_max_duration", |settings| {
            settings.sse_max_duration = Duration::ZERO
        }),
        ("sse_keep_alive", |settings| settings.sse_keep_alive = Duration::ZERO),
        ("request_timeout", |settings| settings.request_timeout = Duration::ZERO),
        ("cors_allow_origin", |settings| {
            settings.cors_allow_origin = String::new()
        }),
        ("cors_allow_origin", |settings| {
            settings.cors_allow_origin = "a\nb".to_owned()
        }),
        ("cors_allow_origin", |settings| {
            settings.cors_allow_origin = "\u{e9}\u{7f}".to_owned()
        }),
    ];
    for (key, break_it) in rows {
        let mut settings = Settings::default();
        break_it(&mut settings);
        let error = settings.validate().unwrap_err();
        assert_eq!(error.key, key);
        assert_eq!(error.to_string(), format!("{key} must be {}", error.allowed));
    }
}
