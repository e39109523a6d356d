//! The other side of a link: frames come in, answers go out in whatever order they are ready.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Streaming};
use weir_proto::peer::peer_server::{Peer, PeerServer};
use weir_proto::peer::{Frame, Frames};

use super::kind::{Kind, Lane, Status};
use super::link::{CLUSTER_HEADER, LANE_HEADER, NODE_HEADER, RULES_HEADER};
use super::other::Other;
use super::room::{Budgets, Room};
use crate::limits::{
    KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, MAX_FRAMES_BYTES, MAX_MESSAGE_BYTES, MAX_WAITING_REFUSALS, RULES_VERSION,
};
use crate::platform::PeerListener;

/// Takes the requests of all streams.
pub(crate) trait Dispatch: Send + Sync + 'static {
    /// A stream from `node` begins (0 when it belongs to no cluster yet).
    fn accept(&self, node: u64, lane: Lane) -> Box<dyn Incoming>;
}

/// Takes the requests of one stream, in order.
pub(crate) trait Incoming: Send {
    /// Takes a request. Must not wait: what takes time happens elsewhere, and answers when it is done.
    fn take(&mut self, kind: Kind, frame: Frame, reply: Reply);
}

/// An answer on its way out.
struct Answer {
    frame: Frame,
    /// Its request is under way until it is packed.
    _turn: OwnedSemaphorePermit,
    room: Room,
}

/// Answers that travel together, and the room that they take until they do.
type Packed = (Frames, Vec<Room>);

/// The way back for one answer. Dropped without one, it says that nobody knows: the caller holds room until it hears.
pub(crate) struct Reply {
    id: u64,
    way: Option<(mpsc::Sender<Answer>, OwnedSemaphorePermit)>,
    room: Room,
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.answer(Status::Unknown, Bytes::new());
    }
}

impl Reply {
    /// What the answer may take.
    pub(crate) fn room(&mut self) -> &mut Room {
        &mut self.room
    }

    pub(crate) async fn send(mut self, status: Status, body: Bytes) {
        self.answer(status, body);
    }

    fn answer(&mut self, status: Status, body: Bytes) {
        let Some((answers, turn)) = self.way.take() else {
            return;
        };
        let frame = Frame {
            id: self.id,
            status: status as u32,
            body,
            ..Frame::default()
        };
        // There is a place for every answer of which the request has a turn. Nobody listens any more when the stream has
        // ended.
        let _ = answers.try_send(Answer {
            frame,
            _turn: turn,
            room: std::mem::take(&mut self.room),
        });
    }
}

/// The cluster that this node belongs to; empty until it does.
pub(crate) type ClusterName = Arc<RwLock<String>>;

struct Service<D> {
    dispatch: Arc<D>,
    cluster: ClusterName,
    stopped: watch::Receiver<bool>,
    /// Whether somebody was refused for other rules. Said once: it is tried again ten times a second.
    refused: AtomicBool,
}

/// What an operator does about it.
const HOW_TO_UPGRADE: &str = "end all nodes, then start all with the same version";

/// Serves peers on `listener` until `stopped` is true; then streams end, too.
pub(crate) async fn serve<D: Dispatch>(
    listener: PeerListener,
    cluster: ClusterName,
    dispatch: Arc<D>,
    stopped: watch::Receiver<bool>,
) -> Result<(), tonic::transport::Error> {
    let mut stop = stopped.clone();
    let service = PeerServer::new(Service {
        dispatch,
        cluster,
        stopped,
        refused: AtomicBool::new(false),
    })
    .max_decoding_message_size(MAX_MESSAGE_BYTES)
    .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .initial_stream_window_size(8 << 20)
        .initial_connection_window_size(16 << 20)
        .add_service(service);
    let stop = async move {
        let _ = stop.wait_for(|stopped| *stopped).await;
    };
    match listener {
        PeerListener::Tcp(listener) => {
            // The server's own setting counts only where it listens itself. Without this, answers wait up to 40 ms for the
            // other side's acknowledgement of the ones before.
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            server.serve_with_incoming_shutdown(incoming, stop).await
        }
        PeerListener::Other(incoming) => {
            let incoming = incoming.map_ok(Other);
            server.serve_with_incoming_shutdown(incoming, stop).await
        }
    }
}

fn header<'a>(headers: &'a MetadataMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

#[tonic::async_trait]
impl<D: Dispatch> Peer for Service<D> {
    type ExchangeStream = Pin<Box<dyn Stream<Item = Result<Frames, tonic::Status>> + Send>>;

    async fn exchange(
        &self,
        request: Request<Streaming<Frames>>,
    ) -> Result<Response<Self::ExchangeStream>, tonic::Status> {
        let theirs = header(request.metadata(), CLUSTER_HEADER).to_owned();
        let node = header(request.metadata(), NODE_HEADER).parse().unwrap_or_default();
        let ours = self.cluster.read().map(|cluster| cluster.clone()).unwrap_or_default();
        // A stranger may ask who we are; whoever names another cluster may ask nothing.
        if !theirs.is_empty() && !ours.is_empty() && theirs != ours {
            return Err(tonic::Status::permission_denied(format!(
                "this node belongs to cluster {ours}, not to {theirs}"
            )));
        }
        let rules = header(request.metadata(), RULES_HEADER);
        if rules != RULES_VERSION.to_string() {
            let reason = format!("node {node} has rules '{rules}', this one has '{RULES_VERSION}': {HOW_TO_UPGRADE}");
            if !self.refused.swap(true, Ordering::Relaxed) {
                tracing::error!(reason, "another version of Weir is refused");
            }
            return Err(tonic::Status::failed_precondition(reason));
        }
        let lane = header(request.metadata(), LANE_HEADER);
        // A later version may have more of them.
        let lane = Lane::from_name(lane).unwrap_or(Lane::Bulk);
        let incoming = self.dispatch.accept(node, lane);
        let (entrance, ready) = Entrance::of(lane.slots());
        let (packed, out) = mpsc::channel(4);
        let caller = Caller {
            cluster: theirs,
            ours: Arc::clone(&self.cluster),
            stopped: self.stopped.clone(),
        };
        tokio::spawn(receive(request.into_inner(), incoming, entrance, caller));
        tokio::spawn(pack(ready, packed));
        // The line takes them here, one message after the other as it gets rid of them.
        let out = ReceiverStream::new(out).map(|(frames, _rooms)| Ok(frames));
        Ok(Response::new(Box::pin(out)))
    }
}

/// Who is at the other end of a stream.
struct Caller {
    /// The cluster that it named; empty when it belongs to none.
    cluster: String,
    ours: ClusterName,
    /// Whether this node has ended.
    stopped: watch::Receiver<bool>,
}

impl Caller {
    /// Whether it belongs to our cluster. Asked for every message: this node may get to belong to one meanwhile.
    fn is_member(&self) -> bool {
        let ours = self.ours.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        !self.cluster.is_empty() && *ours == self.cluster
    }
}

/// Where requests come in. Each has a turn until its answer is packed, and there is a place for as many answers as turns.
struct Entrance {
    answers: mpsc::Sender<Answer>,
    turns: Arc<Semaphore>,
    /// The turns of those that are refused because there is no other.
    refusals: Arc<Semaphore>,
    budgets: Budgets,
}

impl Entrance {
    fn of(slots: usize) -> (Self, mpsc::Receiver<Answer>) {
        let (answers, ready) = mpsc::channel(slots + MAX_WAITING_REFUSALS);
        let entrance = Self {
            answers,
            turns: Arc::new(Semaphore::new(slots)),
            refusals: Arc::new(Semaphore::new(MAX_WAITING_REFUSALS)),
            budgets: Budgets::new(),
        };
        (entrance, ready)
    }

    /// The way back for the answer to `frame`. Nothing if that was refused: others might be under way for long, and whoever
    /// comes behind it must not wait for them. It waits for the line at most.
    async fn admit(&self, frame: &Frame) -> Option<Reply> {
        let reply = |turn, room| Reply {
            id: frame.id,
            way: Some((self.answers.clone(), turn)),
            room,
        };
        if let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() {
            let kind = Kind::from_number(frame.kind);
            return Some(reply(
                turn,
                kind.map(|kind| self.budgets.room(kind)).unwrap_or_default(),
            ));
        }
        let turn = Arc::clone(&self.refusals).acquire_owned().await.ok()?;
        reply(turn, Room::default())
            .send(Status::Unavailable, Bytes::new())
            .await;
        None
    }
}

/// Takes requests until the stream ends.
async fn receive(
    mut requests: Streaming<Frames>,
    mut incoming: Box<dyn Incoming>,
    entrance: Entrance,
    mut caller: Caller,
) {
    loop {
        let message = tokio::select! {
            message = requests.message() => message,
            _ = caller.stopped.wait_for(|stopped| *stopped) => return,
        };
        let Ok(Some(message)) = message else {
            return;
        };
        let is_member = caller.is_member();
        for frame in message.frames {
            let reply = tokio::select! {
                reply = entrance.admit(&frame) => reply,
                _ = caller.stopped.wait_for(|stopped| *stopped) => return,
            };
            let Some(reply) = reply else {
                continue;
            };
            match Kind::from_number(frame.kind) {
                Some(kind) if is_member || kind.is_for_strangers() => incoming.take(kind, frame, reply),
                Some(_) => reply.send(Status::Unavailable, Bytes::new()).await,
                None => reply.send(Status::Malformed, Bytes::new()).await,
            }
        }
    }
}

/// Packs answers that are ready at the same time into one message.
async fn pack(mut ready: mpsc::Receiver<Answer>, packed: mpsc::Sender<Packed>) {
    while let Some(first) = ready.recv().await {
        let (mut frames, mut rooms, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut next = Some(first);
        while let Some(Answer { frame, room, .. }) = next {
            bytes += frame.body.len();
            frames.push(frame);
            if room.is_taken() {
                rooms.push(room);
            }
            next = if bytes < MAX_FRAMES_BYTES {
                ready.try_recv().ok()
            } else {
                None
            };
        }
        if packed.send((Frames { frames }, rooms)).await.is_err() {
            return;
        }
    }
}
