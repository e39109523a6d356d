//! Many clients at the tail of one stream, served by one task.
//!
//! A thousand SSE clients at one tail hear the same. Each has a task with its own watch, but to wake and poll a
//! thousand tasks costs nearly as much as to send a thousand events. So who has everything and shares its stream with
//! others joins a broadcast: one task watches, encodes one chunk, and writes it onto every [`Lane`]. Whatever is not
//! that simple (the stream's end, a slow client, a character in pieces, the end of the answer) sends a client back to
//! its own task, which looks for itself and knows the rest.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::available_parallelism;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::Extensions;
use tokio::time::{Instant, sleep};
use weir_protocol::sse::Control;
use weir_protocol::{Incarnation, Offset, StreamName, TailEvent, cursor};

use crate::app::Shared;
use crate::limits::{BROADCAST_LEAST, BROADCAST_PRUNING, BROADCAST_SHARD, BROADCAST_TURN};
use crate::live::hub::{Batch, Missing};
use crate::live::lane::{Lane, Outcome, Place, Turn};

type Key = (StreamName, Incarnation);

/// The audiences of all streams that anybody listens to.
pub(crate) struct Audiences {
    streams: Mutex<HashMap<Key, Arc<Audience>>>,
    /// Into how many shards a large audience is divided: as many as can be served at the same time.
    shards: usize,
}

/// Those who listen to one life of a stream.
struct Audience {
    key: Key,
    /// How many listen, whether they wait now or not. Changes with the lock on all audiences held.
    size: AtomicUsize,
    /// How many ever did.
    numbers: AtomicUsize,
    /// Most audiences are too small to be served together and never have any.
    shards: OnceLock<Box<[Mutex<Door>]>>,
}

impl Audience {
    fn door(&self, app: &Shared, shard: usize) -> MutexGuard<'_, Door> {
        let shards = self.shards.get_or_init(|| {
            let doors = std::iter::repeat_with(Mutex::default);
            doors.take(app.audiences.shards).collect()
        });
        lock(&shards[shard])
    }
}

/// Where clients come into a shard of an audience.
#[derive(Default)]
struct Door {
    /// Whether a task looks after those who come.
    is_open: bool,
    /// Where that task's members are. Nobody may come in who is behind that.
    position: Offset,
    came: Vec<Member>,
}

/// A client that waits. It may have gone since.
struct Member {
    lane: Weak<Lane>,
    turn: Turn,
}

impl Audiences {
    pub(crate) fn new() -> Self {
        Self {
            streams: Mutex::default(),
            shards: available_parallelism().map_or(1, usize::from),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A client's place in the audience of its stream, for as long as it listens.
pub(crate) struct Listener {
    app: Shared,
    audience: Arc<Audience>,
    shard: usize,
    lane: Arc<Lane>,
}

impl Listener {
    pub(crate) fn new(app: Shared, name: StreamName, incarnation: Incarnation, lane: Arc<Lane>) -> Self {
        let shards = app.audiences.shards;
        let mut streams = lock(&app.audiences.streams);
        let audience = streams.entry((name, incarnation)).or_insert_with_key(|key| {
            Arc::new(Audience {
                key: key.clone(),
                size: AtomicUsize::new(0),
                numbers: AtomicUsize::new(0),
                shards: OnceLock::new(),
            })
        });
        let audience = Arc::clone(audience);
        audience.size.fetch_add(1, Ordering::Relaxed);
        drop(streams);
        let number = audience.numbers.fetch_add(1, Ordering::Relaxed);
        Self {
            app,
            shard: number / BROADCAST_SHARD % shards,
            audience,
            lane,
        }
    }

    /// Waits at `place` with the others. False if there are too few of them, or the broadcast is not for this client:
    /// then it has to wait by itself.
    pub(crate) fn join(&self, place: Place) -> bool {
        if self.audience.size.load(Ordering::Relaxed) < BROADCAST_LEAST {
            return false;
        }
        let mut door = self.audience.door(&self.app, self.shard);
        if door.is_open && place.position < door.position {
            return false;
        }
        door.came.push(Member {
            lane: Arc::downgrade(&self.lane),
            turn: self.lane.ask(place),
        });
        if door.is_open {
            return true;
        }
        door.is_open = true;
        door.position = place.position;
        // A runtime that ends drops what is spawned here and now, and that locks the door.
        drop(door);
        let broadcaster = Broadcaster {
            app: Shared::clone(&self.app),
            audience: Arc::clone(&self.audience),
            shard: self.shard,
            position: place.position,
            tail: place.position,
            members: Vec::new(),
        };
        tokio::spawn(broadcaster.run());
        true
    }

    /// Waits until the client has to go on by itself.
    pub(crate) async fn sent_back(&self) {
        poll_fn(|cx| self.lane.poll_closed(cx)).await;
    }

    /// Goes on by itself; from where the broadcast has left the client, if it has joined one.
    pub(crate) fn leave(&self) -> Option<Place> {
        self.lane.close()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.lane.close();
        let mut streams = lock(&self.app.audiences.streams);
        if self.audience.size.fetch_sub(1, Ordering::Relaxed) == 1 {
            streams.remove(&self.audience.key);
        }
    }
}

/// The task that serves one shard of an audience. It ends when nobody is left in it, or at anything but a message.
struct Broadcaster {
    app: Shared,
    audience: Arc<Audience>,
    shard: usize,
    /// Where the members are.
    position: Offset,
    /// How far the stream reaches, as the watch says.
    tail: Offset,
    members: Vec<Member>,
}

impl Broadcaster {
    async fn run(mut self) {
        let shutdown = self.app.shutdown.clone();
        tokio::select! {
            () = shutdown.fired() => {}
            _ = self.serve() => {}
        }
    }

    /// Sends what comes until there is a reason to end, which is none that anybody needs to know.
    async fn serve(&mut self) -> Option<()> {
        let name = self.audience.key.0.clone();
        // As every live read: watch first, then read, so that nothing falls between. A shared read may be older.
        let mut watch = self.app.streams.watch(&name).await.ok()?;
        while let Some(batch) = self.read(false).await? {
            self.send(&batch).await?;
            if batch.result.at_tail {
                break;
            }
        }
        loop {
            while self.tail <= self.position {
                tokio::select! {
                    event = watch.changed() => match event {
                        TailEvent::Tail { next_offset, closed: false } => self.tail = next_offset,
                        TailEvent::Tail { .. } | TailEvent::Gone => return None,
                    },
                    () = sleep(BROADCAST_PRUNING) => self.prune()?,
                }
            }
            // What the watch tells can be read, but for a change of leaders between.
            let batch = self.read(true).await??;
            self.send(&batch).await?;
        }
    }

    /// What follows the members' position, if anything. `None` when each has to look for itself.
    async fn read(&self, shared: bool) -> Option<Option<Arc<Batch>>> {
        let (name, incarnation) = &self.audience.key;
        let read = if shared {
            self.app.hub.after(name, *incarnation, self.position, self.tail).await
        } else {
            self.app
                .hub
                .after_alone(name, *incarnation, self.position, self.tail, &Extensions::new())
                .await
        };
        match read {
            Ok(batch) if batch.result.closed || !batch.is_whole() || batch.is_large() => None,
            Ok(batch) => Some(Some(batch)),
            Err(Missing::Nothing { closed: false }) => Some(None),
            Err(Missing::Nothing { closed: true } | Missing::NoRoom | Missing::Replaced | Missing::Failed(_)) => None,
        }
    }

    async fn send(&mut self, batch: &Batch) -> Option<()> {
        let (from, end) = (self.position, batch.event_end());
        let up_to_date = batch.result.at_tail && self.tail <= end;
        let chunk_with = |cursor| {
            chunk(&batch.event(Control {
                stream_next_offset: end,
                stream_cursor: Some(cursor),
                up_to_date,
                stream_closed: false,
            }))
        };
        let cursor = cursor::interval(self.app.clock.now());
        let common = chunk_with(cursor);
        // Cursors do not go backwards: whoever is ahead of the clock keeps its own.
        let chunk = |own| if own == cursor { common.clone() } else { chunk_with(own) };
        self.position = end;
        self.let_in();
        let to = Place {
            position: end,
            cursor,
            sent_at: Instant::now(),
        };
        let (mut index, mut sent) = (0, 0_usize);
        while let Some(member) = self.members.get(index) {
            let lane = member.lane.upgrade();
            let outcome = lane.map_or(Outcome::Leaves, |lane| lane.send(member.turn, from, to, chunk));
            match outcome {
                Outcome::Stays => index += 1,
                Outcome::Leaves => drop(self.members.swap_remove(index)),
            }
            sent += 1;
            if sent.is_multiple_of(BROADCAST_TURN) {
                tokio::task::yield_now().await;
            }
        }
        metrics::counter!("weir_http_sse_broadcasts_total").increment(1);
        self.unless_empty()
    }

    /// Takes in who came, and lets in from now on only who is as far as the members are.
    fn let_in(&mut self) {
        let mut door = self.audience.door(&self.app, self.shard);
        door.position = self.position;
        self.members.append(&mut door.came);
    }

    /// Forgets who has gone.
    fn prune(&mut self) -> Option<()> {
        self.let_in();
        let waits = |member: &Member| member.lane.upgrade().is_some_and(|lane| lane.is_waiting(member.turn));
        self.members.retain(waits);
        self.unless_empty()
    }

    fn unless_empty(&self) -> Option<()> {
        (!self.members.is_empty()).then_some(())
    }
}

impl Drop for Broadcaster {
    /// However it ends: nobody waits for a task that is gone.
    fn drop(&mut self) {
        let mut door = self.audience.door(&self.app, self.shard);
        door.is_open = false;
        self.members.append(&mut door.came);
        drop(door);
        for member in &self.members {
            if let Some(lane) = member.lane.upgrade() {
                lane.release(member.turn);
            }
        }
    }
}

/// An event as a chunk of an HTTP/1.1 body (RFC 9112 section 7.1).
fn chunk((event, own_control): &(Bytes, Option<Bytes>)) -> Bytes {
    let own_control = own_control.as_deref().unwrap_or_default();
    let size = format!("{:X}\r\n", event.len() + own_control.len());
    let mut chunk = BytesMut::with_capacity(size.len() + event.len() + own_control.len() + 2);
    chunk.put_slice(size.as_bytes());
    chunk.put_slice(event);
    chunk.put_slice(own_control);
    chunk.put_slice(b"\r\n");
    chunk.freeze()
}
