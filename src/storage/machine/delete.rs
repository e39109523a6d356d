//! Delete a stream; one with forks is kept for them (protocol sections 4.2 and 5.4).

use weir_protocol::{DeleteError, StreamName, TailEvent, Timestamp};

use crate::error::StorageError;
use crate::machine::Stop;
use crate::record::{State, StreamRecord};
use crate::reference::ForkKey;
use crate::rows::Rows;
use crate::stage::Stage;

pub(crate) fn delete<R: Rows>(
    stage: &mut Stage<'_, R>,
    name: &StreamName,
    at: Timestamp,
) -> Result<(), Stop<DeleteError>> {
    let record = stage.load(name)?.filter(|record| !record.is_expired(at));
    let record = record.ok_or(Stop::Refused(DeleteError::NotFound))?;
    if record.state == State::Deleted {
        return Err(Stop::Refused(DeleteError::Gone));
    }
    stage.tell(name, TailEvent::Gone);
    if stage.has_forks(record.id)? {
        bury(stage, name, record, State::Deleted);
    } else {
        remove(stage, name, record)?;
    }
    Ok(())
}

/// Hides a stream from clients and keeps its bytes for its forks.
pub(crate) fn bury<R: Rows>(stage: &mut Stage<'_, R>, name: &StreamName, mut record: StreamRecord, state: State) {
    stage.set_deadline(name, record.indexed_deadline, None);
    record.indexed_deadline = None;
    record.state = state;
    stage.put_stream(name, record);
}

/// Removes a stream without forks, and every hidden source whose last fork goes with it. Another group's source is told
/// through the outbox.
pub(crate) fn remove<R: Rows>(
    stage: &mut Stage<'_, R>,
    name: &StreamName,
    record: StreamRecord,
) -> Result<(), StorageError> {
    let (mut name, mut record) = (name.clone(), record);
    loop {
        stage.remove_stream(&name, &record);
        if let Some(reference) = record.reference(&name) {
            stage.post(reference);
            return Ok(());
        }
        let Some(fork) = record.fork else {
            return Ok(());
        };
        stage.set_fork(fork.source_id, ForkKey::Local(name), false);
        let source = stage.load(&fork.source)?.filter(|source| source.id == fork.source_id);
        match source {
            Some(source) if source.state != State::Live && !stage.has_forks(source.id)? => {
                (name, record) = (fork.source, source);
            }
            _ => return Ok(()),
        }
    }
}
