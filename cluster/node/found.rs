//! Founding a cluster, and being let into one.

use std::sync::Arc;

use tokio::sync::watch as signal;
use weir_meta::{FoundingNode, MetaCommand, MetaState, NodeId, Zone};

use super::options::{NodeOptions, OpenError, StorageKind};
use crate::control::{CommandError, Commands, Identity, Introduced, Member, MetaMachine};
use crate::limits::LEADER_PAUSE;

/// What this node tells of itself to whoever takes it.
pub(super) fn introduce(options: &NodeOptions, identity: &Identity) -> Result<Introduced, OpenError> {
    let address = |text: &str| {
        let parsed = text.parse::<weir_meta::Address>();
        parsed.map_err(|error| OpenError::Address(text.to_owned(), error))
    };
    let zone = options.zone.parse::<Zone>();
    Ok(Introduced {
        node: FoundingNode {
            uuid: identity.uuid,
            addresses: weir_meta::Addresses {
                peer: address(&options.peer_address)?,
                client: address(&options.client_address)?,
                admin: address(&options.admin_address)?,
            },
            zone: zone.map_err(|error| OpenError::Address(options.zone.clone(), error))?,
        },
        listed: options.nodes.clone(),
        join: options.join.clone(),
        // Forks between groups need what only redb keeps; on one node they would gain nothing anyway.
        groups: if options.storage == StorageKind::Redb {
            options.groups
        } else {
            1
        },
        replication_factor: options.replication_factor,
    })
}

/// On the founding node: founds the cluster, again after a crash before that was done.
pub(super) async fn found(
    member: &Member,
    commands: &Arc<Commands>,
    machine: &Arc<MetaMachine>,
) -> Result<(), OpenError> {
    let is_founded = machine.states().borrow().cluster().is_some();
    if member.founding.is_empty() || is_founded {
        return Ok(());
    }
    let failed = |error: String| OpenError::Replica(format!("the cluster cannot be founded: {error}"));
    let command = MetaCommand::decode(&member.founding).map_err(|error| failed(error.to_string()))?;
    loop {
        match commands.run(&command).await {
            Ok(_) => return Ok(()),
            Err(CommandError::NoLeader) => tokio::time::sleep(LEADER_PAUSE).await,
            Err(error) => return Err(failed(error.to_string())),
        }
    }
}

/// The first state that knows this node: at once after a restart, and when the cluster has let it in otherwise. What comes
/// after it is still to be seen in `states`.
pub(super) async fn wait_for_state(states: &mut signal::Receiver<Arc<MetaState>>, node: NodeId) -> Arc<MetaState> {
    let known = states.wait_for(|state| state.node(node).is_some()).await;
    // The machine is held by the caller, so the channel is open.
    known.map(|state| Arc::clone(&state)).unwrap_or_default()
}
