//! etcd's puts, over gRPC: of its API the two messages that a put needs.

use std::sync::Arc;

use axum::http::uri::PathAndQuery;
use tokio::sync::OnceCell;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use super::client::{Done, Failed, Operation};

/// `etcdserverpb.PutRequest`, as far as it is used.
#[derive(Clone, PartialEq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: bytes::Bytes,
}

/// `etcdserverpb.PutResponse`, of which nothing is used.
#[derive(Clone, PartialEq, prost::Message)]
struct PutResponse {}

const PUT: &str = "/etcdserverpb.KV/Put";

/// One connection to each node, which all its clients share. With a connection for each client etcd did half as many
/// puts: requests that are under way at once share system calls on both sides.
#[derive(Debug)]
pub(super) struct Channels {
    addresses: Vec<String>,
    channels: Vec<OnceCell<Channel>>,
}

impl Channels {
    /// To the nodes at these addresses.
    pub(super) fn new(addresses: &[String]) -> Self {
        Self {
            addresses: addresses.to_vec(),
            channels: addresses.iter().map(|_| OnceCell::new()).collect(),
        }
    }

    fn address(&self, client: usize) -> &str {
        &self.addresses[client % self.addresses.len()]
    }

    async fn get(&self, client: usize) -> Result<Channel, Failed> {
        let failed = |error: tonic::transport::Error| Failed::Connect(error.to_string());
        let channel = &self.channels[client % self.channels.len()];
        let connect = async || {
            let endpoint = Endpoint::from_shared(format!("http://{}", self.address(client))).map_err(failed)?;
            endpoint.tcp_nodelay(true).connect().await.map_err(failed)
        };
        Ok(channel.get_or_try_init(connect).await?.clone())
    }
}

/// One client's puts.
pub(super) struct Put {
    pub(super) channels: Arc<Channels>,
    pub(super) client: usize,
    pub(super) keys: Arc<[bytes::Bytes]>,
    pub(super) next: usize,
    pub(super) value: bytes::Bytes,
}

impl Operation for Put {
    type Link = Grpc<Channel>;

    fn address(&self) -> &str {
        self.channels.address(self.client)
    }

    async fn connect(&self) -> Result<Grpc<Channel>, Failed> {
        Ok(Grpc::new(self.channels.get(self.client).await?))
    }

    async fn perform(&mut self, grpc: &mut Grpc<Channel>) -> Result<Done, Failed> {
        let request = PutRequest {
            key: self.keys[self.next].clone(),
            value: self.value.clone(),
        };
        self.next = (self.next + 1) % self.keys.len();
        grpc.ready().await.map_err(|error| Failed::Connect(error.to_string()))?;
        let codec: ProstCodec<PutRequest, PutResponse> = ProstCodec::default();
        let answer = grpc
            .unary(tonic::Request::new(request), PathAndQuery::from_static(PUT), codec)
            .await;
        // A channel connects again by itself.
        answer.map_err(|status| Failed::Rpc(status.code().description()))?;
        Ok(Done {
            bytes: self.value.len() as u64,
            requests: 1,
            closes: false,
        })
    }
}
