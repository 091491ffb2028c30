//! One replica of a shard on this node: started, proposed to, read from, reconfigured, stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::error::{InitializeError, RaftError};
use openraft::{ChangeMembers, ReadPolicy, ServerState};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use trilith_domain::Clock;
use trilith_domain::machine::{Command, Reply};
use trilith_domain::read::{Plan, ReadReply};
use trilith_storage::engine::Engine;
use trilith_storage::log::LogHandle;
use trilith_values::{NodeId, ReplicaId, ShardId};

use crate::error::{ProposeError, ReadError};
use crate::gate::VoteGate;
use crate::lease::{LeaderView, Lease, SuspendWatch};
use crate::log_store::LogStore;
use crate::network::{Network, Transport};
use crate::propose::{self, Held, Waiting};
use crate::settings::RaftSettings;
use crate::snapshot::Receiver;
use crate::state_machine::{Applied, StateMachine};
use crate::types::{LogId, Place, Raft};

/// Who a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplicaName {
    /// Its shard.
    pub shard: ShardId,
    /// Itself; never used again.
    pub replica: ReplicaId,
    /// The node that holds it.
    pub node: NodeId,
}

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Whatever this replica has applied.
    Eventual,
    /// The latest, by the leader's lease; asks a quorum when the lease does not hold.
    Lease,
    /// The latest, by asking a quorum, once for all reads that wait together.
    ReadIndex,
}

/// What a node shares with each of its replicas.
#[derive(Clone)]
pub struct Surroundings {
    /// Rows of all shards.
    pub engine: Arc<dyn Engine>,
    /// Messages to other nodes.
    pub transport: Arc<dyn Transport>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Notices suspends.
    pub suspend: Arc<SuspendWatch>,
    /// Timings.
    pub settings: RaftSettings,
    /// Numbers snapshot transfers.
    pub transfers: Arc<AtomicU64>,
    /// Whether this node leads nothing for now ([`crate::Host::stand_aside`]).
    pub aside: Arc<AtomicBool>,
}

/// What is known of a replica at a moment; for status, metrics and routing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// Who.
    pub name: ReplicaName,
    /// Whether it leads, as far as it knows.
    pub leads: bool,
    /// The leader it follows: replica and node.
    pub leader: Option<(ReplicaId, NodeId)>,
    /// Its term.
    pub term: u64,
    /// Last index in its log.
    pub last_log: u64,
    /// Last index applied.
    pub applied: u64,
    /// Last index purged.
    pub purged: u64,
    /// Voters of the effective membership: replica and node.
    pub voters: Vec<(ReplicaId, NodeId)>,
    /// Learners.
    pub learners: Vec<(ReplicaId, NodeId)>,
    /// Whether the membership is joint: a change was begun and not finished.
    pub joint: bool,
    /// Item writes applied since the start.
    pub writes: u64,
    /// Commands that were set aside, ever, because applying them panicked.
    pub poisoned: u64,
    /// Why it stopped, if it did.
    pub failed: Option<String>,
}

/// A running replica. Clones share it.
#[derive(Clone)]
pub struct Replica {
    inner: Arc<Inner>,
}

struct Inner {
    name: ReplicaName,
    raft: Raft,
    log: LogStore,
    applied: Arc<Applied>,
    queue: mpsc::Sender<Waiting>,
    queued: Arc<AtomicUsize>,
    queue_bytes: usize,
    barriers: mpsc::Sender<oneshot::Sender<Result<(), ReadError>>>,
    lease: Lease,
    gate: VoteGate,
    receiver: Receiver,
    heard: Heard,
    aside: Arc<AtomicBool>,
    /// Without a sign of a leader for this long, there is none.
    silence: Duration,
}

/// When a leader last spoke to this replica.
struct Heard {
    started: Instant,
    /// Nanoseconds after the start; 0 is never.
    at: AtomicU64,
}

impl Heard {
    fn never() -> Self {
        Self { started: Instant::now(), at: AtomicU64::new(0) }
    }

    fn now(&self) {
        let nanos = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.at.store(nanos.max(1), Ordering::Relaxed);
    }

    fn ago(&self) -> Option<Duration> {
        let at = self.at.load(Ordering::Relaxed);
        (at > 0).then(|| self.started.elapsed().saturating_sub(Duration::from_nanos(at)))
    }
}

impl Replica {
    /// Starts the replica on its log and whatever the engine holds of its shard. A replica of a new group does
    /// nothing until [`Replica::initialize`]; one that joins waits to be added.
    ///
    /// # Errors
    /// When its log or state cannot be read: the replica is lost and must be replaced by a new one.
    pub async fn start(
        name: ReplicaName,
        log: LogHandle,
        around: &Surroundings,
        vote_wait: bool,
    ) -> Result<Self, ReadError> {
        let storage = |error: std::io::Error| ReadError::Storage(error.to_string());
        let log = LogStore::new(log, around.settings.log_kept_bytes);
        let gate = if vote_wait && around.settings.vote_wait && log.has_voted() {
            VoteGate::closed_for(around.settings.vote_wait_time())
        } else {
            VoteGate::open()
        };
        let machine = StateMachine::open(name, Arc::clone(&around.engine)).map_err(storage)?;
        machine.check_against(&log).map_err(storage)?;
        if machine.applied().index() > 0 && !log.has_voted() {
            return Err(ReadError::Storage(format!(
                "replica {} has applied entries, but its log is gone and with it the promises it made: replace this node's \
                 replicas from their peers (trilith cluster join with an empty folder), and check the disk",
                name.replica
            )));
        }
        let applied = machine.applied();
        let network =
            Network { transport: Arc::clone(&around.transport), transfers: Arc::clone(&around.transfers) };
        let config = around.settings.config(format!("shard-{}", name.shard));
        let raft = Raft::new(name.replica.0, config, network, log.clone(), machine)
            .await
            .map_err(|fatal| ReadError::Stopped(fatal.to_string()))?;
        if let Some(wait) = gate.remaining() {
            raft.runtime_config().elect(false);
            let (raft, aside) = (raft.clone(), Arc::clone(&around.aside));
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                raft.runtime_config().elect(!aside.load(Ordering::SeqCst));
            });
        } else if around.aside.load(Ordering::SeqCst) {
            raft.runtime_config().elect(false);
        }
        let (queue, waiting) = mpsc::channel(around.settings.queue);
        tokio::spawn(propose::run(raft.clone(), Arc::clone(&around.clock), around.settings.clone(), waiting));
        let (barriers, asked) = mpsc::channel(around.settings.queue);
        tokio::spawn(serve_barriers(raft.clone(), Arc::clone(&applied), asked));
        let lease = Lease::new(around.settings.trusted_lease(), Arc::clone(&around.suspend));
        let receiver = Receiver::new(name, Arc::clone(&around.engine));
        let inner = Inner {
            name,
            raft,
            log,
            applied,
            queue,
            queued: Arc::default(),
            queue_bytes: around.settings.queue_bytes,
            barriers,
            lease,
            gate,
            receiver,
            heard: Heard::never(),
            aside: Arc::clone(&around.aside),
            silence: around.settings.silence(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Who this is.
    pub fn name(&self) -> ReplicaName {
        self.inner.name
    }

    /// Makes a new group of these voters. Every first member may call it with the same set; doing it again changes nothing.
    ///
    /// # Errors
    /// When the replica is stopped.
    pub async fn initialize(&self, voters: &[(ReplicaId, NodeId)]) -> Result<(), ReadError> {
        let members: BTreeMap<u64, Place> =
            voters.iter().map(|(replica, node)| (replica.0, Place { node: node.0 })).collect();
        match self.inner.raft.initialize(members).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(other) => Err(ReadError::Stopped(other.to_string())),
        }
    }

    /// Stands for election now, without waiting for a timeout; the others must not have a live leader. A replica that
    /// withholds its vote does not stand: it would vote for itself.
    pub async fn campaign(&self) {
        if self.inner.gate.remaining().is_some() || self.stands_aside() {
            return;
        }
        // A stopped replica does not stand; nobody needs to hear of it.
        let _ = self.inner.raft.trigger().elect(false).await;
    }

    /// Proposes a command and waits until it is applied here.
    ///
    /// # Errors
    /// See [`ProposeError`]: only `NotProposed` and `Overloaded` are safe to retry.
    pub async fn propose(&self, command: Command, size: usize) -> Result<Reply, ProposeError> {
        if let Some(why) = self.failed() {
            return Err(ProposeError::Stopped(why));
        }
        let Some(held) = Held::take(&self.inner.queued, size, self.inner.queue_bytes) else {
            return Err(ProposeError::Overloaded);
        };
        let (reply, answer) = oneshot::channel();
        match self.inner.queue.try_send(Waiting { command, held, reply }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return Err(ProposeError::Overloaded),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                return Err(ProposeError::Stopped("the replica was stopped".into()));
            }
        }
        answer
            .await
            .unwrap_or_else(|_| Err(ProposeError::Unknown("the replica was stopped meanwhile".into())))
    }

    /// Makes sure that a following read of this replica's state sees everything acknowledged before now. Works on
    /// the leader only.
    ///
    /// # Errors
    /// [`ReadError::NotLeader`] with a hint, or that the replica is stopped.
    pub async fn barrier(&self, consistency: Consistency) -> Result<(), ReadError> {
        match consistency {
            Consistency::Eventual => return Ok(()),
            Consistency::Lease if self.inner.lease.holds(&self.leader_view()) => return Ok(()),
            Consistency::Lease | Consistency::ReadIndex => {}
        }
        let (done, answer) = oneshot::channel();
        self.inner
            .barriers
            .send(done)
            .await
            .map_err(|_| ReadError::Stopped("the replica was stopped".into()))?;
        answer.await.unwrap_or_else(|_| Err(ReadError::Stopped("the replica was stopped".into())))
    }

    /// Runs a plan beside the data, as fresh as asked for.
    ///
    /// # Errors
    /// See [`ReadError`]; every one may be retried elsewhere.
    pub async fn read(&self, consistency: Consistency, plan: &Plan) -> Result<ReadReply, ReadError> {
        self.barrier(consistency).await?;
        self.inner.applied.run(plan)
    }

    /// Runs a plan on whatever is applied here, at once.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn read_local(&self, plan: &Plan) -> Result<ReadReply, ReadError> {
        self.inner.applied.run(plan)
    }

    /// Whether a lease read may be served here right now.
    pub fn lease_holds(&self) -> bool {
        self.inner.lease.holds(&self.leader_view())
    }

    /// What this replica has applied.
    pub fn applied(&self) -> Arc<Applied> {
        Arc::clone(&self.inner.applied)
    }

    fn leader_view(&self) -> LeaderView {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        LeaderView {
            leads: metrics.state == ServerState::Leader,
            term: metrics.current_term,
            applied_term: metrics.last_applied.as_ref().map(|id| id.committed_leader_id().term),
            quorum_acked: metrics.last_quorum_acked.map(|acked| to_instant(*acked)),
        }
    }

    /// The node of the leader this replica follows, itself included.
    pub fn leader(&self) -> Option<(ReplicaId, NodeId)> {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        // What a stopped replica last heard is nobody's hint any more.
        metrics.running_state.as_ref().ok()?;
        let leader = metrics.current_leader?;
        let place = metrics.membership_config.membership().get_node(&leader)?;
        Some((ReplicaId(leader), NodeId(place.node)))
    }

    /// A leader of this replica's group spoke to it just now.
    pub(crate) fn heard_leader(&self) {
        self.inner.heard.now();
    }

    /// Whether the group has a leader that is alive, as far as can be told from here: a majority answered this replica,
    /// if it leads, or a leader spoke to it, within three election timeouts. Unlike [`Replica::leader`], which names the
    /// last one for ever.
    pub fn is_led(&self) -> bool {
        if self.failed().is_some() {
            return false;
        }
        let view = self.leader_view();
        if view.leads && self.status().voters.len() == 1 {
            return true;
        }
        let silent = match view.leads {
            true => view.quorum_acked.map(|acked| acked.elapsed()),
            false => self.inner.heard.ago(),
        };
        silent.is_some_and(|silent| silent < self.inner.silence)
    }

    /// Whether this replica's node leads nothing for now.
    pub(crate) fn stands_aside(&self) -> bool {
        self.inner.aside.load(Ordering::SeqCst)
    }

    /// Stands for elections or not, as the node says. The end of the wait after a start looks again by itself.
    pub(crate) fn heed_aside(&self) {
        if self.inner.gate.remaining().is_none() {
            self.inner.raft.runtime_config().elect(!self.stands_aside());
        }
    }

    /// Whether this replica believes it leads.
    pub fn leads(&self) -> bool {
        self.inner.raft.is_leader() && self.failed().is_none()
    }

    /// Why this replica stopped for good, if it did: its disk failed, or its rows are damaged.
    pub fn failed(&self) -> Option<String> {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        metrics.running_state.as_ref().err().map(ToString::to_string)
    }

    /// Waits until some leader is known here.
    pub async fn wait_for_leader(&self, deadline: Instant) -> Option<(ReplicaId, NodeId)> {
        let mut metrics = self.inner.raft.metrics();
        loop {
            if let Some(leader) = self.leader() {
                return Some(leader);
            }
            match tokio::time::timeout_at(deadline, metrics.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return None,
            }
        }
    }

    /// What is known right now.
    pub fn status(&self) -> ReplicaStatus {
        let leader = self.leader();
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let place = |id: u64| {
            let node = membership.get_node(&id).map_or(0, |place| place.node);
            (ReplicaId(id), NodeId(node))
        };
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        ReplicaStatus {
            name: self.inner.name,
            leads: metrics.state == ServerState::Leader,
            leader,
            term: metrics.current_term,
            last_log: metrics.last_log_index.unwrap_or(0),
            applied: metrics.last_applied.as_ref().map_or(0, |id| id.index()),
            purged: metrics.purged.as_ref().map_or(0, |id| id.index()),
            voters: voters.into_iter().map(place).collect(),
            learners: membership.learner_ids().map(place).collect(),
            joint: membership.get_joint_config().len() > 1,
            writes: self.inner.applied.writes(),
            poisoned: self.inner.applied.poisoned(),
            failed: metrics.running_state.as_ref().err().map(ToString::to_string),
        }
    }

    /// Adds a learner; it is brought up to date in the background.
    ///
    /// # Errors
    /// When this is not the leader or the change could not be committed; doing it again is safe.
    pub async fn add_learner(&self, replica: ReplicaId, node: NodeId) -> Result<(), ReadError> {
        let added = self.inner.raft.add_learner(replica.0, Place { node: node.0 }, false).await;
        added.map(|_| ()).map_err(|error| self.membership_error(&error))
    }

    /// Makes exactly these replicas the voters, through a joint configuration; others leave the group. Also
    /// finishes a joint configuration that somebody left behind.
    ///
    /// # Errors
    /// When this is not the leader or the change could not be committed; doing it again is safe.
    pub async fn change_voters(&self, voters: BTreeSet<ReplicaId>) -> Result<(), ReadError> {
        assert!(!voters.is_empty(), "a group keeps a voter");
        let leaves = !voters.contains(&self.inner.name.replica);
        let voters: BTreeSet<u64> = voters.into_iter().map(|replica| replica.0).collect();
        // openraft hands the leadership of a removed leader over by itself, soon after the change is committed.
        if leaves {
            self.mark_transfer();
        }
        let changed = self.inner.raft.change_membership(ChangeMembers::ReplaceAllVoters(voters), false).await;
        if leaves {
            self.mark_transfer();
        }
        changed.map(|_| ()).map_err(|error| self.membership_error(&error))
    }

    fn membership_error(&self, error: &impl std::fmt::Display) -> ReadError {
        match self.leader() {
            Some((replica, node)) if replica != self.inner.name.replica => {
                ReadError::NotLeader { leader: Some(node) }
            }
            _ => ReadError::Stopped(error.to_string()),
        }
    }

    /// Entries that `peer` still lacks, as the leader knows; `None` when this is not the leader or knows nothing yet.
    pub fn lag_of(&self, peer: ReplicaId) -> Option<u64> {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        let matched = metrics.replication.as_ref()?.get(&peer.0)?.as_ref()?.index();
        Some(metrics.last_log_index.unwrap_or(0).saturating_sub(matched))
    }

    /// Hands the leadership to `to`. From this call on the replica serves no lease read in its term, whether the
    /// transfer succeeds or not.
    pub async fn transfer_leadership(&self, to: ReplicaId) {
        self.mark_transfer();
        // A stopped replica has no leadership left to hand over.
        let _ = self.inner.raft.trigger().transfer_leader(to.0).await;
    }

    fn mark_transfer(&self) {
        self.inner.lease.mark_transfer(self.leader_view().term);
    }

    /// One step of keeping the log below `bound` bytes: lets it go up to the last snapshot mark, except for the recent
    /// entries that are cached anyway and spare a laggard a snapshot; and sets a new mark, which syncs state first.
    pub async fn compact_if_large(&self, bound: u64) {
        if self.inner.log.live_bytes() < bound {
            return;
        }
        let (purged, applied) = {
            let metrics = self.inner.raft.metrics();
            let metrics = metrics.borrow_watched();
            let index = |id: &Option<LogId>| id.as_ref().map_or(0, |id| id.index());
            (index(&metrics.purged), index(&metrics.last_applied))
        };
        let marked = self.inner.applied.durable();
        let kept_from = self.inner.log.first_cached().unwrap_or(u64::MAX);
        let upto = marked.min(kept_from.saturating_sub(1));
        if upto > purged {
            // A stopped replica has nothing to purge.
            let _ = self.inner.raft.trigger().purge_log(upto).await;
        }
        if applied > marked {
            self.compact().await;
        }
    }

    /// Makes applied state durable and marks it as a snapshot, up to which the log may go.
    pub async fn compact(&self) {
        // A stopped replica has nothing to compact.
        let _ = self.inner.raft.trigger().snapshot().await;
    }

    /// Marks and purges until nothing is left to purge.
    #[cfg(test)]
    pub(crate) async fn purge_fully(&self) {
        let target = self.applied().index().min(self.inner.log.first_cached().unwrap_or(u64::MAX) - 1);
        while self.status().purged < target {
            self.compact_if_large(0).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Stops the replica; everything it acknowledged stays.
    pub async fn stop(&self) {
        // It is stopping already, or was; either way it will be stopped.
        let _ = self.inner.raft.shutdown().await;
    }

    pub(crate) fn raft(&self) -> &Raft {
        &self.inner.raft
    }

    pub(crate) fn gate(&self) -> &VoteGate {
        &self.inner.gate
    }

    pub(crate) fn receiver(&self) -> &Receiver {
        &self.inner.receiver
    }

    #[cfg(test)]
    pub(crate) fn lease(&self) -> &Lease {
        &self.inner.lease
    }
}

/// openraft hides the instant it wraps; its distance to now is what it tells.
fn to_instant(instant: openraft::TokioInstant) -> Instant {
    let now = Instant::now();
    now.checked_sub(openraft::Instant::elapsed(&instant)).unwrap_or(now)
}

/// One question to the quorum at a time; whoever asks meanwhile shares the next one.
async fn serve_barriers(
    raft: Raft,
    applied: Arc<Applied>,
    mut asked: mpsc::Receiver<oneshot::Sender<Result<(), ReadError>>>,
) {
    while let Some(first) = asked.recv().await {
        let mut waiting = vec![first];
        while let Ok(next) = asked.try_recv() {
            waiting.push(next);
        }
        let result = read_index(&raft, &applied).await;
        for done in waiting {
            let _ = done.send(result.clone());
        }
    }
}

async fn read_index(raft: &Raft, applied: &Applied) -> Result<(), ReadError> {
    use openraft::error::LinearizableReadError;
    let linearizer = match raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
        Ok(linearizer) => linearizer,
        Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward))) => {
            return Err(ReadError::NotLeader { leader: forward.leader_node.map(|place| NodeId(place.node)) });
        }
        Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => {
            return Err(ReadError::NotLeader { leader: None });
        }
        Err(RaftError::Fatal(fatal)) => return Err(ReadError::Stopped(fatal.to_string())),
    };
    let index = linearizer.read_log_id().index();
    applied.wait_for(index, Instant::now() + Duration::from_secs(5)).await
}
