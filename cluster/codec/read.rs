//! Reads that another node answers.

use weir_proto::entry as pb;
use weir_protocol::{
    Consistency, HeadError, Incarnation, ListError, ListPage, Payload, Read, ReadError, ReadFrom, ReadResult, Run,
    StreamMetadata, StreamName, StreamSummary, Timestamp,
};

use super::failure::{Failure as _, maybe_offset};
use super::{Malformed, content_type, lifetime_from_pb, lifetime_to_pb, name, offset};

pub(crate) fn read_to_pb(name: &StreamName, read: &Read) -> pb::ReadRequest {
    pb::ReadRequest {
        name: name.to_string(),
        offset: match read.from {
            ReadFrom::At(offset) => Some(offset.position()),
            ReadFrom::Start | ReadFrom::Now => None,
        },
        now: read.from == ReadFrom::Now,
        max_bytes: read.max_bytes,
        eventual: read.consistency == Consistency::Eventual,
        renews: read.renews,
    }
}

/// # Errors
/// [`Malformed`] unless it is a read of ours.
pub(crate) fn read_from_pb(request: &pb::ReadRequest) -> Result<(StreamName, Read), Malformed> {
    let from = match (maybe_offset(request.offset)?, request.now) {
        (Some(offset), false) => ReadFrom::At(offset),
        (None, false) => ReadFrom::Start,
        (None, true) => ReadFrom::Now,
        (Some(_), true) => return Err(Malformed),
    };
    let read = Read {
        from,
        max_bytes: request.max_bytes,
        consistency: consistency(request.eventual),
        renews: request.renews,
    };
    Ok((name(&request.name)?, read))
}

pub(crate) fn consistency(is_eventual: bool) -> Consistency {
    if is_eventual {
        Consistency::Eventual
    } else {
        Consistency::Linearizable
    }
}

pub(crate) fn read_answer_to_pb(answer: Result<ReadResult, ReadError>) -> pb::ReadReply {
    use pb::read_reply::Reply;
    let reply = match answer {
        Ok(result) => Reply::Result(pb::ReadResult {
            incarnation: Some(incarnation_to_pb(result.incarnation)),
            content_type: result.content_type.to_string(),
            start: result.start.position(),
            next_offset: result.next_offset.position(),
            at_tail: result.at_tail,
            closed: result.closed,
            ttl_deadline: result.ttl_deadline.map(Timestamp::as_millis),
            runs: result.runs.into_iter().map(run_to_pb).collect(),
        }),
        Err(error) => Reply::Failed(error.to_pb()),
    };
    pb::ReadReply { reply: Some(reply) }
}

/// # Errors
/// [`Malformed`] unless it is an answer of ours.
pub(crate) fn read_answer_from_pb(reply: pb::ReadReply) -> Result<Result<ReadResult, ReadError>, Malformed> {
    use pb::read_reply::Reply;
    Ok(match reply.reply.ok_or(Malformed)? {
        Reply::Result(result) => Ok(ReadResult {
            incarnation: incarnation_from_pb(result.incarnation)?,
            content_type: content_type(&result.content_type)?,
            start: offset(result.start)?,
            next_offset: offset(result.next_offset)?,
            at_tail: result.at_tail,
            closed: result.closed,
            ttl_deadline: result.ttl_deadline.map(Timestamp::from_millis),
            runs: result.runs.into_iter().map(run_from_pb).collect::<Result<_, _>>()?,
        }),
        Reply::Failed(failure) => Err(ReadError::from_pb(&failure)?),
    })
}

pub(super) fn run_to_pb(run: Run) -> pb::Payload {
    pb::Payload {
        data: run.payload,
        lengths: run.lengths,
    }
}

pub(super) fn run_from_pb(run: pb::Payload) -> Result<Run, Malformed> {
    let payload = Payload::from_parts(run.data, run.lengths).ok_or(Malformed)?;
    Ok(Run {
        payload: payload.bytes().clone(),
        lengths: payload.lengths().to_vec(),
    })
}

fn incarnation_to_pb(incarnation: Incarnation) -> pb::Incarnation {
    pb::Incarnation {
        id: incarnation.id,
        created_at: incarnation.created_at.as_millis(),
    }
}

fn incarnation_from_pb(incarnation: Option<pb::Incarnation>) -> Result<Incarnation, Malformed> {
    let incarnation = incarnation.ok_or(Malformed)?;
    Ok(Incarnation {
        id: incarnation.id,
        created_at: Timestamp::from_millis(incarnation.created_at),
    })
}

fn metadata_to_pb(metadata: &StreamMetadata) -> pb::Metadata {
    pb::Metadata {
        incarnation: Some(incarnation_to_pb(metadata.incarnation)),
        content_type: metadata.content_type.to_string(),
        lifetime: Some(lifetime_to_pb(metadata.lifetime)),
        next_offset: metadata.next_offset.position(),
        closed: metadata.closed,
        total_bytes: metadata.total_bytes,
        message_count: metadata.message_count,
        updated_at: metadata.updated_at.as_millis(),
        expires_at: metadata.expires_at.map(Timestamp::as_millis),
        fork_source: metadata.fork.as_ref().map(|(source, _)| source.to_string()),
        fork_offset: metadata.fork.as_ref().map_or(0, |(_, offset)| offset.position()),
    }
}

fn metadata_from_pb(metadata: &pb::Metadata) -> Result<StreamMetadata, Malformed> {
    let fork = match &metadata.fork_source {
        Some(source) => Some((name(source)?, offset(metadata.fork_offset)?)),
        None => None,
    };
    Ok(StreamMetadata {
        incarnation: incarnation_from_pb(metadata.incarnation)?,
        content_type: content_type(&metadata.content_type)?,
        lifetime: lifetime_from_pb(metadata.lifetime.as_ref())?,
        next_offset: offset(metadata.next_offset)?,
        closed: metadata.closed,
        total_bytes: metadata.total_bytes,
        message_count: metadata.message_count,
        updated_at: Timestamp::from_millis(metadata.updated_at),
        expires_at: metadata.expires_at.map(Timestamp::from_millis),
        fork,
    })
}

pub(crate) fn head_answer_to_pb(answer: &Result<StreamMetadata, HeadError>) -> pb::HeadReply {
    use pb::head_reply::Reply;
    let reply = match answer {
        Ok(metadata) => Reply::Metadata(metadata_to_pb(metadata)),
        Err(error) => Reply::Failed(error.to_pb()),
    };
    pb::HeadReply { reply: Some(reply) }
}

/// # Errors
/// [`Malformed`] unless it is an answer of ours.
pub(crate) fn head_answer_from_pb(reply: pb::HeadReply) -> Result<Result<StreamMetadata, HeadError>, Malformed> {
    use pb::head_reply::Reply;
    Ok(match reply.reply.ok_or(Malformed)? {
        Reply::Metadata(metadata) => Ok(metadata_from_pb(&metadata)?),
        Reply::Failed(failure) => Err(HeadError::from_pb(&failure)?),
    })
}

pub(crate) fn list_answer_to_pb(answer: Result<ListPage, ListError>) -> pb::ListReply {
    match answer {
        Ok(page) => pb::ListReply {
            streams: page.streams.iter().map(summary_to_pb).collect(),
            more: page.more,
            failed: None,
        },
        Err(error) => pb::ListReply {
            failed: Some(error.to_pb()),
            ..pb::ListReply::default()
        },
    }
}

fn summary_to_pb(summary: &StreamSummary) -> pb::Summary {
    pb::Summary {
        name: summary.name.to_string(),
        metadata: Some(metadata_to_pb(&summary.metadata)),
    }
}

/// # Errors
/// [`Malformed`] unless it is an answer of ours.
pub(crate) fn list_answer_from_pb(reply: pb::ListReply) -> Result<Result<ListPage, ListError>, Malformed> {
    if let Some(failure) = &reply.failed {
        return Ok(Err(ListError::from_pb(failure)?));
    }
    let summary = |summary: pb::Summary| {
        Ok(StreamSummary {
            name: name(&summary.name)?,
            metadata: metadata_from_pb(&summary.metadata.ok_or(Malformed)?)?,
        })
    };
    Ok(Ok(ListPage {
        streams: reply
            .streams
            .into_iter()
            .map(summary)
            .collect::<Result<_, Malformed>>()?,
        more: reply.more,
    }))
}
