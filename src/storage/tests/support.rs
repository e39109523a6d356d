//! Stores to test, and short words for what tests do to them.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;
use weir_protocol::{
    Append, AppendError, Appended, ContentType, Create, CreateError, CreateStreamResult, Created, ForkRequest,
    Lifetime, Offset, Payload, ProducerHeaders, ReadError, ReadFrom, ReadResult, StreamName, StreamSeq, Timestamp,
};
use weir_storage::{
    Applied, Batch, Command, FileOptions, FileStorage, MemoryStorage, Op, RedbOptions, RedbStorage, Storage,
    StorageError,
};

/// The backends that pass the same tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    File,
    Redb,
}

impl Kind {
    pub(crate) fn is_persistent(self) -> bool {
        self != Self::Memory
    }

    pub(crate) fn open(self, dir: &Path) -> Result<Arc<dyn Storage>, StorageError> {
        Ok(match self {
            Self::Memory => Arc::new(MemoryStorage::new()),
            Self::File => Arc::new(FileStorage::open(&FileOptions { dir: dir.to_owned() })?),
            Self::Redb => Arc::new(RedbStorage::open(&RedbOptions {
                path: dir.join("store.redb"),
                cache_bytes: 16 << 20,
            })?),
        })
    }
}

/// A store in a directory of its own, at a time of its own.
pub(crate) struct Store {
    pub(crate) kind: Kind,
    pub(crate) dir: TempDir,
    storage: Option<Arc<dyn Storage>>,
    pub(crate) now: Timestamp,
}

/// When every test begins.
pub(crate) const BEGIN: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// More than any test stores.
pub(crate) const ALL: u64 = u64::MAX;

impl Store {
    pub(crate) fn new(kind: Kind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let storage = kind.open(dir.path()).unwrap();
        Self {
            kind,
            dir,
            storage: Some(storage),
            now: BEGIN,
        }
    }

    pub(crate) fn storage(&self) -> &Arc<dyn Storage> {
        self.storage.as_ref().unwrap()
    }

    /// Makes everything durable, closes and opens the store, if that keeps anything.
    pub(crate) fn reopen(&mut self) {
        if self.kind.is_persistent() {
            self.storage().checkpoint().unwrap();
            self.storage = None;
            self.storage = Some(self.kind.open(self.dir.path()).unwrap());
        }
    }

    pub(crate) fn close(&mut self) {
        self.storage = None;
    }

    /// All files and their bytes, in order. Empty in memory.
    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        let mut dirs = vec![self.dir.path().to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                } else {
                    let bytes = std::fs::read(&path).unwrap();
                    files.push((path.strip_prefix(&self.dir).unwrap().display().to_string(), bytes));
                }
            }
        }
        files.sort();
        files
    }

    pub(crate) fn pass_seconds(&mut self, seconds: u64) {
        self.now = self.now.plus_seconds(seconds);
    }

    pub(crate) fn create(&self, name: &str, create: Create) -> Result<Created, CreateError> {
        self.storage().create_stream(&self::name(name), create, self.now)
    }

    /// Creates a stream that must not be there.
    pub(crate) fn created(&self, name: &str, create: Create) -> Created {
        let created = self.create(name, create).unwrap();
        assert_eq!(created.status, CreateStreamResult::Created);
        created
    }

    pub(crate) fn append(&self, name: &str, append: Append) -> Result<Appended, AppendError> {
        self.storage().append(&self::name(name), append, self.now)
    }

    pub(crate) fn close_stream(&self, name: &str) -> Result<Appended, AppendError> {
        self.storage().close_stream(&self::name(name), self.now)
    }

    pub(crate) fn delete(&self, name: &str) -> Result<(), weir_protocol::DeleteError> {
        self.storage().delete(&self::name(name), self.now)
    }

    pub(crate) fn head(&self, name: &str) -> Result<weir_protocol::StreamMetadata, weir_protocol::HeadError> {
        self.storage().head(&self::name(name), self.now)
    }

    pub(crate) fn read(&self, name: &str, from: ReadFrom, max_bytes: u64) -> Result<ReadResult, ReadError> {
        self.storage().read(&self::name(name), from, max_bytes, self.now)
    }

    /// All messages of a stream, as text.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let result = self.read(name, ReadFrom::Start, ALL).unwrap();
        assert!(result.at_tail);
        texts(&result)
    }

    pub(crate) fn apply(&self, ops: Vec<Op>) -> Applied {
        self.storage().apply(self.batch(ops)).unwrap()
    }

    pub(crate) fn batch(&self, ops: Vec<Op>) -> Batch {
        let at = self.now;
        Batch {
            commands: ops.into_iter().map(|op| Command { at, op }).collect(),
            applied: None,
            durable: true,
        }
    }

    /// Housekeeping until nothing is left to do.
    pub(crate) fn maintain(&self) {
        while self.storage().maintain().unwrap() {}
    }
}

/// Messages as text.
pub(crate) fn texts(result: &ReadResult) -> Vec<String> {
    let messages = result.runs.iter().flat_map(|run| run.messages().collect::<Vec<_>>());
    messages
        .map(|message| String::from_utf8(message.to_vec()).unwrap())
        .collect()
}

pub(crate) fn name(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

pub(crate) fn offset(position: u64) -> Offset {
    Offset::new(position).unwrap()
}

pub(crate) fn at(position: u64) -> ReadFrom {
    ReadFrom::At(offset(position))
}

pub(crate) fn content_type(text: &str) -> ContentType {
    ContentType::parse(text).unwrap()
}

/// One message of a byte stream.
pub(crate) fn message(text: &str) -> Payload {
    Payload::single(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

/// JSON messages, framed.
pub(crate) fn json_messages(texts: &[&str]) -> Payload {
    let framed: String = texts.iter().map(|text| format!("{text},")).collect();
    let lengths = texts
        .iter()
        .map(|text| u32::try_from(text.len() + 1).unwrap())
        .collect();
    Payload::from_parts(framed.into(), lengths).unwrap()
}

pub(crate) fn text_stream() -> Create {
    stream("text/plain")
}

pub(crate) fn json_stream() -> Create {
    stream("application/json")
}

pub(crate) fn stream(content_type: &str) -> Create {
    Create {
        content_type: Some(self::content_type(content_type)),
        lifetime: Lifetime::Forever,
        payload: Payload::empty(),
        closed: false,
        fork: None,
    }
}

pub(crate) fn fork(source: &str, offset: Option<u64>, sub_offset: u64) -> Create {
    Create {
        content_type: None,
        fork: Some(ForkRequest {
            source: name(source),
            offset: offset.map(self::offset),
            sub_offset,
        }),
        ..text_stream()
    }
}

/// Words to change a create with.
pub(crate) trait CreateWords {
    fn with(self, payload: Payload) -> Self;
    fn lasting(self, lifetime: Lifetime) -> Self;
    fn closed(self) -> Self;
}

impl CreateWords for Create {
    fn with(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    fn lasting(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    fn closed(mut self) -> Self {
        self.closed = true;
        self
    }
}

/// One message for a text stream.
pub(crate) fn text(text: &str) -> Append {
    append("text/plain", message(text))
}

pub(crate) fn json(texts: &[&str]) -> Append {
    append("application/json", json_messages(texts))
}

pub(crate) fn append(content_type: &str, payload: Payload) -> Append {
    Append {
        content_type: Some(self::content_type(content_type)),
        payload,
        close: false,
        stream_seq: None,
        producer: None,
    }
}

/// Words to change an append with.
pub(crate) trait AppendWords {
    fn closing(self) -> Self;
    fn seq(self, seq: &str) -> Self;
    fn by(self, id: &str, epoch: u64, seq: u64) -> Self;
}

impl AppendWords for Append {
    fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    fn seq(mut self, seq: &str) -> Self {
        self.stream_seq = Some(StreamSeq::new(seq).unwrap());
        self
    }

    fn by(mut self, id: &str, epoch: u64, seq: u64) -> Self {
        self.producer = Some(ProducerHeaders {
            id: id.into(),
            epoch,
            seq,
        });
        self
    }
}
