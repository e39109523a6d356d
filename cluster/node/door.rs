//! Where other nodes come in.

use std::sync::{Arc, OnceLock};

use tokio::sync::watch as signal;

use super::options::NodeOptions;
use crate::control::{Dispatcher, Hello, Identity, Member, MemberParts, SharedDispatcher};
use crate::peer::{ClusterName, serve};
use crate::platform::PeerListener;

/// Who this node says it is.
pub(super) fn hello(options: &NodeOptions, identity: &Identity) -> Hello {
    Hello {
        uuid: identity.uuid.to_string(),
        peer_address: options.peer_address.clone(),
        client_address: options.client_address.clone(),
        admin_address: options.admin_address.clone(),
        zone: options.zone.clone(),
    }
}

/// What answers other nodes.
pub(super) struct Door {
    dispatcher: Arc<Dispatcher>,
}

impl Door {
    /// Says from the beginning which cluster the node belongs to, if it does: it may take long until it can say more, and
    /// who hears of none may found another one.
    pub(super) fn of(hello: Hello, identity: &Identity) -> Self {
        let door = Self {
            dispatcher: Arc::new(Dispatcher {
                hello,
                cluster: ClusterName::default(),
                member: OnceLock::new(),
            }),
        };
        if let Some(member) = &identity.member {
            door.name(member);
        }
        door
    }

    /// Answers other nodes until the node is closed; before it is a member, with its hello only.
    pub(super) fn open(&self, listener: PeerListener, stopped: &signal::Receiver<bool>) {
        let (name, dispatcher) = (Arc::clone(&self.dispatcher.cluster), Arc::clone(&self.dispatcher));
        let stopped = stopped.clone();
        tokio::spawn(async move {
            if let Err(error) = serve(listener, name, Arc::new(SharedDispatcher(dispatcher)), stopped).await {
                tracing::error!(%error, "peers cannot be served");
            }
        });
    }

    /// From now on those of other clusters are refused.
    pub(super) fn name(&self, member: &Member) {
        if let Ok(mut name) = self.dispatcher.cluster.write() {
            *name = member.cluster.to_string();
        }
    }

    pub(super) fn let_in(&self, parts: MemberParts) {
        // It is set once: here, in the one call of this.
        let _ = self.dispatcher.member.set(parts);
    }
}

#[cfg(test)]
mod tests {
    use weir_meta::{ClusterId, NodeId, ReplicaId};

    use super::*;

    #[test]
    fn a_node_names_its_cluster_before_it_can_say_more() {
        let mut identity = Identity::draw();
        let told = |identity: &Identity| Door::of(Hello::default(), identity).dispatcher.hello().cluster;
        assert_eq!(told(&identity), "");
        let cluster = ClusterId(7);
        identity.member = Some(Member {
            cluster,
            node: NodeId(2),
            meta_replica: ReplicaId(2),
            founding: Vec::new(),
            started: true,
            peers: [].into(),
        });
        assert_eq!(told(&identity), cluster.to_string());
    }
}
