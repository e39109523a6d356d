//! The list of streams.

use serde_json::{Value, json};

use crate::support::{Front, offset, path};

async fn list(front: &Front, query: &str) -> Value {
    let answer = front.get(&format!("/v1/streams{query}")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    serde_json::from_slice(&answer.body).unwrap()
}

fn names(page: &Value) -> Vec<&str> {
    let streams = page["streams"].as_array().unwrap();
    streams.iter().map(|line| line["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_line_tells_all_about_a_stream() {
    let front = Front::new();
    front.create("a", "application/json", "[1]").await;
    let fork = [("stream-forked-from", "a"), ("stream-ttl", "60")];
    front.send("PUT", &path("b/%C3%A9"), &fork, "").await;
    let (created, expires) = ("2024-10-09T05:33:21.000Z", "2024-10-09T05:34:21.000Z");
    assert_eq!(
        list(&front, "").await,
        json!({
            "more": false,
            "streams": [{
                "name": "a", "content_type": "application/json", "next_offset": offset(2), "closed": false,
                "total_bytes": 2, "message_count": 1, "created_at": created, "updated_at": created,
            }, {
                "name": "b/é", "content_type": "application/json", "next_offset": offset(2), "closed": false,
                "total_bytes": 2, "message_count": 1, "created_at": created, "updated_at": created,
                "ttl_seconds": 60, "expires_at": expires, "forked_from": "a", "fork_offset": offset(2),
            }],
        })
    );
}

#[tokio::test]
async fn pages_follow_one_another() {
    let front = Front::new();
    for name in ["a/1", "a/2", "a/3", "a%20", "b"] {
        front.create(name, "text/plain", "").await;
    }
    let first = list(&front, "?prefix=a%2F&limit=2").await;
    assert_eq!((names(&first), &first["more"]), (vec!["a/1", "a/2"], &json!(true)));
    let last = list(&front, "?prefix=a/&limit=2&after=a/2").await;
    assert_eq!((names(&last), &last["more"]), (vec!["a/3"], &json!(false)));
    assert_eq!(names(&list(&front, "?prefix=a+").await), ["a "]);
    assert_eq!(names(&list(&front, "?limit=1000").await).len(), 5);
    assert!(names(&list(&front, "?prefix=z").await).is_empty());
}

#[tokio::test]
async fn what_is_not_understood_is_refused() {
    let front = Front::new();
    for query in [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=",
        "limit=x",
        "limit=1&limit=1",
        "prefix=a&prefix=b",
    ] {
        let answer = front.get(&format!("/v1/streams?{query}")).await;
        answer.is_problem(400, "invalid-query");
    }
    let post = front.send("POST", "/v1/streams", &[], "").await;
    post.is_problem(405, "method-not-allowed");
    assert_eq!(post.header("allow"), "GET, HEAD, OPTIONS");
    assert_eq!(front.send("HEAD", "/v1/streams", &[], "").await.status, 200);
}
