//! Brings what shards owe to global indexes to where it is owed, one task for each shard.
//!
//! A task waits until this process leads its shard and the shard owes something ([`Cluster::owing`]), reads the oldest
//! rows of the outbox, sends each index's part to the shards that own it, all at once, and when all have taken theirs,
//! has what was sent removed. The next rows are read and sent while that is going on.
//!
//! Nothing here must happen exactly once. Two processes may ship the same rows while leadership changes, a command whose
//! outcome is unknown is sent again, and what was sent comes late: the receiver knows rows by their stamps
//! ([`IndexApply`]). What must hold is the order: rows are sent from the oldest on and without gaps, and later ones only
//! after earlier ones were taken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::task::JoinSet;
use trilith_cluster::{Cluster, Freshness, now};
use trilith_domain::Stamp;
use trilith_domain::catalog::{IndexStatus, TableStatus};
use trilith_domain::keyspace::place_of_row;
use trilith_domain::machine::{CommandBody, IndexApply, OwedRow, ReplyBody};
use trilith_domain::read::{Plan, ReadReply};
use trilith_values::{ShardId, TableId};

/// Bytes of the outbox that are sent at a time: enough that a busy shard's commands are few, and small beside a log
/// entry's bound.
const SHIPMENT_BYTES: u64 = 256 * 1024;
/// Rows of a shipment after which more are left to gather before the next one.
const BUSY_ROWS: usize = 4;
/// For so long: a busy shard's rows travel in fewer commands, each of which costs every replica the same, and an idle
/// shard's rows wait for nothing.
const GATHER: Duration = Duration::from_millis(8);
/// How long one command may take before it is sent again.
const ATTEMPT: Duration = Duration::from_secs(10);
/// The pause before a step that failed is taken again.
const PAUSE: Duration = Duration::from_millis(20);
/// How often it is looked whether the cluster has more shards.
const SHARDS_EVERY: Duration = Duration::from_millis(500);

/// Ships for every shard, for ever.
pub async fn run(cluster: Arc<dyn Cluster>) {
    let mut tasks = JoinSet::new();
    let mut known = 0;
    loop {
        let shards: Vec<ShardId> = cluster.catalog().data_shards().map(|shard| shard.id).collect();
        for shard in shards.iter().skip(known) {
            tasks.spawn(ship(Arc::clone(&cluster), *shard));
        }
        known = known.max(shards.len());
        tokio::time::sleep(SHARDS_EVERY).await;
    }
}

/// One row of the outbox: its stamp, what is owed, and the bytes of its stored form.
type Owed = (Stamp, Vec<OwedRow>, u64);

/// Ships what one shard owes.
async fn ship(cluster: Arc<dyn Cluster>, shard: ShardId) {
    let mut after = Stamp::ZERO;
    let mut paid = Vec::new();
    loop {
        if paid.is_empty() {
            cluster.owing(shard, after).await;
        }
        let rows = read(&*cluster, shard, after).await;
        if rows.is_empty() && paid.is_empty() {
            // It owes something, but the rows cannot be read yet.
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        // What was sent before is removed while the next is on its way.
        tokio::join!(send(&*cluster, shard, &rows), trim(&*cluster, shard, std::mem::take(&mut paid)));
        if rows.iter().map(|(_, owed, _)| owed.len()).sum::<usize>() >= BUSY_ROWS {
            tokio::time::sleep(GATHER).await;
        }
        after = rows.last().map_or(after, |(stamp, ..)| *stamp);
        paid = rows.into_iter().map(|(stamp, _, bytes)| (stamp, bytes)).collect();
    }
}

async fn read(cluster: &dyn Cluster, shard: ShardId, after: Stamp) -> Vec<Owed> {
    let plan = Plan::Owed { after, max_bytes: SHIPMENT_BYTES };
    match cluster.read(shard, Freshness::Eventual, &plan, now() + ATTEMPT).await {
        Ok(ReadReply::Owed(rows)) => rows,
        Ok(other) => {
            tracing::error!(%shard, ?other, "what is owed to indexes cannot be read");
            tokio::time::sleep(PAUSE).await;
            Vec::new()
        }
        Err(error) => {
            tracing::warn!(%shard, %error, "what is owed to indexes cannot be read");
            tokio::time::sleep(PAUSE).await;
            Vec::new()
        }
    }
}

/// Has rows removed that have arrived, until it is done.
async fn trim(cluster: &dyn Cluster, shard: ShardId, rows: Vec<(Stamp, u64)>) {
    if rows.is_empty() {
        return;
    }
    let command = CommandBody::OutboxTrim(rows);
    while let Err(error) = cluster.write(shard, command.clone(), now() + ATTEMPT).await {
        tracing::debug!(%shard, %error, "what was paid is still in the outbox");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Brings rows to where they are owed, until all have been taken or are owed to nobody any more.
async fn send(cluster: &dyn Cluster, source: ShardId, rows: &[Owed]) {
    let mut by_index: BTreeMap<TableId, Vec<(Stamp, OwedRow)>> = BTreeMap::new();
    for (stamp, owed, _) in rows {
        for row in owed {
            if let Some((index, _)) = place_of_row(&row.key) {
                by_index.entry(index).or_default().push((*stamp, row.clone()));
            }
        }
    }
    join_all(by_index.into_iter().map(|(index, rows)| send_to(cluster, source, index, rows))).await;
}

/// The same for one index, whose shards are those that the catalog names now.
async fn send_to(cluster: &dyn Cluster, source: ShardId, index: TableId, mut rows: Vec<(Stamp, OwedRow)>) {
    let mut certain = false;
    while !rows.is_empty() {
        let Some(parts) = split(cluster, source, index, &rows) else {
            // Nobody is owed, if the catalog of this process is not behind.
            if certain {
                return;
            }
            certain = cluster.refresh_catalog(now() + ATTEMPT).await.is_ok();
            continue;
        };
        let sent = parts.into_iter().map(|(shard, apply)| async move {
            let rows = apply.rows.clone();
            let taken = cluster.write(shard, CommandBody::IndexApply(apply), now() + ATTEMPT).await;
            match taken.map(|reply| reply.body) {
                Ok(ReplyBody::SpanDone) => Vec::new(),
                Ok(reply) => {
                    tracing::debug!(%shard, %index, ?reply, "rows of an index are not taken");
                    rows
                }
                Err(error) => {
                    tracing::debug!(%shard, %index, %error, "rows of an index are not taken yet");
                    rows
                }
            }
        });
        rows = join_all(sent).await.into_iter().flatten().collect();
        if !rows.is_empty() {
            tokio::time::sleep(PAUSE).await;
            certain = cluster.refresh_catalog(now() + ATTEMPT).await.is_ok();
        }
    }
}

/// Rows by the shards that own their places; `None` where the index is not there, or is on its way out.
fn split(
    cluster: &dyn Cluster,
    source: ShardId,
    index: TableId,
    rows: &[(Stamp, OwedRow)],
) -> Option<BTreeMap<ShardId, IndexApply>> {
    let catalog = cluster.catalog();
    let (table, record) = catalog.index(index)?;
    if table.status == TableStatus::Deleting || record.status == IndexStatus::Deleting {
        return None;
    }
    let mut parts: BTreeMap<ShardId, IndexApply> = BTreeMap::new();
    for (stamp, row) in rows {
        let (_, hash) = place_of_row(&row.key)?;
        let part = parts.entry(record.shard_of(hash));
        let part = part.or_insert_with(|| IndexApply { index, source, rows: Vec::new() });
        part.rows.push((*stamp, row.clone()));
    }
    Some(parts)
}
