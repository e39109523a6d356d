//! The streams that malformed requests meet, and how to tell whether one of them changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use reqwest::blocking::{Client, Response};
use serde_json::Value;

use crate::harness::Weir;

/// Makes streams of every kind that a request can go wrong against.
pub(super) fn fill(weir: &Weir) {
    let client = Client::new();
    let send = |method: &str, name: &str, headers: &[(&str, &str)], body: &str| {
        let mut request = client
            .request(method.parse().unwrap(), weir.stream_url(name))
            .body(body.to_owned());
        for (key, value) in headers {
            request = request.header(*key, *value);
        }
        let response = request.send().unwrap();
        assert!(response.status().is_success(), "{method} {name}: {response:?}");
        response
    };
    let (text, json) = (("content-type", "text/plain"), ("content-type", "application/json"));
    let producer = |epoch: &'static str, seq: &'static str| {
        [
            text,
            ("producer-id", "p"),
            ("producer-epoch", epoch),
            ("producer-seq", seq),
        ]
    };
    send("PUT", "text", &[text], "hello world");
    send("POST", "text", &[text, ("stream-seq", "m")], "+seq");
    send("POST", "text", &producer("3", "0"), "+p0");
    send("POST", "text", &producer("3", "1"), "+p1");
    send("PUT", "json", &[json], r#"[{"a":1},{"a":2}]"#);
    send("PUT", "bytes", &[], "\u{0}\u{1}raw");
    send("PUT", "empty", &[text], "");
    send("PUT", "closed", &[text], "final");
    send("POST", "closed", &[("stream-closed", "true")], "");
    send("PUT", "gone", &[text], "kept for its fork");
    send("PUT", "fork", &[("stream-forked-from", "/v1/stream/gone")], "+own");
    send("DELETE", "gone", &[], "");
}

/// What a client can see of the whole store.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    list: Value,
    streams: BTreeMap<String, View>,
}

#[derive(Debug, PartialEq, Eq)]
struct View {
    head: Vec<(String, String)>,
    read: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Snapshot {
    pub(super) fn over_http(weir: &Weir) -> Self {
        let client = Client::new();
        let page = client
            .get(format!("{}/v1/streams?limit=1000", weir.url()))
            .send()
            .unwrap();
        let list: Value = serde_json::from_slice(&page.bytes().unwrap()).unwrap();
        assert_eq!(list["more"], false);
        let names = list["streams"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["name"].as_str().unwrap().to_owned());
        let streams = names
            .map(|name| (name.clone(), View::of(&client, weir, &name)))
            .collect();
        Self { list, streams }
    }
}

impl View {
    fn of(client: &Client, weir: &Weir, name: &str) -> Self {
        let url = weir.stream_url(name);
        let head = client.head(&url).send().unwrap();
        let read = client.get(format!("{url}?offset=-1")).send().unwrap();
        assert_eq!((head.status().as_u16(), read.status().as_u16()), (200, 200), "{name}");
        assert_eq!(read.headers()["stream-up-to-date"], "true", "{name} is small");
        Self {
            head: headers(&head),
            read: headers(&read),
            body: read.bytes().unwrap().to_vec(),
        }
    }
}

/// All of them but the time of day.
fn headers(response: &Response) -> Vec<(String, String)> {
    let all = response.headers().iter().filter(|(name, _)| *name != "date");
    all.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect()
}

/// Holds the id of the process that serves the directory, so it differs from one to the next.
const LOCK_FILE: &str = "LOCK";

/// The contents of all files of a data directory but the lock file, by their path in it.
pub(super) fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                pending.push(entry.path());
            } else if entry.file_name() != LOCK_FILE {
                let path = entry.path().strip_prefix(directory).unwrap().to_owned();
                found.insert(path, fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}
