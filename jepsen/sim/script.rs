//! What clients do.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use turmoil::net::TcpStream;

use crate::network::{CLIENT_PORT, Traced, node_name};
use crate::plan::Plan;
use crate::rng::Rng;

/// Where a simulation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The cluster forms.
    Form,
    /// Clients work, and things go wrong.
    Load,
    /// Nothing goes wrong any more.
    Heal,
    /// The last reads.
    End,
    /// Everything was read.
    Done,
}

/// What clients share.
pub struct Script {
    plan: Plan,
    phase: Cell<Phase>,
    history: RefCell<Vec<u8>>,
}

impl Script {
    /// For one simulation.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            phase: Cell::new(Phase::Form),
            history: RefCell::default(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Goes on to another phase.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.set(phase);
    }

    /// What was recorded.
    #[must_use]
    pub fn history(&self) -> Vec<u8> {
        self.history.take()
    }

    fn note(&self, line: &str) {
        self.history.borrow_mut().extend_from_slice(line.as_bytes());
    }
}

/// The clients' host.
///
/// # Errors
/// None.
pub async fn run(script: Rc<Script>) -> turmoil::Result {
    let mut rng = Rng::of(script.plan.seed, "script");
    for stream in 0..script.plan.streams {
        loop {
            let node = 1 + rng.below(script.plan.cluster.nodes as u64) as usize;
            let path = format!("/v1/stream/q{stream}");
            match timeout(Duration::from_secs(3), request(node, "PUT", &path, "".into())).await {
                Ok(Ok((200 | 201, _))) => break,
                other => {
                    crate::trace::line(&format!("{path} on n{node}: {other:?}"));
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
    script.set_phase(Phase::Load);
    let clients = (0..script.plan.clients).map(|client| client_loop(Rc::clone(&script), client));
    futures_util::future::join_all(clients).await;
    while script.phase() < Phase::End {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for stream in 0..script.plan.streams {
        for node in 1..=script.plan.cluster.nodes {
            let read = request(node, "GET", &format!("/v1/stream/q{stream}"), "".into()).await;
            script.note(&format!("final n{node} q{stream} {read:?}\n"));
        }
    }
    script.set_phase(Phase::Done);
    std::future::pending().await
}

async fn client_loop(script: Rc<Script>, client: usize) {
    let mut rng = Rng::of(script.plan.seed ^ (client as u64) << 32, "client");
    let mut count = 0;
    while script.phase() == Phase::Load {
        tokio::time::sleep(Duration::from_millis(rng.below(script.plan.think_ms + 1))).await;
        let node = 1 + rng.below(script.plan.cluster.nodes as u64) as usize;
        let path = format!("/v1/stream/q{}", rng.below(script.plan.streams as u64));
        count += 1;
        let (method, body) = if rng.chance(70) {
            ("POST", format!("{client}-{count};"))
        } else {
            ("GET", String::new())
        };
        let answer = timeout(script.plan.request_timeout, request(node, method, &path, body.clone())).await;
        script.note(&format!("{client} n{node} {method} {path} {body} {answer:?}\n"));
    }
}

async fn request(node: usize, method: &str, path: &str, body: String) -> Result<(u16, Bytes), String> {
    let stream = TcpStream::connect((node_name(node), CLIENT_PORT))
        .await
        .map_err(|error| error.to_string())?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(Traced(stream))).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "weir")
        .header("content-type", "text/plain")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(|error| error.to_string())?;
    Ok((status, body.to_bytes()))
}
