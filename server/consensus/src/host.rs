//! One node's share of the cluster: its engine, its log, its replicas, and which of them it holds.
//!
//! Which replicas a node holds is a row of its own engine, synced before the replica first speaks. A replica that
//! was destroyed leaves a tombstone: its id never speaks again from this node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use borsh::{BorshDeserialize, BorshSerialize};
use trilith_domain::Clock;
use trilith_storage::engine::Engine;
use trilith_storage::log::RaftLog;
use trilith_values::{NodeId, ReplicaId, ShardId};

use crate::error::ReadError;
use crate::lease::SuspendWatch;
use crate::local_rows;
use crate::network::Transport;
use crate::node::Replicas;
use crate::replica::{Replica, ReplicaName, Surroundings};
use crate::settings::RaftSettings;
use crate::state_machine::{wipe, wipe_leftovers};

/// A replica as its node remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct HeldReplica {
    pub(crate) shard: u32,
    pub(crate) destroyed: bool,
}

/// One node's replicas and what they stand on.
pub struct Host {
    node: NodeId,
    log: RaftLog,
    around: Surroundings,
    replicas: Arc<Replicas>,
    /// Held while the set of replicas changes: two calls that create the same one must not both start it.
    changing: tokio::sync::Mutex<()>,
}

impl Host {
    /// Stands a node on its engine and log. Nothing runs yet.
    pub fn new(
        node: NodeId,
        engine: Arc<dyn Engine>,
        log: RaftLog,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        settings: RaftSettings,
    ) -> Self {
        let suspend = Arc::new(SuspendWatch::new(Arc::clone(&clock)));
        // A sender's transfer numbers differ between its lives, so that a receiver never joins two snapshots.
        let transfers = Arc::new(AtomicU64::new(clock.now_micros()));
        let aside = Arc::default();
        let around = Surroundings { engine, transport, clock, suspend, settings, transfers, aside };
        Self { node, log, around, replicas: Arc::new(Replicas::new()), changing: tokio::sync::Mutex::new(()) }
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Its replicas, where messages are delivered.
    pub fn replicas(&self) -> &Arc<Replicas> {
        &self.replicas
    }

    /// The engine under them.
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.around.engine
    }

    /// The log under them.
    pub fn log(&self) -> &RaftLog {
        &self.log
    }

    /// Starts every replica this node holds; `vote_wait` is whether they withhold their votes for a while. Finishes
    /// what a crash left of replicas that were being destroyed.
    ///
    /// # Errors
    /// When a replica's log or state cannot be read.
    pub async fn recover(&self, vote_wait: bool) -> Result<usize, ReadError> {
        let _changing = self.changing.lock().await;
        let held = local_rows::held(self.around.engine.as_ref()).map_err(storage)?;
        self.finish_destroying(&held)?;
        let mut started = 0;
        for (replica, row) in held {
            if !row.destroyed {
                match self.start(ShardId(row.shard), replica, vote_wait).await {
                    Ok(_) => started += 1,
                    // One damaged replica costs the node that shard, not the others.
                    Err(error) => {
                        tracing::error!(%replica, shard = row.shard, %error, "a replica cannot start")
                    }
                }
            }
        }
        Ok(started)
    }

    /// The tombstone is durable before rows and log go, and a crash may bring either back.
    fn finish_destroying(&self, held: &[(ReplicaId, HeldReplica)]) -> Result<(), ReadError> {
        let engine = self.around.engine.as_ref();
        let logs = self.log.known();
        for (replica, row) in held.iter().filter(|(_, row)| row.destroyed) {
            local_rows::forget_snapshots(engine, *replica).map_err(storage)?;
            let successor = held.iter().any(|(_, other)| !other.destroyed && other.shard == row.shard);
            if !successor {
                wipe_leftovers(engine, ShardId(row.shard)).map_err(storage)?;
            }
            if logs.contains(&replica.0) {
                self.log.forget(replica.0);
            }
        }
        Ok(())
    }

    async fn start(&self, shard: ShardId, replica: ReplicaId, vote_wait: bool) -> Result<Replica, ReadError> {
        let name = ReplicaName { shard, replica, node: self.node };
        let log = self.log.open_log(replica.0);
        let replica = Replica::start(name, log, &self.around, vote_wait).await?;
        self.replicas.insert(replica.clone());
        Ok(replica)
    }

    /// Creates an empty replica: a member of a new group, or one that joins a group and waits to be added. Creating
    /// the same again gives the running one.
    ///
    /// # Errors
    /// When its id was destroyed here before, or another replica of the shard is here, or the disk fails.
    pub async fn create(&self, shard: ShardId, replica: ReplicaId) -> Result<Replica, ReadError> {
        let _changing = self.changing.lock().await;
        if let Some(running) = self.replicas.get(replica) {
            return Ok(running);
        }
        if let Some(other) = self.replicas.of_shard(shard) {
            let other = other.name().replica;
            return Err(ReadError::Storage(format!(
                "replica {other} of shard {shard} is on this node already"
            )));
        }
        let engine = self.around.engine.as_ref();
        let held = local_rows::held(engine).map_err(storage)?;
        if held.iter().any(|(id, row)| *id == replica && row.destroyed) {
            return Err(ReadError::Storage(format!(
                "replica {replica} was destroyed on this node; its id is never used again"
            )));
        }
        // An empty log over the rows of an earlier replica would apply its entries a second time.
        if !held.iter().any(|(id, _)| *id == replica) {
            wipe_leftovers(engine, shard).map_err(storage)?;
        }
        local_rows::put(engine, replica, HeldReplica { shard: shard.0, destroyed: false })
            .map_err(storage)?;
        self.start(shard, replica, false).await
    }

    /// Stops a replica, removes its rows and its log, and marks its id as spent.
    ///
    /// # Errors
    /// When the disk fails; doing it again is safe.
    pub async fn destroy(&self, replica: ReplicaId) -> Result<(), ReadError> {
        let _changing = self.changing.lock().await;
        let engine = self.around.engine.as_ref();
        let Some(running) = self.replicas.remove(replica) else { return Ok(()) };
        running.stop().await;
        let shard = running.name().shard;
        local_rows::put(engine, replica, HeldReplica { shard: shard.0, destroyed: true }).map_err(storage)?;
        local_rows::forget_snapshots(engine, replica).map_err(storage)?;
        wipe(engine, shard).map_err(storage)?;
        self.log.forget(replica.0);
        Ok(())
    }

    /// Purges the logs that have grown beyond their bound. Called every second or so.
    pub async fn compact(&self) {
        for replica in self.replicas.all() {
            replica.compact_if_large(self.around.settings.log_bytes).await;
        }
    }

    /// Frees the disk space of spans that were dropped. Files go only after a state sync beyond the drop, so that a
    /// replay cannot see holes. Called every second or so.
    pub async fn reclaim(&self) {
        let replicas = self.replicas.all();
        let dropped: Vec<_> = replicas.iter().flat_map(|replica| replica.applied().take_dropped()).collect();
        if dropped.is_empty() {
            return;
        }
        let engine = Arc::clone(&self.around.engine);
        let work = tokio::task::spawn_blocking(move || {
            engine.sync()?;
            dropped.iter().try_for_each(|(family, start, end)| engine.reclaim(*family, start, end))
        });
        // A hint: rows are gone already, only their space is not. The next compaction of the engine frees it.
        match work.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the space of a dropped table was not freed yet"),
            Err(error) => tracing::warn!(%error, "the space of a dropped table was not freed yet"),
        }
    }

    /// Hands over every leadership this node has to an up-to-date voter, and waits until that happened or `bound` is over.
    pub async fn hand_over(&self, bound: Duration) {
        let deadline = tokio::time::Instant::now() + bound;
        let leading: Vec<Replica> = self.replicas.all().into_iter().filter(Replica::leads).collect();
        for replica in &leading {
            let own = replica.name().replica;
            let voters = replica.status().voters.into_iter().map(|(id, _)| id);
            let target = voters
                .filter(|id| *id != own)
                .min_by_key(|id| (replica.lag_of(*id).unwrap_or(u64::MAX), *id));
            if let Some(target) = target {
                replica.transfer_leadership(target).await;
            }
        }
        while leading.iter().any(Replica::leads) && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// From now on this node leads nothing and stands for no election, or again as any other. Leaderships that it has are
    /// handed over first, for `bound` at the most. For a node whose clock cannot be trusted to stamp commands.
    pub async fn stand_aside(&self, aside: bool, bound: Duration) {
        self.around.aside.store(aside, Ordering::SeqCst);
        for replica in self.replicas.all() {
            replica.heed_aside();
        }
        if aside {
            self.hand_over(bound).await;
        }
    }

    /// Stops every replica and makes state durable.
    ///
    /// # Errors
    /// When the last sync failed; the log holds what it should have held.
    pub async fn stop(&self) -> Result<(), ReadError> {
        for replica in self.replicas.all() {
            replica.stop().await;
            self.replicas.remove(replica.name().replica);
        }
        self.around.engine.sync().map_err(storage)
    }
}

fn storage(error: impl std::fmt::Display) -> ReadError {
    ReadError::Storage(error.to_string())
}
