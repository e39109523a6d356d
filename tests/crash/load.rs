//! Writers that work until the server is gone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use reqwest::blocking::{Client, Response};

use crate::harness::Weir;

use super::ledger::{Churned, Ledger, Life, Writer, message};

/// How long a single request may take; a server that hangs fails the test.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs all writers and kills the server after `pause` in the middle of their work.
pub(super) fn until_killed(weir: &mut Weir, ledger: &mut Ledger, rng: &mut Rng, pause: Duration) {
    let url = weir.url();
    let is_killed = AtomicBool::new(false);
    thread::scope(|scope| {
        for writer in &mut ledger.writers {
            let (url, is_killed, mut rng) = (&url, &is_killed, rng.fork());
            scope.spawn(move || {
                let client = client();
                while writer.write(&client, url, is_killed) {
                    // Now and then a breath, so that batches of all sizes are cut.
                    if rng.u8(..) < 16 {
                        thread::sleep(Duration::from_millis(rng.u64(0..5)));
                    }
                }
            });
        }
        let churned = &mut ledger.churned;
        let (url, is_killed) = (&url, &is_killed);
        scope.spawn(move || {
            let client = client();
            while churned.step(&client, url, is_killed) {}
        });
        thread::sleep(pause);
        is_killed.store(true, Ordering::SeqCst);
        weir.kill();
    });
}

/// Has every producer repeat its unanswered write, which succeeds whether or not it was done before.
pub(super) fn settle(weir: &Weir, ledger: &mut Ledger) {
    let never = AtomicBool::new(false);
    let client = client();
    for writer in ledger.writers.iter_mut().filter(|writer| writer.is_producer) {
        let before = writer.next;
        assert!(writer.write(&client, &weir.url(), &never));
        assert_eq!(writer.next, before + 1);
    }
}

fn client() -> Client {
    Client::builder().timeout(REQUEST_TIMEOUT).build().unwrap()
}

/// The answer; `None` when the server was killed. Until then every request must be answered.
fn answered(sent: reqwest::Result<Response>, started: Instant, is_killed: &AtomicBool) -> Option<Response> {
    match sent {
        Ok(response) => Some(response),
        Err(error) => {
            assert!(
                is_killed.load(Ordering::SeqCst),
                "no answer from a living server: {error:?}"
            );
            assert!(started.elapsed() < REQUEST_TIMEOUT, "the server hung: {error:?}");
            None
        }
    }
}

impl Writer {
    /// Appends one message; `false` when the server was killed.
    fn write(&mut self, client: &Client, url: &str, is_killed: &AtomicBool) -> bool {
        let number = self.next;
        let mut request = client
            .post(format!("{url}/v1/stream/{}", self.stream))
            .header("content-type", "text/plain")
            .body(message(self.id, number));
        if self.is_producer {
            request = request
                .header("producer-id", format!("writer-{}", self.id))
                .header("producer-epoch", "0")
                .header("producer-seq", number.to_string());
        } else {
            // It may have been done, and cannot be told from another try: never send it again.
            self.next += 1;
        }
        let Some(answer) = answered(request.send(), Instant::now(), is_killed) else {
            return false;
        };
        let status = answer.status().as_u16();
        let offset = answer
            .headers()
            .get("stream-next-offset")
            .map(|value| value.to_str().unwrap().to_owned());
        assert!(
            matches!((status, self.is_producer), (200 | 204, true) | (204, false)),
            "{answer:?}"
        );
        let offset = offset.expect("a success names the next offset");
        if self.is_producer {
            self.next += 1;
        }
        // A producer's repetition (204) names the stream's end, not the place of what was there before.
        if !self.is_producer || status == 200 {
            self.acknowledged.insert(number, offset);
        }
        true
    }
}

impl Churned {
    /// Create, append and close in one request, delete, and again; `false` when the server was killed.
    fn step(&mut self, client: &Client, url: &str, is_killed: &AtomicBool) -> bool {
        let url = format!("{url}/v1/stream/{}", self.stream);
        let (request, wanted, success) = match self.known {
            Life::Absent => (client.put(url).body("first"), Life::Open, 201),
            Life::Open => (
                client.post(url).header("stream-closed", "true").body("+last"),
                Life::Closed,
                204,
            ),
            Life::Closed => (client.delete(url), Life::Absent, 204),
        };
        self.wanted = Some(wanted);
        let sent = request.header("content-type", "text/plain").send();
        let Some(answer) = answered(sent, Instant::now(), is_killed) else {
            return false;
        };
        assert_eq!(answer.status().as_u16(), success, "{answer:?}");
        (self.known, self.wanted) = (wanted, None);
        self.answers += 1;
        true
    }
}
