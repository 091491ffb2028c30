//! A page: from which key to which, and when it ends.
//!
//! A page ends with the item that makes it reach its limit of items or of bytes: that item belongs to it, whole, and
//! its key is [`Page::last`]. So every page makes progress whatever the size of its items, and a page of 1 MB may
//! evaluate up to one item more than 1 MB. Bytes are counted over items evaluated, before filter and projection. As
//! with the service, a page that ended by its limit exactly at the end of the data has a `last` with nothing behind it.
//!
//! Trees are built only for what will be looked at: a count without a filter reads headers.

use std::ops::ControlFlow;

use trilith_values::key::{encode_ordered, encode_prefix};
use trilith_values::{KeyValue, TableId};

use super::plan::{Page, PageShape};
use super::view::{View, ViewError};
use crate::codec::Damage;
use crate::expr::RangeTest;
use crate::item::{ItemKey, StoredItem};
use crate::keyspace::{Family, Key, interval_range, item_key, partition_prefix, prefix_end};
use crate::schema::HashInterval;

/// The keys of a page: from `start` to before `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) start: Vec<u8>,
    pub(super) end: Vec<u8>,
}

/// The first key above `key`: keys are prefix-free where they differ, so nothing lies between.
fn after(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

/// The first key above every key that begins with `value`: in an index, other values follow the one that is tested.
fn past(value: Vec<u8>) -> Vec<u8> {
    prefix_end(&value)
}

impl Bounds {
    pub(super) fn of_partition(table: TableId, hash: u64, partition: &KeyValue) -> Self {
        let start = partition_prefix(table, hash, partition);
        let end = prefix_end(&start);
        Self { start, end }
    }

    /// The keys that begin so.
    pub(super) fn of_prefix(start: Vec<u8>) -> Self {
        let end = prefix_end(&start);
        Self { start, end }
    }

    pub(super) fn of_interval(table: TableId, interval: &HashInterval) -> Self {
        let (start, end) = interval_range(table, interval);
        Self { start, end }
    }

    /// The part of a partition whose sort keys pass a test.
    pub(super) fn narrowed(self, range: &RangeTest) -> Self {
        let Self { start, end } = self;
        let with = |write: fn(&KeyValue, &mut Vec<u8>), value: &KeyValue| {
            let mut key = start.clone();
            write(value, &mut key);
            key
        };
        let at = |value| with(encode_ordered, value);
        match range {
            RangeTest::Eq(value) => Self { start: at(value), end: past(at(value)) },
            RangeTest::Lt(value) => Self { end: at(value), start },
            RangeTest::Le(value) => Self { end: past(at(value)), start },
            RangeTest::Gt(value) => Self { start: past(at(value)), end },
            RangeTest::Ge(value) => Self { start: at(value), end },
            RangeTest::Between(low, high) => Self { start: at(low), end: past(at(high)) },
            RangeTest::BeginsWith(prefix) => {
                let start = with(encode_prefix, prefix);
                let end = prefix_end(&start);
                Self { start, end }
            }
        }
    }

    /// Leaves out everything up to an item's key, and the key itself, in reading order.
    pub(super) fn continue_after(&mut self, table: TableId, key: &ItemKey, forward: bool) {
        self.continue_after_row(item_key(table, key).to_vec(), forward);
    }

    /// Leaves out everything up to a row's key, and the key itself, in reading order.
    pub(super) fn continue_after_row(&mut self, key: Vec<u8>, forward: bool) {
        if forward {
            self.start = after(key).max(std::mem::take(&mut self.start));
        } else {
            self.end = key.min(std::mem::take(&mut self.end));
        }
    }
}

/// Reads a page.
///
/// # Errors
/// [`ViewError`] when rows cannot be read or are damaged.
pub(super) fn read_page(
    view: &dyn View,
    bounds: &Bounds,
    forward: bool,
    shape: &PageShape,
) -> Result<Page, ViewError> {
    let mut page = Page::default();
    if bounds.start >= bounds.end {
        return Ok(page);
    }
    let mut fault = None;
    view.scan(Family::Items, &bounds.start, &bounds.end, !forward, &mut |key, sealed| match add_row(
        &mut page, shape, key, sealed,
    ) {
        Ok(flow) => flow,
        Err(damage) => {
            fault = Some(damage.at(Family::Items, key));
            ControlFlow::Break(())
        }
    })?;
    fault.map_or(Ok(page), |fault| Err(fault.into()))
}

fn add_row(page: &mut Page, shape: &PageShape, key: &[u8], sealed: &[u8]) -> Result<ControlFlow<()>, Damage> {
    let stored = StoredItem::open(sealed)?;
    page.scanned += 1;
    page.bytes += stored.size();
    add_item(page, shape, &stored)?;
    let full = page.bytes >= shape.max_bytes || shape.limit.is_some_and(|limit| page.scanned >= limit);
    if !full {
        return Ok(ControlFlow::Continue(()));
    }
    match Key::decode(Family::Items, key) {
        Ok(Key::Item(_, key)) => page.last = Some(key),
        Ok(_) => return Err(Damage::Content("the row's key is not an item's".to_owned())),
        Err(error) => return Err(Damage::content(error)),
    }
    Ok(ControlFlow::Break(()))
}

/// Filters and projects; builds the tree only where one of them, or the answer, needs it.
pub(super) fn add_item(page: &mut Page, shape: &PageShape, stored: &StoredItem<'_>) -> Result<(), Damage> {
    if shape.count_only && shape.filter.is_none() {
        page.count += 1;
        return Ok(());
    }
    let item = stored.item()?;
    if shape.filter.as_ref().is_some_and(|filter| !filter.evaluate(&item)) {
        return Ok(());
    }
    page.count += 1;
    if !shape.count_only {
        page.items.push(match &shape.projection {
            Some(projection) => projection.project(&item),
            None => item,
        });
    }
    Ok(())
}
