//! What commands answered.

use weir_proto::entry as pb;
use weir_proto::entry::outcome::Outcome as PbOutcome;
use weir_protocol::{AppendError, Appended, CreateError, CreateStreamResult, Created, DeleteError, ProducerAck};
use weir_storage::{Expired, Outcome, Probed};

use super::failure::Failure as _;
use super::fork::{retained_from_pb, retained_to_pb};
use super::{Malformed, content_type, offset};

/// `None` is the answer to a proposal that nobody waits for.
pub(crate) fn outcome_to_pb(outcome: Option<&Outcome>) -> pb::Outcome {
    let outcome = match outcome {
        None => PbOutcome::Forgotten(pb::Blank {}),
        Some(Outcome::Create(Ok(created))) => PbOutcome::Created(pb::Created {
            existed: created.status == CreateStreamResult::AlreadyExists,
            content_type: created.content_type.to_string(),
            next_offset: created.next_offset.position(),
            closed: created.closed,
        }),
        Some(Outcome::Create(Err(error))) => PbOutcome::CreateFailed(error.to_pb()),
        Some(Outcome::Append(Ok(appended))) => PbOutcome::Appended(pb::Appended {
            next_offset: appended.next_offset.position(),
            closed: appended.closed,
            producer: appended.producer.map(|ack| pb::Ack {
                epoch: ack.epoch,
                highest_seq: ack.highest_seq,
                duplicate: ack.duplicate,
            }),
        }),
        Some(Outcome::Append(Err(error))) => PbOutcome::AppendFailed(error.to_pb()),
        Some(Outcome::Delete(Ok(()))) => PbOutcome::Deleted(pb::Blank {}),
        Some(Outcome::Delete(Err(error))) => PbOutcome::DeleteFailed(error.to_pb()),
        Some(Outcome::Touch) => PbOutcome::Touched(pb::Blank {}),
        Some(Outcome::Expire(expired)) => PbOutcome::Expired(pb::Expired {
            removed: expired.removed as u64,
            more: expired.more,
        }),
        Some(Outcome::Retain(Ok(retained))) => PbOutcome::Retained(retained_to_pb(retained)),
        Some(Outcome::Retain(Err(error))) => PbOutcome::RetainFailed(error.to_pb()),
        Some(Outcome::Release) => PbOutcome::Released(pb::Blank {}),
        Some(Outcome::Settle) => PbOutcome::Settled(pb::Blank {}),
        Some(Outcome::Probe(probed)) => PbOutcome::Probed(pb::Probed {
            exists: probed.exists,
            decided: probed.decided,
        }),
    };
    pb::Outcome { outcome: Some(outcome) }
}

/// # Errors
/// [`Malformed`] unless it is an answer of ours.
pub(crate) fn outcome_from_pb(outcome: pb::Outcome) -> Result<Option<Outcome>, Malformed> {
    Ok(Some(match outcome.outcome.ok_or(Malformed)? {
        PbOutcome::Forgotten(_) => return Ok(None),
        PbOutcome::Created(created) => Outcome::Create(Ok(Created {
            status: if created.existed {
                CreateStreamResult::AlreadyExists
            } else {
                CreateStreamResult::Created
            },
            content_type: content_type(&created.content_type)?,
            next_offset: offset(created.next_offset)?,
            closed: created.closed,
        })),
        PbOutcome::CreateFailed(failure) => Outcome::Create(Err(CreateError::from_pb(&failure)?)),
        PbOutcome::Appended(appended) => Outcome::Append(Ok(Appended {
            next_offset: offset(appended.next_offset)?,
            closed: appended.closed,
            producer: appended.producer.map(|ack| ProducerAck {
                epoch: ack.epoch,
                highest_seq: ack.highest_seq,
                duplicate: ack.duplicate,
            }),
        })),
        PbOutcome::AppendFailed(failure) => Outcome::Append(Err(AppendError::from_pb(&failure)?)),
        PbOutcome::Deleted(_) => Outcome::Delete(Ok(())),
        PbOutcome::DeleteFailed(failure) => Outcome::Delete(Err(DeleteError::from_pb(&failure)?)),
        PbOutcome::Touched(_) => Outcome::Touch,
        PbOutcome::Expired(expired) => Outcome::Expire(Expired {
            removed: usize::try_from(expired.removed).map_err(|_| Malformed)?,
            more: expired.more,
        }),
        PbOutcome::Retained(retained) => Outcome::Retain(Ok(retained_from_pb(retained)?)),
        PbOutcome::RetainFailed(failure) => Outcome::Retain(Err(CreateError::from_pb(&failure)?)),
        PbOutcome::Released(_) => Outcome::Release,
        PbOutcome::Settled(_) => Outcome::Settle,
        PbOutcome::Probed(probed) => Outcome::Probe(Probed {
            exists: probed.exists,
            decided: probed.decided,
        }),
    }))
}
