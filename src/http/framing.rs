//! A body as the messages of its content type.

use bytes::Bytes;
use weir_protocol::json::{self, JsonError};
use weir_protocol::{ContentType, Payload};

use crate::limits::OFFLOAD_JSON_BYTES;
use crate::problem::{Code, Problem};

/// Splits a body by its content type: JSON values, or one message.
pub(crate) async fn frame(content_type: &ContentType, body: Bytes) -> Result<Payload, Problem> {
    if body.is_empty() {
        return Ok(Payload::empty());
    }
    if !content_type.is_json() {
        return Payload::single(body).ok_or_else(|| Problem::new(Code::BodyTooLarge, "the message is too large"));
    }
    let split = if body.len() < OFFLOAD_JSON_BYTES {
        json::split(&body)
    } else {
        tokio::task::spawn_blocking(move || json::split(&body))
            .await
            .map_err(|_| Problem::new(Code::Internal, "the body could not be parsed"))?
    };
    split.map_err(|error| match error {
        JsonError::Invalid(_) => Problem::of(Code::InvalidJson, &error),
        JsonError::TooLarge => Problem::of(Code::BodyTooLarge, &error),
    })
}
