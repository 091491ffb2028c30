//! Three nodes with disks in memory, and the network between them.
//!
//! A node's process has lives. A crash ends one: its messages no longer leave or arrive, its disk keeps the synced
//! bytes and a random part of the others, and its tasks find files and rows out of their reach. Half of the runs have
//! disks that sync within the call, half have slow ones, where entries are in the log for milliseconds before they
//! are durable.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};
use trilith_cluster::{ClusterSettings, Members, RaftCluster};
use trilith_consensus::{
    Consistency, Handler, Host, PeerRequest, PeerResponse, RaftRequest, RaftSettings, Replica, Replicas,
    Transport, TransportError, decode_request, decode_response, encode_request, encode_response,
};
use trilith_domain::Clock;
use trilith_storage::{Driver, LogOptions, MemEngine, MemFiles, RaftLog};
use trilith_values::{CommandId, NodeId, ReplicaId, ShardId};

use crate::oracle::History;
use crate::trace::Trace;

pub(crate) const SHARD: ShardId = ShardId(1);
pub(crate) const NODES: [u64; 3] = [1, 2, 3];

/// A bug on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planted {
    /// None.
    Nothing,
    /// The disks' syncs do nothing.
    SkippedFsync,
    /// Strong reads are answered by any replica from what it has applied.
    FollowerReads,
    /// Replicas vote as soon as they are back from a crash.
    VotesAtOnce,
}

/// Runs under paused time; the seed decides every random number.
pub(crate) fn simulate<F: Future>(seed: u64, work: impl FnOnce() -> F) -> F::Output {
    trilith_consensus::seed_this_thread(seed);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()));
    builder.build().expect("a runtime needs nothing").block_on(work())
}

/// What the network does to messages.
pub(crate) struct Net {
    state: Mutex<NetState>,
}

struct NetState {
    rng: SmallRng,
    /// Each node's present life and where its messages go.
    nodes: BTreeMap<NodeId, (u64, Arc<Replicas>)>,
    cuts: BTreeSet<(NodeId, NodeId)>,
    /// Replicas that no message of their group reaches.
    deaf: BTreeSet<ReplicaId>,
    /// Requests that arrived, by kind.
    carried: BTreeMap<&'static str, usize>,
    delay_micros: Range<u64>,
    loss: f64,
}

const CALM: Range<u64> = 200..2_000;

impl Net {
    fn new(seed: u64) -> Self {
        Self {
            state: Mutex::new(NetState {
                rng: SmallRng::seed_from_u64(seed),
                nodes: BTreeMap::new(),
                cuts: BTreeSet::new(),
                deaf: BTreeSet::new(),
                carried: BTreeMap::new(),
                delay_micros: CALM,
                loss: 0.0,
            }),
        }
    }

    /// How long a message takes; `None` when it is lost on the way.
    fn way(&self) -> Option<Duration> {
        let NetState { rng, loss, delay_micros, .. } = &mut *self.state.lock();
        let delay = Duration::from_micros(rng.random_range(delay_micros.clone()));
        (!rng.random_bool(*loss)).then_some(delay)
    }

    fn receiver(&self, from: (NodeId, u64), to: NodeId) -> Option<(u64, Arc<Replicas>)> {
        let state = self.state.lock();
        let alive = state.nodes.get(&from.0).is_some_and(|(life, _)| *life == from.1);
        if !alive || state.cuts.contains(&(from.0, to)) {
            return None;
        }
        state.nodes.get(&to).cloned()
    }

    /// From now on, messages from `from` to `to` are lost.
    pub(crate) fn cut(&self, from: u64, to: u64) {
        self.state.lock().cuts.insert((NodeId(from), NodeId(to)));
    }

    /// From now on, messages of their own group to these replicas are lost, or arrive again.
    pub(crate) fn deafen(&self, replicas: &[ReplicaId], deaf: bool) {
        let mut state = self.state.lock();
        state.deaf.retain(|replica| !replicas.contains(replica));
        if deaf {
            state.deaf.extend(replicas);
        }
    }

    fn is_deaf(&self, request: &PeerRequest) -> bool {
        matches!(request, PeerRequest::Raft { to, .. } if self.state.lock().deaf.contains(to))
    }

    /// Delays in microseconds, and the part of messages that is lost.
    pub(crate) fn weather(&self, delay_micros: Range<u64>, loss: f64) {
        let mut state = self.state.lock();
        (state.delay_micros, state.loss) = (delay_micros, loss);
    }

    /// No cuts, no losses, short delays.
    pub(crate) fn heal(&self) {
        self.state.lock().cuts.clear();
        self.weather(CALM, 0.0);
    }

    /// Snapshot chunks that arrived so far.
    pub(crate) fn snapshot_chunks(&self) -> u64 {
        self.carried("snapshot") as u64
    }

    /// Requests of a kind that arrived so far.
    pub(crate) fn carried(&self, kind: &str) -> usize {
        self.state.lock().carried.get(kind).copied().unwrap_or_default()
    }
}

/// One life of one node, as a sender.
struct Wire {
    world: World,
    from: NodeId,
    life: u64,
}

fn kind(request: &PeerRequest) -> &'static str {
    match request {
        PeerRequest::Raft { message, .. } => match message {
            RaftRequest::Append(_) => "append",
            RaftRequest::Vote(_) => "vote",
            RaftRequest::PreVote(_) => "pre-vote",
            RaftRequest::Transfer(_) => "transfer",
            RaftRequest::Snapshot(_) => "snapshot",
        },
        PeerRequest::Service(_) => "service",
    }
}

/// What travels between processes are bytes.
fn as_bytes(request: PeerRequest) -> PeerRequest {
    match request {
        PeerRequest::Raft { to, message } => {
            let message = decode_request(&encode_request(&message)).expect("what was encoded decodes");
            PeerRequest::Raft { to, message }
        }
        PeerRequest::Service(body) => PeerRequest::Service(body),
    }
}

impl Wire {
    /// Carries a request there and its answer back; `None` where either is lost.
    async fn carry(&self, to: NodeId, request: PeerRequest) -> Option<Result<PeerResponse, TransportError>> {
        let (net, kind) = (&self.world.net, kind(&request));
        sleep(net.way()?).await;
        if net.is_deaf(&request) {
            return None;
        }
        let (life, receiver) = net.receiver((self.from, self.life), to)?;
        *net.state.lock().carried.entry(kind).or_default() += 1;
        self.world.trace.note(format_args!("{} -> {to} {kind}", self.from));
        let from = self.from;
        // The receiver goes on with it, whether or not the sender still waits.
        let handled = tokio::spawn(async move { receiver.handle(from, as_bytes(request)).await });
        let answer = handled.await.expect("handlers do not panic");
        sleep(net.way()?).await;
        net.receiver((to, life), self.from)?;
        self.world.trace.note(format_args!("{} <- {to} {kind} {}", self.from, answer.is_ok()));
        Some(answer.map(|response| match response {
            PeerResponse::Raft(raft) => PeerResponse::Raft(
                decode_response(&encode_response(&raft)).expect("what was encoded decodes"),
            ),
            PeerResponse::Service(body) => PeerResponse::Service(body),
        }))
    }
}

impl Transport for Wire {
    fn call(
        &self,
        to: NodeId,
        request: PeerRequest,
    ) -> BoxFuture<'static, Result<PeerResponse, TransportError>> {
        let wire = Self { world: self.world.clone(), from: self.from, life: self.life };
        Box::pin(async move {
            match wire.carry(to, request).await {
                Some(answer) => answer,
                // Silence: the caller's patience ends it.
                None => std::future::pending().await,
            }
        })
    }
}

/// A node's clock: on time, but never exactly.
struct SkewedClock {
    began: Instant,
    ahead_micros: u64,
}

impl Clock for SkewedClock {
    fn now_micros(&self) -> u64 {
        1_700_000_000_000_000 + self.ahead_micros + self.boot_nanos() / 1_000
    }

    fn boot_nanos(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).expect("runs are short")
    }

    fn monotonic_nanos(&self) -> u64 {
        self.boot_nanos()
    }
}

/// A running process of a node.
#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) host: Arc<Host>,
    pub(crate) life: u64,
    /// The way in for clients, with strong reads by lease.
    pub(crate) by_lease: Arc<RaftCluster>,
    /// The same, with strong reads that ask a quorum.
    pub(crate) by_quorum: Arc<RaftCluster>,
}

struct Machine {
    files: MemFiles,
    engine: MemEngine,
    lives: u64,
    process: Option<Process>,
    /// The life whose disk was told to fail.
    broken: Option<u64>,
}

/// The whole simulated world. A clone is the same world.
#[derive(Clone)]
pub(crate) struct World {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) seed: u64,
    pub(crate) planted: Planted,
    pub(crate) trace: Trace,
    pub(crate) net: Net,
    began: Instant,
    slow_disks: bool,
    machines: Mutex<BTreeMap<u64, Machine>>,
    history: Mutex<History>,
    violation: Mutex<Option<String>>,
    working: AtomicBool,
    /// Replicas on every node.
    replicas: AtomicUsize,
    faults: AtomicUsize,
    streams: AtomicU64,
    commands: AtomicU64,
}

impl std::ops::Deref for World {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

fn settings(planted: Planted) -> RaftSettings {
    // Small bounds, so that queues fill, entries split and logs are purged.
    RaftSettings {
        entry_commands: 4,
        queue: 16,
        log_bytes: 3_000,
        log_kept_bytes: 1_000,
        vote_wait: planted != Planted::VotesAtOnce,
        ..RaftSettings::default()
    }
}

impl World {
    /// Three nodes with a replica each of [`SHARD`].
    pub(crate) async fn start(seed: u64, planted: Planted) -> Self {
        let inner = Inner {
            seed,
            planted,
            trace: Trace::new(),
            net: Net::new(seed),
            began: Instant::now(),
            slow_disks: seed % 2 == 1,
            machines: Mutex::default(),
            history: Mutex::default(),
            violation: Mutex::default(),
            working: AtomicBool::new(true),
            replicas: AtomicUsize::new(0),
            faults: AtomicUsize::new(0),
            streams: AtomicU64::new(0),
            commands: AtomicU64::new(1),
        };
        let world = Self { inner: Arc::new(inner) };
        for node in NODES {
            let files = MemFiles::new();
            files.skip_fsync(planted == Planted::SkippedFsync);
            let machine =
                Machine { files, engine: MemEngine::crashable(), lives: 0, process: None, broken: None };
            world.machines.lock().insert(node, machine);
            world.boot(node).expect("an empty disk");
        }
        world.found(SHARD, NODES.map(ReplicaId)).await;
        world
    }

    /// Makes a group with a replica on each node, in the order of [`NODES`].
    pub(crate) async fn found(&self, shard: ShardId, replicas: [ReplicaId; 3]) {
        let voters = [0, 1, 2].map(|i| (replicas[i], NodeId(NODES[i])));
        for (replica, node) in voters {
            let host = self.process(node.0).expect("it runs").host;
            let made = host.create(shard, replica).await.expect("created");
            made.initialize(&voters).await.expect("initialized");
        }
        self.replicas.fetch_add(1, Ordering::Relaxed);
    }

    /// A stream of random numbers of its own for whoever asks; the order of asking is part of the run.
    pub(crate) fn random(&self) -> SmallRng {
        let stream = self.streams.fetch_add(1, Ordering::Relaxed) + 1;
        SmallRng::seed_from_u64(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ stream)
    }

    /// Starts a node's process on its disk; its replicas are not started yet.
    fn boot(&self, node: u64) -> Result<Process, String> {
        let mut random = self.random();
        let mut machines = self.machines.lock();
        let machine = machines.get_mut(&node).expect("the node exists");
        assert!(machine.process.is_none(), "node {node} runs");
        machine.lives += 1;
        let options = LogOptions { segment_bytes: 16 << 10, cache_bytes: 4 << 10, ..LogOptions::default() };
        let driver = if self.slow_disks { Driver::Manual } else { Driver::Inline };
        let log = RaftLog::open(Arc::new(machine.files.clone()), options, driver);
        let log = log.map_err(|e| format!("node {node} cannot open its log: {e}"))?;
        let wire = Wire { world: self.clone(), from: NodeId(node), life: machine.lives };
        let clock: Arc<dyn Clock> =
            Arc::new(SkewedClock { began: self.began, ahead_micros: random.random_range(0..400_000) });
        let wire: Arc<dyn Transport> = Arc::new(wire);
        let engine = Arc::new(machine.engine.clone());
        let host = Host::new(
            NodeId(node),
            engine,
            log.clone(),
            Arc::clone(&wire),
            Arc::clone(&clock),
            settings(self.planted),
        );
        let host = Arc::new(host);
        let members = Members::new(vec![Arc::clone(&host)], Some(wire));
        let world = self.clone();
        let ids: Arc<dyn Fn() -> CommandId + Send + Sync> =
            Arc::new(move || CommandId(u128::from(world.commands.fetch_add(1, Ordering::Relaxed))));
        let cluster = |strong| {
            let settings = ClusterSettings { strong, reconcile: Duration::from_millis(200) };
            RaftCluster::new(Arc::clone(&members), Arc::clone(&clock), settings, Arc::clone(&ids))
        };
        let process = Process {
            host,
            life: machine.lives,
            by_lease: cluster(Consistency::Lease),
            by_quorum: cluster(Consistency::ReadIndex),
        };
        machine.process = Some(process.clone());
        drop(machines);
        let mut net = self.net.state.lock();
        net.nodes.insert(NodeId(node), (process.life, Arc::clone(process.host.replicas())));
        drop(net);
        if self.slow_disks {
            tokio::spawn(self.clone().drive(node, process.life, log, random));
        }
        tokio::spawn(self.clone().look_after_log(node, process.clone()));
        Ok(process)
    }

    /// Keeps the log small, as a server does every now and then.
    async fn look_after_log(self, node: u64, process: Process) {
        let mut random = self.random();
        while self.is_alive(node, process.life) {
            sleep(Duration::from_millis(random.random_range(100..600))).await;
            process.host.compact().await;
        }
    }

    /// A slow disk: whatever is queued is durable a few milliseconds later.
    async fn drive(self, node: u64, life: u64, log: RaftLog, mut random: SmallRng) {
        while self.is_alive(node, life) {
            log.drive();
            sleep(Duration::from_micros(random.random_range(1_000..6_000))).await;
        }
    }

    /// Starts a node that is down, with what it held.
    ///
    /// # Errors
    /// What it cannot read of its own disk: a violation, as disks here only lose what was not synced.
    pub(crate) async fn restart(&self, node: u64) -> Result<(), String> {
        let process = self.boot(node)?;
        self.trace.note(format_args!("node {node} starts"));
        let held = process.host.recover(true).await.map_err(|e| format!("node {node} cannot start: {e}"))?;
        if held != self.replicas.load(Ordering::Relaxed) {
            return Err(format!("a replica of node {node} does not start on its own disk"));
        }
        Ok(())
    }

    /// Ends a node's process as a power cut does, if it runs.
    pub(crate) fn crash(&self, node: u64, random: &mut SmallRng) {
        let mut machines = self.machines.lock();
        let machine = machines.get_mut(&node).expect("the node exists");
        let Some(process) = machine.process.take() else { return };
        self.net.state.lock().nodes.remove(&NodeId(node));
        machine.files = machine.files.crash(&mut |most| random.random_range(0..=most));
        machine.engine = machine.engine.crash(random.random_range(0..=machine.engine.unsynced()));
        drop(machines);
        self.trace.note(format_args!("node {node} crashes"));
        tokio::spawn(async move {
            for replica in process.host.replicas().all() {
                replica.stop().await;
            }
        });
    }

    /// Lets the next sync of a running node fail.
    pub(crate) fn break_disk(&self, node: u64) {
        let mut machines = self.machines.lock();
        let machine = machines.get_mut(&node).expect("the node exists");
        if let Some(process) = &machine.process {
            machine.broken = Some(process.life);
            machine.files.fail_next_sync();
        }
    }

    /// Whether a replica of this life has a reason to fail.
    pub(crate) fn is_broken(&self, node: u64, life: u64) -> bool {
        self.machines.lock()[&node].broken == Some(life)
    }

    /// The node's process, if it runs.
    pub(crate) fn process(&self, node: u64) -> Option<Process> {
        self.machines.lock()[&node].process.clone()
    }

    /// The node's replica and the life it belongs to, if it runs.
    pub(crate) fn replica(&self, node: u64) -> Option<(Replica, u64)> {
        let process = self.process(node)?;
        Some((process.host.replicas().of_shard(SHARD)?, process.life))
    }

    /// Writes of the node's state that a power cut would take.
    pub(crate) fn unsynced(&self, node: u64) -> usize {
        self.machines.lock()[&node].engine.unsynced()
    }

    pub(crate) fn is_alive(&self, node: u64, life: u64) -> bool {
        self.process(node).is_some_and(|process| process.life == life)
    }

    /// Whether clients go on.
    pub(crate) fn is_working(&self) -> bool {
        self.working.load(Ordering::Relaxed)
    }

    pub(crate) fn end_of_work(&self) {
        self.working.store(false, Ordering::Relaxed);
    }

    pub(crate) fn record<T>(&self, record: impl FnOnce(&mut History) -> T) -> T {
        record(&mut self.history.lock())
    }

    pub(crate) fn history(&self) -> History {
        self.history.lock().clone()
    }

    /// Notes that something happened that must not; the first counts.
    pub(crate) fn violated(&self, what: String) {
        self.trace.note(&what);
        self.violation.lock().get_or_insert(what);
    }

    pub(crate) fn violation(&self) -> Option<String> {
        self.violation.lock().clone()
    }

    pub(crate) fn count_fault(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn faults(&self) -> usize {
        self.faults.load(Ordering::Relaxed)
    }
}
