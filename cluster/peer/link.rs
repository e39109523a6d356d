//! One stream to one node: packing, matching answers, reconnecting.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Endpoint;
use weir_proto::peer::peer_client::PeerClient;
use weir_proto::peer::{Frame, Frames};

use super::kind::{CallError, Lane, Status};
use super::other::Connector;
use crate::limits::{
    CONNECT_TIMEOUT, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, MAX_FRAMES_BYTES, MAX_FRAMES_UNDER_WAY,
    MAX_MESSAGE_BYTES, MAX_WAITING_FRAME_BYTES, RECONNECT_PAUSE,
};
use crate::platform::Network;

/// The headers by which a node introduces itself.
pub(super) const CLUSTER_HEADER: &str = "weir-cluster";
pub(super) const NODE_HEADER: &str = "weir-node";
pub(super) const LANE_HEADER: &str = "weir-lane";
pub(super) const RULES_HEADER: &str = "weir-rules";

/// Who asks.
#[derive(Clone)]
pub(super) struct Introduction {
    /// The cluster's id; empty before there is one.
    pub(super) cluster: String,
    pub(super) node: u64,
    /// See [`RULES_VERSION`](crate::limits::RULES_VERSION).
    pub(super) rules: u32,
    /// How it reaches others.
    pub(super) network: Network,
}

/// A request on its way, with the room that it takes.
struct Outgoing {
    frame: Frame,
    answer: oneshot::Sender<Result<Bytes, CallError>>,
    room: OwnedSemaphorePermit,
}

/// A stream to one node that is opened anew as often as it breaks. Ends with its last handle.
pub(super) struct Link {
    queue: mpsc::Sender<Outgoing>,
    room: Arc<Semaphore>,
}

impl Link {
    /// Must be called within a runtime.
    pub(super) fn open(location: &str, lane: Lane, introduction: Introduction) -> Self {
        let (queue, outgoing) = mpsc::channel(lane.slots());
        let uri = format!("http://{location}");
        tokio::spawn(run(uri, lane, introduction, outgoing));
        Self {
            queue,
            room: Arc::new(Semaphore::new(MAX_WAITING_FRAME_BYTES)),
        }
    }

    /// Puts a request into the queue.
    pub(super) fn start(&self, frame: Frame) -> Result<oneshot::Receiver<Result<Bytes, CallError>>, CallError> {
        let bytes = u32::try_from(frame.body.len().clamp(1, MAX_WAITING_FRAME_BYTES)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes);
        let room = room.map_err(|_| CallError::Overloaded)?;
        let (answer, answered) = oneshot::channel();
        let outgoing = Outgoing { frame, answer, room };
        self.queue.try_send(outgoing).map_err(|_| CallError::Overloaded)?;
        Ok(answered)
    }
}

/// Serves a link until its last handle is dropped.
async fn run(uri: String, lane: Lane, introduction: Introduction, mut outgoing: mpsc::Receiver<Outgoing>) {
    while let Some(first) = outgoing.recv().await {
        if let Err(reason) = exchange(&uri, lane, &introduction, first, &mut outgoing).await {
            tracing::debug!(uri, lane = lane.name(), reason, "a link broke");
            // Whoever asks while nobody is there learns it at once and need not wait for a deadline.
            let pause = tokio::time::sleep(RECONNECT_PAUSE);
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    next = outgoing.recv() => match next {
                        Some(next) => refuse(next, &reason),
                        None => return,
                    },
                }
            }
        }
    }
}

fn refuse(outgoing: Outgoing, reason: &str) {
    let _ = outgoing.answer.send(Err(CallError::Unreachable(reason.to_owned())));
}

/// Connects and exchanges frames, beginning with `first`, until the stream breaks.
async fn exchange(
    uri: &str,
    lane: Lane,
    introduction: &Introduction,
    first: Outgoing,
    outgoing: &mut mpsc::Receiver<Outgoing>,
) -> Result<(), String> {
    let (frames, sent) = mpsc::channel::<Frames>(4);
    let opened = tokio::time::timeout(CONNECT_TIMEOUT, open(uri, lane, introduction, sent)).await;
    let mut answers = match opened.unwrap_or_else(|_| Err("no connection in time".to_owned())) {
        Ok(answers) => answers,
        Err(reason) => {
            refuse(first, &reason);
            return Err(reason);
        }
    };
    let mut waiting = Waiting::default();
    let mut next = Some(first);
    loop {
        if let Some(first) = next.take() {
            let packed = waiting.pack(first, outgoing);
            tokio::select! {
                sent = frames.send(packed) => sent.map_err(|_| "the stream ended".to_owned())?,
                // While the line is busy answers still arrive: both sides waiting for the other would be the end.
                answered = waiting.receive_while_blocked(&mut answers) => answered?,
            }
            continue;
        }
        tokio::select! {
            queued = outgoing.recv() => match queued {
                Some(queued) => next = Some(queued),
                None => return Ok(()),
            },
            answer = answers.message() => waiting.take(answer)?,
        }
    }
}

type Answers = tonic::Streaming<Frames>;

async fn open(
    uri: &str,
    lane: Lane,
    introduction: &Introduction,
    sent: mpsc::Receiver<Frames>,
) -> Result<Answers, String> {
    let endpoint = Endpoint::from_shared(uri.to_owned()).map_err(|error| error.to_string())?;
    let endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(8 << 20)
        .initial_connection_window_size(16 << 20)
        .tcp_nodelay(true);
    let channel = match &introduction.network {
        Network::Tcp => endpoint.connect().await,
        Network::Other(network) => endpoint.connect_with_connector(Connector(Arc::clone(network))).await,
    };
    let channel = channel.map_err(|error| error.to_string())?;
    let mut client = PeerClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let mut request = Request::new(ReceiverStream::new(sent));
    let headers = [
        (CLUSTER_HEADER, introduction.cluster.clone()),
        (NODE_HEADER, introduction.node.to_string()),
        (LANE_HEADER, lane.name().to_owned()),
        (RULES_HEADER, introduction.rules.to_string()),
    ];
    for (name, value) in headers {
        let value: AsciiMetadataValue = value.parse().map_err(|_| format!("{name} is no header value"))?;
        request.metadata_mut().insert(name, value);
    }
    let response = client
        .exchange(request)
        .await
        .map_err(|status| status.message().to_owned())?;
    Ok(response.into_inner())
}

/// Requests that are sent and not answered. Dropping it tells all of them that the stream broke.
#[derive(Default)]
struct Waiting {
    calls: HashMap<u64, (oneshot::Sender<Result<Bytes, CallError>>, OwnedSemaphorePermit)>,
    last_id: u64,
    /// How many of them were still waited for when those were last cleared that are not.
    wanted: usize,
}

impl Waiting {
    /// `first` and whatever waits behind it, as one message.
    fn pack(&mut self, first: Outgoing, outgoing: &mut mpsc::Receiver<Outgoing>) -> Frames {
        let mut frames = Vec::new();
        let mut bytes = self.add(first, &mut frames);
        while bytes < MAX_FRAMES_BYTES {
            let Ok(next) = outgoing.try_recv() else {
                break;
            };
            bytes += self.add(next, &mut frames);
        }
        // Deadlines passed without an answer leave their entry here. They are cleared when there are as many as others may
        // be, so that each entry is looked at a few times however many there are.
        if self.calls.len() > MAX_FRAMES_UNDER_WAY.max(2 * self.wanted) {
            self.calls.retain(|_, (answer, _)| !answer.is_closed());
            self.wanted = self.calls.len();
        }
        Frames { frames }
    }

    fn add(&mut self, outgoing: Outgoing, frames: &mut Vec<Frame>) -> usize {
        let Outgoing {
            mut frame,
            answer,
            room,
        } = outgoing;
        if answer.is_closed() {
            // Its deadline passed while it waited: nobody wants it done any more.
            return 0;
        }
        self.last_id += 1;
        frame.id = self.last_id;
        let bytes = frame.body.len();
        self.calls.insert(frame.id, (answer, room));
        frames.push(frame);
        bytes
    }

    fn take(&mut self, message: Result<Option<Frames>, tonic::Status>) -> Result<(), String> {
        let message = message.map_err(|status| status.message().to_owned())?;
        let message = message.ok_or_else(|| "the other side ended the stream".to_owned())?;
        for frame in message.frames {
            let Some((answer, _room)) = self.calls.remove(&frame.id) else {
                continue;
            };
            let result = match Status::from_number(frame.status) {
                Status::Done => Ok(frame.body),
                status => Err(CallError::Refused {
                    status,
                    body: frame.body,
                }),
            };
            let _ = answer.send(result);
        }
        Ok(())
    }
}

impl Waiting {
    /// Takes answers for ever; ends only when the stream does.
    async fn receive_while_blocked(&mut self, answers: &mut Answers) -> Result<(), String> {
        loop {
            let message = answers.message().await;
            self.take(message)?;
        }
    }
}
