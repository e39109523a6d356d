//! The streams that malformed requests meet, and how to tell whether one of them changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use reqwest::blocking::{Client, Response};
use serde_json::Value;
use weir_storage::{RedbOptions, RedbStorage, Storage as _};

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

/// What the stores of a data directory hold, byte for byte, by path. The rest of the directory is the node's own and
/// differs from start to start: votes, positions in the log, times of election.
///
/// Of a redb file these are all rows of all tables but the one for such positions; where they lie in the file is redb's
/// affair. Of the file backend they are the streams' logs.
pub(super) fn stores(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                pending.push(entry.path());
            } else if let Some(bytes) = contents(&entry.path()) {
                let path = entry.path().strip_prefix(directory).unwrap().to_owned();
                found.insert(path, bytes);
            }
        }
    }
    found
}

/// What a file holds of streams; nothing when it is none of a store's.
fn contents(path: &Path) -> Option<Vec<u8>> {
    match path.file_name()?.to_str()? {
        "streams.redb" => Some(rows(path)),
        "redo.log" => None,
        name if name.ends_with(".log") && path.components().any(|part| part.as_os_str() == "groups") => {
            Some(fs::read(path).unwrap())
        }
        _ => None,
    }
}

/// The table of positions in the log, as `src/storage/redb/export.rs` numbers them.
const META_TABLE: u8 = 0;

/// All records of a redb store, in their order, each with its table, key and value.
fn rows(path: &Path) -> Vec<u8> {
    let store = RedbStorage::open(&RedbOptions {
        path: path.to_owned(),
        cache_bytes: 1 << 20,
        waits_for_space: false,
    })
    .unwrap();
    let export = store.export().unwrap().unwrap();
    let (mut rows, mut cursor) = (Vec::new(), Default::default());
    loop {
        let (mut piece, next) = export.piece(&cursor, 1 << 20).unwrap();
        while !piece.is_empty() {
            let length = |at: usize| u32::from_le_bytes(piece[at..at + 4].try_into().unwrap()) as usize;
            let record = piece.split_to(9 + length(1) + length(5));
            if record[0] != META_TABLE {
                rows.extend_from_slice(&record);
            }
        }
        match next {
            Some(next) => cursor = next,
            None => return rows,
        }
    }
}
