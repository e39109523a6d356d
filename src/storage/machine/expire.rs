//! Remove streams whose time is up (protocol section 5.1).

use weir_mutant::Mutant;
use weir_protocol::{TailEvent, Timestamp};

use crate::command::Expired;
use crate::error::StorageError;
use crate::machine::delete::{bury, remove};
use crate::record::State;
use crate::rows::Rows;
use crate::stage::Stage;

/// The index holds the deadline of when the stream was created or swept last; one that was renewed since is entered
/// anew, so that a renewal costs no write to the index.
pub(crate) fn expire<R: Rows>(
    stage: &mut Stage<'_, R>,
    cutoff: Timestamp,
    limit: usize,
) -> Result<Expired, StorageError> {
    let cutoff = weir_mutant::instead(Mutant::ExpireByLocalClock, cutoff, local_clock);
    let due = stage.due(cutoff, limit)?;
    let mut expired = Expired {
        removed: 0,
        more: limit > 0 && due.len() == limit,
    };
    for (indexed, name) in due {
        let record = stage
            .load(&name)?
            .filter(|record| record.indexed_deadline == Some(indexed));
        let Some(mut record) = record else {
            stage.set_deadline(&name, Some(indexed), None);
            continue;
        };
        let deadline = record.deadline();
        if deadline.is_none_or(|deadline| deadline > cutoff) {
            stage.set_deadline(&name, Some(indexed), deadline);
            record.indexed_deadline = deadline;
            stage.put_stream(&name, record);
            continue;
        }
        stage.tell(&name, TailEvent::Gone);
        expired.removed += 1;
        if stage.has_forks(record.id)? {
            bury(stage, &name, record, State::Expired);
        } else {
            remove(stage, &name, record)?;
        }
    }
    Ok(expired)
}

/// What no rule may look at: this machine's own clock. A planted bug does.
fn local_clock() -> Timestamp {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::from_millis(now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX)))
}
