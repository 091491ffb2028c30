//! BatchGetItem and BatchWriteItem: many reads or writes at once, each on its own.
//!
//! A batch is checked whole against its tables before anything is done. Then each key goes its own way; what could not
//! be done is handed back as unprocessed, and only where nothing was done at all is it an error.
//!
//! A put or delete whose outcome is unknown fails the batch: sent again silently, it could undo what another client
//! wrote in between. So does what can never succeed (a damaged item, a table that is gone), since a client would send
//! it for ever.

use std::sync::Arc;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream;
use trilith_cluster::ClusterError;
use trilith_domain::OpError;
use trilith_domain::catalog::TableRecord;
use trilith_domain::limits::BATCH_BYTES_MAX;
use trilith_domain::machine::{CommandBody, ReplyBody, Write};
use trilith_domain::ops::batch_get_item::{BatchGetTable, BatchGot};
use trilith_domain::ops::batch_write_item::{BatchWriteTable, BatchWritten};
use trilith_domain::ops::{BatchGetItem, BatchGetItemOutput, BatchWriteItem, BatchWriteItemOutput, Op};
use trilith_domain::read::{GetPlan, Plan, ReadReply};

use crate::engine::Engine;
use crate::error::{self, Failure};
use crate::lookup::{Binding, Target};
use crate::read::freshness;
use crate::service::Caller;

/// Keys of one batch that are read at a time: bounds the items in memory that the answer has no room for.
const KEYS_AT_ONCE: usize = 32;

/// What becomes of one key: it was done, or why not.
type Outcome<T> = Result<T, Unprocessed>;

/// Why one key is handed back.
struct Unprocessed(OpError);

/// Sorts a failure: what may succeed the next time is [`Unprocessed`], anything else fails the batch.
fn sort(failure: Failure) -> Result<Unprocessed, OpError> {
    let passing = match &failure {
        Failure::Cluster(ClusterError::NotDone(_)) => true,
        Failure::Answer(OpError::Unavailable(_)) => true,
        // An outcome that is unknown is never handed back as "not done": the client decides.
        Failure::Cluster(ClusterError::Unknown(_) | ClusterError::Storage(_)) | Failure::Answer(_) => false,
    };
    let error = OpError::from(failure);
    if passing { Ok(Unprocessed(error)) } else { Err(error) }
}

impl Engine {
    /// BatchGetItem. Reads in the order of the request until the answer is full.
    pub(crate) async fn batch_get(
        &self,
        caller: &Caller,
        op: &Op,
        batch: &BatchGetItem,
    ) -> Result<BatchGetItemOutput, OpError> {
        let mut reads = Vec::new();
        for (t, part) in batch.tables.iter().enumerate() {
            let target = Target { caller, op, table: &part.table };
            let record = self.data_table(target).await?;
            let plans = part.bind(&record)?.into_iter().enumerate();
            reads.extend(
                plans.map(|(i, plan)| (t, self.read_key(target, part, Arc::clone(&record), i, plan))),
            );
        }
        let reads: Vec<_> = reads.into_iter().map(|(t, read)| async move { (t, read.await) }).collect();
        let mut reads = stream::iter(reads).buffered(KEYS_AT_ONCE);
        let mut got: Vec<Vec<BatchGot>> =
            batch.tables.iter().map(|part| Vec::with_capacity(part.keys.len())).collect();
        let (mut room, mut read, mut first) = (BATCH_BYTES_MAX, 0, None);
        while let Some((t, outcome)) = reads.next().await {
            let outcome = match outcome? {
                Ok((item, size)) if size <= room => {
                    room -= size;
                    read += 1;
                    BatchGot::Read { item, size }
                }
                // The answer is full: this key and all behind it are for the next request.
                Ok(_) => break,
                Err(Unprocessed(error)) => {
                    first.get_or_insert(error);
                    BatchGot::Unprocessed
                }
            };
            got[t].push(outcome);
        }
        if let (0, Some(error)) = (read, first) {
            return Err(error);
        }
        for (part, got) in batch.tables.iter().zip(&mut got) {
            got.resize(part.keys.len(), BatchGot::Unprocessed);
        }
        Ok(batch.shape(got))
    }

    /// Reads key `i` of a table's part: the item, projected, and its whole size.
    async fn read_key(
        &self,
        target: Target<'_>,
        part: &BatchGetTable,
        record: Arc<TableRecord>,
        i: usize,
        plan: GetPlan,
    ) -> Result<Outcome<(Option<trilith_values::Item>, u64)>, OpError> {
        let bind = |record: &TableRecord| Ok(Plan::Get(part.bind(record)?.swap_remove(i)));
        let mut binding = Binding::to(record);
        let read =
            self.read_bound(target, &mut binding, Plan::Get(plan), freshness(part.consistent), bind).await;
        match read {
            Ok(ReadReply::Got { item, size }) => Ok(Ok((item, size))),
            Ok(_) => Err(error::out_of_place("a get")),
            Err(failure) => sort(failure).map(Err),
        }
    }

    /// BatchWriteItem. There are 25 requests at the most: all go at once, and all are waited for, also where one fails.
    pub(crate) async fn batch_write(
        &self,
        caller: &Caller,
        op: &Op,
        batch: &BatchWriteItem,
    ) -> Result<BatchWriteItemOutput, OpError> {
        let mut bound = Vec::with_capacity(batch.tables.len());
        for part in &batch.tables {
            let target = Target { caller, op, table: &part.table };
            let record = self.data_table(target).await?;
            let writes = part.bind(&record)?;
            bound.push((target, part, record, writes));
        }
        let mut tables = Vec::with_capacity(bound.len());
        for (target, part, record, writes) in bound {
            let writes = writes.into_iter().enumerate();
            tables.push(join_all(
                writes.map(|(i, write)| self.write_key(target, part, Arc::clone(&record), i, write)),
            ));
        }
        let outcomes = join_all(tables).await;
        let (mut written, mut first) = (0, None);
        let mut done = Vec::with_capacity(outcomes.len());
        for outcomes in outcomes {
            let mut of_table = Vec::with_capacity(outcomes.len());
            for outcome in outcomes {
                of_table.push(match outcome? {
                    Ok(is) => {
                        written += 1;
                        is
                    }
                    Err(Unprocessed(error)) => {
                        first.get_or_insert(error);
                        BatchWritten::Unprocessed
                    }
                });
            }
            done.push(of_table);
        }
        match (written, first) {
            (0, Some(error)) => Err(error),
            _ => Ok(batch.shape(done)),
        }
    }

    /// Writes request `i` of a table's part.
    async fn write_key(
        &self,
        target: Target<'_>,
        part: &BatchWriteTable,
        record: Arc<TableRecord>,
        i: usize,
        write: Write,
    ) -> Result<Outcome<BatchWritten>, OpError> {
        let bind = |record: &TableRecord| Ok(CommandBody::Write(part.bind(record)?.swap_remove(i)));
        match self.write_bound(target, record, CommandBody::Write(write), bind).await {
            // A transaction has the item: it was not written, and may be the next time.
            Ok(ReplyBody::Conflict) => Ok(Err(Unprocessed(OpError::TransactionConflict(
                "Transaction is ongoing for the item".to_owned(),
            )))),
            Ok(reply) => match BatchWritten::of_reply(reply) {
                Ok(written) => Ok(Ok(written)),
                Err(refusal) => sort(Failure::Answer(refusal)).map(Err),
            },
            Err(failure) => sort(failure).map(Err),
        }
    }
}

#[cfg(test)]
mod tests;
