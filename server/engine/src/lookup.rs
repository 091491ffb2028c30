//! Finding a table, and binding ops to what was found.
//!
//! Every node has its own copy of the catalog, which may be a moment behind. Looking at it costs nothing and is right
//! nearly always; where it may be wrong in a way that a client would see, the node first brings it up to everything
//! acknowledged before ([`Engine::refresh`]):
//!
//! - Data: a table that is not there, or is not usable yet. A table that is there but has changed is found out by the
//!   shard, which refuses commands and plans bound to another descriptor; then the op is bound again ([`Binding`]).
//! - Control: always, since its answers show the record. Without a leader of the catalog these go on with the copy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use trilith_cluster::{ClusterError, now};
use trilith_domain::OpError;
use trilith_domain::catalog::{TableRecord, TableStatus};
use trilith_domain::ops::{Op, TableRef};

use crate::engine::Engine;
use crate::error;
use crate::service::Caller;

/// The longest that a control operation waits for the catalog's leader before it answers from this node's copy.
const REFRESH_WAIT: Duration = Duration::from_secs(1);
/// How often an op is bound at the most.
const BINDS_MAX: u32 = 64;
/// The pause before binding again to a record that has not changed grows by this much each time, up to the next.
const PAUSE_STEP: Duration = Duration::from_millis(5);
/// See above.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// A table that an op names, with what is needed to find it or to say that it is not there.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    /// Who asks.
    pub(crate) caller: &'a Caller,
    /// For what.
    pub(crate) op: &'a Op,
    /// The table's name.
    pub(crate) table: &'a TableRef,
}

impl Target<'_> {
    fn missing(&self) -> OpError {
        self.op.table_missing(self.table)
    }
}

impl Engine {
    /// The table as this node knows it.
    fn known(&self, target: Target<'_>) -> Option<Arc<TableRecord>> {
        let owner = target.table.owner(&self.home().region, target.caller.account)?;
        self.cluster.table(owner, target.table.name())
    }

    /// The table for reading and writing its items.
    ///
    /// # Errors
    /// The service's, where there is none; `Unavailable`, where the catalog has no leader that could tell. A table
    /// that is not usable is found, and refused when the op is bound to it.
    pub(crate) async fn data_table(&self, target: Target<'_>) -> Result<Arc<TableRecord>, OpError> {
        let usable =
            |record: &Arc<TableRecord>| matches!(record.status, TableStatus::Active | TableStatus::Updating);
        if let Some(record) = self.known(target).filter(usable) {
            return Ok(record);
        }
        self.refresh(target.caller.deadline).await.map_err(error::answer)?;
        self.known(target).ok_or_else(|| target.missing())
    }

    /// The table for reading its items, as something is bound to it.
    ///
    /// # Errors
    /// As [`Engine::data_table`].
    pub(crate) async fn binding(&self, target: Target<'_>) -> Result<Binding, OpError> {
        self.data_table(target).await.map(Binding::to)
    }

    /// The table in any state, as this node knows it.
    ///
    /// # Errors
    /// As [`Engine::data_table`].
    pub(crate) async fn known_table(&self, target: Target<'_>) -> Result<Arc<TableRecord>, OpError> {
        match self.known(target) {
            Some(record) => Ok(record),
            None => self.newest_table(target).await,
        }
    }

    /// The table in any state, as the catalog's leader knows it where there is one.
    ///
    /// # Errors
    /// As [`Engine::data_table`].
    pub(crate) async fn newest_table(&self, target: Target<'_>) -> Result<Arc<TableRecord>, OpError> {
        let refreshed = self.refresh_soon(target.caller.deadline).await;
        match (self.known(target), refreshed) {
            (Some(record), _) => Ok(record),
            (None, Ok(())) => Err(target.missing()),
            (None, Err(error)) => Err(error::answer(error)),
        }
    }

    /// Brings this node's catalog up to everything acknowledged before now.
    ///
    /// # Errors
    /// When the catalog has no leader by the deadline.
    pub(crate) async fn refresh(&self, deadline: Instant) -> Result<(), ClusterError> {
        self.refreshes.run(deadline, || self.cluster.refresh_catalog(deadline)).await
    }

    /// Like [`Engine::refresh`], but gives up early: the caller has something to go on with.
    ///
    /// # Errors
    /// As [`Engine::refresh`].
    pub(crate) async fn refresh_soon(&self, deadline: Instant) -> Result<(), ClusterError> {
        self.refresh(deadline.min(now() + REFRESH_WAIT)).await
    }
}

/// Refreshes, one at a time. Whoever waited while one was made that began after he asked needs none of his own, so that
/// any number of requests for a table that is not there costs two.
#[derive(Default)]
pub(crate) struct Refreshes {
    begun: AtomicU64,
    /// The number of the last one that succeeded.
    succeeded: Mutex<u64>,
}

impl Refreshes {
    async fn run<F: Future<Output = Result<(), ClusterError>>>(
        &self,
        deadline: Instant,
        refresh: impl FnOnce() -> F,
    ) -> Result<(), ClusterError> {
        let asked = self.begun.load(Ordering::SeqCst);
        let Ok(mut succeeded) = tokio::time::timeout_at(deadline.into(), self.succeeded.lock()).await else {
            return Err(ClusterError::NotDone("the catalog did not answer in time".into()));
        };
        if *succeeded > asked {
            return Ok(());
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        refresh().await?;
        *succeeded = number;
        Ok(())
    }
}

/// The record that an op is bound to, and how often it has been.
#[derive(Clone)]
pub(crate) struct Binding {
    record: Arc<TableRecord>,
    binds: u32,
}

impl Binding {
    /// To a record that was just looked up.
    pub(crate) fn to(record: Arc<TableRecord>) -> Self {
        Self { record, binds: 1 }
    }

    /// The record.
    pub(crate) fn record(&self) -> &Arc<TableRecord> {
        &self.record
    }

    /// A shard knows the table otherwise: takes the record anew. Where that is no other, this node or the shard is about
    /// to learn of a change, so there is a pause first.
    ///
    /// # Errors
    /// Where the table is gone, or at the deadline: nothing was done, so it may be sent again.
    pub(crate) async fn again(&mut self, engine: &Engine, target: Target<'_>) -> Result<(), OpError> {
        let deadline = target.caller.deadline;
        if self.binds >= BINDS_MAX || now() >= deadline {
            return Err(OpError::Unavailable(
                "The table is being changed; send the request again".to_owned(),
            ));
        }
        // Without a leader of the catalog, what this node has is the best there is.
        let refreshed = engine.refresh_soon(deadline).await;
        let record = match engine.known(target) {
            Some(record) => record,
            None => {
                return Err(refreshed.err().map_or_else(|| target.missing(), error::answer));
            }
        };
        if self.binds > 1 && record == self.record {
            let pause = (PAUSE_STEP * self.binds).min(PAUSE_MAX);
            tokio::time::sleep_until(deadline.min(now() + pause).into()).await;
        }
        self.record = record;
        self.binds += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
