//! Starting nodes, and waiting for what must come.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tempfile::TempDir;
use tokio::net::TcpListener;
use weir_cluster::{Node, NodeOptions, Platform, StorageKind, SystemClock};
use weir_protocol::{
    Append, Appended, Consistency, ContentType, Create, Lifetime, Payload, ProducerHeaders, Read, ReadFrom, StreamName,
};

/// Elections take a few seconds, and the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `holds`.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let end = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Where a node is, whether it runs or not.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) address: String,
    listener: Option<TcpListener>,
}

impl Place {
    pub(crate) async fn new() -> Self {
        // A test that fails shows it all, and what it was waiting for may come once in hundreds of runs.
        let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "info,openraft=warn".to_owned());
        let filter = tracing_subscriber::EnvFilter::new(filter);
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_test_writer()
            .try_init();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            dir: tempfile::tempdir().unwrap(),
            address: listener.local_addr().unwrap().to_string(),
            listener: Some(listener),
        }
    }

    /// The same address with an empty disk.
    pub(crate) fn wipe(&mut self) {
        self.dir = tempfile::tempdir().unwrap();
    }

    async fn listener(&mut self) -> TcpListener {
        if let Some(listener) = self.listener.take() {
            return listener;
        }
        // The node that had it closes it in its own time.
        let end = Instant::now() + PATIENCE;
        loop {
            match TcpListener::bind(&self.address).await {
                Ok(listener) => return listener,
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Opens a node here.
    pub(crate) async fn open(&mut self, wish: impl FnOnce(&mut NodeOptions)) -> Result<Node, weir_cluster::OpenError> {
        let listener = self.listener().await;
        let mut options = options(self.dir.path(), listener, &self.address);
        wish(&mut options);
        Node::open(options).await
    }
}

fn options(dir: &Path, peer_listener: TcpListener, address: &str) -> NodeOptions {
    NodeOptions {
        storage: StorageKind::Redb,
        data_dir: dir.to_owned(),
        cache_bytes: 16 << 20,
        clock: Arc::new(SystemClock),
        peer_listener: peer_listener.into(),
        peer_address: address.to_owned(),
        client_address: "127.0.0.1:1".to_owned(),
        admin_address: "127.0.0.1:1".to_owned(),
        zone: String::new(),
        nodes: Vec::new(),
        join: Vec::new(),
        groups: 3,
        replication_factor: 3,
        heartbeat: Duration::from_millis(200),
        election_timeout: Duration::from_millis(1500),
        keep_log_bytes: 64 << 20,
        platform: Platform::default(),
    }
}

/// Places and the addresses of all of them.
pub(crate) async fn places(count: usize) -> (Vec<Place>, Vec<String>) {
    let mut places = Vec::new();
    for _ in 0..count {
        places.push(Place::new().await);
    }
    let addresses = places.iter().map(|place| place.address.clone()).collect();
    (places, addresses)
}

/// A cluster of three nodes that can lose any of them.
pub(crate) async fn three() -> (Vec<Place>, Vec<Node>) {
    let (mut places, addresses) = places(3).await;
    let opened = places.iter_mut().map(|place| {
        let addresses = addresses.clone();
        place.open(move |options| options.nodes = addresses)
    });
    let nodes = futures_util::future::join_all(opened).await;
    let nodes: Vec<Node> = nodes.into_iter().map(Result::unwrap).collect();
    until("all three vote in the meta group", || async {
        nodes[0]
            .admin()
            .nodes()
            .iter()
            .filter(|node| node.votes_in_meta_group)
            .count()
            == 3
    })
    .await;
    (places, nodes)
}

pub(crate) fn name(text: &str) -> StreamName {
    StreamName::new(text).unwrap()
}

pub(crate) fn create_text() -> Create {
    Create {
        content_type: Some(ContentType::parse("text/plain").unwrap()),
        lifetime: Lifetime::Forever,
        payload: Payload::empty(),
        closed: false,
        fork: None,
    }
}

pub(crate) fn append_text(text: &str) -> Append {
    Append {
        content_type: Some(ContentType::parse("text/plain").unwrap()),
        payload: Payload::single(Bytes::copy_from_slice(text.as_bytes())).unwrap(),
        close: false,
        stream_seq: None,
        producer: None,
    }
}

pub(crate) fn append_by(producer: &str, seq: u64, text: &str) -> Append {
    Append {
        producer: Some(ProducerHeaders {
            id: producer.into(),
            epoch: 0,
            seq,
        }),
        ..append_text(text)
    }
}

/// All that a stream holds.
pub(crate) async fn read_all(node: &Node, stream: &str, consistency: Consistency) -> String {
    let (mut from, mut text) = (ReadFrom::Start, Vec::new());
    loop {
        let read = Read {
            from,
            max_bytes: 1 << 20,
            consistency,
            renews: false,
        };
        let result = node.streams().read(&name(stream), read).await.unwrap();
        result.runs.iter().for_each(|run| text.extend_from_slice(&run.payload));
        if result.at_tail {
            return String::from_utf8(text).unwrap();
        }
        from = ReadFrom::At(result.next_offset);
    }
}

pub(crate) async fn append(node: &Node, stream: &str, text: &str) -> Appended {
    node.streams().append(&name(stream), append_text(text)).await.unwrap()
}

/// Checks that the replicas of every group hold the same, once they have applied the same. To be called at the end of
/// every test with several nodes, with all nodes that are in use.
pub(crate) async fn replicas_are_equal(nodes: &[Node]) {
    let groups = nodes[0].admin().groups().await;
    for group in std::iter::once(0).chain(groups.iter().map(|group| group.id)) {
        let end = Instant::now() + PATIENCE;
        loop {
            // The state on this node may still be that of a move that is over.
            let groups = nodes[0].admin().groups().await;
            let placed = groups.iter().find(|known| known.id == group);
            let replicas = placed.map_or(nodes.len(), |known| known.replicas.len());
            let mut states = Vec::new();
            for node in nodes {
                states.extend(node.admin().state_hash(group).await.ok());
            }
            let hashes: BTreeMap<_, _> = states.iter().map(|state| (state.applied, &state.hash)).collect();
            for state in &states {
                assert_eq!(
                    *hashes[&state.applied], state.hash,
                    "group {group} on node {} at {}",
                    state.node, state.applied
                );
            }
            if states.len() == replicas && hashes.len() == 1 {
                break;
            }
            assert!(
                Instant::now() < end,
                "of {replicas} replicas of a group some are not at the same index: {states:?}, {groups:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Waits until every group has a leader.
pub(crate) async fn until_led(node: &Node) {
    until("every group has a leader", || async {
        node.admin().groups().await.iter().all(|group| group.leader.is_some())
    })
    .await;
}
