//! A running process: its nodes, the cluster over them, the engine, and the background work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use trilith_cluster::{Cluster, ClusterSettings, Founding, Members, RaftCluster};
use trilith_consensus::{Consistency, Host, ReadError, Replica, Transport};
use trilith_domain::Clock;
use trilith_engine::{Engine, Identity};
use trilith_values::{CommandId, NodeId, ReplicaId, ShardId};

/// Everything above the nodes' ground.
pub struct Process {
    /// The cluster as this process sees it.
    pub cluster: Arc<RaftCluster>,
    /// What executes operations.
    pub engine: Arc<Engine>,
    work: Mutex<Vec<JoinHandle<()>>>,
}

fn text(error: ReadError) -> String {
    error.to_string()
}

impl Process {
    /// Builds the layers over these nodes and starts their background work.
    pub fn start(
        hosts: Vec<Arc<Host>>,
        transport: Option<Arc<dyn Transport>>,
        clock: Arc<dyn Clock>,
        strong: Consistency,
        identity: Identity,
    ) -> Arc<Self> {
        let members = Members::new(hosts, transport);
        let settings = ClusterSettings { strong, reconcile: Duration::from_millis(500) };
        let cluster = RaftCluster::new(members, clock, settings, Arc::new(|| CommandId(rand::random())));
        let port: Arc<dyn Cluster> = Arc::clone(&cluster) as _;
        let entropy = Arc::new(|| uuid::Uuid::new_v4().as_u128() ^ u128::from(rand::random::<u64>()));
        let engine = Arc::new(Engine::new(Arc::clone(&port), identity, entropy));
        let mut work = cluster.run();
        work.extend(trilith_engine::workers::start(&port));
        Arc::new(Self { cluster, engine, work: Mutex::new(work) })
    }

    /// Adds background work that ends with the process.
    pub fn also(&self, task: JoinHandle<()>) {
        self.work.lock().push(task);
    }

    /// Waits until requests can be served, or the time is over: then says what is missing.
    pub async fn until_ready(&self, bound: Duration) -> Result<(), String> {
        let deadline = Instant::now() + bound;
        loop {
            match self.cluster.ready() {
                Ok(()) => return Ok(()),
                Err(missing) if Instant::now() >= deadline => return Err(missing),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    /// The orderly end, after the front ends have drained.
    pub async fn stop(&self) {
        for task in self.work.lock().drain(..) {
            task.abort();
        }
        for host in self.cluster.members().hosts() {
            if let Err(error) = host.stop().await {
                tracing::error!(%error, node = %host.node(), "the node did not stop cleanly; its log holds everything acknowledged");
            }
        }
    }
}

/// Makes this node's replicas of a new cluster. They speak once they are initialised ([`begin`]).
pub async fn found(host: &Host, founding: &Founding) -> Result<(), String> {
    for (shard, replica) in own(host, founding) {
        host.create(shard, replica).await.map_err(text)?;
    }
    Ok(())
}

/// Initialises the shards that this node should lead at first, and stands for their leaderships. The other replicas
/// learn of their group from the leader: of several that are initialised, the one whose timer is quickest would stand
/// as well, and two candidates in one term cost a whole election timeout.
pub async fn begin(host: &Host, founding: &Founding) -> Result<(), String> {
    for shard in founding.shards().into_iter().filter(|shard| founding.first_leader(shard.id) == host.node())
    {
        let voters: Vec<(ReplicaId, NodeId)> =
            shard.replicas.iter().map(|place| (place.replica, place.node)).collect();
        let Some(replica) = host.replicas().of_shard(shard.id) else { continue };
        replica.initialize(&voters).await.map_err(text)?;
        replica.campaign().await;
    }
    Ok(())
}

fn own(host: &Host, founding: &Founding) -> Vec<(ShardId, ReplicaId)> {
    let shards = founding.shards().into_iter();
    let own = shards.flat_map(|shard| {
        let places = shard.replicas.into_iter().filter(|place| place.node == host.node());
        places.map(move |place| (shard.id, place.replica)).collect::<Vec<_>>()
    });
    own.collect()
}

/// Proposes the catalog's first command until the catalog has one. Idempotent: any member may do it.
pub async fn bootstrap(cluster: Arc<RaftCluster>, founding: Founding) {
    while cluster.catalog().cluster().is_none() {
        let deadline = Instant::now() + Duration::from_secs(5);
        if let Err(error) = cluster.change_catalog(founding.command(), deadline).await {
            tracing::debug!(%error, "the catalog's first command is tried again");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// After a restart of all of a cluster's nodes at once: of each shard's replicas the one with the longest log stands,
/// since the others would refuse their votes to one that lacks entries; among equals the one whose share it is.
pub async fn campaign(hosts: &[Arc<Host>]) {
    let mut best: BTreeMap<ShardId, (u64, bool, Replica)> = BTreeMap::new();
    for (i, host) in hosts.iter().enumerate() {
        for replica in host.replicas().all() {
            let shard = replica.name().shard;
            let status = replica.status();
            let share = shard.0 as usize % hosts.len() == i;
            let rank = (status.last_log, share);
            if best.get(&shard).is_none_or(|(index, held, _)| rank > (*index, *held)) {
                best.insert(shard, (rank.0, rank.1, replica));
            }
        }
    }
    for (_, _, replica) in best.into_values() {
        replica.campaign().await;
    }
}
