//! Requests and answers, told briefly.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use metrics_util::debugging::{DebugValue, Snapshotter};
use tokio::sync::mpsc;
use tower::ServiceExt as _;
use weir_http::{FrontEnd, Settings, ShutdownSignal, Trigger};

use crate::fake::{Fake, StoppedClock};

/// A front end over a fake.
pub(crate) struct Front {
    pub(crate) fake: Arc<Fake>,
    pub(crate) front_end: FrontEnd,
    pub(crate) shutdown: ShutdownSignal,
    pub(crate) trigger: Trigger,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Front {
    /// With the default time limits: far longer than anything takes on a busy machine. A test that waits for one stops
    /// the clock or sets its own.
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        settings.validate().unwrap();
        let fake = Arc::new(Fake::default());
        let (trigger, shutdown) = ShutdownSignal::new();
        let streams = Arc::clone(&fake);
        let front_end = FrontEnd::new(streams, Arc::new(StoppedClock), settings, shutdown.clone());
        Self {
            fake,
            front_end,
            shutdown,
            trigger,
        }
    }

    /// Sends a request and receives all of its answer.
    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let response = self.start(method, target, headers, body).await;
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    /// Sends a request and receives the head of its answer.
    pub(crate) async fn start(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> axum::response::Response {
        let mut request = Request::builder().method(method).uri(target);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "weir.test:4437");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).unwrap();
        self.front_end.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[], "").await
    }

    /// Creates a stream at `/v1/stream/{name}`.
    pub(crate) async fn create(&self, name: &str, content_type: &str, body: &str) -> Answer {
        let answer = self
            .send("PUT", &path(name), &[("content-type", content_type)], body.to_owned())
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer
    }

    /// Appends to a text or JSON stream.
    pub(crate) async fn append(&self, name: &str, content_type: &str, body: &str) -> Answer {
        let answer = self
            .send("POST", &path(name), &[("content-type", content_type)], body.to_owned())
            .await;
        assert_eq!(answer.status, 204, "{answer:?}");
        answer
    }

    pub(crate) async fn close(&self, name: &str) -> Answer {
        self.send("POST", &path(name), &[("stream-closed", "true")], "").await
    }
}

impl Answer {
    /// A header's one value; empty when absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        assert!(self.headers.get_all(name).iter().count() <= 1, "{name} is there twice");
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Asserts that this is the problem `code` with `status`.
    pub(crate) fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("cache-control"), "no-store");
        let document: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(document["type"], format!("urn:weir:problem:{code}"), "{document}");
        assert_eq!(document["status"], status);
        assert!(document["title"].as_str().is_some_and(|title| !title.is_empty()));
        assert!(document["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    }
}

/// What a counter counted since it was asked for last.
pub(crate) fn counted(snapshotter: &Snapshotter, name: &str) -> u64 {
    let all = snapshotter.snapshot().into_vec();
    let count = all.into_iter().find_map(|(key, _, _, value)| match value {
        DebugValue::Counter(count) if key.key().name() == name => Some(count),
        _ => None,
    });
    count.unwrap_or(0)
}

/// A body that is sent piece by piece.
pub(crate) fn fed() -> (mpsc::Sender<Bytes>, Body) {
    let (sender, receiver) = mpsc::channel(1);
    let pieces = stream::unfold(receiver, |mut receiver: mpsc::Receiver<Bytes>| async move {
        let piece = receiver.recv().await?;
        Some((Ok::<_, Infallible>(piece), receiver))
    });
    (sender, Body::from_stream(pieces))
}

/// The path of a stream.
pub(crate) fn path(name: &str) -> String {
    format!("/v1/stream/{name}")
}

/// The text of an offset.
pub(crate) fn offset(position: u64) -> String {
    format!("0000000000000000_{position:016}")
}

/// An event as a browser's `EventSource` would see it, or a comment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) data: String,
}

/// Reads an event stream by the rules of the HTML standard, section 9.2.6.
pub(crate) struct Events {
    body: Body,
    buffer: Vec<u8>,
}

impl Events {
    pub(crate) fn of(response: axum::response::Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            body: response.into_body(),
            buffer: Vec::new(),
        }
    }

    /// The next event; `None` when the answer has ended.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return Some(parse_event(std::str::from_utf8(&block).unwrap()));
            }
            match self.body.frame().await {
                Some(frame) => self.buffer.extend_from_slice(&frame.unwrap().into_data().unwrap()),
                None => {
                    assert!(self.buffer.is_empty(), "an event is cut");
                    return None;
                }
            }
        }
    }

    /// The next event, which is data.
    pub(crate) async fn data(&mut self) -> String {
        let event = self.next().await.unwrap();
        assert_eq!(event.kind, "data", "{event:?}");
        event.data
    }

    /// The next event, which is control.
    pub(crate) async fn control(&mut self) -> serde_json::Value {
        let event = self.next().await.unwrap();
        assert_eq!(event.kind, "control", "{event:?}");
        serde_json::from_str(&event.data).unwrap()
    }
}

fn parse_event(block: &str) -> Event {
    let (mut kind, mut data) = (String::new(), Vec::new());
    let lines = block.replace("\r\n", "\n").replace('\r', "\n");
    for line in lines.trim_end_matches('\n').split('\n') {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => kind = value.to_owned(),
            "data" => data.push(value.to_owned()),
            "" => kind = "comment".to_owned(),
            other => panic!("field {other:?}"),
        }
    }
    Event {
        kind,
        data: data.join("\n"),
    }
}
