//! Operations on tables: they change the catalog, then make the shards follow ([`lifecycle`](crate::lifecycle)).
//!
//! The catalog's word is what counts. Once it has taken a CreateTable, the table is being created, whatever becomes of
//! this request: where the shards cannot follow now, the answer is the same, and the reconciler goes on. An answer is sent
//! when the shards have followed, so that the next DescribeTable, which asks the catalog's leader, already tells the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::future::join_all;
use trilith_cluster::{Freshness, now};
use trilith_domain::OpError;
use trilith_domain::Stamp;
use trilith_domain::catalog::{CatalogCommand, CatalogReply, TableRecord};
use trilith_domain::ops::describe_table::{Counts, describe};
use trilith_domain::ops::list_tables::ListTablesOutput;
use trilith_domain::ops::{
    CreateTable, DeleteTable, ListTables, TableDescription, TagResource, UntagResource, UpdateTable,
    catalog_answer,
};
use trilith_domain::read::{Plan, ReadReply};
use trilith_values::TableId;

use crate::engine::Engine;
use crate::lookup::Target;
use crate::service::Caller;
use crate::{entropy, error, lifecycle};

/// The longest that a description waits for a shard's counters.
const COUNT_WAIT: Duration = Duration::from_secs(1);

impl Engine {
    /// CreateTable: answers CREATING, when the table can be used.
    pub(crate) async fn create_table(
        &self,
        caller: &Caller,
        create: &CreateTable,
    ) -> Result<Box<TableDescription>, OpError> {
        let (uuid, seed) = (entropy::uuid(self.entropy.bits()), entropy::seed(self.entropy.bits()));
        let command = create.bind(caller.account, uuid, seed);
        let reply = self.change(caller, command).await?;
        let record = catalog_answer::table(create.table.name(), reply)?;
        self.follow(&record, caller.deadline).await;
        Ok(self.description(&record, &BTreeMap::new()))
    }

    /// DescribeTable.
    pub(crate) async fn describe_table(&self, target: Target<'_>) -> Result<Box<TableDescription>, OpError> {
        let record = self.newest_table(target).await?;
        let counts = self.counts(&record, target.caller.deadline).await;
        Ok(self.description(&record, &counts))
    }

    /// ListTables, from the newest catalog there is.
    pub(crate) async fn list_tables(
        &self,
        caller: &Caller,
        list: &ListTables,
    ) -> Result<ListTablesOutput, OpError> {
        if let Err(error) = self.refresh_soon(caller.deadline).await {
            tracing::debug!(request_id = %caller.request_id, %error, "tables are listed from this node's catalog");
        }
        let catalog = self.cluster.catalog();
        Ok(list.answer(catalog.table_names(caller.account, list.start_after.as_deref())))
    }

    /// DeleteTable: answers DELETING, when the table is gone.
    pub(crate) async fn delete_table(
        &self,
        target: Target<'_>,
        delete: &DeleteTable,
    ) -> Result<Box<TableDescription>, OpError> {
        let record = self.newest_table(target).await?;
        let reply = self.change(target.caller, delete.bind(&record)?).await?;
        let record = catalog_answer::deleted_table(delete.table.name(), reply)?;
        self.follow(&record, target.caller.deadline).await;
        Ok(self.description(&record, &BTreeMap::new()))
    }

    /// UpdateTable: answers UPDATING, when the change holds everywhere.
    pub(crate) async fn update_table(
        &self,
        target: Target<'_>,
        update: &UpdateTable,
    ) -> Result<Box<TableDescription>, OpError> {
        let record = self.newest_table(target).await?;
        let reply = self.change(target.caller, update.bind(&record)?).await?;
        let record = catalog_answer::table(update.table.name(), reply)?;
        self.follow(&record, target.caller.deadline).await;
        let counts = self.counts(&record, target.caller.deadline).await;
        Ok(self.description(&record, &counts))
    }

    /// TagResource.
    pub(crate) async fn tag(&self, target: Target<'_>, tag: &TagResource) -> Result<(), OpError> {
        let record = self.newest_table(target).await?;
        let reply = self.change(target.caller, tag.bind(&record)?).await?;
        catalog_answer::done(tag.table.name(), reply)
    }

    /// UntagResource.
    pub(crate) async fn untag(&self, target: Target<'_>, untag: &UntagResource) -> Result<(), OpError> {
        let record = self.newest_table(target).await?;
        let reply = self.change(target.caller, untag.bind(&record)).await?;
        catalog_answer::done(untag.table.name(), reply)
    }

    async fn change(&self, caller: &Caller, command: CatalogCommand) -> Result<CatalogReply, OpError> {
        self.cluster.change_catalog(command, caller.deadline).await.map_err(error::answer)
    }

    /// Makes the shards follow the record, as far as they do now.
    async fn follow(&self, record: &TableRecord, deadline: Instant) {
        if let Err(error) = lifecycle::advance(&*self.cluster, record, deadline).await {
            tracing::warn!(
                table = record.name,
                status = record.status.as_str(),
                %error,
                "a change of a table is not complete; it will be finished in the background"
            );
        }
    }

    fn description(&self, record: &TableRecord, counts: &BTreeMap<TableId, Counts>) -> Box<TableDescription> {
        let now = Stamp(self.cluster.now_micros());
        Box::new(describe(record, counts, &self.home().region, now))
    }

    /// What the table holds, as its shards' nearest replicas know it. A shard that does not answer soon is left out: the
    /// numbers are approximate by contract, and a description must not wait for a failover.
    async fn counts(&self, record: &TableRecord, deadline: Instant) -> BTreeMap<TableId, Counts> {
        let until = deadline.min(now() + COUNT_WAIT);
        let mut asked = Vec::new();
        for shard in lifecycle::shards(&record.spans) {
            asked.push((shard, Plan::Count { table: record.id }, record.id));
            if record.definition.indexes.iter().any(|index| index.schema.is_local()) {
                asked.push((shard, Plan::CountIndexes { table: record.id }, record.id));
            }
        }
        for index in &record.definition.indexes {
            let id = index.schema.id;
            let shards = lifecycle::shards(&index.spans).into_iter();
            asked.extend(shards.map(|shard| (shard, Plan::Count { table: id }, id)));
        }
        let reads = asked.iter().map(|(shard, plan, _)| {
            let read = self.cluster.read(*shard, Freshness::Eventual, plan, until);
            tokio::time::timeout_at(until.into(), read)
        });
        let mut counts: BTreeMap<TableId, Counts> = BTreeMap::new();
        let mut add = |id, items, bytes| {
            let counts = counts.entry(id).or_default();
            counts.items += items;
            counts.bytes += bytes;
        };
        for (read, (_, _, id)) in join_all(reads).await.into_iter().zip(&asked) {
            match read {
                Ok(Ok(ReadReply::Counted { items, bytes })) => add(*id, items, bytes),
                Ok(Ok(ReadReply::IndexesCounted(indexes))) => {
                    indexes.into_iter().for_each(|(index, count)| add(index, count.items, count.bytes));
                }
                _ => {}
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests;
