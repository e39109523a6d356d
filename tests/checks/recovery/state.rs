//! All that clients can see of a store.

use bytes::Bytes;
use weir_protocol::{Fault, HeadError, ReadError, ReadFrom, StreamMetadata, StreamName, Timestamp};
use weir_storage::{Storage, StorageError};

/// When every store is looked at: later than all that happens to it, so that two looks can be compared.
pub(super) const LOOK_AT: Timestamp = Timestamp::from_millis(2_000_000_000_000);

/// Read in pieces, as a reader would.
const READ_BYTES: u64 = 64 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) applied: Result<Option<Bytes>, StorageError>,
    pub(super) streams: Vec<StreamState>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamState {
    head: Result<StreamMetadata, HeadError>,
    content: Result<Content, ReadError>,
}

#[derive(Clone, PartialEq, Eq)]
struct Content {
    bytes: Vec<u8>,
    /// The stored length of every message.
    lengths: Vec<u32>,
    /// Whether every read went on where the one before ended, up to the tail.
    is_sound: bool,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (bytes, sum) = (self.bytes.len(), crc32c::crc32c(&self.bytes));
        write!(f, "{bytes} bytes, checksum {sum:08x}, messages of {:?}", self.lengths)
    }
}

impl State {
    pub(super) fn of(store: &dyn Storage, names: &[StreamName]) -> Self {
        let streams = names.iter().map(|name| StreamState {
            head: store.head(name, LOOK_AT),
            content: content(store, name),
        });
        Self {
            applied: store.applied(),
            streams: streams.collect(),
        }
    }

    /// Whether readers of every stream get on to its tail.
    pub(super) fn is_sound(&self) -> bool {
        let mut contents = self.streams.iter().filter_map(|stream| stream.content.as_ref().ok());
        contents.all(|content| content.is_sound)
    }

    /// Whether every stream is as it was in one of `states`, as far as the store does not say that it is damaged.
    pub(super) fn is_made_of(&self, states: &[Self]) -> bool {
        self.streams.iter().enumerate().all(|(index, found)| {
            let was = states.iter().filter_map(|state| state.streams.get(index));
            was.into_iter().any(|was| found.agrees_with(was))
        })
    }
}

impl StreamState {
    fn agrees_with(&self, was: &Self) -> bool {
        let head_fails = matches!(self.head, Err(HeadError::Fault(Fault::Storage(_))));
        let content_fails = matches!(self.content, Err(ReadError::Fault(Fault::Storage(_))));
        (head_fails || self.head == was.head) && (content_fails || self.content == was.content)
    }
}

fn content(store: &dyn Storage, name: &StreamName) -> Result<Content, ReadError> {
    let mut content = Content {
        bytes: Vec::new(),
        lengths: Vec::new(),
        is_sound: true,
    };
    let mut from = ReadFrom::Start;
    loop {
        let result = store.read(name, from, READ_BYTES, LOOK_AT)?;
        for run in &result.runs {
            content.bytes.extend_from_slice(&run.payload);
            content.lengths.extend_from_slice(&run.lengths);
        }
        let moved = result.next_offset > result.start;
        let adds_up = result.next_offset.position() == content.bytes.len() as u64;
        content.is_sound &= adds_up && (moved || result.at_tail);
        if result.at_tail || !moved {
            return Ok(content);
        }
        from = ReadFrom::At(result.next_offset);
    }
}
