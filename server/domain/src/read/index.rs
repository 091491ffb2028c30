//! Pages of secondary indexes: entries in the order of the index's keys, and for local indexes the items behind them.
//!
//! An entry is the projected item, so a page is read like one of a table. It ends like one too; where items are fetched,
//! what counts are whole blocks: those of the entries so far, and those of each item (contract 4.3).

use std::ops::ControlFlow;

use trilith_values::Item;

use super::page::{Bounds, add_item};
use super::plan::{IndexPage, IndexPlan, IndexRun, ReadReply};
use super::run::{Spans, owned};
use super::view::{View, ViewError};
use crate::codec::Damage;
use crate::item::StoredItem;
use crate::keyspace::{Family, item_key, local_entry};
use crate::limits::READ_UNIT_BYTES;

/// Answers a page of an index.
pub(super) fn index(spans: &dyn Spans, view: &dyn View, plan: &IndexPlan) -> Result<ReadReply, ViewError> {
    let start = plan.start_after.as_ref();
    let place = match &plan.run {
        IndexRun::Partition { hash, .. } => *hash,
        // Where the run goes on must be owned: hashes before the span would be left out unnoticed.
        IndexRun::Interval(interval) => start.map_or(interval.first, |(hash, _)| (*hash).max(interval.first)),
    };
    let span = match owned(spans, plan.span, place, plan.schema)? {
        Ok(span) => span,
        Err(reply) => return Ok(reply),
    };
    let mut covered_to = None;
    let (mut bounds, forward) = match &plan.run {
        IndexRun::Partition { prefix, range, forward, .. } => {
            let bounds = Bounds::of_prefix(prefix.clone());
            (range.iter().fold(bounds, Bounds::narrowed), *forward)
        }
        IndexRun::Interval(interval) => {
            let Some(interval) = interval.intersect(&span.interval) else {
                return Ok(ReadReply::NotMine);
            };
            covered_to = Some(interval.last);
            (Bounds::of_interval(plan.span, &interval), true)
        }
    };
    if let Some((_, key)) = start {
        bounds.continue_after_row(key.clone(), forward);
    }
    let mut page = read(view, plan, &bounds, forward)?;
    page.page.covered_to = covered_to;
    Ok(ReadReply::IndexPage(page))
}

fn read(view: &dyn View, plan: &IndexPlan, bounds: &Bounds, forward: bool) -> Result<IndexPage, ViewError> {
    let mut page = IndexPage::default();
    if bounds.start >= bounds.end {
        return Ok(page);
    }
    let family = if plan.local.is_some() { Family::LocalIndex } else { Family::GlobalIndex };
    let mut fault: Option<ViewError> = None;
    view.scan(family, &bounds.start, &bounds.end, !forward, &mut |key, sealed| match add(
        view, &mut page, plan, key, sealed,
    ) {
        Ok(flow) => flow,
        Err(Fault::Damage(damage)) => {
            fault = Some(damage.at(family, key).into());
            ControlFlow::Break(())
        }
        Err(Fault::View(error)) => {
            fault = Some(error);
            ControlFlow::Break(())
        }
    })?;
    fault.map_or(Ok(page), Err)
}

/// Why an entry cannot be shown.
enum Fault {
    Damage(Damage),
    View(ViewError),
}

impl From<Damage> for Fault {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}

fn add(
    view: &dyn View,
    page: &mut IndexPage,
    plan: &IndexPlan,
    key: &[u8],
    sealed: &[u8],
) -> Result<ControlFlow<()>, Fault> {
    let own = match plan.local {
        None => None,
        Some(index) => match local_entry(key).map_err(Damage::content)? {
            Some((of, own)) if of == index => Some(own),
            // Another index's, or the row of the collection.
            _ => return Ok(ControlFlow::Continue(())),
        },
    };
    let entry = StoredItem::open(sealed)?;
    page.page.scanned += 1;
    page.page.bytes += entry.size();
    let mut evaluated = page.page.bytes;
    match own.filter(|_| plan.fetch) {
        None => add_item(&mut page.page, &plan.shape, &entry)?,
        Some(own) => {
            let row = item_key(plan.span, &own);
            let sealed = view.get(Family::Items, &row).map_err(Fault::View)?;
            let Some(sealed) = sealed else {
                return Err(Damage::Content("the item of an index entry is not there".to_owned()).into());
            };
            let item = StoredItem::open(&sealed)?;
            page.fetched_blocks += item.size().div_ceil(READ_UNIT_BYTES).max(1);
            add_item(&mut page.page, &plan.shape, &item)?;
            evaluated = (page.page.bytes.div_ceil(READ_UNIT_BYTES) + page.fetched_blocks) * READ_UNIT_BYTES;
        }
    }
    let limit = plan.shape.limit.is_some_and(|limit| page.page.scanned >= limit);
    if !limit && evaluated < plan.shape.max_bytes {
        return Ok(ControlFlow::Continue(()));
    }
    page.last = Some(key_attributes(&entry.item()?, &plan.key_names));
    Ok(ControlFlow::Break(()))
}

fn key_attributes(entry: &Item, names: &[String]) -> Item {
    names.iter().filter_map(|name| Some((name.clone(), entry.get(name)?.clone()))).collect()
}
