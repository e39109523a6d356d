//! What every request passes: names, paths, methods, CORS, security headers, metrics.

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use weir_http::Settings;

use crate::support::{Front, path};

#[tokio::test(start_paused = true)]
async fn every_answer_may_be_seen_by_browsers_and_is_taken_for_nothing_else() {
    let front = Front::new();
    front.create("s", "text/plain", "x").await;
    for (method, target) in [
        ("GET", "/v1/stream/s"),
        ("HEAD", "/v1/stream/s"),
        ("GET", "/v1/stream/missing"),
        ("GET", "/v1/stream/s?offset=now&live=long-poll"),
        ("GET", "/v1/streams"),
        ("GET", "/elsewhere"),
        ("PATCH", "/v1/stream/s"),
        ("OPTIONS", "/v1/stream/s"),
        ("GET", "/v1/stream/__ds/x"),
        ("DELETE", "/v1/stream/s"),
    ] {
        let answer = front.send(method, target, &[("origin", "https://a.example")], "").await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{method} {target}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "cross-origin");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        let exposed: Vec<_> = answer.header("access-control-expose-headers").split(", ").collect();
        for header in [
            "etag",
            "location",
            "retry-after",
            "stream-next-offset",
            "stream-cursor",
            "stream-up-to-date",
            "stream-closed",
            "stream-ttl",
            "stream-expires-at",
            "stream-sse-data-encoding",
            "producer-epoch",
            "producer-seq",
            "producer-expected-seq",
            "producer-received-seq",
        ] {
            assert!(exposed.contains(&header), "{header}");
        }
    }
}

#[tokio::test]
async fn a_preflight_allows_all_that_the_protocol_sends() {
    let front = Front::new();
    for target in ["/v1/stream/s", "/v1/stream/missing", "/v1/streams"] {
        let answer = front
            .send("OPTIONS", target, &[("access-control-request-method", "PUT")], "")
            .await;
        assert_eq!(answer.status, 204);
        let methods: Vec<_> = answer.header("access-control-allow-methods").split(", ").collect();
        assert_eq!(methods, ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"]);
        let allowed: Vec<_> = answer.header("access-control-allow-headers").split(", ").collect();
        for header in [
            "content-type",
            "authorization",
            "if-none-match",
            "stream-ttl",
            "stream-expires-at",
            "stream-seq",
            "stream-closed",
            "stream-forked-from",
            "stream-fork-offset",
            "stream-fork-sub-offset",
            "producer-id",
            "producer-epoch",
            "producer-seq",
            "weir-consistency",
        ] {
            assert!(allowed.contains(&header), "{header}");
        }
        assert_eq!(answer.header("access-control-max-age"), "86400");
    }
    assert_eq!(front.fake.message_count(), 0);
}

#[tokio::test]
async fn one_origin_can_be_named() {
    let front = Front::with(Settings {
        cors_allow_origin: "https://app.example".to_owned(),
        ..Settings::default()
    });
    let answer = front.get(&path("s")).await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example");
}

#[tokio::test]
async fn names_that_are_none_are_refused_by_every_method() {
    let front = Front::new();
    let long = format!("/v1/stream/{}", "x".repeat(1025));
    let longer = format!("/v1/stream/{}", "x".repeat(4000));
    for (target, status, code) in [
        ("/v1/stream", 400, "invalid-name"),
        ("/v1/stream/", 400, "invalid-name"),
        ("/v1/stream//a", 400, "invalid-name"),
        ("/v1/stream/a/", 400, "invalid-name"),
        ("/v1/stream/a//b", 400, "invalid-name"),
        ("/v1/stream/.", 400, "invalid-name"),
        ("/v1/stream/a/../b", 400, "invalid-name"),
        ("/v1/stream/%2e%2e/b", 400, "invalid-name"),
        ("/v1/stream/a%00", 400, "invalid-name"),
        ("/v1/stream/a%0a", 400, "invalid-name"),
        ("/v1/stream/a%7f", 400, "invalid-name"),
        ("/v1/stream/a%c2%85", 400, "invalid-name"),
        ("/v1/stream/a%", 400, "invalid-name"),
        ("/v1/stream/a%4", 400, "invalid-name"),
        ("/v1/stream/a%zz", 400, "invalid-name"),
        ("/v1/stream/%ff", 400, "invalid-name"),
        (&long, 414, "name-too-long"),
        (&longer, 414, "name-too-long"),
        ("/", 404, "unknown-path"),
        ("/v1", 404, "unknown-path"),
        ("/v1/streamers", 404, "unknown-path"),
        ("/v1/streams/", 404, "unknown-path"),
        ("/V1/stream/a", 404, "unknown-path"),
    ] {
        for method in ["GET", "PUT", "POST", "DELETE"] {
            let answer = front.send(method, target, &[("content-type", "text/plain")], "x").await;
            answer.is_problem(status, code);
        }
    }
    let target = format!("/v1/stream/s?x={}", "y".repeat(8192));
    front.get(&target).await.is_problem(414, "uri-too-long");
    let longest = format!("/v1/stream/{}", "%78".repeat(1024));
    assert_eq!(front.send("PUT", &longest, &[], "").await.status, 201);
}

#[tokio::test]
async fn the_control_paths_are_reserved() {
    let front = Front::new();
    for target in [
        "/v1/stream/__ds",
        "/v1/stream/__ds/",
        "/v1/stream/__ds/subscriptions/a",
        "/v1/stream/%5f_ds/x",
    ] {
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH"] {
            let answer = front.send(method, target, &[("content-type", "text/plain")], "x").await;
            if method == "PATCH" && target.contains('%') {
                assert_eq!(answer.status, 405);
                continue;
            }
            assert_eq!(answer.status, 501, "{method} {target}");
            assert_eq!(answer.header("content-type"), "application/json");
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(body["error"]["code"], "SUBSCRIPTIONS_NOT_SUPPORTED");
        }
    }
    front.create("__dsx", "text/plain", "").await;
    front.create("a/__ds", "text/plain", "").await;
}

#[tokio::test]
async fn other_methods_are_not_allowed() {
    let front = Front::new();
    for method in ["PATCH", "TRACE", "BREW"] {
        let answer = front.send(method, &path("s"), &[], "").await;
        answer.is_problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), "GET, HEAD, PUT, POST, DELETE, OPTIONS");
    }
}

#[tokio::test]
async fn one_host_must_be_named() {
    let front = Front::new();
    let two = [("host", "a"), ("host", "b")];
    front
        .send("GET", &path("s"), &two, "")
        .await
        .is_problem(400, "invalid-host");
    let request = http::Request::get(path("s")).body(axum::body::Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(front.front_end.clone(), request)
        .await
        .unwrap();
    assert_eq!(response.status(), 400);
}

#[tokio::test]
async fn requests_are_counted_by_operation_and_status() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let front = Front::new();
    front.create("s", "text/plain", "x").await;
    for _ in 0..3 {
        front.append("s", "text/plain", "x").await;
    }
    front.get(&path("missing")).await;
    let mut seen: Vec<(String, u64)> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .filter(|(key, ..)| key.key().name() == "weir_http_requests_total")
        .map(|(key, _, _, value)| {
            let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
            let DebugValue::Counter(count) = value else {
                panic!("{value:?}")
            };
            (labels.join(" "), count)
        })
        .collect();
    seen.sort();
    let expected = [("append 204", 3), ("create 201", 1), ("read 404", 1)];
    assert_eq!(seen, expected.map(|(labels, count)| (labels.to_owned(), count)));
}
