//! A body as the messages of its content type.

use std::sync::Arc;

use bytes::Bytes;
use weir_protocol::json::{self, JsonError};
use weir_protocol::{ContentType, Payload};

use crate::app::App;
use crate::budget::{Reservation, hold};
use crate::limits::OFFLOAD_JSON_BYTES;
use crate::problem::{Code, Problem};

/// Splits a body by its content type: JSON values, or one message. What the messages take counts against the budget until
/// nobody has them any more, which may be later than the request ends: what was proposed stays so without its client.
pub(crate) async fn frame(
    app: &App,
    content_type: &ContentType,
    (body, mut reservation): (Bytes, Reservation),
) -> Result<Payload, Problem> {
    if body.is_empty() {
        return Ok(Payload::empty());
    }
    let payload = if content_type.is_json() {
        let (payload, kept) = split(app, body, reservation).await?;
        reservation = kept;
        payload
    } else {
        Payload::single(body).ok_or_else(|| Problem::new(Code::BodyTooLarge, "the message is too large"))?
    };
    // It has arrived, so it is not refused any more.
    reservation.force(payload.memory_bytes());
    Ok(payload.held(|bytes| hold(bytes, reservation)))
}

async fn split(app: &App, body: Bytes, reservation: Reservation) -> Result<(Payload, Reservation), Problem> {
    let split = if body.len() < OFFLOAD_JSON_BYTES {
        json::split(&body).map(|payload| (payload, reservation))
    } else {
        // It is never closed, so there is a turn for everybody.
        let turn = Arc::clone(&app.splits).acquire_owned().await;
        let split = move || {
            // To the end, even if the client has gone meanwhile.
            let _turn = turn;
            json::split(&body).map(|payload| (payload, reservation))
        };
        tokio::task::spawn_blocking(split)
            .await
            .map_err(|_| Problem::new(Code::Internal, "the body could not be parsed"))?
    };
    split.map_err(|error| match error {
        JsonError::Invalid(_) => Problem::of(Code::InvalidJson, &error),
        JsonError::TooLarge => Problem::of(Code::BodyTooLarge, &error),
    })
}
