//! Server-Sent Events (protocol section 5.8).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{Extensions, HeaderName, HeaderValue};
use tokio::time::{Instant, Sleep, sleep_until};
use weir_mutant::Mutant;
use weir_protocol::sse::Control;
use weir_protocol::{Incarnation, Offset, ReadFrom, StreamName, TailEvent, TailWatch, cursor, headers};

use crate::answer;
use crate::app::Shared;
use crate::budget::hold;
use crate::limits::LIVE_READ_BYTES;
use crate::live::Presence;
use crate::live::broadcast::Listener;
use crate::live::hub::{Batch, Missing};
use crate::live::lane::{Lane, Place};
use crate::live::upkeep::Upkeep;
use crate::outflow::{Held, Share};
use crate::problem::Problem;
use crate::read::Wish;

/// A comment, which clients skip.
const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");

pub(crate) async fn handle(app: Shared, wish: Wish, extensions: Extensions) -> Result<Response, Problem> {
    let watch = app.streams.watch(&wish.name).await?;
    let most = LIVE_READ_BYTES.min(app.settings.max_read_bytes);
    let share = Share::new(&app.answer_budget, &extensions, most);
    let first = app.streams.read(&wish.name, wish.first_read(share.bytes())).await?;
    let room = share.keep(first.stored_bytes())?;
    let is_text = first.content_type.is_sse_text();
    // Who asks for what comes from now on is told at once that nothing will (protocol section 8).
    let end = (wish.from == ReadFrom::Now && first.at_end()).then_some(first.next_offset);
    let subscriber = Subscriber::new(app, wish, watch, Batch::new(first, room), extensions);
    let mut response = Response::new(Body::from_stream(subscriber.into_events()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies that buffer would hold events back.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    if let Some(end) = end {
        answer::position(headers, end, true, true);
    }
    if !is_text {
        headers.insert(
            HeaderName::from_static(headers::STREAM_SSE_DATA_ENCODING),
            HeaderValue::from_static("base64"),
        );
    }
    Ok(response)
}

/// What a subscriber does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Read on: there is more.
    Read,
    /// Wait: it has everything.
    Wait,
    /// End the answer.
    End,
}

/// One client's SSE answer. It is pulled by the connection, so a slow client holds at most one event.
struct Subscriber {
    app: Shared,
    name: StreamName,
    incarnation: Incarnation,
    watch: Box<dyn TailWatch>,
    /// Where the client reads on.
    position: Offset,
    /// The tail as the watch told it last, and whether the stream is closed there.
    tail: (Offset, bool),
    /// Whether the client has been at the tail. Until then it shares its place with nobody.
    is_live: bool,
    /// Never less than this: cursors do not go backwards within an answer, nor behind the client's own.
    least_cursor: u64,
    next: Next,
    outbox: VecDeque<Bytes>,
    /// The request's.
    extensions: Extensions,
    /// When the client was last sent anything.
    sent_at: Instant,
    /// When the answer ends.
    deadline: Instant,
    /// Rings when the client may have heard nothing for too long, or the answer has to end. It stays as it is set
    /// while events come: a thousand clients that wait for one stream would set a thousand anew with each.
    alarm: Pin<Box<Sleep>>,
    /// Ends when the server is to end. Waited for by one future for the same reason.
    ending: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Its part in broadcasts, where its connection allows that.
    listener: Option<Listener>,
    /// Whether it may join a broadcast: it has not been sent back since it last sent something itself.
    may_join: bool,
    _presence: Presence,
    _upkeep: Upkeep,
}

impl Subscriber {
    /// A subscriber that has `first` to send. The first control event tells the client where it is even when there
    /// are no messages.
    fn new(app: Shared, wish: Wish, watch: Box<dyn TailWatch>, first: Batch, extensions: Extensions) -> Self {
        let now = Instant::now();
        let deadline = now + app.settings.sse_max_duration;
        let shutdown = app.shutdown.clone();
        let incarnation = first.result.incarnation;
        let upkeep = Upkeep::new(&app, &wish.name, &first.result, deadline);
        let lane = extensions.get::<Arc<Lane>>().cloned();
        let listener = lane.map(|lane| Listener::new(Shared::clone(&app), wish.name.clone(), incarnation, lane));
        let mut subscriber = Self {
            name: wish.name,
            incarnation,
            watch,
            position: first.result.start,
            tail: (Offset::ZERO, false),
            is_live: wish.from == ReadFrom::Now,
            least_cursor: app.cursor(wish.cursor),
            next: Next::Read,
            outbox: VecDeque::with_capacity(2),
            extensions,
            sent_at: now,
            deadline,
            alarm: Box::pin(sleep_until((now + app.settings.sse_keep_alive).min(deadline))),
            ending: Box::pin(async move { shutdown.fired().await }),
            app,
            listener,
            may_join: false,
            _presence: Presence::new("sse"),
            _upkeep: upkeep,
        };
        let goes_on = matches!(wish.from, ReadFrom::At(offset) if offset > Offset::ZERO);
        if goes_on && weir_mutant::is(Mutant::SkipAfterReconnect) {
            subscriber.position = first.event_end();
        } else {
            subscriber.deliver(&first);
        }
        subscriber
    }

    fn into_events(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut subscriber| async move {
            let bytes = subscriber.pull().await?;
            Some((Ok(bytes), subscriber))
        })
    }

    /// The next bytes to send, or the end. Data and its control event leave together or not at all.
    async fn pull(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.outbox.pop_front() {
                self.sent_at = Instant::now();
                return Some(bytes);
            }
            match self.next {
                Next::End => return None,
                Next::Read if Instant::now() >= self.deadline || self.app.shutdown.has_fired() => return None,
                Next::Read => self.read_on().await,
                Next::Wait => self.wait().await,
            }
        }
    }

    async fn read_on(&mut self) {
        match self.next_batch().await {
            Ok(batch) if batch.is_event_empty() => self.next = Next::Wait,
            Ok(batch) => self.deliver(&batch),
            Err(Missing::Nothing { closed: false }) => self.next = Next::Wait,
            Err(Missing::Nothing { closed: true }) => self.finish(),
            // Headers are out, so the only answer left is the end; connecting again tells the client what happened.
            Err(Missing::NoRoom | Missing::Replaced | Missing::Failed(_)) => self.next = Next::End,
        }
    }

    async fn next_batch(&mut self) -> Result<Arc<Batch>, Missing> {
        let (hub, name, incarnation, position) = (&self.app.hub, &self.name, self.incarnation, self.position);
        if !self.is_live {
            let read = hub.after_alone(name, incarnation, position, self.tail.0, &self.extensions);
            return read.await;
        }
        let batch = hub.after(name, incarnation, position, self.tail.0).await?;
        if batch.is_outdated(self.tail) {
            return hub.after_up_to(name, incarnation, position, self.tail).await;
        }
        Ok(batch)
    }

    /// Sends a batch. It may have been read a moment ago by somebody else; what the watch has told since then counts.
    fn deliver(&mut self, batch: &Batch) {
        let result = &batch.result;
        self.position = batch.event_end();
        let at_tail = result.at_tail && self.tail.0 <= result.next_offset;
        let at_end = at_tail && (result.closed || self.tail == (self.position, true));
        let control = self.control(at_tail, at_end);
        if batch.is_event_empty() {
            self.outbox.push_back(control.event().into());
        } else {
            let (event, own_control) = batch.event(control);
            // Until it has left, the client has something to take.
            self.outbox.push_back(match batch.is_large() {
                true => hold(event, Held::shared(&self.extensions)),
                false => event,
            });
            self.outbox.extend(own_control);
        }
        self.is_live |= at_tail;
        self.may_join = !batch.is_large();
        self.next = match (at_tail, at_end) {
            (_, true) => Next::End,
            (true, false) => Next::Wait,
            (false, false) => Next::Read,
        };
    }

    fn control(&mut self, at_tail: bool, at_end: bool) -> Control {
        self.least_cursor = self.least_cursor.max(cursor::interval(self.app.clock.now()));
        Control {
            stream_next_offset: self.position,
            stream_cursor: (!at_end).then_some(self.least_cursor),
            up_to_date: at_tail,
            stream_closed: at_end,
        }
    }

    async fn wait(&mut self) {
        if self.join() {
            return self.wait_with_others().await;
        }
        tokio::select! {
            biased;
            event = self.watch.changed() => self.learn(event),
            () = &mut self.ending => self.next = Next::End,
            () = &mut self.alarm => self.ring(),
        }
    }

    /// Joins a broadcast, with nothing left to send.
    fn join(&mut self) -> bool {
        let place = Place {
            position: self.position,
            cursor: self.least_cursor,
            sent_at: self.sent_at,
        };
        let joins = self.may_join && self.is_live && self.position >= self.tail.0;
        joins && self.listener.as_ref().is_some_and(|listener| listener.join(place))
    }

    async fn wait_with_others(&mut self) {
        let Some(listener) = &self.listener else { return };
        let rings = tokio::select! {
            biased;
            // There is something that the broadcast does not tell.
            () = listener.sent_back() => {
                self.may_join = false;
                self.next = Next::Read;
                false
            }
            () = &mut self.ending => {
                self.next = Next::End;
                false
            }
            () = &mut self.alarm => true,
        };
        if let Some(place) = listener.leave() {
            self.position = place.position;
            self.least_cursor = place.cursor;
            self.sent_at = place.sent_at;
        }
        if rings {
            self.ring();
        }
    }

    /// The alarm was set before what was sent since.
    fn ring(&mut self) {
        let now = Instant::now();
        let keep_alive = self.app.settings.sse_keep_alive;
        if now >= self.deadline {
            self.next = Next::End;
            return;
        }
        if now >= self.sent_at + keep_alive {
            self.outbox.push_back(KEEP_ALIVE);
            self.sent_at = now;
        }
        let next = (self.sent_at + keep_alive).min(self.deadline);
        self.alarm.as_mut().reset(next);
    }

    fn learn(&mut self, event: TailEvent) {
        match event {
            TailEvent::Gone => self.next = Next::End,
            TailEvent::Tail { next_offset, closed } => {
                self.tail = (next_offset, closed);
                if next_offset > self.position {
                    self.next = Next::Read;
                } else if closed && next_offset == self.position {
                    self.finish();
                }
            }
        }
    }

    /// Tells that the client has all that there will ever be.
    fn finish(&mut self) {
        let control = self.control(true, true);
        self.outbox.push_back(control.event().into());
        self.next = Next::End;
    }
}
