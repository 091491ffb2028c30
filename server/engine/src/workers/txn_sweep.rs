//! Finishes transactions whose coordinator did not, and forgets what nobody needs any more.
//!
//! A pass looks at what each shard keeps of transactions, most often nothing, in the replica at hand:
//!
//! - Items that are locked for longer than any transaction takes: asks the ledger for the decision (which aborts a
//!   transaction that has none) and finishes. So nothing stays locked for more than [`Pace::patience`] and a pass.
//! - Decisions that are as old: once no shard that took part holds a lock any more, they are forgotten, many at once.
//! - Tokens that have expired.
//!
//! Every step may be done twice and by many nodes at once: decisions are taken once, finishing is idempotent, and what is
//! forgotten is checked again when the command applies. What the replica at hand says may be old, so before a commit is
//! forgotten its participants are asked strongly.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use trilith_cluster::{Cluster, ClusterError, Freshness, now};
use trilith_domain::machine::ledger::{Decision, LedgerCommand, LedgerReply, LedgerRow, TOKEN_MICROS};
use trilith_domain::machine::{CommandBody, Finish, PreparedRow, ReplyBody};
use trilith_domain::read::{Plan, ReadReply, TransactionsPage};
use trilith_values::{ShardId, TransactionId};

use super::Pace;

/// Rows of a kind that a pass takes from a shard.
const ROWS_MAX: u32 = 1_000;

/// The worker.
pub struct TxnSweep {
    cluster: Arc<dyn Cluster>,
    pace: Pace,
    /// Shards that kept nothing of transactions when they had applied their log up to here.
    quiet: Mutex<BTreeMap<ShardId, u64>>,
}

impl TxnSweep {
    /// The usual.
    pub const PACE: Pace = Pace {
        every: Duration::from_secs(1),
        patience: Duration::from_secs(2),
        attempt: Duration::from_secs(5),
    };

    /// Of this cluster.
    pub fn new(cluster: Arc<dyn Cluster>, pace: Pace) -> Self {
        Self { cluster, pace, quiet: Mutex::default() }
    }

    /// Passes for ever.
    pub async fn run(self) {
        let mut every = tokio::time::interval(self.pace.every);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            self.pass().await;
        }
    }

    /// Looks once at every shard, and does what is due. A shard that does not answer is left to the next pass.
    pub async fn pass(&self) {
        let catalog = self.cluster.catalog();
        for shard in catalog.data_shards().map(|shard| shard.id) {
            if !self.cluster.leads(shard) || self.is_quiet(shard) {
                continue;
            }
            if let Err(error) = self.sweep(shard).await {
                tracing::debug!(%shard, %error, "transactions are left to the next pass");
            }
        }
    }

    /// Whether nothing has happened in a shard since it kept nothing of transactions.
    fn is_quiet(&self, shard: ShardId) -> bool {
        let applied = self.cluster.applied(shard);
        applied.is_some() && self.quiet().get(&shard).copied() == applied
    }

    fn quiet(&self) -> MutexGuard<'_, BTreeMap<ShardId, u64>> {
        self.quiet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn sweep(&self, shard: ShardId) -> Result<(), ClusterError> {
        // Before the look, which may then have seen more.
        let applied = self.cluster.applied(shard);
        let page = self.look(shard, Freshness::Eventual).await?;
        if let Some(applied) = applied.filter(|_| page == TransactionsPage::default()) {
            self.quiet().insert(shard, applied);
            return Ok(());
        }
        let micros = self.cluster.now_micros();
        let patience = u64::try_from(self.pace.patience.as_micros()).unwrap_or(u64::MAX);
        let old = |at: u64, age: u64| at.saturating_add(age) <= micros;
        for (transaction, row) in &page.prepared {
            if old(row.since.0, patience) {
                self.resolve(shard, *transaction, row).await?;
            }
        }
        let forgotten = page.decided.iter().filter(|(_, row)| match row.decision {
            Decision::Commit => old(row.at.0, patience),
            Decision::Abort => old(row.at.0, TOKEN_MICROS),
        });
        let forgotten: Vec<_> = forgotten.cloned().collect();
        self.forget(shard, forgotten).await?;
        let expired: Vec<_> = page.aged.into_iter().filter(|(at, ..)| old(at.0, TOKEN_MICROS)).collect();
        if !expired.is_empty() {
            self.ledger(shard, LedgerCommand::Trim { tokens: expired }).await?;
        }
        Ok(())
    }

    /// Brings a prepared transaction to its end.
    async fn resolve(
        &self,
        shard: ShardId,
        transaction: TransactionId,
        row: &PreparedRow,
    ) -> Result<(), ClusterError> {
        let decision = match self.ledger(row.ledger, LedgerCommand::Resolve { transaction }).await? {
            LedgerReply::Decided(decision) => decision,
            other => return Err(ClusterError::Unknown(format!("the ledger answered {other:?}"))),
        };
        tracing::info!(%shard, %transaction, ?decision, "finishing a transaction whose coordinator did not");
        let commit = decision == Decision::Commit;
        let finish = Finish { transaction, keys: row.keys.clone(), commit };
        self.write(shard, CommandBody::Finish(finish)).await.map(drop)
    }

    /// Forgets decisions, of committed transactions those that all participants have applied.
    async fn forget(
        &self,
        shard: ShardId,
        rows: Vec<(TransactionId, LedgerRow)>,
    ) -> Result<(), ClusterError> {
        let participants: BTreeSet<ShardId> =
            rows.iter().flat_map(|(_, row)| row.participants.iter().copied()).collect();
        let mut locked: BTreeMap<ShardId, Option<BTreeSet<TransactionId>>> = BTreeMap::new();
        for participant in participants {
            let page = self.look(participant, Freshness::Strong).await?;
            // A page that is full may leave some out.
            let all = page.prepared.len() < ROWS_MAX as usize;
            let ids = page.prepared.into_iter().map(|(transaction, _)| transaction).collect();
            locked.insert(participant, all.then_some(ids));
        }
        let applied = |transaction: &TransactionId, row: &LedgerRow| {
            row.participants.iter().all(|participant| match &locked[participant] {
                Some(ids) => !ids.contains(transaction),
                None => false,
            })
        };
        let done = rows.iter().filter(|(transaction, row)| applied(transaction, row));
        let transactions: Vec<TransactionId> = done.map(|(transaction, _)| *transaction).collect();
        if !transactions.is_empty() {
            self.ledger(shard, LedgerCommand::Forget { transactions }).await?;
        }
        Ok(())
    }

    async fn look(&self, shard: ShardId, freshness: Freshness) -> Result<TransactionsPage, ClusterError> {
        let plan = Plan::Transactions { shard, limit: ROWS_MAX };
        match self.cluster.read(shard, freshness, &plan, now() + self.pace.attempt).await? {
            ReadReply::Transactions(page) => Ok(*page),
            other => Err(ClusterError::Unknown(format!("a shard answered {other:?}"))),
        }
    }

    async fn ledger(&self, shard: ShardId, command: LedgerCommand) -> Result<LedgerReply, ClusterError> {
        match self.write(shard, CommandBody::Ledger { shard, command }).await? {
            ReplyBody::Ledger(reply) => Ok(reply),
            other => Err(ClusterError::Unknown(format!("the ledger answered {other:?}"))),
        }
    }

    async fn write(&self, shard: ShardId, body: CommandBody) -> Result<ReplyBody, ClusterError> {
        Ok(self.cluster.write(shard, body, now() + self.pace.attempt).await?.body)
    }
}
