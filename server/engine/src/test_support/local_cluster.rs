//! The port over shards in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::{Mutex, RwLock};
use trilith_cluster::{Cluster, ClusterError, Freshness};
use trilith_domain::Stamp;
use trilith_domain::catalog::{
    Catalog, CatalogCommand, CatalogReply, ClusterRecord, NodeRecord, NodeState, ReplicaPlace, ShardRecord,
    TableRecord,
};
use trilith_domain::keyspace::{CATALOG_SHARD, Family};
use trilith_domain::machine::{CommandBody, Limits, Reply, ReplyBody};
use trilith_domain::read::{Plan, ReadReply};
use trilith_values::{NodeId, ReplicaId, SchemaVersion, ShardId, TableId};

use super::LocalShard;
use super::{ACCOUNT, REGION};

/// What goes wrong with a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Nothing: it is applied and answered.
    None,
    /// It is not proposed.
    NotDone,
    /// It is applied, and the answer is lost.
    AnswerLost,
    /// It is lost, and nobody knows.
    CommandLost,
    /// The shard answers this and does nothing.
    Reply(ReplyBody),
}

type OnWrite = Box<dyn FnMut(ShardId, &CommandBody) -> Fault + Send>;
type OnRead = Box<dyn FnMut(ShardId, Freshness, &Plan) -> Option<ClusterError> + Send>;

/// What all nodes share.
struct World {
    shards: Mutex<BTreeMap<ShardId, LocalShard>>,
    /// Replicas that eventual reads of a shard are answered by, where they lag.
    lagging: Mutex<BTreeMap<ShardId, LocalShard>>,
    on_write: Mutex<Option<OnWrite>>,
    on_read: Mutex<Option<OnRead>>,
    micros: AtomicU64,
    /// Versions of descriptors that [`LocalCluster::raise_version`] has raised.
    versions: Mutex<BTreeMap<TableId, SchemaVersion>>,
    /// Told of every command.
    applied: tokio::sync::Notify,
}

/// One node of a cluster in memory. Its copy of the catalog moves on only by its own changes and refreshes.
pub struct LocalCluster {
    world: Arc<World>,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    catalog: Arc<Catalog>,
    tables: BTreeMap<(u64, String), Arc<TableRecord>>,
}

impl LocalCluster {
    /// The first node of a cluster with so many shards for data.
    pub fn new(data_shards: u32) -> Arc<Self> {
        Self::with_limits(data_shards, Limits::default())
    }

    /// The same, whose shards refuse writes by these limits.
    pub fn with_limits(data_shards: u32, limits: Limits) -> Arc<Self> {
        let ids = (0..=data_shards).map(ShardId);
        let world = World {
            shards: Mutex::new(ids.map(|id| (id, LocalShard::new(id, limits))).collect()),
            lagging: Mutex::default(),
            on_write: Mutex::default(),
            on_read: Mutex::default(),
            micros: AtomicU64::new(1_600_000_000_000_000),
            versions: Mutex::default(),
            applied: tokio::sync::Notify::new(),
        };
        let node = Self { world: Arc::new(world), known: RwLock::default() };
        let founded = node.apply(CATALOG_SHARD, CommandBody::Catalog(founding(data_shards)));
        assert_eq!(founded.body, ReplyBody::Catalog(CatalogReply::Done));
        node.catch_up();
        Arc::new(node)
    }

    /// Another node, with the catalog as it is now.
    pub fn another_node(&self) -> Arc<Self> {
        let node = Self { world: Arc::clone(&self.world), known: RwLock::default() };
        node.catch_up();
        Arc::new(node)
    }

    /// From now on asks `fault` what goes wrong with each command, those of the catalog among them.
    pub fn on_write(&self, fault: impl FnMut(ShardId, &CommandBody) -> Fault + Send + 'static) {
        *self.world.on_write.lock() = Some(Box::new(fault));
    }

    /// From now on asks `fault` what goes wrong with each read. Refreshes of the catalog are reads of shard 0.
    pub fn on_read(
        &self,
        fault: impl FnMut(ShardId, Freshness, &Plan) -> Option<ClusterError> + Send + 'static,
    ) {
        *self.world.on_read.lock() = Some(Box::new(fault));
    }

    /// Lets time pass: later commands and workers see it.
    pub fn advance(&self, time: Duration) {
        self.world.micros.fetch_add(time.as_micros() as u64, Ordering::Relaxed);
    }

    /// Nothing goes wrong any more, and no replica lags.
    pub fn heal(&self) {
        *self.world.on_write.lock() = None;
        *self.world.on_read.lock() = None;
        self.world.lagging.lock().clear();
    }

    /// From now on eventual reads see every shard as it is now.
    pub fn freeze_followers(&self) {
        *self.world.lagging.lock() = self.world.shards.lock().clone();
    }

    /// A copy of a shard.
    pub fn shard(&self, shard: ShardId) -> LocalShard {
        self.world.shards.lock()[&shard].clone()
    }

    /// Ids of the shards that hold tables.
    pub fn data_shards(&self) -> Vec<ShardId> {
        self.world.shards.lock().keys().copied().filter(|id| *id != CATALOG_SHARD).collect()
    }

    /// Raises the version of a table's descriptor in the catalog, as an operation will that changes what shards know of
    /// a table. Answers the commands that make the shards follow, for [`LocalCluster::apply`]. Nodes learn of it when
    /// they refresh.
    pub fn raise_version(&self, name: &str) -> Vec<(ShardId, CommandBody)> {
        let catalog = self.shard(CATALOG_SHARD).state().catalog().clone();
        let record = catalog.table_named(ACCOUNT, name).expect("a table of this cluster");
        let mut schema = record.schema();
        let mut versions = self.world.versions.lock();
        schema.version = versions.get(&record.id).copied().unwrap_or(record.version).next();
        versions.insert(record.id, schema.version);
        let alter = |shard| (shard, CommandBody::SpanAlter { schema: schema.clone() });
        crate::lifecycle::shards(&record.spans).into_iter().map(alter).collect()
    }

    /// Applies a command, past every fault.
    pub fn apply(&self, shard: ShardId, command: CommandBody) -> Reply {
        let now = Stamp(self.world.micros.fetch_add(1, Ordering::Relaxed));
        let reply = {
            let mut shards = self.world.shards.lock();
            shards.get_mut(&shard).expect("a shard of this cluster").apply(command, now)
        };
        self.world.applied.notify_waiters();
        reply
    }

    /// Sets or removes a row past every command and every rule: damage, for those who look for it.
    pub fn plant(&self, shard: ShardId, family: Family, key: &[u8], value: Option<Bytes>) {
        let mut shards = self.world.shards.lock();
        shards.get_mut(&shard).expect("a shard of this cluster").plant(family, key, value);
    }

    fn catch_up(&self) {
        let catalog = self.shard(CATALOG_SHARD).state().catalog().clone();
        let versions = self.world.versions.lock();
        let table = |record: &TableRecord| {
            let version = versions.get(&record.id).copied().unwrap_or(record.version);
            let record = TableRecord { version, ..record.clone() };
            ((record.account, record.name.clone()), Arc::new(record))
        };
        let tables = catalog.tables().map(table).collect();
        *self.known.write() = Known { catalog: Arc::new(catalog), tables };
    }

    fn write_now(&self, shard: ShardId, command: CommandBody) -> Result<Reply, ClusterError> {
        let fault = self.world.on_write.lock().as_mut().map_or(Fault::None, |fault| fault(shard, &command));
        match fault {
            Fault::None => Ok(self.apply(shard, command)),
            Fault::NotDone => Err(ClusterError::NotDone("the test says so".to_owned())),
            Fault::AnswerLost => {
                self.apply(shard, command);
                Err(ClusterError::Unknown("the test lost the answer".to_owned()))
            }
            Fault::CommandLost => Err(ClusterError::Unknown("the test lost the command".to_owned())),
            Fault::Reply(body) => Ok(Reply { stamp: Stamp::ZERO, body }),
        }
    }

    fn read_now(&self, shard: ShardId, freshness: Freshness, plan: &Plan) -> Result<ReadReply, ClusterError> {
        if let Some(fault) = self.world.on_read.lock().as_mut()
            && let Some(error) = fault(shard, freshness, plan)
        {
            return Err(error);
        }
        if freshness == Freshness::Eventual
            && let Some(behind) = self.world.lagging.lock().get(&shard)
        {
            return Ok(behind.read(plan));
        }
        Ok(self.world.shards.lock()[&shard].read(plan))
    }

    fn refresh_now(&self) -> Result<(), ClusterError> {
        self.read_now(CATALOG_SHARD, Freshness::Strong, &Plan::Catalog { newer_than: 0 })?;
        self.catch_up();
        Ok(())
    }
}

/// The first command of a cluster of one node.
fn founding(data_shards: u32) -> CatalogCommand {
    let node = NodeRecord {
        id: NodeId(1),
        zone: "a".to_owned(),
        peer: String::new(),
        http: String::new(),
        state: NodeState::Up,
    };
    let shard = |id: u32| ShardRecord {
        id: ShardId(id),
        replicas: vec![ReplicaPlace { replica: ReplicaId(u64::from(id) + 1), node: NodeId(1) }],
        incoming: Vec::new(),
    };
    CatalogCommand::Bootstrap {
        cluster: ClusterRecord { cluster: 1, region: REGION.to_owned(), account: ACCOUNT },
        nodes: vec![node],
        shards: (0..=data_shards).map(shard).collect(),
    }
}

/// Every answer comes after the task was left once: so requests that run together do meet.
fn soon<'a, T: Send + 'a>(answer: impl FnOnce() -> T + Send + 'a) -> BoxFuture<'a, T> {
    tokio::task::yield_now().map(|()| answer()).boxed()
}

impl Cluster for LocalCluster {
    fn write<'a>(
        &'a self,
        shard: ShardId,
        command: CommandBody,
        _deadline: Instant,
    ) -> BoxFuture<'a, Result<Reply, ClusterError>> {
        soon(move || self.write_now(shard, command))
    }

    fn read<'a>(
        &'a self,
        shard: ShardId,
        freshness: Freshness,
        plan: &'a Plan,
        _deadline: Instant,
    ) -> BoxFuture<'a, Result<ReadReply, ClusterError>> {
        soon(move || self.read_now(shard, freshness, plan))
    }

    fn leads(&self, _: ShardId) -> bool {
        true
    }

    fn owing<'a>(&'a self, shard: ShardId, after: Stamp) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            loop {
                let applied = self.world.applied.notified();
                if self.world.shards.lock()[&shard].state().outbox().owes_above(after) {
                    return;
                }
                applied.await;
            }
        })
    }

    fn change_catalog<'a>(
        &'a self,
        command: CatalogCommand,
        _deadline: Instant,
    ) -> BoxFuture<'a, Result<CatalogReply, ClusterError>> {
        soon(move || {
            let reply = self.write_now(CATALOG_SHARD, CommandBody::Catalog(command))?;
            self.catch_up();
            match reply.body {
                ReplyBody::Catalog(reply) => Ok(reply),
                other => Err(ClusterError::Unknown(format!("the catalog answered {other:?}"))),
            }
        })
    }

    fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.known.read().catalog)
    }

    fn table(&self, account: u64, name: &str) -> Option<Arc<TableRecord>> {
        self.known.read().tables.get(&(account, name.to_owned())).cloned()
    }

    fn refresh_catalog<'a>(&'a self, _deadline: Instant) -> BoxFuture<'a, Result<(), ClusterError>> {
        soon(move || self.refresh_now())
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn now_micros(&self) -> u64 {
        self.world.micros.load(Ordering::Relaxed)
    }
}
