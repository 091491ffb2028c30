//! Runs a plan.

use std::ops::ControlFlow;

use bytes::Bytes;
use trilith_values::{SchemaVersion, ShardId, TableId};

use super::check::check;
use super::index::index;
use super::page::{Bounds, read_page};
use super::plan::{GetPlan, GotAt, Plan, QueryPlan, ReadReply, ScanPlan};
use super::view::{View, ViewError};
use super::{transactions, vectors};
use crate::catalog::Catalog;
use crate::codec;
use crate::item::StoredItem;
use crate::keyspace::{Family, Key, Prefix, item_key};
use crate::machine::Outbox;
use crate::schema::Span;
use crate::time::Stamp;

/// What a shard owns: the state machine's memory, a copy of it, or the rows themselves ([`StoredSpans`]).
pub trait Spans {
    /// The shard's span of a table.
    ///
    /// # Errors
    /// [`ViewError`] when it has to be read and cannot be.
    fn span(&self, table: TableId) -> Result<Option<Span>, ViewError>;

    /// The shard itself.
    fn shard(&self) -> ShardId;
}

/// Spans read from the rows of the view itself, so that they are of the same moment.
#[derive(Clone, Copy)]
pub struct StoredSpans<'v> {
    /// The shard.
    pub shard: ShardId,
    /// The view.
    pub view: &'v dyn View,
}

impl Spans for StoredSpans<'_> {
    fn shard(&self) -> ShardId {
        self.shard
    }

    fn span(&self, table: TableId) -> Result<Option<Span>, ViewError> {
        let key = Key::Span(self.shard, table).encode();
        let sealed = self.view.get(Family::Meta, &key)?;
        let span = sealed.map(|sealed| codec::open_row(&sealed)).transpose();
        Ok(span.map_err(|damage| damage.at(Family::Meta, &key))?)
    }
}

/// Answers a plan over a view. `spans` should be of the view's moment or later: then a span that was just given up is
/// [`ReadReply::NotMine`], never an empty page.
///
/// # Errors
/// [`ViewError`] when rows cannot be read or are damaged. That is never an answer: the shard on this node must be
/// repaired.
pub fn run(spans: &dyn Spans, view: &dyn View, plan: &Plan) -> Result<ReadReply, ViewError> {
    match plan {
        Plan::Get(plan) => get(spans, view, plan),
        Plan::Query(plan) => query(spans, view, plan),
        Plan::Scan(plan) => scan(spans, view, plan),
        Plan::Count { table } => Ok(match spans.span(*table)? {
            Some(span) => ReadReply::Counted { items: span.items, bytes: span.bytes },
            None => ReadReply::NotMine,
        }),
        Plan::TransactGet { shard, gets } => transact_get(spans, view, *shard, gets),
        Plan::Transactions { shard, limit } => {
            let page = transactions::page(view, *shard, *limit)?;
            Ok(ReadReply::Transactions(Box::new(page)))
        }
        Plan::Catalog { newer_than } => {
            let newer = Catalog::load_newer(view, *newer_than)?;
            Ok(ReadReply::Catalog(newer.map(Box::new)))
        }
        Plan::Index(plan) => index(spans, view, plan),
        Plan::Vectors(plan) => vectors::nearest(spans, view, plan),
        Plan::CountIndexes { table } => Ok(match spans.span(*table)? {
            Some(span) => ReadReply::IndexesCounted(span.local),
            None => ReadReply::NotMine,
        }),
        Plan::Backfilled { table, index } => backfilled(spans, view, *table, *index),
        Plan::Check(plan) => check(spans, view, plan),
        Plan::Owed { after, max_bytes } => owed(spans, view, *after, *max_bytes),
    }
}

/// The span of a table that holds `hash`, in the version the plan was bound to; or the reply that says why not.
pub(super) fn owned(
    spans: &dyn Spans,
    table: TableId,
    hash: u64,
    version: SchemaVersion,
) -> Result<Result<Span, ReadReply>, ViewError> {
    Ok(match spans.span(table)? {
        Some(span) if !span.interval.contains(hash) => Err(ReadReply::NotMine),
        Some(span) if span.schema.version != version => {
            Err(ReadReply::SchemaMismatch { current: span.schema.version })
        }
        Some(span) => Ok(span),
        None => Err(ReadReply::NotMine),
    })
}

/// How far a backfill is in this shard.
fn backfilled(
    spans: &dyn Spans,
    view: &dyn View,
    table: TableId,
    index: TableId,
) -> Result<ReadReply, ViewError> {
    let Some(span) = spans.span(table)? else {
        return Ok(ReadReply::NotMine);
    };
    let key = Key::Outbox(spans.shard()).encode();
    let outbox = view.get(Family::Meta, &key)?.map(|sealed| codec::open_row::<Outbox>(&sealed));
    let outbox = outbox.transpose().map_err(|damage| damage.at(Family::Meta, &key))?.unwrap_or_default();
    Ok(match span.backfilled.get(&index) {
        Some(end) => {
            ReadReply::Backfilled { passed: true, arrived: outbox.rows == 0 || outbox.trimmed >= *end }
        }
        None => ReadReply::Backfilled { passed: false, arrived: false },
    })
}

/// The oldest rows of the outbox above `after`.
fn owed(spans: &dyn Spans, view: &dyn View, after: Stamp, max_bytes: u64) -> Result<ReadReply, ViewError> {
    let start = Key::Owed(spans.shard(), Stamp(after.0.saturating_add(1))).encode();
    let (_, end) = Prefix::Shard(spans.shard()).range();
    let (mut rows, mut bytes, mut fault) = (Vec::new(), 0, None);
    view.scan(Family::Outbox, &start, &end, false, &mut |key, sealed| {
        let row = match Key::decode(Family::Outbox, key) {
            Ok(Key::Owed(_, stamp)) => codec::open_row(sealed).map(|owed| (stamp, owed)),
            _ => Err(codec::Damage::Content("the row's key is not of the outbox".to_owned())),
        };
        match row {
            Ok((stamp, owed)) => {
                bytes += sealed.len() as u64;
                rows.push((stamp, owed, sealed.len() as u64));
                if bytes < max_bytes { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            }
            Err(damage) => {
                fault = Some(damage.at(Family::Outbox, key));
                ControlFlow::Break(())
            }
        }
    })?;
    fault.map_or(Ok(ReadReply::Owed(rows)), |fault| Err(fault.into()))
}

fn get(spans: &dyn Spans, view: &dyn View, plan: &GetPlan) -> Result<ReadReply, ViewError> {
    let key = item_key(plan.table, &plan.key);
    // The row first: if the span is still owned afterwards, the row was read while it was.
    let sealed = view.get(Family::Items, &key)?;
    if let Err(reply) = owned(spans, plan.table, plan.key.hash, plan.schema)? {
        return Ok(reply);
    }
    let Some(sealed) = sealed else {
        return Ok(ReadReply::Got { item: None, size: 0 });
    };
    got(&sealed, plan).map_err(|damage| damage.at(Family::Items, &key).into())
}

fn transact_get(
    spans: &dyn Spans,
    view: &dyn View,
    shard: ShardId,
    gets: &[GetPlan],
) -> Result<ReadReply, ViewError> {
    let removal = transactions::last_removal(view, shard)?;
    let mut all = Vec::with_capacity(gets.len());
    for plan in gets {
        let key = item_key(plan.table, &plan.key);
        let (item, size) = match get(spans, view, plan)? {
            ReadReply::Got { item, size } => (item, size),
            elsewhere => return Ok(elsewhere),
        };
        let sealed = view.get(Family::Items, &key)?;
        let header = sealed.as_ref().map(|sealed| StoredItem::open(sealed).map(|stored| stored.header));
        let header = header.transpose().map_err(|damage| damage.at(Family::Items, &key))?;
        let version = header.map_or(removal, |header| header.stamp);
        let locked = view.get(Family::Intents, &key)?.is_some();
        all.push(GotAt { item, size, version, locked });
    }
    Ok(ReadReply::TransactGot(all))
}

fn got(sealed: &Bytes, plan: &GetPlan) -> Result<ReadReply, codec::Damage> {
    let stored = StoredItem::open(sealed)?;
    let item = stored.item()?;
    let item = match &plan.projection {
        Some(projection) => projection.project(&item),
        None => item,
    };
    Ok(ReadReply::Got { item: Some(item), size: stored.size() })
}

fn query(spans: &dyn Spans, view: &dyn View, plan: &QueryPlan) -> Result<ReadReply, ViewError> {
    if let Err(reply) = owned(spans, plan.table, plan.hash, plan.schema)? {
        return Ok(reply);
    }
    let mut bounds = Bounds::of_partition(plan.table, plan.hash, &plan.partition);
    if let Some(range) = &plan.range {
        bounds = bounds.narrowed(range);
    }
    if let Some(start) = &plan.start_after {
        bounds.continue_after(plan.table, start, plan.forward);
    }
    Ok(ReadReply::Page(read_page(view, &bounds, plan.forward, &plan.shape)?))
}

fn scan(spans: &dyn Spans, view: &dyn View, plan: &ScanPlan) -> Result<ReadReply, ViewError> {
    let start = plan.start_after.as_ref();
    let first = start.map_or(plan.interval.first, |start| start.hash.max(plan.interval.first));
    // The shard must own where the scan goes on: otherwise hashes before its span would be left out unnoticed.
    let span = match owned(spans, plan.table, first, plan.schema)? {
        Ok(span) => span,
        Err(reply) => return Ok(reply),
    };
    let Some(interval) = plan.interval.intersect(&span.interval) else {
        return Ok(ReadReply::NotMine);
    };
    let mut bounds = Bounds::of_interval(plan.table, &interval);
    if let Some(start) = start {
        bounds.continue_after(plan.table, start, true);
    }
    let mut page = read_page(view, &bounds, true, &plan.shape)?;
    page.covered_to = Some(interval.last);
    Ok(ReadReply::Page(page))
}
