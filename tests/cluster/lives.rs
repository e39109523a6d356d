//! Streams that are created, closed by their last append, and deleted, one after the other, while faults happen.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use reqwest::blocking::Client;

use crate::crash::ledger::{Life, read_all};

use super::load::{Nodes, Told, told};

/// All of them. A name is used once, so that a write whose outcome is unknown meets nobody else.
#[derive(Debug, Default)]
pub(super) struct Lives {
    streams: Vec<Stream>,
}

#[derive(Debug)]
struct Stream {
    name: String,
    known: Life,
    /// What an unanswered request wanted it to be: it is either that or still `known`, for ever.
    wanted: Option<Life>,
    steps: usize,
}

impl Lives {
    /// How many writes were answered with success.
    pub(super) fn steps(&self) -> usize {
        self.streams.iter().map(|stream| stream.steps).sum()
    }

    pub(super) fn run(&mut self, nodes: &mut Nodes<'_>, stop: &AtomicBool) {
        while !stop.load(Ordering::SeqCst) {
            let is_over = self.streams.last().is_none_or(Stream::is_over);
            if is_over {
                self.streams.push(Stream {
                    name: format!("lives/{}", self.streams.len()),
                    known: Life::Absent,
                    wanted: None,
                    steps: 0,
                });
            }
            if let Some(stream) = self.streams.last_mut() {
                stream.step(nodes);
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub(super) fn check(&self, client: &Client, url: &str, context: &str) {
        for stream in &self.streams {
            stream.check(client, url, context);
        }
    }
}

impl Stream {
    fn is_over(&self) -> bool {
        self.wanted.is_some() || self.steps == 3 || (self.steps == 2 && self.stays())
    }

    /// Every other one is not deleted, so that there is something to find.
    fn stays(&self) -> bool {
        self.name.ends_with(['0', '2', '4', '6', '8'])
    }

    fn step(&mut self, nodes: &mut Nodes<'_>) {
        let url = format!("{}/v1/stream/{}", nodes.any(), self.name);
        let (request, wanted, success) = match self.known {
            Life::Absent => (nodes.client.put(url).body("first"), Life::Open, 201),
            Life::Open => (
                nodes.client.post(url).header("stream-closed", "true").body("+last"),
                Life::Closed,
                204,
            ),
            Life::Closed => (nodes.client.delete(url), Life::Absent, 204),
        };
        match told(request.header("content-type", "text/plain").send()) {
            Told::Answer(answer) => {
                assert_eq!(answer.status().as_u16(), success, "{self:?}: {answer:?}");
                self.known = wanted;
                self.steps += 1;
            }
            Told::Refused => {}
            Told::Unknown => self.wanted = Some(wanted),
        }
    }

    fn check(&self, client: &Client, url: &str, context: &str) {
        let head = client.head(format!("{url}/v1/stream/{}", self.name)).send().unwrap();
        let is_closed = head.headers().contains_key("stream-closed");
        let found = match (head.status().as_u16(), is_closed) {
            (404, _) => Life::Absent,
            (200, false) => Life::Open,
            (200, true) => Life::Closed,
            other => panic!("{context}: {} answers {other:?}", self.name),
        };
        let is_allowed = found == self.known || Some(found) == self.wanted;
        assert!(is_allowed, "{context}: {} is {found:?}, but {self:?}", self.name);
        let expected = match found {
            Life::Absent => return,
            Life::Open => "first",
            Life::Closed => "first+last",
        };
        // An append whose outcome is unknown may arrive between the two requests.
        if self.wanted.is_none() {
            assert_eq!(
                read_all(client, url, &self.name),
                expected.as_bytes(),
                "{context}: {}",
                self.name
            );
        }
    }
}
