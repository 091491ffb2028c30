//! TransactGetItems: items as they were at one moment.
//!
//! One shard reads all of its items from one state. Over several shards everything is read twice: if nothing changed
//! between the end of the first reading and the beginning of the second, then all that was read was so at the moment
//! between them. Versions tell what changed; for an item that is not there, the shard's last removal does. An item that
//! is locked by a transaction may be about to change with others, so it is read again, and after a few times the read is
//! cancelled as the service cancels it.

use std::time::Duration;

use futures::future::join_all;
use trilith_cluster::{ClusterError, Freshness, now};
use trilith_domain::OpError;
use trilith_domain::ops::transact_get_items::TransactGetItemsOutput;
use trilith_domain::ops::{Op, TransactGetItems};
use trilith_domain::read::{GetPlan, GotAt, Plan, ReadReply};

use super::{Part, Tables, parts};
use crate::engine::Engine;
use crate::error;
use crate::service::Caller;

/// Readings before a conflict is answered.
const READINGS_MAX: u32 = 8;
/// The pause before the next reading grows by this much each time.
const PAUSE_STEP: Duration = Duration::from_millis(3);

impl Engine {
    /// TransactGetItems.
    pub(crate) async fn transact_get(
        &self,
        caller: &Caller,
        op: &Op,
        transaction: &TransactGetItems,
    ) -> Result<TransactGetItemsOutput, OpError> {
        let named = transaction.gets.iter().map(|get| &get.table);
        let mut tables = Tables::look_up(self, caller, op, named).await?;
        self.transact_get_in(caller, &mut tables, transaction).await
    }

    /// A read transaction in tables that were looked up.
    pub(super) async fn transact_get_in(
        &self,
        caller: &Caller,
        tables: &mut Tables<'_>,
        transaction: &TransactGetItems,
    ) -> Result<TransactGetItemsOutput, OpError> {
        let mut before: Option<Vec<GotAt>> = None;
        for reading in 1.. {
            let plans = transaction.bind(|table| tables.record(table))?;
            let located = transaction.gets.iter().zip(plans);
            let located =
                located.map(|(get, plan)| (tables.record(&get.table).shard_of(plan.key.hash), plan));
            let parts = parts(located.collect::<Vec<_>>().into_iter());
            let Some(got) = self.read_parts(caller, &parts, transaction.gets.len()).await? else {
                tables.again(self).await?;
                before = None;
                continue;
            };
            let still = parts.len() == 1 || before.as_ref().is_some_and(|before| same(before, &got));
            if still && !got.iter().any(|got| got.locked) {
                return transaction.shape(got);
            }
            if reading >= READINGS_MAX || now() >= caller.deadline {
                let conflicts: Vec<bool> = match &before {
                    Some(before) => before.iter().zip(&got).map(|(a, b)| b.locked || differ(a, b)).collect(),
                    None => got.iter().map(|got| got.locked).collect(),
                };
                return Err(transaction.cancelled(&conflicts));
            }
            // The first reading is never enough over several shards, and needs no pause.
            if before.is_some() || got.iter().any(|got| got.locked) {
                tokio::time::sleep(PAUSE_STEP * reading).await;
            }
            before = Some(got);
        }
        unreachable!("the loop ends by an answer")
    }

    /// Everything once; `None` where a shard knows a table otherwise.
    async fn read_parts(
        &self,
        caller: &Caller,
        parts: &[Part<GetPlan>],
        count: usize,
    ) -> Result<Option<Vec<GotAt>>, OpError> {
        let reads = parts.iter().map(|part| async move {
            let plan = Plan::TransactGet { shard: part.shard, gets: part.content.clone() };
            self.cluster.read(part.shard, Freshness::Strong, &plan, caller.deadline).await
        });
        let replies: Result<Vec<ReadReply>, ClusterError> = join_all(reads).await.into_iter().collect();
        let mut all: Vec<Option<GotAt>> = vec![None; count];
        for (part, reply) in parts.iter().zip(replies.map_err(error::answer)?) {
            let got = match reply {
                ReadReply::TransactGot(got) => got,
                ReadReply::NotMine | ReadReply::SchemaMismatch { .. } => return Ok(None),
                _ => return Err(error::out_of_place("a transaction")),
            };
            for (place, got) in part.places.iter().zip(got) {
                all[*place] = Some(got);
            }
        }
        all.into_iter().collect::<Option<Vec<_>>>().map(Some).ok_or_else(|| error::out_of_place("a part"))
    }
}

fn differ(a: &GotAt, b: &GotAt) -> bool {
    a.version != b.version || a.item.is_some() != b.item.is_some()
}

fn same(before: &[GotAt], after: &[GotAt]) -> bool {
    before.iter().zip(after).all(|(a, b)| !a.locked && !differ(a, b))
}
