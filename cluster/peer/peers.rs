//! All links of a node.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use weir_proto::peer::Frame;

use super::addresses::Addresses;
use super::kind::{CallError, Kind, Lane};
use super::link::{Introduction, Link};
use crate::limits::RULES_VERSION;
use crate::platform::Network;

/// To which replica on which node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    /// The node.
    pub(crate) node: u64,
    /// The group.
    pub(crate) group: u64,
    /// The replica that asks; 0 when none does.
    pub(crate) from: u64,
    /// The replica that is meant; 0 when any of the group will do.
    pub(crate) to: u64,
}

/// Links to other nodes, made as they are needed.
pub(crate) struct Peers {
    introduction: Introduction,
    addresses: Arc<Addresses>,
    links: Mutex<HashMap<(String, Lane), Arc<Link>>>,
}

impl Peers {
    /// `cluster` and `node` say who asks; every node checks them.
    pub(crate) fn new(cluster: String, node: u64, addresses: Arc<Addresses>, network: Network) -> Self {
        Self {
            introduction: Introduction {
                cluster,
                node,
                rules: RULES_VERSION,
                network,
            },
            addresses,
            links: Mutex::default(),
        }
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn call(
        &self,
        address: Address,
        lane: Lane,
        kind: Kind,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, CallError> {
        self.start(address, lane, kind, body, timeout).await
    }

    /// Asks at once: requests on one lane are sent in the order in which this is called. The answer comes when the
    /// future is awaited, which must be within a runtime.
    pub(crate) fn start(
        &self,
        address: Address,
        lane: Lane,
        kind: Kind,
        body: Bytes,
        timeout: Duration,
    ) -> impl Future<Output = Result<Bytes, CallError>> + use<> {
        let frame = Frame {
            id: 0,
            kind: kind as u32,
            group: address.group,
            from: address.from,
            to: address.to,
            status: 0,
            body,
        };
        let started = match self.addresses.get(address.node) {
            Some(location) => self.link(&location, lane).start(frame),
            None => Err(CallError::Unreachable(format!(
                "the address of node {} is not known",
                address.node
            ))),
        };
        finish(started, timeout)
    }

    /// Asks a node of which only the address is known.
    pub(crate) async fn call_at(
        &self,
        location: &str,
        kind: Kind,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, CallError> {
        let frame = Frame {
            kind: kind as u32,
            body,
            ..Frame::default()
        };
        finish(self.link(location, Lane::Control).start(frame), timeout).await
    }

    /// Links are by address: a node that moved gets new ones, and the old ones end as they idle.
    fn link(&self, location: &str, lane: Lane) -> Arc<Link> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let link = links
            .entry((location.to_owned(), lane))
            .or_insert_with(|| Arc::new(Link::open(location, lane, self.introduction.clone())));
        Arc::clone(link)
    }
}

type Started = Result<tokio::sync::oneshot::Receiver<Result<Bytes, CallError>>, CallError>;

async fn finish(started: Started, timeout: Duration) -> Result<Bytes, CallError> {
    match tokio::time::timeout(timeout, started?).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(CallError::Broken),
        Err(_) => Err(CallError::Timeout),
    }
}
