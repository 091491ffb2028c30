//! Timings of a raft group, derived from one number and checked against each other.

use std::sync::Arc;
use std::time::Duration;

use openraft::{Config, SnapshotPolicy};

/// Timings and bounds of every group of a node.
#[derive(Clone, Debug)]
pub struct RaftSettings {
    /// How often a leader tells its followers that it is alive.
    pub heartbeat: Duration,
    /// Bounds of the election timeout. The upper one is also the leader's lease: openraft makes followers refuse
    /// votes for that long after a leader's message.
    pub election: (Duration, Duration),
    /// Part of the lease that a leader trusts for reads, in percent: the rest is the margin for clock drift.
    pub lease_percent: u32,
    /// Whether votes are withheld for a while after a start (see [`crate::gate`]). Only a process that holds every
    /// voter of its groups may leave it out, since then no leader can have survived the restart.
    pub vote_wait: bool,
    /// Commands in one entry at the most.
    pub entry_commands: usize,
    /// Bytes of commands in one entry after which no more are added.
    pub entry_bytes: usize,
    /// Entries of one shard proposed and not yet applied.
    pub entries_in_flight: usize,
    /// Log bytes of one replica after which its applied entries are purged.
    pub log_bytes: u64,
    /// Bytes of recent entries that stay decoded in memory and behind the purge point, so that a short outage never
    /// needs a snapshot.
    pub log_kept_bytes: usize,
    /// Commands that may wait for one shard; more are refused at once as overload.
    pub queue: usize,
    /// Bytes of commands that may wait for one shard.
    pub queue_bytes: usize,
}

impl Default for RaftSettings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(200),
            election: (Duration::from_millis(700), Duration::from_millis(1_000)),
            lease_percent: 80,
            vote_wait: true,
            entry_commands: 64,
            entry_bytes: 256 * 1024,
            entries_in_flight: 1,
            log_bytes: 4 * 1024 * 1024,
            log_kept_bytes: 1024 * 1024,
            queue: 4_096,
            queue_bytes: 32 * 1024 * 1024,
        }
    }
}

impl RaftSettings {
    /// For a process that holds every voter of its groups: nothing but the process itself can fail, so leaders are
    /// asked for signs of life less often, which an idle machine notices; and votes need no waiting after a start.
    pub fn one_process() -> Self {
        Self {
            heartbeat: Duration::from_millis(1_100),
            election: (Duration::from_millis(3_400), Duration::from_millis(4_400)),
            vote_wait: false,
            ..Self::default()
        }
    }

    /// The lease as far as reads trust it.
    pub fn trusted_lease(&self) -> Duration {
        self.election.1 * self.lease_percent / 100
    }

    /// Without a sign of a leader for this long, a replica's node counts as one that cannot serve.
    pub fn silence(&self) -> Duration {
        self.election.1 * 3
    }

    /// How long a started replica withholds its vote: a full lease and a tenth more.
    pub fn vote_wait_time(&self) -> Duration {
        self.election.1 * 11 / 10
    }

    /// openraft's configuration.
    ///
    /// # Panics
    /// When the timings contradict each other; they are constants of a build or derived from one setting.
    pub fn config(&self, name: String) -> Arc<Config> {
        assert!(
            self.heartbeat * 3 <= self.election.0,
            "at least three heartbeats fit into an election timeout"
        );
        assert!(self.election.0 < self.election.1, "the election timeout has a spread");
        assert!((1..100).contains(&self.lease_percent), "the lease keeps a margin for drift");
        let millis = |d: Duration| u64::try_from(d.as_millis()).expect("timings are short");
        let config = Config {
            cluster_name: name,
            heartbeat_interval: millis(self.heartbeat),
            election_timeout_min: millis(self.election.0),
            election_timeout_max: millis(self.election.1),
            install_snapshot_timeout: 60_000,
            max_payload_entries: 64,
            snapshot_policy: SnapshotPolicy::Never,
            // Purging is ours (`Replica::compact_if_large`): by bytes, not by a number of entries.
            max_in_snapshot_log_to_keep: u64::MAX,
            purge_batch_size: 1,
            api_channel_size: Some(1_024),
            notification_channel_size: Some(1_024),
            state_machine_channel_size: Some(256),
            enable_pre_vote: Some(true),
            // A leader that comes back from a restart must not go on with a state machine that lags its log.
            enable_leader_restore: Some(false),
            ..Config::default()
        };
        Arc::new(config.validate().expect("the settings were checked above"))
    }
}
