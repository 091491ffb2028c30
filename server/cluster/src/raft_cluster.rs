//! The port's real side: replicated shards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use tokio::task::JoinHandle;
use trilith_consensus::{Consistency, ReplicaStatus};
use trilith_domain::catalog::{Catalog, CatalogCommand, CatalogReply, TableRecord};
use trilith_domain::machine::{Command, CommandBody, Reply, ReplyBody};
use trilith_domain::read::{Plan, ReadReply};
use trilith_domain::{Clock, Stamp};
use trilith_values::{CommandId, ShardId};

use crate::directory::{CATALOG, Directory};
use crate::dispatch;
use crate::members::Members;
use crate::port::{Cluster, ClusterError, Freshness};

/// How often a worker that waits for a shard looks whether this process leads it.
const LEADERSHIP_EVERY: Duration = Duration::from_millis(500);

/// What a cluster is told at its start.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// What a strong read is: by lease, or by asking a quorum.
    pub strong: Consistency,
    /// How often a leader looks after placement (see [`crate::reconciler`]).
    pub reconcile: Duration,
}

/// A cluster of replicated shards, as one process sees it.
pub struct RaftCluster {
    pub(crate) members: Arc<Members>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) settings: ClusterSettings,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Fn() -> CommandId + Send + Sync>,
}

impl RaftCluster {
    /// Over the nodes of this process. [`RaftCluster::run`] keeps its knowledge fresh. `ids` gives an id that no other
    /// command has.
    pub fn new(
        members: Arc<Members>,
        clock: Arc<dyn Clock>,
        settings: ClusterSettings,
        ids: Arc<dyn Fn() -> CommandId + Send + Sync>,
    ) -> Arc<Self> {
        Arc::new(Self { members, directory: Arc::new(Directory::new()), settings, clock, ids })
    }

    /// This process's nodes.
    pub fn members(&self) -> &Arc<Members> {
        &self.members
    }

    /// The catalog as this process knows it.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// Starts the background work: following the catalog, placement, log compaction, freeing space. Ends when the handle is aborted.
    pub fn run(self: &Arc<Self>) -> Vec<JoinHandle<()>> {
        let follow = Arc::clone(self);
        let place = Arc::clone(self);
        let compact = Arc::clone(self);
        let reclaim = Arc::clone(self);
        vec![
            tokio::spawn(async move { follow.follow_catalog().await }),
            tokio::spawn(async move { crate::reconciler::run(place).await }),
            tokio::spawn(async move { compact.compact_logs().await }),
            tokio::spawn(async move { reclaim.reclaim_space().await }),
        ]
    }

    async fn follow_catalog(&self) {
        loop {
            self.directory.catch_up(&self.members);
            let replicas = self.members.replicas(CATALOG);
            let changes = replicas.into_iter().map(|replica| {
                let applied = replica.applied();
                let known = self.directory.applied();
                Box::pin(async move { applied.changed_from(known).await })
            });
            let changes: Vec<_> = changes.collect();
            if changes.is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            } else {
                futures::future::select_all(changes).await;
            }
        }
    }

    async fn compact_logs(&self) {
        let mut every = tokio::time::interval(Duration::from_secs(1));
        loop {
            every.tick().await;
            for host in self.members.hosts() {
                host.compact().await;
            }
        }
    }

    /// Apart from the logs, which must not wait for files of gigabytes to go.
    async fn reclaim_space(&self) {
        let mut every = tokio::time::interval(Duration::from_secs(1));
        loop {
            every.tick().await;
            for host in self.members.hosts() {
                host.reclaim().await;
            }
        }
    }

    fn command(&self, body: CommandBody) -> (Command, usize) {
        let command = Command { id: (self.ids)(), body };
        let size = borsh::object_length(&command).unwrap_or(0);
        (command, size)
    }

    /// The status of every local replica.
    pub fn replica_statuses(&self) -> Vec<ReplicaStatus> {
        let hosts = self.members.hosts();
        hosts.iter().flat_map(|host| host.replicas().all()).map(|replica| replica.status()).collect()
    }

    async fn read_shard(
        &self,
        shard: ShardId,
        freshness: Freshness,
        plan: &Plan,
        deadline: Instant,
    ) -> Result<ReadReply, ClusterError> {
        if freshness == Freshness::Eventual {
            // The leader's replica where it is here, for freshness; else any of this process.
            // A replica that stopped has rows that nobody brings up to date any more.
            let sound =
                || self.members.replicas(shard).into_iter().find(|replica| replica.failed().is_none());
            let replica = self.members.leading(shard).or_else(sound);
            if let Some(replica) = replica {
                return replica.read_local(plan).map_err(|e| ClusterError::Storage(e.to_string()));
            }
        }
        let consistency = match freshness {
            Freshness::Eventual => Consistency::Eventual,
            Freshness::Strong => self.settings.strong,
        };
        dispatch::read_strong(self, shard, consistency, plan, deadline).await
    }

    async fn refresh(&self, deadline: Instant) -> Result<(), ClusterError> {
        let index = dispatch::read_index(self, CATALOG, deadline).await?;
        self.wait_for_catalog(index, deadline).await
    }

    /// Waits until a local replica of the catalog has applied `index`, and knows what it says.
    async fn wait_for_catalog(&self, index: u64, deadline: Instant) -> Result<(), ClusterError> {
        loop {
            self.directory.catch_up(&self.members);
            if self.directory.applied() >= index {
                return Ok(());
            }
            let Some(replica) =
                self.members.leading(CATALOG).or_else(|| self.members.replicas(CATALOG).pop())
            else {
                return Err(ClusterError::NotDone("this node holds no replica of the catalog yet".into()));
            };
            let waited = replica.applied().wait_for(index, deadline.into()).await;
            waited.map_err(|e| ClusterError::NotDone(e.to_string()))?;
        }
    }
}

impl Cluster for RaftCluster {
    fn write<'a>(
        &'a self,
        shard: ShardId,
        command: CommandBody,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Reply, ClusterError>> {
        Box::pin(async move {
            let (command, size) = self.command(command);
            dispatch::write(self, shard, &command, size, deadline).await
        })
    }

    fn read<'a>(
        &'a self,
        shard: ShardId,
        freshness: Freshness,
        plan: &'a Plan,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<ReadReply, ClusterError>> {
        Box::pin(self.read_shard(shard, freshness, plan, deadline))
    }

    fn applied(&self, shard: ShardId) -> Option<u64> {
        self.members.leading(shard).map(|replica| replica.applied().index())
    }

    fn leads(&self, shard: ShardId) -> bool {
        self.members.leading(shard).is_some()
    }

    fn owing<'a>(&'a self, shard: ShardId, after: Stamp) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            loop {
                let Some(replica) = self.members.leading(shard) else {
                    tokio::time::sleep(LEADERSHIP_EVERY).await;
                    continue;
                };
                let applied = replica.applied();
                let index = applied.index();
                if applied.outbox().owes_above(after) {
                    return;
                }
                // Leadership may go while nothing is applied.
                let _ = tokio::time::timeout(LEADERSHIP_EVERY, applied.changed_from(index)).await;
            }
        })
    }

    fn change_catalog<'a>(
        &'a self,
        command: CatalogCommand,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<CatalogReply, ClusterError>> {
        Box::pin(async move {
            let (command, size) = self.command(CommandBody::Catalog(command));
            let reply = dispatch::write(self, CATALOG, &command, size, deadline).await?;
            // Other nodes look again, strongly, when they miss a table; this one must simply know it now. A catalog
            // that lost its leader meanwhile has done the change all the same.
            let _ = self.refresh(deadline).await;
            match reply.body {
                ReplyBody::Catalog(reply) => Ok(reply),
                ReplyBody::Poisoned => {
                    Err(ClusterError::Storage("the catalog could not apply the command".into()))
                }
                other => Err(ClusterError::Unknown(format!("the catalog answered {other:?}"))),
            }
        })
    }

    fn catalog(&self) -> Arc<Catalog> {
        self.directory.catalog()
    }

    fn table(&self, account: u64, name: &str) -> Option<Arc<TableRecord>> {
        self.directory.table(account, name)
    }

    fn refresh_catalog<'a>(&'a self, deadline: Instant) -> BoxFuture<'a, Result<(), ClusterError>> {
        Box::pin(self.refresh(deadline))
    }

    fn ready(&self) -> Result<(), String> {
        let catalog = self.directory.catalog();
        if catalog.cluster().is_none() {
            return Err("the catalog has not been read yet".into());
        }
        // Tables go on while nobody can change them.
        for shard in catalog.data_shards() {
            if !self.members.is_led(shard.id) {
                return Err(format!("shard {} has no leader that this node hears of", shard.id));
            }
        }
        Ok(())
    }

    fn now_micros(&self) -> u64 {
        self.clock.now_micros()
    }
}
