//! Whole servers on the nodes of the simulation: engine, workers, catalog, and a client of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use trilith_cluster::{CATALOG, Cluster, FirstMember, Founding, now};
use trilith_domain::catalog::{CatalogCommand, ClusterRecord, ReplicaPlace, ShardRecord};
use trilith_engine::test_support::{Client, caller_within};
use trilith_engine::{Engine, Identity, Service, workers};
use trilith_values::{NodeId, ReplicaId, ShardId};

use crate::world::{NODES, SHARD, World};

/// The catalog's replicas; those of [`SHARD`] are 1 to 3.
pub(crate) const CATALOG_REPLICAS: [ReplicaId; 3] = [ReplicaId(4), ReplicaId(5), ReplicaId(6)];
/// What an application waits for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A node's process with everything that runs in one, and a client of it. Background work ends with it.
pub(crate) struct Server {
    /// Which life of the node it is.
    pub(crate) life: u64,
    pub(crate) port: Arc<dyn Cluster>,
    client: Client,
    service: Arc<Engine>,
    work: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.work.iter().for_each(|task| task.abort());
    }
}

impl Server {
    pub(crate) fn start(world: &World, node: u64) -> Self {
        let process = world.process(node).expect("it runs");
        let port: Arc<dyn Cluster> = process.by_lease.clone();
        let mut work = process.by_lease.run();
        work.extend(workers::start(&port));
        // Ids of tables and tokens differ between nodes and between the lives of one.
        let counter = AtomicU64::new(node << 32 | process.life << 16);
        let entropy = move || {
            u128::from(counter.fetch_add(1, Ordering::Relaxed))
                .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        };
        let identity = Identity { region: "us-east-1".into(), account: 0 };
        let service = Arc::new(Engine::new(Arc::clone(&port), identity, Arc::new(entropy)));
        let client = Client::on(Arc::clone(&service) as Arc<dyn Service>);
        Self { life: process.life, client, service, port, work }
    }

    pub(crate) fn client(&self) -> Client {
        self.client.with_caller(caller_within(PATIENCE))
    }

    /// Whether it serves.
    pub(crate) fn service_is_ready(&self) -> bool {
        self.service.ready().is_ok()
    }

    pub(crate) async fn ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Err(missing) = self.service.ready() {
            assert!(Instant::now() < deadline, "not ready: {missing}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The catalog of a cluster that has [`SHARD`] already, and so many data shards in all.
pub(crate) async fn found_cluster(world: &World, data_shards: u32) {
    world.found(CATALOG, CATALOG_REPLICAS).await;
    let mut groups = vec![(CATALOG, CATALOG_REPLICAS), (SHARD, NODES.map(ReplicaId))];
    for number in 2..=data_shards {
        let first = u64::from(number) * 3 + 1;
        let group = (ShardId(number), [0, 1, 2].map(|i| ReplicaId(first + i)));
        world.found(group.0, group.1).await;
        groups.push(group);
    }
    let member =
        |node: &u64| FirstMember { zone: format!("z{node}"), peer: String::new(), http: String::new() };
    let cluster = ClusterRecord { cluster: 7, region: "us-east-1".into(), account: 0 };
    let founding = Founding { cluster, members: NODES.iter().map(member).collect(), shards: data_shards };
    let CatalogCommand::Bootstrap { cluster, nodes, .. } = founding.command() else { unreachable!() };
    let record = |(id, replicas): (ShardId, [ReplicaId; 3])| {
        let place = |i: usize| ReplicaPlace { replica: replicas[i], node: NodeId(NODES[i]) };
        ShardRecord { id, replicas: [0, 1, 2].map(place).to_vec(), incoming: Vec::new() }
    };
    let shards = groups.into_iter().map(record).collect();
    let port = world.process(NODES[0]).expect("it runs").by_lease;
    let command = CatalogCommand::Bootstrap { cluster, nodes, shards };
    port.change_catalog(command, now() + PATIENCE).await.expect("founded");
}
