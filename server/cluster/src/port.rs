//! The port of the data: what the engine asks of the cluster, whatever stands behind it.
//!
//! [`RaftCluster`](crate::raft_cluster) answers with replicated shards; tests of the layers above may answer with
//! one shard in memory.

use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;
use trilith_domain::Stamp;
use trilith_domain::catalog::{Catalog, CatalogCommand, CatalogReply, TableRecord};
use trilith_domain::machine::{CommandBody, Reply};
use trilith_domain::read::{Plan, ReadReply};
use trilith_values::ShardId;

/// The present moment, on the runtime's clock, which tests and the simulation stop and turn.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Why the cluster did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// Not done by the deadline, for want of a leader or for overload. Nothing was proposed; a retry is safe.
    #[error("not done: {0}")]
    NotDone(String),
    /// The command may or may not have been applied. Never retry.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
    /// The data could not be read, or fails its checksum, on every replica that was asked.
    #[error("storage: {0}")]
    Storage(String),
}

/// How fresh a read must be, as the engine says it. What `Strong` means (lease or read-index) is the cluster's setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Any replica, this process's first.
    Eventual,
    /// Sees everything acknowledged before the read began.
    Strong,
}

/// A cluster, as the engine sees it.
pub trait Cluster: Send + Sync + 'static {
    /// Applies a command on the shard and answers once it is applied on its leader. Waits for a leader, retries what
    /// was not proposed, and gives up at the deadline.
    fn write<'a>(
        &'a self,
        shard: ShardId,
        command: CommandBody,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Reply, ClusterError>>;

    /// Runs a plan on the shard.
    fn read<'a>(
        &'a self,
        shard: ShardId,
        freshness: Freshness,
        plan: &'a Plan,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<ReadReply, ClusterError>>;

    /// Waits until this process leads the shard, and the shard owes its indexes rows above `after`. For the workers that
    /// ship them: an answer too many does no harm.
    fn owing<'a>(&'a self, shard: ShardId, after: Stamp) -> BoxFuture<'a, ()>;

    /// The index up to which this process, where it leads the shard, has applied its log; `None` where that is not known.
    /// For workers that need not look again at a shard in which nothing has happened.
    fn applied(&self, shard: ShardId) -> Option<u64> {
        let _ = shard;
        None
    }

    /// Whether this process leads the shard, as far as it knows. For workers that share their work so.
    fn leads(&self, shard: ShardId) -> bool;

    /// Applies a catalog command and answers once this node's catalog has it. Other nodes see it by reading strongly
    /// ([`Cluster::refresh_catalog`]), as Describe does.
    fn change_catalog<'a>(
        &'a self,
        command: CatalogCommand,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<CatalogReply, ClusterError>>;

    /// The catalog as this node has applied it. Cheap: a shared snapshot.
    fn catalog(&self) -> Arc<Catalog>;

    /// A table by account and name in [`Cluster::catalog`], without copying. Hot path.
    fn table(&self, account: u64, name: &str) -> Option<Arc<TableRecord>>;

    /// Brings this node's catalog up to everything acknowledged before now. Fails when the catalog has no leader by
    /// the deadline; callers then go on with what they have.
    fn refresh_catalog<'a>(&'a self, deadline: Instant) -> BoxFuture<'a, Result<(), ClusterError>>;

    /// Whether items can be served: `Err` says in one line what is missing. The catalog may be without a leader.
    fn ready(&self) -> Result<(), String>;

    /// Wall-clock microseconds, from the injected clock.
    fn now_micros(&self) -> u64;
}
