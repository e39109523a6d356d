//! Append, close, or both (protocol sections 5.2 and 5.3).

use weir_protocol::producer::{self, ProducerCheck, ProducerState};
use weir_protocol::{
    Append, AppendError, Appended, ContentType, ProducerAck, ProducerHeaders, StreamName, TailEvent, Timestamp,
};

use crate::machine::Stop;
use crate::record::{ClosedBy, State, StreamRecord};
use crate::rows::Rows;
use crate::stage::Stage;

pub(crate) fn append<R: Rows>(
    stage: &mut Stage<'_, R>,
    name: &StreamName,
    append: Append,
    at: Timestamp,
) -> Result<Appended, Stop<AppendError>> {
    let record = stage.load(name)?.filter(|record| !record.is_expired(at));
    let mut record = record.ok_or(Stop::Refused(AppendError::NotFound))?;
    if record.state == State::Deleted {
        return Err(Stop::Refused(AppendError::Gone));
    }
    if record.closed {
        let answer = repeated_close(&record, &append).map_err(Stop::Refused)?;
        return Ok(unchanged(stage, name, record, answer, at));
    }
    if !append.payload.is_empty() {
        check_content_type(&record, append.content_type.as_ref()).map_err(Stop::Refused)?;
    }
    let accepted = match &append.producer {
        None => None,
        Some(headers) => {
            let state = stage.producer(record.id, &headers.id)?;
            match check_producer(state, headers).map_err(Stop::Refused)? {
                Verdict::Accepted(state) => Some(state),
                Verdict::Repeated(ack) => return Ok(unchanged(stage, name, record, Some(ack), at)),
            }
        }
    };
    if let Some(seq) = &append.stream_seq {
        if record
            .last_stream_seq
            .as_deref()
            .is_some_and(|last| seq.as_str() <= last)
        {
            return Err(Stop::Refused(AppendError::StreamSeqRegression));
        }
        record.last_stream_seq = Some(seq.as_str().to_owned());
    }
    let start = record.tail;
    record.tail = start
        .checked_add(append.payload.stored_bytes())
        .ok_or(Stop::Refused(AppendError::TooLong))?;
    record.message_count = record
        .message_count
        .saturating_add(append.payload.lengths().len() as u64);
    record.updated_at = record.updated_at.max(at);
    record.touch(at);
    if append.close {
        record.closed = true;
        record.closed_by = append.producer.as_ref().map(closed_by);
    }
    let answer = Appended {
        next_offset: record.tail,
        closed: record.closed,
        producer: accepted.map(|state| ack(state, false)),
    };
    if let (Some(headers), Some(state)) = (&append.producer, accepted) {
        stage.put_producer(record.id, &headers.id, state);
    }
    stage.append(record.id, start.position(), append.payload);
    stage.tell(
        name,
        TailEvent::Tail {
            next_offset: record.tail,
            closed: record.closed,
        },
    );
    stage.put_stream(name, record);
    Ok(answer)
}

/// The answer to a success that stores nothing; it renews a TTL like any other.
fn unchanged<R: Rows>(
    stage: &mut Stage<'_, R>,
    name: &StreamName,
    mut record: StreamRecord,
    producer: Option<ProducerAck>,
    at: Timestamp,
) -> Appended {
    let answer = Appended {
        next_offset: record.tail,
        closed: record.closed,
        producer,
    };
    if record.touch(at) {
        stage.put_stream(name, record);
    }
    answer
}

/// On a closed stream: the very write that closed it, or a plain close, may come again. Whether it is that write, its
/// producer's numbers alone decide (protocol section 5.2.1).
fn repeated_close(record: &StreamRecord, append: &Append) -> Result<Option<ProducerAck>, AppendError> {
    let closed = AppendError::Closed {
        next_offset: record.tail,
    };
    match &append.producer {
        None if append.close && append.payload.is_empty() => Ok(None),
        None => Err(closed),
        Some(headers) if record.closed_by.as_ref() == Some(&closed_by(headers)) => {
            let state = ProducerState {
                epoch: headers.epoch,
                last_seq: headers.seq,
            };
            Ok(Some(ack(state, true)))
        }
        Some(_) => Err(closed),
    }
}

fn check_content_type(record: &StreamRecord, given: Option<&ContentType>) -> Result<(), AppendError> {
    if given.is_some_and(|given| given.same_media_type(&record.content_type)) {
        Ok(())
    } else {
        Err(AppendError::ContentTypeMismatch(record.content_type.clone()))
    }
}

enum Verdict {
    Accepted(ProducerState),
    Repeated(ProducerAck),
}

fn check_producer(state: Option<ProducerState>, headers: &ProducerHeaders) -> Result<Verdict, AppendError> {
    match producer::check(state, headers.epoch, headers.seq) {
        ProducerCheck::Accept(state) => Ok(Verdict::Accepted(state)),
        ProducerCheck::Duplicate(state) => Ok(Verdict::Repeated(ack(state, true))),
        ProducerCheck::Fenced { current_epoch } => Err(AppendError::EpochFenced { current_epoch }),
        ProducerCheck::Gap { expected, received } => Err(AppendError::SequenceGap { expected, received }),
        ProducerCheck::EpochMustStartAtZero => Err(AppendError::EpochMustStartAtZero),
    }
}

fn ack(state: ProducerState, duplicate: bool) -> ProducerAck {
    ProducerAck {
        epoch: state.epoch,
        highest_seq: state.last_seq,
        duplicate,
    }
}

fn closed_by(headers: &ProducerHeaders) -> ClosedBy {
    ClosedBy {
        producer: headers.id.to_string(),
        epoch: headers.epoch,
        seq: headers.seq,
    }
}
