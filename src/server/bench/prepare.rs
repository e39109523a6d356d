//! The streams, before anything is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::client::{Failed, connect, unreachable_at};
use super::connection::Connection;
use super::error::BenchError;
use super::options::Options;
use super::target::{self, Target};

/// How many streams are made at a time.
const CONNECTIONS: u64 = 32;
const BUFFER_BYTES: usize = 16 * 1024;

/// A server that has only just started may have no leader yet.
const ATTEMPTS: u32 = 50;
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// A stream to work on.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    /// Its path on the server.
    pub(super) path: String,
    /// The only node that takes writes, where the target wants it so.
    pub(super) leader: Option<usize>,
}

/// The nodes and the streams of a run.
#[derive(Debug)]
pub(super) struct Streams {
    /// Host and port of each node.
    pub(super) addresses: Vec<String>,
    pub(super) streams: Vec<Stream>,
}

impl Streams {
    /// The node for a client, and the streams that it can write to there: all, or those that this node leads.
    pub(super) fn share(&self, client: usize) -> (usize, Vec<usize>) {
        let all = 0..self.streams.len();
        match self.streams[client % self.streams.len()].leader {
            None => (client % self.addresses.len(), all.collect()),
            Some(node) => {
                let led = all.filter(|stream| self.streams[*stream].leader == Some(node));
                (node, led.collect())
            }
        }
    }
}

impl Streams {
    /// Where a reader reads, and what: at the leader only if the target wants writes there.
    pub(super) fn reader(&self, client: usize) -> (String, String) {
        let stream = &self.streams[client % self.streams.len()];
        let node = stream.leader.unwrap_or(client % self.addresses.len());
        (self.addresses[node].clone(), stream.path.clone())
    }
}

/// Makes `count` streams.
///
/// # Errors
/// When a server does not answer or refuses.
pub(super) fn streams(options: &Options, count: u64, content_type: &str) -> Result<Streams, BenchError> {
    let addresses = options.addresses()?;
    let maker = Arc::new(Maker {
        target: options.target,
        prefix: options.prefix(),
        content_type: content_type.to_owned(),
        count,
        next: AtomicU64::new(0),
        addresses: addresses.clone(),
    });
    let runtime = Builder::new_current_thread().enable_all().build();
    let made = runtime.map_err(BenchError::Thread)?.block_on(async {
        let connections = 0..CONNECTIONS.min(count);
        let mut makers: JoinSet<_> = connections.map(|index| make_some(Arc::clone(&maker), index)).collect();
        let mut made = Vec::new();
        while let Some(some) = makers.join_next().await {
            made.extend(some.map_err(|_| BenchError::ThreadFailed)??);
        }
        Ok::<_, BenchError>(made)
    });
    let mut made = made?;
    made.sort_by_key(|(number, _)| *number);
    let streams = made.into_iter().map(|(_, stream)| stream).collect();
    Ok(Streams { addresses, streams })
}

struct Maker {
    target: Target,
    prefix: String,
    content_type: String,
    count: u64,
    next: AtomicU64,
    addresses: Vec<String>,
}

async fn make_some(maker: Arc<Maker>, index: u64) -> Result<Vec<(u64, Stream)>, BenchError> {
    let nodes = maker.addresses.len();
    let mut connections: Vec<Option<Connection>> = (0..nodes).map(|_| None).collect();
    let mut made = Vec::new();
    // Any node will do to begin with.
    let mut node = usize::try_from(index).unwrap_or(0) % nodes;
    loop {
        let number = maker.next.fetch_add(1, Ordering::Relaxed);
        if number >= maker.count {
            return Ok(made);
        }
        let path = maker.target.path(&maker.prefix, number);
        node = maker.make(&path, node, &mut connections).await?;
        let leader = (maker.target == Target::Ursula).then_some(node);
        made.push((number, Stream { path, leader }));
    }
}

impl Maker {
    /// Makes a stream, beginning at `node`, and tells which node did it.
    async fn make(
        &self,
        path: &str,
        mut node: usize,
        connections: &mut [Option<Connection>],
    ) -> Result<usize, BenchError> {
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            match self.try_make(path, node, &mut connections[node]).await {
                Ok(Answer::Made) => return Ok(node),
                Ok(Answer::Elsewhere(other)) => {
                    node = other;
                    "307".clone_into(&mut last);
                    continue;
                }
                Ok(Answer::Later(status)) => last = status.to_string(),
                Ok(Answer::Refused(status)) => {
                    last = status.to_string();
                    break;
                }
                Err(failed @ Failed::Connect(_)) => return Err(unreachable_at(&self.addresses[node], &failed)),
                Err(failed) => {
                    connections[node] = None;
                    last = failed.name().into_owned();
                }
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
        Err(BenchError::Prepare {
            what: format!("{path} cannot be created"),
            answer: last,
        })
    }

    async fn try_make(&self, path: &str, node: usize, connection: &mut Option<Connection>) -> Result<Answer, Failed> {
        let address = &self.addresses[node];
        let connected = match connection {
            Some(connected) => connected,
            None => connection.insert(connect(address, BUFFER_BYTES).await?),
        };
        let request = target::request_with_body("PUT", address, path, &self.content_type, b"");
        let mut location = None;
        let see = |name: &str, value: &[u8]| {
            if name.eq_ignore_ascii_case("location") {
                location = Some(String::from_utf8_lossy(value).into_owned());
            }
        };
        let head = connected.exchange(&request, see, |_| {}).await?;
        if head.closes {
            *connection = None;
        }
        Ok(match head.status {
            200 | 201 => Answer::Made,
            307 => {
                let other = location.and_then(|location| self.node_of(&location));
                other.map_or(Answer::Refused(307), Answer::Elsewhere)
            }
            429 | 500.. => Answer::Later(head.status),
            status => Answer::Refused(status),
        })
    }

    /// The node that a redirect names.
    fn node_of(&self, location: &str) -> Option<usize> {
        let rest = location.strip_prefix("http://")?;
        let authority = rest.split('/').next()?;
        self.addresses.iter().position(|address| address == authority)
    }
}

/// Fills each stream with `stream_bytes`, in messages like this one; the last one is shorter.
///
/// # Errors
/// When a server does not answer or refuses.
pub(super) fn fill(streams: &Streams, stream_bytes: u64, message: &[u8], content_type: &str) -> Result<(), BenchError> {
    let fillers = (0..streams.streams.len()).map(|stream| Filler {
        address: streams.addresses[streams.streams[stream].leader.unwrap_or(0)].clone(),
        path: streams.streams[stream].path.clone(),
        stream_bytes,
        message: message.to_vec(),
        content_type: content_type.to_owned(),
    });
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(BenchError::Thread)?.block_on(async {
        let mut fillers: JoinSet<_> = fillers.map(Filler::run).collect();
        while let Some(ended) = fillers.join_next().await {
            ended.map_err(|_| BenchError::ThreadFailed)??;
        }
        Ok(())
    })
}

struct Filler {
    address: String,
    path: String,
    stream_bytes: u64,
    message: Vec<u8>,
    content_type: String,
}

impl Filler {
    async fn run(self) -> Result<(), BenchError> {
        let refused = |failed: Failed| BenchError::Prepare {
            what: format!("{} cannot be filled", self.path),
            answer: failed.name().into_owned(),
        };
        let mut connection = connect(&self.address, BUFFER_BYTES).await.map_err(refused)?;
        let mut left = self.stream_bytes;
        while left > 0 {
            let bytes = usize::try_from(left).unwrap_or(usize::MAX).min(self.message.len());
            let body = &self.message[..bytes];
            let request = target::request_with_body("POST", &self.address, &self.path, &self.content_type, body);
            let answer = connection.exchange(&request, |_, _| {}, |_| {}).await;
            let head = answer.map_err(|broken| refused(broken.into()))?;
            head.expect(&[200, 204], 0).map_err(refused)?;
            left -= bytes as u64;
        }
        Ok(())
    }
}

enum Answer {
    Made,
    Elsewhere(usize),
    Later(u16),
    Refused(u16),
}
