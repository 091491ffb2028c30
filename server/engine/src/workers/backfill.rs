//! Brings items that are there into a global index that was added to their table.
//!
//! A write's apply owes a new index its entries from the moment the table's descriptor names it. What was there before is
//! named here, page by page, to the shard that holds it ([`Backfill`]): its apply then owes the entries of those items as
//! they are at that moment. So both kinds stand in one outbox, in the order of one log, and no order of events between a
//! backfill and the writes beside it can leave a wrong entry. A page waits while the shard owes too much.
//!
//! Each process does the shards that it leads, and looks at all of them for the end; when every span was passed over and
//! what was owed for it has arrived, the catalog makes the index ACTIVE. Nothing is remembered: a shard whose leader went
//! begins again, which is idempotent.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use trilith_cluster::{Cluster, Freshness, now};
use trilith_domain::catalog::{CatalogCommand, IndexRecord, IndexStatus, SpanPlace, TableRecord};
use trilith_domain::item::ItemKey;
use trilith_domain::machine::{Backfill, CommandBody, ReplyBody};
use trilith_domain::read::{PageShape, Plan, ReadReply, ScanPlan};
use trilith_values::{ShardId, TableId};

/// How often it is looked for indexes to fill.
const EVERY: Duration = Duration::from_millis(250);
/// How long one step may take before the index is looked at anew.
const ATTEMPT: Duration = Duration::from_secs(10);
/// The pause while a shard owes too much.
const PAUSE: Duration = Duration::from_millis(20);
/// Bytes of items that are named at a time.
const PAGE_BYTES: u64 = 256 * 1024;
/// Items that are named at a time.
const PAGE_ITEMS: u64 = 500;

/// Fills indexes, for ever.
pub async fn run(cluster: Arc<dyn Cluster>) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        pass(&*cluster).await;
    }
}

/// Looks once, and takes every index as far as this process can.
pub async fn pass(cluster: &dyn Cluster) {
    let catalog = cluster.catalog();
    for table in catalog.tables() {
        let due =
            |index: &&IndexRecord| index.status == IndexStatus::Creating && index.backfilling == Some(true);
        for index in table.definition.indexes.iter().filter(due) {
            fill(cluster, table, index.schema.id).await;
        }
    }
}

async fn fill(cluster: &dyn Cluster, table: &TableRecord, index: TableId) {
    let spans = table.spans.iter().map(|span| fill_span(cluster, table, span, index));
    if !join_all(spans).await.into_iter().all(|done| done) {
        return;
    }
    let ready = CatalogCommand::IndexReady { index };
    match cluster.change_catalog(ready, now() + ATTEMPT).await {
        Ok(_) => tracing::info!(table = table.name, %index, "an index has been filled"),
        Err(error) => {
            tracing::warn!(table = table.name, %index, %error, "an index cannot be made active yet")
        }
    }
}

/// Whether all of a span is in the index. Fills it first, where this process leads its shard.
async fn fill_span(cluster: &dyn Cluster, table: &TableRecord, span: &SpanPlace, index: TableId) -> bool {
    let plan = Plan::Backfilled { table: table.id, index };
    let state = cluster.read(span.shard, Freshness::Eventual, &plan, now() + ATTEMPT).await;
    match state {
        Ok(ReadReply::Backfilled { passed: true, arrived }) => arrived,
        Ok(ReadReply::Backfilled { passed: false, .. }) if cluster.leads(span.shard) => {
            if let Err(why) = name_all(cluster, table, span, index).await {
                tracing::debug!(table = table.name, %index, shard = %span.shard, why, "a backfill stopped");
            }
            false
        }
        _ => false,
    }
}

/// Names every item of a span to its shard.
async fn name_all(
    cluster: &dyn Cluster,
    table: &TableRecord,
    span: &SpanPlace,
    index: TableId,
) -> Result<(), String> {
    let schema = table.schema();
    let shape = PageShape {
        limit: Some(PAGE_ITEMS),
        max_bytes: PAGE_BYTES,
        filter: None,
        projection: None,
        count_only: false,
    };
    let mut scan = ScanPlan {
        table: table.id,
        schema: table.version,
        interval: span.interval,
        start_after: None,
        shape,
    };
    loop {
        let plan = Plan::Scan(scan.clone());
        let read = cluster.read(span.shard, Freshness::Strong, &plan, now() + ATTEMPT).await;
        let page = match read.map_err(|error| error.to_string())? {
            ReadReply::Page(page) => page,
            other => return Err(format!("{other:?}")),
        };
        let keys = page.items.iter().filter_map(|item| ItemKey::of_item(&schema, item)).collect();
        let done = page.last.is_none();
        let backfill = Backfill { table: table.id, index, keys, done };
        propose(cluster, span.shard, backfill).await?;
        if done {
            return Ok(());
        }
        scan.start_after = page.last;
    }
}

async fn propose(cluster: &dyn Cluster, shard: ShardId, backfill: Backfill) -> Result<(), String> {
    loop {
        let command = CommandBody::Backfill(backfill.clone());
        let reply = cluster.write(shard, command, now() + ATTEMPT).await;
        match reply.map_err(|error| error.to_string())?.body {
            ReplyBody::SpanDone => return Ok(()),
            ReplyBody::Overloaded => tokio::time::sleep(PAUSE).await,
            other => return Err(format!("{other:?}")),
        }
    }
}
