//! Finishes what was begun: tables that the catalog says are being created, altered or deleted, and that nobody takes
//! on any more, because a process ended or a shard had no leader.
//!
//! Level-triggered: each pass looks at the catalog as it is, and a table that stays in the same passing state for
//! longer than any request needs is taken on ([`lifecycle::advance`]). Time in a state is measured here, from when it
//! was first seen, since the catalog keeps none; so after a restart everything waits a moment longer, and that is all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream;
use tokio::time::MissedTickBehavior;
use trilith_cluster::{Cluster, now};
use trilith_domain::catalog::{Catalog, TableRecord, TableStatus};
use trilith_values::{SchemaVersion, TableId};

use super::Pace;
use crate::lifecycle;

/// Tables that are taken on at a time.
const TABLES_AT_ONCE: usize = 8;

/// The state in which a table was first seen.
type State = (TableStatus, SchemaVersion);

/// The worker.
pub struct Reconciler {
    cluster: Arc<dyn Cluster>,
    pace: Pace,
    /// Tables in a passing state, and since when.
    waiting: BTreeMap<TableId, (State, Instant)>,
}

impl Reconciler {
    /// The usual.
    pub const PACE: Pace = Pace {
        every: Duration::from_secs(1),
        patience: Duration::from_secs(3),
        attempt: Duration::from_secs(10),
    };

    /// One that has seen nothing yet.
    pub fn new(cluster: Arc<dyn Cluster>, pace: Pace) -> Self {
        Self { cluster, pace, waiting: BTreeMap::new() }
    }

    /// Passes for ever.
    pub async fn run(mut self) {
        let mut every = tokio::time::interval(self.pace.every);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            self.pass(now()).await;
        }
    }

    /// Looks once, at the moment `at`, and takes on what is due. Answers how many tables came to the end of their state.
    pub async fn pass(&mut self, at: Instant) -> usize {
        if self.due(&self.cluster.catalog(), at).is_empty() {
            self.note(at);
            return 0;
        }
        let deadline = now() + self.pace.attempt;
        // What this node knows may be old; without a leader nothing could be done anyway.
        if self.cluster.refresh_catalog(deadline).await.is_err() {
            return 0;
        }
        self.note(at);
        let due = self.due(&self.cluster.catalog(), at);
        let attempts: Vec<_> = due.iter().map(|record| self.take_on(record, deadline)).collect();
        let ended: Vec<bool> = stream::iter(attempts).buffer_unordered(TABLES_AT_ONCE).collect().await;
        ended.into_iter().filter(|ended| *ended).count()
    }

    /// Remembers which tables are in a passing state, and since when.
    fn note(&mut self, at: Instant) {
        let catalog = self.cluster.catalog();
        let passing = catalog.tables().filter(|table| table.status != TableStatus::Active);
        self.waiting = passing
            .map(|table| {
                let state = (table.status, table.version);
                let seen = self.waiting.get(&table.id).filter(|(before, _)| *before == state);
                (table.id, (state, seen.map_or(at, |(_, since)| *since)))
            })
            .collect();
    }

    /// Tables that have been in their state for too long.
    fn due(&self, catalog: &Catalog, at: Instant) -> Vec<TableRecord> {
        let overdue = |(table, (state, since)): (&TableId, &(State, Instant))| {
            let record = catalog.table(*table)?;
            let same = *state == (record.status, record.version);
            let late = at.saturating_duration_since(*since) >= self.pace.patience;
            (same && late).then(|| TableRecord::clone(record))
        };
        self.waiting.iter().filter_map(overdue).collect()
    }

    async fn take_on(&self, record: &TableRecord, deadline: Instant) -> bool {
        let (table, status) = (&record.name, record.status.as_str());
        match lifecycle::advance(&*self.cluster, record, deadline).await {
            Ok(()) => {
                tracing::info!(table, status, "finished an interrupted change of a table");
                true
            }
            Err(error) => {
                tracing::warn!(table, status, %error, "an interrupted change of a table cannot be finished yet");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
