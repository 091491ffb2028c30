//! Simulated nodes: one thread, paused time, a network with delays and cuts, disks that lose what was not synced.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;
use trilith_domain::Clock;
use trilith_domain::machine::{CommandBody, Reply, ReplyBody};
use trilith_storage::engine::Engine;
use trilith_storage::{Driver, LogOptions, MemEngine, MemFiles, RaftLog};
use trilith_values::{NodeId, ReplicaId, ShardId};

use super::commands::{command, get, open, put, value_of};
use crate::message::{RaftRequest, decode_request, decode_response, encode_request, encode_response};
use crate::{
    Consistency, Handler, Host, PeerRequest, PeerResponse, ProposeError, RaftSettings, ReadError, Replica,
    Replicas, Transport, TransportError,
};

pub(super) const SHARD: ShardId = ShardId(3);
pub(super) const TABLE: u64 = 7;
/// Longer than any election, and than a sender waits for the end of a snapshot that was lost without a word.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

/// Runs a schedule under paused time; the seed decides every random number.
pub(super) fn simulate<F: Future>(seed: u64, schedule: impl FnOnce() -> F) -> F::Output {
    crate::seed_this_thread(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime needs nothing").block_on(schedule())
}

struct PausedClock(Instant);

impl Clock for PausedClock {
    fn now_micros(&self) -> u64 {
        1_700_000_000_000_000 + u64::try_from(self.0.elapsed().as_micros()).expect("tests are short")
    }

    fn boot_nanos(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).expect("tests are short")
    }

    fn monotonic_nanos(&self) -> u64 {
        self.boot_nanos()
    }
}

/// Whether a message from one node to another is lost.
type Loses = Box<dyn FnMut(NodeId, NodeId, &PeerRequest) -> bool + Send>;

/// The network between the nodes.
pub(super) struct Net {
    state: Mutex<NetState>,
}

struct NetState {
    rng: SmallRng,
    /// Each node's present life and where its messages go.
    nodes: BTreeMap<NodeId, (u64, Arc<Replicas>)>,
    cuts: BTreeSet<(NodeId, NodeId)>,
    loses: Option<Loses>,
    snapshot_chunks: u64,
}

impl Net {
    fn delay(&self) -> Duration {
        Duration::from_micros(self.state.lock().rng.random_range(300..3_000))
    }

    /// The receiver, if the message passes at this moment.
    fn passes(&self, from: (NodeId, u64), to: NodeId) -> Option<Arc<Replicas>> {
        let state = self.state.lock();
        let alive = state.nodes.get(&from.0).is_some_and(|(life, _)| *life == from.1);
        if !alive || state.cuts.contains(&(from.0, to)) {
            return None;
        }
        state.nodes.get(&to).map(|(_, node)| Arc::clone(node))
    }

    fn is_lost(&self, from: NodeId, to: NodeId, request: &PeerRequest) -> bool {
        self.state.lock().loses.as_mut().is_some_and(|loses| loses(from, to, request))
    }

    fn count(&self, request: &PeerRequest) {
        if matches!(request, PeerRequest::Raft { message: RaftRequest::Snapshot(_), .. }) {
            self.state.lock().snapshot_chunks += 1;
        }
    }

    /// Loses every message from one side to the other, and back.
    pub(super) fn cut(&self, one: &[u64], other: &[u64]) {
        let mut state = self.state.lock();
        for a in one {
            for b in other {
                state.cuts.extend([(NodeId(*a), NodeId(*b)), (NodeId(*b), NodeId(*a))]);
            }
        }
    }

    /// Loses every message from one node to the others; theirs still reach it.
    pub(super) fn cut_from(&self, from: u64, to: &[u64]) {
        self.state.lock().cuts.extend(to.iter().map(|to| (NodeId(from), NodeId(*to))));
    }

    /// Every message passes again.
    pub(super) fn heal(&self) {
        self.state.lock().cuts.clear();
    }

    /// Loses the requests that `loses` names, whether or not there is a cut.
    pub(super) fn lose(&self, loses: impl FnMut(NodeId, NodeId, &PeerRequest) -> bool + Send + 'static) {
        self.state.lock().loses = Some(Box::new(loses));
    }

    /// Snapshot chunks that arrived so far.
    pub(super) fn snapshot_chunks(&self) -> u64 {
        self.state.lock().snapshot_chunks
    }
}

/// One life of one node, as a sender.
struct Wire {
    net: Arc<Net>,
    from: NodeId,
    life: u64,
}

/// What travels between processes are bytes.
fn over_the_wire(request: PeerRequest) -> PeerRequest {
    match request {
        PeerRequest::Raft { to, message } => {
            let message = decode_request(&encode_request(&message)).expect("what was encoded decodes");
            PeerRequest::Raft { to, message }
        }
        PeerRequest::Service(body) => PeerRequest::Service(body),
    }
}

impl Transport for Wire {
    fn call(
        &self,
        to: NodeId,
        request: PeerRequest,
    ) -> BoxFuture<'static, Result<PeerResponse, TransportError>> {
        let (net, from, life) = (Arc::clone(&self.net), self.from, self.life);
        Box::pin(async move {
            if net.is_lost(from, to, &request) {
                return std::future::pending().await;
            }
            tokio::time::sleep(net.delay()).await;
            let Some(receiver) = net.passes((from, life), to) else { return std::future::pending().await };
            net.count(&request);
            let receiver_life = net.state.lock().nodes[&to].0;
            // The receiver goes on with it, whether or not the sender still waits.
            let answer =
                tokio::spawn(async move { receiver.handle(from, over_the_wire(request)).await }).await;
            let answer = answer.expect("handlers do not panic");
            tokio::time::sleep(net.delay()).await;
            if net.passes((to, receiver_life), from).is_none() {
                return std::future::pending().await;
            }
            match answer {
                Ok(PeerResponse::Raft(response)) => {
                    Ok(PeerResponse::Raft(decode_response(&encode_response(&response)).expect("decodes")))
                }
                other => other,
            }
        })
    }
}

/// A node: its disk, and the process that runs on it.
struct Machine {
    files: MemFiles,
    engine: MemEngine,
    life: u64,
    host: Option<Arc<Host>>,
}

/// All nodes.
pub(super) struct World {
    pub(super) net: Arc<Net>,
    pub(super) settings: RaftSettings,
    clock: Arc<PausedClock>,
    machines: BTreeMap<NodeId, Machine>,
    commands: u128,
}

impl World {
    /// No nodes yet.
    pub(super) fn new(seed: u64, settings: RaftSettings) -> Self {
        let state = NetState {
            rng: SmallRng::seed_from_u64(seed),
            nodes: BTreeMap::new(),
            cuts: BTreeSet::new(),
            loses: None,
            snapshot_chunks: 0,
        };
        Self {
            net: Arc::new(Net { state: Mutex::new(state) }),
            settings,
            clock: Arc::new(PausedClock(Instant::now())),
            machines: BTreeMap::new(),
            commands: 0,
        }
    }

    /// Three nodes with a replica each (ids 101, 102, 103), an elected leader and an open table.
    pub(super) async fn of_three(seed: u64, settings: RaftSettings) -> Self {
        let mut world = Self::new(seed, settings);
        let voters = [1, 2, 3].map(|node| (ReplicaId(100 + node), NodeId(node)));
        for (replica, node) in voters {
            world.start(node.0);
            let made = world.host(node.0).create(SHARD, replica).await.expect("created");
            made.initialize(&voters).await.expect("initialized");
        }
        let leader = world.leader_among(&[1, 2, 3]).await;
        let opened = world.propose(leader, open(TABLE)).await.expect("opened");
        assert_eq!(opened.body, ReplyBody::SpanDone);
        world
    }

    /// Starts a node's process on its disk (an empty one the first time). It holds what it held.
    pub(super) fn start(&mut self, node: u64) {
        let node = NodeId(node);
        let machine = self.machines.entry(node).or_insert_with(|| Machine {
            files: MemFiles::new(),
            engine: MemEngine::crashable(),
            life: 0,
            host: None,
        });
        assert!(machine.host.is_none(), "node {node} runs");
        machine.life += 1;
        let options = LogOptions { segment_bytes: 64 << 10, ..LogOptions::default() };
        let log =
            RaftLog::open(Arc::new(machine.files.clone()), options, Driver::Inline).expect("the log opens");
        let wire = Wire { net: Arc::clone(&self.net), from: node, life: machine.life };
        let engine = Arc::new(machine.engine.clone());
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let host = Arc::new(Host::new(node, engine, log, Arc::new(wire), clock, self.settings.clone()));
        self.net.state.lock().nodes.insert(node, (machine.life, Arc::clone(host.replicas())));
        machine.host = Some(host);
    }

    /// Ends a node's process as a power cut does: what was not synced is lost.
    pub(super) async fn crash(&mut self, node: u64) {
        let node = NodeId(node);
        self.net.state.lock().nodes.remove(&node);
        let machine = self.machines.get_mut(&node).expect("the node exists");
        let host = machine.host.take().expect("the node runs");
        machine.files = machine.files.crash(&mut |_| 0);
        machine.engine = machine.engine.crash(0);
        // Its tasks end; its files and rows are out of their reach already.
        for replica in host.replicas().all() {
            replica.stop().await;
        }
    }

    /// Ends a node's process and takes its disk away.
    pub(super) async fn lose_disk(&mut self, node: u64) {
        self.crash(node).await;
        self.machines.remove(&NodeId(node));
    }

    /// Crashes a node and starts it again at once.
    pub(super) async fn restart(&mut self, node: u64) {
        self.crash(node).await;
        self.start(node);
        self.host(node).recover(true).await.expect("recovered");
    }

    pub(super) fn host(&self, node: u64) -> Arc<Host> {
        Arc::clone(self.machines[&NodeId(node)].host.as_ref().expect("the node runs"))
    }

    pub(super) fn files(&self, node: u64) -> &MemFiles {
        &self.machines[&NodeId(node)].files
    }

    pub(super) fn engine(&self, node: u64) -> Arc<dyn Engine> {
        Arc::new(self.machines[&NodeId(node)].engine.clone())
    }

    /// The node's replica of the shard.
    pub(super) fn replica(&self, node: u64) -> Replica {
        self.host(node).replicas().of_shard(SHARD).expect("the node holds a replica")
    }

    /// Waits until one of these nodes leads with a lease, and all of them follow it.
    pub(super) async fn leader_among(&self, nodes: &[u64]) -> u64 {
        let leader = || {
            let mut leaders = nodes.iter().filter(|node| self.replica(**node).lease_holds());
            let leader = *leaders.next()?;
            let agreed = |node: &u64| self.replica(*node).leader().map(|(_, node)| node.0) == Some(leader);
            nodes.iter().all(agreed).then_some(leader)
        };
        eventually("one leader", || leader().is_some()).await;
        leader().expect("just seen")
    }

    /// Proposes on a node, and waits for at most 5 s.
    pub(super) async fn propose(&mut self, node: u64, body: CommandBody) -> Result<Reply, ProposeError> {
        self.commands += 1;
        let replica = self.replica(node);
        let answer = replica.propose(command(self.commands, body), 100);
        let late = || ProposeError::Unknown("no answer within 5 s".into());
        tokio::time::timeout(Duration::from_secs(5), answer).await.unwrap_or_else(|_| Err(late()))
    }

    /// Writes an item, and expects that it works.
    pub(super) async fn put(&mut self, node: u64, key: &str, value: &str) {
        let reply = self.propose(node, put(TABLE, key, value)).await.expect("acknowledged");
        assert!(matches!(reply.body, ReplyBody::Written(_)), "{reply:?}");
    }

    /// Reads an item's value on a node; no answer within 5 s counts as stopped.
    pub(super) async fn get(
        &self,
        node: u64,
        consistency: Consistency,
        key: &str,
    ) -> Result<Option<String>, ReadError> {
        let replica = self.replica(node);
        let plan = get(TABLE, key);
        let answer = tokio::time::timeout(Duration::from_secs(5), replica.read(consistency, &plan)).await;
        answer
            .unwrap_or_else(|_| Err(ReadError::Stopped("no answer within 5 s".into())))
            .map(|reply| value_of(&reply))
    }

    /// Waits until these nodes have applied the same and their states are equal.
    pub(super) async fn converged(&self, nodes: &[u64]) {
        let state = |node: u64| {
            let replica = self.replica(node);
            (replica.status().last_log, replica.applied().index(), replica.applied().state_hash())
        };
        let equal = || {
            let (last, index, _) = state(nodes[0]);
            last == index && nodes.iter().all(|node| state(*node) == state(nodes[0]))
        };
        eventually("equal states", equal).await;
    }
}

/// Waits until it holds.
///
/// # Panics
/// When it does not within [`PATIENCE`].
pub(super) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The default timings, for schedules that name them.
pub(super) fn settings() -> RaftSettings {
    RaftSettings::default()
}
