//! A client's connection as far as bytes leave through it, and the short way onto it.
//!
//! hyper writes what the answers say. While an SSE answer has nothing to say, all that hyper had is on the socket, and
//! hyper writes nothing until the answer's body yields something: so long whoever tells many clients the same may
//! write a whole chunk of the body himself. That saves a client's task from being woken and polled for each event,
//! which costs nearly as much as the system call. The lock and the [`State`] keep the two from mixing: a chunk leaves
//! this way only while the lane is open, and it opens only once hyper has flushed.

use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::AsyncWrite;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::Instant;
use weir_protocol::Offset;

/// What a client has been told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where it reads on.
    pub(crate) position: Offset,
    pub(crate) cursor: u64,
    pub(crate) sent_at: Instant,
}

/// Which of its waits a client is in: it may wait many times on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn(u64);

/// What became of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The client has it, or has had it before, and waits on.
    Stays,
    /// The client does not wait here any more, or goes on by itself from now on.
    Leaves,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Only hyper writes.
    Closed,
    /// The client waits, but hyper may have something of it left.
    Asked,
    /// The client waits, and hyper writes nothing.
    Open,
}

#[derive(Debug)]
pub(crate) struct Lane(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    half: OwnedWriteHalf,
    /// What the socket did not take of a chunk. It goes before everything else.
    rest: Bytes,
    state: State,
    turn: u64,
    place: Option<Place>,
    /// Who waits until the lane is closed.
    waiter: Option<Waker>,
    /// Whether the socket took anything of `rest` since somebody asked.
    took_some: bool,
}

impl Lane {
    pub(crate) fn new(half: OwnedWriteHalf) -> Self {
        Self(Mutex::new(Inner {
            half,
            rest: Bytes::new(),
            state: State::Closed,
            turn: 0,
            place: None,
            waiter: None,
            took_some: false,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client waits at `place`. The lane opens when hyper flushes next, which it does right after the body had
    /// nothing for it.
    pub(crate) fn ask(&self, place: Place) -> Turn {
        let mut inner = self.lock();
        inner.state = State::Asked;
        inner.turn += 1;
        inner.place = Some(place);
        Turn(inner.turn)
    }

    /// Ready when the client has to go on by itself.
    pub(crate) fn poll_closed(&self, cx: &Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if inner.state == State::Closed {
            return Poll::Ready(());
        }
        match &mut inner.waiter {
            Some(waiter) => waiter.clone_from(cx.waker()),
            waiter => *waiter = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Ends the wait. Nothing is written by others from here on; tells where what they wrote has left the client.
    pub(crate) fn close(&self) -> Option<Place> {
        let mut inner = self.lock();
        inner.state = State::Closed;
        inner.waiter = None;
        inner.place.take()
    }

    /// Lets the client go on by itself, if it still waits in this turn.
    pub(crate) fn release(&self, turn: Turn) {
        let mut inner = self.lock();
        if inner.turn == turn.0 {
            inner.release();
        }
    }

    /// Whether the client still waits in this turn.
    pub(crate) fn is_waiting(&self, turn: Turn) -> bool {
        let inner = self.lock();
        inner.turn == turn.0 && inner.state != State::Closed
    }

    /// Writes the chunk that leads from `from` to `to`, if that is the client's way. `chunk` makes it with the cursor
    /// that the client is to have, which is never less than the one it has. A client that cannot take all of it at once
    /// gets what is left from its own task, and then goes on by itself: that one knows how to wait for it.
    pub(crate) fn send(&self, turn: Turn, from: Offset, to: Place, chunk: impl Fn(u64) -> Bytes) -> Outcome {
        let mut inner = self.lock();
        let Some(place) = inner.place.filter(|_| inner.turn == turn.0) else {
            return Outcome::Leaves;
        };
        if inner.state == State::Closed {
            return Outcome::Leaves;
        }
        if place.position >= to.position {
            return Outcome::Stays;
        }
        if inner.state == State::Asked || place.position != from {
            inner.release();
            return Outcome::Leaves;
        }
        let cursor = to.cursor.max(place.cursor);
        let chunk = chunk(cursor);
        match inner.half.try_write(&chunk) {
            Ok(written) => {
                inner.place = Some(Place { cursor, ..to });
                inner.rest = chunk.slice(written..);
            }
            // Full or broken. Its own task finds out which.
            Err(_) => {
                inner.release();
                return Outcome::Leaves;
            }
        }
        if inner.rest.is_empty() {
            Outcome::Stays
        } else {
            inner.release();
            Outcome::Leaves
        }
    }

    /// Whether the client has taken something, although a write is still pending.
    pub(crate) fn took_some(&self) -> bool {
        std::mem::take(&mut self.lock().took_some)
    }

    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut inner = self.lock();
        inner.make_way();
        ready!(inner.poll_rest(cx))?;
        Pin::new(&mut inner.half).poll_write(cx, buf)
    }

    pub(crate) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.lock();
        inner.make_way();
        ready!(inner.poll_rest(cx))?;
        Pin::new(&mut inner.half).poll_write_vectored(cx, bufs)
    }

    /// Whoever flushes has nothing left of its own, so the lane is free for others if the client waits.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        ready!(inner.poll_rest(cx))?;
        ready!(Pin::new(&mut inner.half).poll_flush(cx))?;
        if inner.state == State::Asked {
            inner.state = State::Open;
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        ready!(inner.poll_rest(cx))?;
        Pin::new(&mut inner.half).poll_shutdown(cx)
    }
}

impl Inner {
    fn release(&mut self) {
        self.state = State::Closed;
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }

    /// hyper has something to say after all, and may not get all of it out now.
    fn make_way(&mut self) {
        if self.state == State::Open {
            self.release();
        }
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.rest.is_empty() {
            let written = ready!(Pin::new(&mut self.half).poll_write(cx, &self.rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.rest.advance(written);
            self.took_some = true;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn pair() -> (Lane, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        (Lane::new(server.into_split().1), client)
    }

    fn place(position: u64) -> Place {
        Place {
            position: Offset::new(position).unwrap(),
            cursor: 7,
            sent_at: Instant::now(),
        }
    }

    fn send(lane: &Lane, turn: Turn, from: u64, to: u64, chunk: &[u8]) -> Outcome {
        let chunk = |cursor| {
            assert_eq!(cursor, 7);
            Bytes::copy_from_slice(chunk)
        };
        lane.send(turn, place(from).position, place(to), chunk)
    }

    async fn flush(lane: &Lane) {
        poll_fn(|cx| lane.poll_flush(cx)).await.unwrap();
    }

    fn is_closed(lane: &Lane) -> bool {
        lane.poll_closed(&Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn only_an_open_lane_is_written_to() {
        let (lane, mut client) = pair().await;
        let turn = lane.ask(place(0));
        // hyper may have something left.
        assert_eq!(send(&lane, turn, 0, 1, b"early"), Outcome::Leaves);
        assert!(is_closed(&lane));
        let turn = lane.ask(place(0));
        flush(&lane).await;
        assert_eq!(send(&lane, turn, 0, 1, b"one"), Outcome::Stays);
        assert_eq!(send(&lane, turn, 0, 1, b"again"), Outcome::Stays);
        assert_eq!(send(&lane, turn, 1, 2, b"two"), Outcome::Stays);
        assert_eq!(lane.close().map(|place| place.position.position()), Some(2));
        assert_eq!(send(&lane, turn, 2, 3, b"late"), Outcome::Leaves);
        let next = lane.ask(place(2));
        flush(&lane).await;
        assert_eq!(send(&lane, turn, 2, 3, b"of the turn before"), Outcome::Leaves);
        assert_eq!(send(&lane, next, 1, 3, b"from elsewhere"), Outcome::Leaves);
        assert!(is_closed(&lane));
        drop(lane);
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, b"onetwo");
    }

    #[tokio::test]
    async fn what_hyper_writes_closes_an_open_lane() {
        let (lane, _client) = pair().await;
        let turn = lane.ask(place(0));
        let written = poll_fn(|cx| lane.poll_write(cx, b"x")).await.unwrap();
        assert!(written == 1 && lane.is_waiting(turn), "it was not open yet");
        flush(&lane).await;
        poll_fn(|cx| lane.poll_write(cx, b"x")).await.unwrap();
        assert!(is_closed(&lane));
    }

    #[tokio::test]
    async fn what_the_socket_does_not_take_comes_before_everything_else() {
        let (lane, mut client) = pair().await;
        let turn = lane.ask(place(0));
        flush(&lane).await;
        // More than any socket takes at once.
        let large = vec![b'a'; 64 << 20];
        assert_eq!(send(&lane, turn, 0, 1, &large), Outcome::Leaves);
        assert_eq!(lane.close().map(|place| place.position.position()), Some(1));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(lane.poll_write(&mut cx, b"b").is_pending());
        assert!(lane.poll_flush(&mut cx).is_pending());
        assert!(!lane.took_some());
        let reader = tokio::spawn(async move {
            let mut received = Vec::new();
            client.read_to_end(&mut received).await.unwrap();
            received
        });
        poll_fn(|cx| lane.poll_write(cx, b"b")).await.unwrap();
        assert!(lane.took_some() && !lane.took_some());
        flush(&lane).await;
        drop(lane);
        let received = reader.await.unwrap();
        assert_eq!(received.len(), large.len() + 1);
        assert!(received.ends_with(b"ab"));
    }
}
