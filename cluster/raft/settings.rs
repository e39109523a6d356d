//! Timers and limits of a replica.

use std::time::Duration;

use openraft::{Config, SnapshotPolicy};

/// Timers of all replicas of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RaftSettings {
    /// How often a leader tells that it is there.
    pub(crate) heartbeat: Duration,
    /// A follower asks for votes after one and a half to two times as long without a leader, and grants none before it
    /// has been without one for as long.
    pub(crate) election_timeout: Duration,
}

impl Default for RaftSettings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(400),
            election_timeout: Duration::from_millis(1500),
        }
    }
}

/// Entries in one append request at most.
const MAX_PAYLOAD_ENTRIES: u64 = 256;

/// How long one attempt to send a snapshot may take; pieces have deadlines of their own.
const INSTALL_SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(30 * 60);

impl RaftSettings {
    /// openraft's settings. What DESIGN.md decides about them is here.
    pub(super) fn config(&self) -> Config {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let election = millis(self.election_timeout);
        Config {
            cluster_name: "weir".to_owned(),
            // The first tick after that sends them, and ticks come twice per heartbeat (`runtime`): a little less than the
            // time between heartbeats, so that none is a tick late.
            heartbeat_interval: millis(self.heartbeat) * 9 / 10,
            // openraft waits for the latest of these, which is its leader's lease, and then once more for a time between
            // the two.
            election_timeout_min: election / 2,
            election_timeout_max: election,
            max_payload_entries: MAX_PAYLOAD_ENTRIES,
            snapshot_policy: SnapshotPolicy::Never,
            // The replica decides itself what to purge, by bytes.
            max_in_snapshot_log_to_keep: u64::MAX,
            install_snapshot_timeout: millis(INSTALL_SNAPSHOT_TIMEOUT),
            enable_pre_vote: Some(true),
            // A restarted leader must be elected anew: its state machine may lag behind what it had answered.
            enable_leader_restore: Some(false),
            // A follower whose disk lost the end of its log (a damaged last frame, an older copy) is given it again. Without
            // it a leader goes on as if the follower had it, and the replica lags until another one leads.
            allow_log_reversion: Some(true),
            // Without it a partition that only cuts some links can leave an old leader in place for ever.
            quorum_loss_probe_interval: Some(election * 4),
            ..Config::default()
        }
    }
}
