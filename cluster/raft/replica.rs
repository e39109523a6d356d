//! One replica: opening, proposing, reading, changing members.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openraft::Instant as _;
use openraft::async_runtime::WatchReceiver as _;
use openraft::errors::{ClientWriteError, ForwardToLeader, LinearizableReadError, RaftError};
use openraft::vote::RaftLeaderId as _;
use openraft::{Raft, ReadPolicy};
use thiserror::Error;
use weir_journal::{Journal, ReplicaKey};

use super::encode;
use super::log_store::LogStore;
use super::machine::{Answer, Machine};
use super::network::Network;
use super::runtime;
use super::settings::RaftSettings;
use super::snapshot::Receiving;
use super::state_machine::{StateMachine, is_full};
use super::types::{LeaderId, TypeConfig};
use crate::blocking::blocking;
use crate::limits::CAUGHT_UP_ENTRIES;
use crate::peer::Peers;
use crate::probe::ReplicaView;

/// How often, and how far apart, a leader looks whether its heir can take over.
const HAND_OVER_ATTEMPTS: u32 = 10;
const HAND_OVER_PAUSE: Duration = Duration::from_millis(100);

pub(super) type OurRaft = Raft<TypeConfig, StateMachine>;

/// What a replica needs.
pub(crate) struct ReplicaOptions {
    pub(crate) group: u64,
    pub(crate) replica: u64,
    pub(crate) journal: Arc<Journal>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) machine: Arc<dyn Machine>,
    pub(crate) settings: RaftSettings,
    /// How many payload bytes of entries that are in a checkpoint stay in the log for followers that lag.
    pub(crate) keep_log_bytes: u64,
    /// The members, by replica, with which its group begins, if this is one of them.
    pub(crate) founders: Option<BTreeMap<u64, u64>>,
}

/// A replica did not open.
#[derive(Debug, Error)]
#[error("replica {replica} of group {group} does not open: {reason}")]
pub(crate) struct OpenReplicaError {
    group: u64,
    replica: u64,
    reason: String,
}

/// Another replica leads; which one, if that is known, and on which node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct NotLeader {
    pub(crate) leader: Option<(u64, u64)>,
}

/// Why a write has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum WriteError {
    /// Nothing was written.
    #[error("this replica does not lead its group")]
    NotLeader(NotLeader),
    /// It is in the log of a leader that lost its place, and may still be committed.
    #[error("the leader changed while the write was under way")]
    Unknown(NotLeader),
    /// Raft has stopped.
    #[error("the replica stopped: {0}")]
    Stopped(String),
    /// The change of members is not possible now.
    #[error("{0}")]
    Refused(String),
}

/// A replica as others see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ReplicaStatus {
    pub(crate) replica: u64,
    pub(crate) term: u64,
    pub(crate) is_leader: bool,
    pub(crate) leader: Option<u64>,
    pub(crate) last_log: u64,
    pub(crate) applied: u64,
    /// The index of the entry that has the members.
    pub(crate) membership: u64,
    /// Whether that is committed. Until then it may be taken back.
    pub(crate) is_settled: bool,
    /// The voters; two sets during a change.
    pub(crate) voters: Vec<BTreeSet<u64>>,
    /// All members and their nodes.
    pub(crate) members: BTreeMap<u64, u64>,
    /// Of a leader: up to where each member has the log.
    pub(crate) matched: BTreeMap<u64, u64>,
}

/// One replica of one group.
pub(crate) struct Replica {
    group: u64,
    id: u64,
    raft: OurRaft,
    log: LogStore,
    machine: Arc<dyn Machine>,
    receiving: Arc<Mutex<Receiving>>,
    keep_log_bytes: u64,
    election_timeout: Duration,
    /// Whether it had anything in its log when it was opened.
    has_begun: bool,
    /// The last checkpoints that are still ahead of the purge point, with the bytes before each.
    checkpoints: Mutex<Vec<super::state_machine::Checkpoint>>,
}

impl Replica {
    /// Opens a replica and lets it take part.
    pub(crate) async fn open(options: ReplicaOptions) -> Result<Arc<Self>, OpenReplicaError> {
        let (group, replica) = (options.group, options.replica);
        let failed = |reason: String| OpenReplicaError { group, replica, reason };
        let log = LogStore::new(options.journal, ReplicaKey { group, replica });
        let machine = Arc::clone(&options.machine);
        let state = StateMachine::open(Arc::clone(&machine), log.clone()).map_err(|error| failed(error.to_string()))?;
        let (begin, end) = log.bounds();
        compare(&*machine, state.index(), begin, end).map_err(failed)?;
        if let Some(founders) = &options.founders {
            log.begin(founders).await.map_err(|error| failed(error.to_string()))?;
        }
        let has_begun = log.bounds().1 > 0 || state.index() > 0 || options.founders.is_some();
        let network = Network {
            peers: options.peers,
            group,
            replica,
        };
        let config = options
            .settings
            .config()
            .validate()
            .map_err(|error| failed(error.to_string()))?;
        runtime::set_pace(options.settings.heartbeat);
        let opening = state.opening();
        let raft = Raft::new(replica, Arc::new(config), network, log.clone(), state).await;
        let raft = raft.map_err(|error| failed(error.to_string()))?;
        opening.end();
        let is_alone = raft.voter_ids().eq([replica]);
        if is_alone {
            // Nobody else can lead, so there is nothing to wait for.
            raft.trigger()
                .elect(false)
                .await
                .map_err(|error| failed(error.to_string()))?;
        }
        Ok(Arc::new(Self {
            group,
            id: replica,
            raft,
            log,
            machine,
            receiving: Arc::default(),
            keep_log_bytes: options.keep_log_bytes,
            election_timeout: options.settings.election_timeout,
            has_begun,
            checkpoints: Mutex::default(),
        }))
    }

    pub(crate) fn group(&self) -> u64 {
        self.group
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn raft(&self) -> &OurRaft {
        &self.raft
    }

    pub(super) fn machine(&self) -> Arc<dyn Machine> {
        Arc::clone(&self.machine)
    }

    pub(super) fn receiving(&self) -> Arc<Mutex<Receiving>> {
        Arc::clone(&self.receiving)
    }

    /// Asks for votes at once, unless others still hear from a leader.
    pub(crate) async fn elect(&self) -> Result<(), WriteError> {
        let asked = self.raft.trigger().elect(true).await;
        asked.map_err(|fatal| WriteError::Stopped(fatal.to_string()))
    }

    pub(crate) fn is_leader(&self) -> bool {
        self.raft.is_leader()
    }

    /// The term in which it leads, if it does.
    pub(crate) fn leads_in(&self) -> Option<u64> {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        metrics.state.is_leader().then(|| metrics.vote.leader_id.term())
    }

    /// Whether a majority has acknowledged it as the leader within an election timeout. One that is cut off from the others
    /// goes on taking itself for the leader, although it has stopped to take writes.
    pub(crate) fn is_acknowledged(&self) -> bool {
        if self.is_alone() {
            return true;
        }
        let metrics = self.raft.data_metrics();
        let acknowledged = metrics.borrow_watched().last_quorum_acked;
        acknowledged.is_none_or(|at| at.elapsed() < self.election_timeout)
    }

    /// Whether it is the only one with a vote.
    fn is_alone(&self) -> bool {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let sets = metrics.membership_config.membership().get_joint_config();
        sets.iter().all(|voters| voters.len() == 1 && voters.contains(&self.id))
    }

    /// Whether it votes, as far as it knows. One that is just being opened has not said yet.
    pub(crate) fn is_voter(&self) -> bool {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let members = &metrics.membership_config;
        if members.log_id().is_none() && self.has_begun {
            return true;
        }
        let mut sets = members.membership().get_joint_config().iter();
        sets.any(|voters| voters.contains(&self.id))
    }

    /// Who leads, as far as this replica knows.
    pub(crate) fn leader(&self) -> NotLeader {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let node = |id: u64| metrics.membership_config.get_node(&id).map(|member| (id, member.node));
        NotLeader {
            leader: metrics.current_leader.and_then(node),
        }
    }

    /// Waits until another replica leads than now, or for `timeout`.
    pub(crate) async fn leader_changed(&self, timeout: Duration) {
        let before = self.leader();
        let mut metrics = self.raft.server_metrics();
        let changed = async {
            while metrics.changed().await.is_ok() {
                if self.leader() != before {
                    return;
                }
            }
            // Raft's task is gone, and nothing will change: who asks again and again must not do so without a pause.
            std::future::pending().await
        };
        let _ = tokio::time::timeout(timeout, changed).await;
    }

    /// Puts a command into the log, at once and in the order of the calls. What is returned waits until it is applied.
    pub(crate) async fn propose<M: prost::Message>(
        &self,
        command: &M,
    ) -> Result<impl Future<Output = WriteOutcome> + Send + use<M>, WriteError> {
        let (responder, committed, applied) = openraft::impls::ProgressResponder::new();
        self.raft
            .client_write_ff(encode::command(command), Some(responder))
            .await
            .map_err(|fatal| WriteError::Stopped(fatal.to_string()))?;
        Ok(async move {
            // Nobody asks when it was committed, but openraft warns when nobody could.
            let _committed = committed;
            match applied.await {
                Ok(Ok(response)) => Ok(response.data),
                Ok(Err(error)) => Err(client_write_error(error)),
                Err(_) => Err(WriteError::Stopped("its task ended".to_owned())),
            }
        })
    }

    /// Puts a command into the log and waits until it is applied.
    pub(crate) async fn write(&self, command: &impl prost::Message) -> WriteOutcome {
        self.propose(command).await?.await
    }

    /// On the leader: the index up to which a read must have applied the log to see every write acknowledged before
    /// now. A majority has confirmed meanwhile that this replica still leads (Raft thesis, section 6.4).
    pub(crate) async fn read_index(&self) -> Result<u64, WriteError> {
        match self.raft.get_read_log_id(ReadPolicy::ReadIndex).await {
            Ok((read, _applied)) => Ok(read.index()),
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward))) => {
                Err(WriteError::NotLeader(not_leader(&forward)))
            }
            Err(RaftError::APIError(other)) => Err(WriteError::Refused(other.to_string())),
            Err(RaftError::Fatal(fatal)) => Err(WriteError::Stopped(fatal.to_string())),
        }
    }

    /// Waits until the log is applied up to `index`.
    pub(crate) async fn applied(&self, index: u64) -> Result<(), WriteError> {
        let mut metrics = self.raft.data_metrics();
        loop {
            let applied = metrics
                .borrow_and_update()
                .last_applied
                .map_or(0, |log_id| log_id.index);
            if applied >= index {
                return Ok(());
            }
            if metrics.changed().await.is_err() {
                return Err(WriteError::Stopped("its task ended".to_owned()));
            }
        }
    }

    /// Asks `to` to lead. Whether it does shows later.
    pub(crate) async fn hand_over(&self, to: u64) -> Result<(), WriteError> {
        if to == self.id {
            // openraft would have it wait for itself: it takes nothing more and sends no heartbeats, and with no other
            // voter it stays so for ever.
            return Ok(());
        }
        // It takes nothing more from here on, until the other one leads or others notice that nobody does.
        let mut patience = HAND_OVER_ATTEMPTS;
        while !self.can_take_over(to) {
            patience -= 1;
            if patience == 0 {
                return Err(WriteError::Refused(format!("replica {to} could not take over now")));
            }
            tokio::time::sleep(HAND_OVER_PAUSE).await;
        }
        let asked = self.raft.trigger().transfer_leader(to).await;
        asked.map_err(|fatal| WriteError::Stopped(fatal.to_string()))
    }

    /// Whether another voter answers this leader and has most of its log.
    pub(crate) fn can_take_over(&self, to: u64) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let mut sets = metrics.membership_config.membership().get_joint_config().iter();
        let (Some(heard), Some(matched)) = (&metrics.heartbeat, &metrics.replication) else {
            return false;
        };
        let answers = heard.get(&to).copied().flatten();
        let has = matched.get(&to).and_then(Option::as_ref).map(|log_id| log_id.index);
        to != self.id
            && sets.any(|voters| voters.contains(&to))
            && answers.is_some_and(|at| at.elapsed() < self.election_timeout)
            && has
                .is_some_and(|has| metrics.last_log_index.unwrap_or_default().saturating_sub(has) <= CAUGHT_UP_ENTRIES)
    }

    pub(crate) fn status(&self) -> ReplicaStatus {
        let metrics = self.raft.metrics().borrow_watched().clone();
        let membership = metrics.membership_config.membership();
        let matched = metrics.replication.unwrap_or_default();
        ReplicaStatus {
            replica: self.id,
            term: metrics.current_term,
            is_leader: metrics.current_leader == Some(self.id),
            leader: metrics.current_leader,
            last_log: metrics.last_log_index.unwrap_or_default(),
            applied: metrics.last_applied.map_or(0, |log_id| log_id.index),
            membership: metrics.membership_config.log_id().map_or(0, |log_id| log_id.index),
            is_settled: metrics.membership_config.log_id() == metrics.committed_membership_config.log_id(),
            voters: membership.get_joint_config().clone(),
            members: membership.nodes().map(|(id, member)| (*id, member.node)).collect(),
            matched: matched
                .into_iter()
                .map(|(id, log_id)| (id, log_id.map_or(0, |log_id| log_id.index)))
                .collect(),
        }
    }

    /// What a simulation sees of it.
    pub(crate) fn view(&self) -> ReplicaView {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let leader = |id: &LeaderId| weir_journal::Leader {
            term: id.term(),
            node: *id.node_id(),
        };
        ReplicaView {
            group: self.group,
            replica: self.id,
            vote: (leader(&metrics.vote.leader_id), metrics.vote.committed),
            leads: metrics.current_leader == Some(self.id),
            applied: metrics.last_applied.map(|id| weir_journal::LogId {
                leader: leader(&id.leader_id),
                index: id.index,
            }),
        }
    }

    /// Why this replica has stopped, if it has.
    pub(crate) fn failure(&self) -> Option<String> {
        let metrics = self.raft.metrics();
        let state = &metrics.borrow_watched().running_state;
        state.as_ref().err().map(ToString::to_string)
    }

    /// Makes durable what was applied, if it is due or much, and lets go of the part of the log that is no longer needed.
    pub(crate) async fn checkpoint(&self, is_due: bool) -> Result<(), WriteError> {
        let min_bytes = if is_due { 0 } else { self.keep_log_bytes / 4 };
        let stopped = |error: String| WriteError::Stopped(error);
        let raft = self.raft.clone();
        // A task of its own: openraft logs an error when whoever asked is gone before the answer comes, as when a node ends.
        let begun = tokio::spawn(async move {
            raft.with_state_machine(move |state| Box::pin(async move { state.begin_checkpoint(min_bytes).await }))
                .await
        });
        let begun = begun.await.map_err(|error| stopped(error.to_string()))?;
        let begun = begun.map_err(|fatal| stopped(fatal.to_string()))?;
        let Some((checkpoint, pending)) = begun.map_err(|error: io::Error| stopped(error.to_string()))? else {
            return Ok(());
        };
        // Entries go on being applied meanwhile.
        let done = blocking(pending).await;
        done.flatten().map_err(|error| stopped(error.to_string()))?;
        let Some(upto) = self.purgeable(checkpoint) else {
            return Ok(());
        };
        let fatal = |fatal: openraft::errors::Fatal<TypeConfig>| stopped(fatal.to_string());
        self.raft.trigger().snapshot().await.map_err(fatal)?;
        self.raft.trigger().purge_log(upto).await.map_err(fatal)
    }

    /// Up to where the log may go, so that enough of it stays for followers that lag.
    fn purgeable(&self, checkpoint: super::state_machine::Checkpoint) -> Option<u64> {
        let mut checkpoints = self
            .checkpoints
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        checkpoints.push(checkpoint);
        let mut behind = 0_u64;
        let mut keep_from = 0;
        for (position, checkpoint) in checkpoints.iter().enumerate().rev() {
            behind = behind.saturating_add(checkpoint.bytes);
            if behind > self.keep_log_bytes {
                keep_from = position;
                break;
            }
        }
        let before = keep_from.checked_sub(1).map(|position| checkpoints[position].index);
        checkpoints.drain(..keep_from);
        before
    }

    /// Takes no part any more.
    pub(crate) async fn close(&self) -> Result<(), WriteError> {
        let _ = self.raft.shutdown().await;
        // After the last entry: what is applied and in no checkpoint may lack what belongs to it.
        let stopped = |error: io::Error| WriteError::Stopped(error.to_string());
        self.log.barrier().await.map_err(stopped)?;
        // A snapshot may still be on its way into the state; then the log is not told any more.
        let (machine, (_, log_end)) = (Arc::clone(&self.machine), self.log.bounds());
        let done = blocking(move || machine.begin_checkpoint(log_end)?()).await;
        match done.flatten() {
            // The log still has what the store has not.
            Err(error) if is_full(&error) => Ok(()),
            result => result.map_err(stopped),
        }
    }
}

/// Compares what is stored of a replica: a part of it may have been lost, or put back as it was once. Its state has come to
/// entry `applied`; its log has the entries after `begin` up to `end`.
fn compare(machine: &dyn Machine, applied: u64, begin: u64, end: u64) -> Result<(), String> {
    if applied < begin {
        return Err(format!(
            "its state has come to entry {applied}, but its log begins after entry {begin}: the state was lost or is an older \
             copy. {ADVICE}"
        ));
    }
    if applied > end && !machine.came_by_snapshot() {
        return Err(format!(
            "its state has come to entry {applied}, but its log ends with entry {end}: the log was lost or is an older copy. \
             {ADVICE}"
        ));
    }
    Ok(())
}

/// For those who have other nodes.
const ADVICE: &str = "Restore the data directory as a whole, or empty it and let this node join as a new one";

/// What became of a write.
pub(crate) type WriteOutcome = Result<Answer, WriteError>;

fn not_leader(forward: &ForwardToLeader<TypeConfig>) -> NotLeader {
    let node = forward.leader_node.map(|member| member.node);
    NotLeader {
        leader: forward.leader_id.zip(node),
    }
}

fn client_write_error(error: ClientWriteError<TypeConfig>) -> WriteError {
    match error {
        ClientWriteError::ForwardToLeader(forward) => WriteError::NotLeader(not_leader(&forward)),
        ClientWriteError::LogEntryDiscarded(forward) => WriteError::Unknown(not_leader(&forward)),
        other => WriteError::Refused(other.to_string()),
    }
}

pub(super) fn raft_write_error(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> WriteError {
    match error {
        RaftError::APIError(error) => client_write_error(error),
        RaftError::Fatal(fatal) => WriteError::Stopped(fatal.to_string()),
    }
}
