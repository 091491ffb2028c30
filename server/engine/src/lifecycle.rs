//! A table's way from one state to the next: what its shards must do before the catalog may say that it is done.
//!
//! ```text
//! CREATING  SpanOpen on every shard,  then TableReady   -> ACTIVE
//! UPDATING  SpanAlter on every shard, then TableReady   -> ACTIVE    (new indexes' spans before, old ones' after)
//! DELETING  SpanDrop on every shard,  then TableGone    -> forgotten
//! ```
//!
//! Which way to go is in the record's status alone, and every step may be done twice: so whoever sees a table in such
//! a state, in whatever order and at whatever time, can take it on from there. Nothing is remembered between attempts.

use std::collections::BTreeSet;
use std::time::Instant;

use futures::StreamExt;
use futures::stream;
use trilith_cluster::{Cluster, ClusterError};
use trilith_domain::catalog::{
    CatalogCommand, CatalogReply, IndexStatus, SpanPlace, TableRecord, TableStatus,
};
use trilith_domain::machine::{CommandBody, ReplyBody};
use trilith_domain::schema::TableSchema;
use trilith_values::ShardId;

/// Shards of a table that are changed at a time.
const SHARDS_AT_ONCE: usize = 32;

/// Why a table is not where it should be. To try again later is always right.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StepError {
    /// The cluster did not answer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A shard answered something other than that it is done.
    #[error("shard {shard} does not follow: {reply:?}")]
    Refused {
        /// The shard.
        shard: ShardId,
        /// What it said.
        reply: Box<ReplyBody>,
    },
    /// The catalog did not take the last step: the table is in another state by now.
    #[error("the catalog does not follow: {0:?}")]
    Overtaken(Box<CatalogReply>),
}

/// The shards that hold a table or a global index, each once.
pub(crate) fn shards(spans: &[SpanPlace]) -> BTreeSet<ShardId> {
    spans.iter().map(|span| span.shard).collect()
}

/// Takes a table to the end of the state it is in. Idempotent.
///
/// # Errors
/// [`StepError`]: some steps may have been taken.
pub async fn advance(
    cluster: &dyn Cluster,
    record: &TableRecord,
    deadline: Instant,
) -> Result<(), StepError> {
    let schema = record.schema();
    match record.status {
        TableStatus::Active => return Ok(()),
        TableStatus::Creating => {
            // Indexes first: nothing is owed to a span that is not there.
            for index in &record.definition.indexes {
                open(cluster, &index.schema.span_schema(record.id), &index.spans, deadline).await?;
            }
            open(cluster, &schema, &record.spans, deadline).await?;
        }
        TableStatus::Updating => {
            // An index is there before anything is owed to it, and goes after nothing more is.
            let of = |status| record.definition.indexes.iter().filter(move |index| index.status == status);
            for index in of(IndexStatus::Creating) {
                open(cluster, &index.schema.span_schema(record.id), &index.spans, deadline).await?;
            }
            let alter = |_: &SpanPlace| CommandBody::SpanAlter { schema: schema.clone() };
            tell_all(cluster, &record.spans, alter, deadline).await?;
            for index in of(IndexStatus::Deleting) {
                let drop = |_: &SpanPlace| CommandBody::SpanDrop { table: index.schema.id };
                tell_all(cluster, &index.spans, drop, deadline).await?;
            }
        }
        TableStatus::Deleting => {
            let drop = |_: &SpanPlace| CommandBody::SpanDrop { table: record.id };
            tell_all(cluster, &record.spans, drop, deadline).await?;
            for index in &record.definition.indexes {
                let drop = |_: &SpanPlace| CommandBody::SpanDrop { table: index.schema.id };
                tell_all(cluster, &index.spans, drop, deadline).await?;
            }
        }
    }

    let table = record.id;
    let last = if record.status == TableStatus::Deleting {
        CatalogCommand::TableGone { table }
    } else {
        CatalogCommand::TableReady { table }
    };
    match cluster.change_catalog(last, deadline).await? {
        // Not found: somebody else was faster, and the table has even been deleted since.
        CatalogReply::Table(_) | CatalogReply::Done | CatalogReply::NotFound => {}
        overtaken => return Err(StepError::Overtaken(Box::new(overtaken))),
    }
    Ok(())
}

/// Gives shards their spans of a table or global index.
async fn open(
    cluster: &dyn Cluster,
    schema: &TableSchema,
    spans: &[SpanPlace],
    deadline: Instant,
) -> Result<(), StepError> {
    let open = |span: &SpanPlace| CommandBody::SpanOpen { schema: schema.clone(), interval: span.interval };
    tell_all(cluster, spans, open, deadline).await
}

/// One step on every shard that holds a span.
async fn tell_all(
    cluster: &dyn Cluster,
    spans: &[SpanPlace],
    command: impl Fn(&SpanPlace) -> CommandBody,
    deadline: Instant,
) -> Result<(), StepError> {
    let steps: Vec<_> = spans.iter().map(|span| tell(cluster, span.shard, command(span), deadline)).collect();
    let told: Vec<_> = stream::iter(steps).buffer_unordered(SHARDS_AT_ONCE).collect().await;
    told.into_iter().collect()
}

/// One step on one shard.
async fn tell(
    cluster: &dyn Cluster,
    shard: ShardId,
    command: CommandBody,
    deadline: Instant,
) -> Result<(), StepError> {
    match cluster.write(shard, command, deadline).await?.body {
        ReplyBody::SpanDone => Ok(()),
        reply => Err(StepError::Refused { shard, reply: Box::new(reply) }),
    }
}
