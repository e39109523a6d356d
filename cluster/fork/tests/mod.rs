//! One node with several groups, and a clock that tests move.

mod crashes;
mod histories;
mod reads;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpListener;
use weir_protocol::{
    Append, Clock, Consistency, ContentType, Create, CreateError, CreateStreamResult, Created, ForkRequest, HeadError,
    Lifetime, Offset, Payload, Read, ReadError, ReadFrom, ReadResult, StreamName, Streams as _, Timestamp,
};
use weir_storage::{Given, Reference, Retained};

use crate::node::{Node, NodeOptions, StorageKind};
use crate::platform::Platform;
use crate::router::Router;

const GROUPS: u64 = 8;
const BEGIN_MS: u64 = 1_700_000_000_000;

#[derive(Debug)]
struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

struct World {
    node: Node,
    clock: Arc<TestClock>,
    dir: TempDir,
    last_fork_id: AtomicU64,
}

async fn open(dir: &Path, clock: &Arc<TestClock>) -> Node {
    let peer_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer_address = peer_listener.local_addr().unwrap().to_string();
    let node = Node::open(NodeOptions {
        storage: StorageKind::Redb,
        data_dir: dir.to_owned(),
        cache_bytes: 64 << 20,
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        peer_listener: peer_listener.into(),
        peer_address,
        client_address: "127.0.0.1:1".to_owned(),
        admin_address: "127.0.0.1:2".to_owned(),
        zone: String::new(),
        nodes: Vec::new(),
        join: Vec::new(),
        groups: GROUPS,
        replication_factor: 1,
        heartbeat: Duration::from_millis(100),
        election_timeout: Duration::from_millis(1000),
        keep_log_bytes: 1 << 20,
        platform: Platform::default(),
    })
    .await
    .unwrap();
    for group in node.router().groups() {
        while !group.leads() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    node
}

fn text() -> Create {
    Create {
        content_type: Some(ContentType::parse("text/plain").unwrap()),
        lifetime: Lifetime::Forever,
        payload: Payload::empty(),
        closed: false,
        fork: None,
    }
}

fn fork(source: &StreamName, offset: Option<u64>, sub_offset: u64) -> Create {
    Create {
        content_type: None,
        fork: Some(ForkRequest {
            source: source.clone(),
            offset: offset.map(|position| Offset::new(position).unwrap()),
            sub_offset,
        }),
        ..text()
    }
}

fn append(content_type: &str, messages: &[&str]) -> Append {
    let lengths = messages.iter().map(|message| u32::try_from(message.len()).unwrap());
    Append {
        content_type: Some(ContentType::parse(content_type).unwrap()),
        payload: Payload::from_parts(messages.concat().into(), lengths.collect()).unwrap(),
        close: false,
        stream_seq: None,
        producer: None,
    }
}

fn messages(result: &ReadResult) -> Vec<String> {
    let messages = result.runs.iter().flat_map(weir_protocol::Run::messages);
    messages
        .map(|message| String::from_utf8(message.to_vec()).unwrap())
        .collect()
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock(AtomicU64::new(BEGIN_MS)));
        let node = open(dir.path(), &clock).await;
        Self {
            node,
            clock,
            dir,
            last_fork_id: AtomicU64::new(0),
        }
    }

    async fn reopen(self) -> Self {
        self.node.close().await.unwrap();
        drop(self.node);
        let node = open(self.dir.path(), &self.clock).await;
        Self { node, ..self }
    }

    fn router(&self) -> &Arc<Router> {
        self.node.router()
    }

    fn pass(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// A name that lies in the group with this number, counted from 0.
    fn name(&self, prefix: &str, group: u64) -> StreamName {
        let groups = self.router().groups();
        let wanted = groups[usize::try_from(group).unwrap()].id();
        let names = (0..10_000).map(|number| StreamName::new(&format!("{prefix}-{number}")).unwrap());
        let mut names = names.filter(|name| self.router().group(name).unwrap().id() == wanted);
        names.next().unwrap()
    }

    async fn create(&self, name: &StreamName, create: Create) -> Result<Created, CreateError> {
        self.router().create(name, create).await
    }

    async fn made(&self, name: &StreamName, create: Create) {
        let created = self.create(name, create).await.unwrap();
        assert_eq!(created.status, CreateStreamResult::Created);
    }

    async fn append(&self, name: &StreamName, messages: &[&str]) {
        self.router()
            .append(name, append("text/plain", messages))
            .await
            .unwrap();
    }

    async fn delete(&self, name: &StreamName) {
        self.router().delete(name).await.unwrap();
    }

    async fn read(&self, name: &StreamName, from: ReadFrom, max_bytes: u64) -> Result<ReadResult, ReadError> {
        let read = Read {
            from,
            max_bytes,
            consistency: Consistency::Linearizable,
            renews: true,
        };
        self.router().read(name, read).await
    }

    async fn all(&self, name: &StreamName) -> String {
        let result = self.read(name, ReadFrom::Start, 1 << 20).await.unwrap();
        assert!(result.at_tail);
        messages(&result).concat()
    }

    async fn head(&self, name: &StreamName) -> Result<(), HeadError> {
        self.router().head(name, Consistency::Linearizable).await.map(drop)
    }

    // The steps of a fork's life, to be left out at will.

    async fn retain(&self, name: &StreamName, create: &Create) -> Result<Retained, CreateError> {
        let fork_id = self.last_fork_id.fetch_add(1, Ordering::SeqCst) + 1;
        let request = create.fork.clone().unwrap();
        self.router().retain(name, create, &request, fork_id).await
    }

    async fn adopt(&self, name: &StreamName, create: &Create, retained: &Retained) -> Result<Created, CreateError> {
        let given = Given::Retained(retained.clone());
        self.router().create_given(name, create.clone(), given).await
    }

    /// Everything that waits in outboxes is told.
    async fn settle(&self) {
        for group in self.router().groups() {
            self.router().settle_outbox(&group).await.unwrap();
        }
    }

    /// Everything is told that follows from what waits in outboxes. The node's own rounds go on meanwhile, so an empty
    /// outbox may only mean that an entry has moved on to a group that was looked at before; but no chain here is so
    /// long that it can do that every time.
    async fn settle_all(&self) {
        let mut quiet = 0;
        while quiet < 16 {
            self.settle().await;
            quiet = if self.outbox().await.is_empty() { quiet + 1 } else { 0 };
        }
    }

    /// Every reference is looked at.
    async fn reconcile(&self) {
        for group in self.router().groups() {
            self.router().reconcile(&group).await.unwrap();
        }
    }

    async fn references(&self) -> Vec<Reference> {
        let mut all = Vec::new();
        for group in self.router().groups() {
            let page = group.references(None, 10_000).await.unwrap();
            assert_eq!(page.next, None);
            all.extend(page.references);
        }
        all
    }

    async fn outbox(&self) -> Vec<Reference> {
        let mut all = Vec::new();
        for group in self.router().groups() {
            all.extend(group.outbox(10_000).await.unwrap());
        }
        all
    }

    /// Nothing is kept for a fork that is not there.
    async fn assert_no_leak(&self) {
        assert_eq!(self.outbox().await, []);
        assert_eq!(self.references().await, []);
    }
}
