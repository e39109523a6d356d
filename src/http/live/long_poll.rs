//! Long-poll (protocol section 5.7).

use std::sync::Arc;

use axum::response::Response;
use http::{Extensions, StatusCode};
use tokio::time::{Instant, timeout_at};
use weir_protocol::{Incarnation, Offset, ReadError, ReadFrom, ReadResult, StreamName, TailEvent, TailWatch, headers};

use crate::answer;
use crate::app::{App, Shared};
use crate::budget::OverBudget;
use crate::live::Presence;
use crate::live::hub::{Batch, Missing};
use crate::live::upkeep::Upkeep;
use crate::outflow::{Claim, Share};
use crate::problem::Problem;
use crate::read::Wish;

/// Where a client waits.
struct Place<'a> {
    name: &'a StreamName,
    incarnation: Incarnation,
    position: Offset,
}

/// How waiting ended.
enum Outcome {
    /// There are messages.
    Data(Arc<Batch>),
    /// The stream was closed at the client's place.
    Closed,
    /// The time is up, or the server is to end.
    Nothing,
    /// There is no room for the message that there is.
    NoRoom,
    /// The stream is not what it was: look again.
    Changed,
}

pub(crate) async fn handle(app: &Shared, wish: &Wish, extensions: &Extensions) -> Result<Response, Problem> {
    let deadline = Instant::now() + app.settings.long_poll_timeout;
    let mut watch = app.streams.watch(&wish.name).await?;
    let share = Share::new(&app.answer_budget, extensions, app.settings.max_read_bytes);
    let first = app.streams.read(&wish.name, wish.first_read(share.bytes())).await?;
    let claim = share.claim(first.stored_bytes())?;
    if !first.is_empty() {
        return Ok(data(app, wish, &first, claim));
    }
    drop(claim);
    let place = Place {
        name: &wish.name,
        incarnation: first.incarnation,
        position: first.next_offset,
    };
    if first.at_end() {
        return Ok(nothing(app, wish, place.position, true));
    }
    let _presence = Presence::new("long-poll");
    let _upkeep = Upkeep::new(app, &wish.name, &first, deadline);
    let outcome = tokio::select! {
        outcome = timeout_at(deadline, wait(app, &place, &mut *watch)) => outcome.unwrap_or(Outcome::Nothing),
        () = app.shutdown.fired() => Outcome::Nothing,
    };
    match outcome {
        Outcome::Data(batch) => {
            let claim = Claim::shared(&batch, extensions);
            Ok(data(app, wish, &batch.result, claim))
        }
        Outcome::NoRoom => Err(OverBudget.into()),
        Outcome::Closed => Ok(nothing(app, wish, place.position, true)),
        Outcome::Nothing => Ok(nothing(app, wish, place.position, false)),
        Outcome::Changed => look_again(app, wish, &place, extensions).await,
    }
}

async fn wait(app: &App, place: &Place<'_>, watch: &mut dyn TailWatch) -> Outcome {
    loop {
        match watch.changed().await {
            TailEvent::Gone => return Outcome::Changed,
            TailEvent::Tail { next_offset, closed } if next_offset <= place.position => {
                if closed {
                    return Outcome::Closed;
                }
            }
            TailEvent::Tail { next_offset: told, .. } => {
                let (name, incarnation, from) = (place.name, place.incarnation, place.position);
                match app.hub.after(name, incarnation, from, told).await {
                    Ok(batch) => return Outcome::Data(batch),
                    Err(Missing::Nothing { .. }) => {}
                    Err(Missing::NoRoom) => return Outcome::NoRoom,
                    Err(Missing::Replaced | Missing::Failed(_)) => return Outcome::Changed,
                }
            }
        }
    }
}

/// The stream was deleted, replaced, or is served elsewhere now. A plain read says which, and answers for it: from the
/// client's place, as `now` would by now skip what was appended since, unless another stream has the name.
async fn look_again(app: &App, wish: &Wish, place: &Place<'_>, extensions: &Extensions) -> Result<Response, Problem> {
    let share = Share::new(&app.answer_budget, extensions, app.settings.max_read_bytes);
    let mut read = wish.first_read(share.bytes());
    read.renews = false;
    read.from = ReadFrom::At(place.position);
    let result = match app.streams.read(&wish.name, read).await {
        Ok(result) if result.incarnation == place.incarnation => result,
        Ok(_) | Err(ReadError::OffsetBeyondTail | ReadError::OffsetInvalid) => {
            read.from = wish.from;
            app.streams.read(&wish.name, read).await?
        }
        Err(error) => return Err(error.into()),
    };
    if result.is_empty() {
        Ok(nothing(app, wish, result.next_offset, result.at_end()))
    } else {
        let claim = share.claim(result.stored_bytes())?;
        Ok(data(app, wish, &result, claim))
    }
}

/// 200 with the messages.
fn data(app: &App, wish: &Wish, result: &ReadResult, claim: Claim) -> Response {
    let mut response = answer::data(result, wish.range(), claim);
    answer::set(response.headers_mut(), headers::STREAM_CURSOR, &app.cursor(wish.cursor));
    response
}

/// 204: there is nothing, for now or for ever. Nobody polls on after the end, so that needs no cursor.
fn nothing(app: &App, wish: &Wish, position: Offset, closed: bool) -> Response {
    let mut response = answer::empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    answer::no_store(headers);
    answer::position(headers, position, true, closed);
    if !closed {
        answer::set(headers, headers::STREAM_CURSOR, &app.cursor(wish.cursor));
    }
    response
}
