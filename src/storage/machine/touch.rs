//! A read renews a TTL (protocol section 5.1). A stream that has expired by then stays gone.

use weir_protocol::{StreamName, Timestamp};

use crate::error::StorageError;
use crate::record::State;
use crate::rows::Rows;
use crate::stage::Stage;

pub(crate) fn touch<R: Rows>(stage: &mut Stage<'_, R>, name: &StreamName, at: Timestamp) -> Result<(), StorageError> {
    if let Some(mut record) = stage.load(name)? {
        let is_live = record.state == State::Live && !record.is_expired(at);
        if is_live && record.touch(at) {
            stage.put_stream(name, record);
        }
    }
    Ok(())
}
