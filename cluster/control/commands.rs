//! Commands to the meta group, from any node.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use thiserror::Error;
use tokio::time::Instant;
use weir_meta::{MetaCommand, MetaError, MetaOutcome};
use weir_proto::{control as pb, raft};

use crate::limits::{COMMAND_ATTEMPT_TIMEOUT, LEADER_PAUSE};
use crate::peer::{Address, CallError, Kind, Lane, Peers, Status};
use crate::raft::{Answer, NotLeader, Replica, WriteError};

/// How long a command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(15);

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommandError {
    /// The control plane refuses it.
    #[error(transparent)]
    Refused(#[from] MetaError),
    /// Nobody who leads the meta group answered; the command may or may not have been carried out.
    #[error(
        "no leader of the meta group answered; what was ordered may be carried out all the same, and may be ordered again"
    )]
    NoLeader,
}

/// The way to the meta group.
pub(crate) struct Commands {
    replica: Arc<Replica>,
    peers: Arc<Peers>,
    node: u64,
}

impl Commands {
    pub(crate) fn new(replica: Arc<Replica>, peers: Arc<Peers>, node: u64) -> Self {
        Self { replica, peers, node }
    }

    pub(crate) fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }

    /// Has a command carried out. It may be carried out twice when a leader is lost meanwhile: all commands allow that.
    pub(crate) async fn run(&self, command: &MetaCommand) -> Result<MetaOutcome, CommandError> {
        let deadline = Instant::now() + COMMAND_TIMEOUT;
        while Instant::now() < deadline {
            let reply = match self.replica.leader().leader {
                Some((replica, _)) if replica == self.replica.id() => self.here(command).await.ok(),
                Some((replica, node)) if node != self.node => self.there(command, replica, node).await.ok(),
                _ => None,
            };
            match reply {
                Some(reply) => return decode(&reply),
                None => self.replica.leader_changed(LEADER_PAUSE * 4).await,
            }
        }
        Err(CommandError::NoLeader)
    }

    /// Has a command carried out by this node's replica of the meta group, at once or not at all.
    pub(crate) async fn run_here(&self, command: &MetaCommand) -> Result<MetaOutcome, CommandError> {
        match self.here(command).await {
            Ok(reply) => decode(&reply),
            Err(_) => Err(CommandError::NoLeader),
        }
    }

    async fn here(&self, command: &MetaCommand) -> Result<Bytes, WriteError> {
        let entry = pb::MetaEntry {
            command: command.encode().into(),
        };
        match tokio::time::timeout(COMMAND_ATTEMPT_TIMEOUT, self.replica.write(&entry)).await {
            Ok(Ok(Answer::Meta(reply))) => Ok(reply),
            Ok(Err(error)) => Err(error),
            _ => Err(WriteError::Unknown(NotLeader::default())),
        }
    }

    async fn there(&self, command: &MetaCommand, replica: u64, node: u64) -> Result<Bytes, CallError> {
        let address = Address {
            node,
            group: 0,
            from: 0,
            to: replica,
        };
        let body = Bytes::from(command.encode());
        self.peers
            .call(address, Lane::Control, Kind::Meta, body, COMMAND_ATTEMPT_TIMEOUT)
            .await
    }

    /// Carries out another node's command, if this node's replica leads.
    pub(super) async fn serve(&self, body: Bytes) -> (Status, Bytes) {
        let Ok(command) = MetaCommand::decode(&body) else {
            return (Status::Malformed, Bytes::new());
        };
        match self.here(&command).await {
            Ok(reply) => (Status::Done, reply),
            Err(WriteError::NotLeader(told)) => {
                let (replica, node) = told.leader.unwrap_or_default();
                (Status::NotLeader, raft::Member { replica, node }.encode_to_vec().into())
            }
            Err(_) => (Status::Unknown, Bytes::new()),
        }
    }
}

fn decode(reply: &Bytes) -> Result<MetaOutcome, CommandError> {
    use pb::meta_reply::Reply;
    let reply = pb::MetaReply::decode(reply.clone()).ok().and_then(|reply| reply.reply);
    match reply {
        Some(Reply::Outcome(outcome)) => MetaOutcome::decode(&outcome).map_err(|_| CommandError::NoLeader),
        Some(Reply::Error(error)) => match MetaError::decode(&error) {
            Ok(error) => Err(error.into()),
            Err(_) => Err(CommandError::NoLeader),
        },
        None => Err(CommandError::NoLeader),
    }
}
