//! A write of one item: who owns it, whether its condition holds, what it becomes, and what is answered.

use std::borrow::Cow;

use bytes::Bytes;
use trilith_values::{AttributeValue, Item};

use super::change::{Change, Outcome};
use super::command::{Action, ReturnValues, Write};
use super::index;
use super::reply::{ReplyBody, Written, WrittenIndexed};
use super::state::ShardState;
use super::working::Working;
use crate::codec::{CorruptValue, Damage};
use crate::expr::{Path, Update, updated_view};
use crate::item::{ItemHeader, StoredItem, seal_item};
use crate::keyspace::{Family, item_key};
use crate::limits::{ITEM_SIZE_MAX, NESTING_MAX};
use crate::schema::{Span, TableSchema};
use crate::time::Stamp;

const TOO_LARGE: &str = "Item size has exceeded the maximum allowed size";
const TOO_LARGE_UPDATE: &str = "Item size to update has exceeded the maximum allowed size";
const TOO_DEEP: &str = "Nesting Levels have exceeded supported limits";

/// Applies a write.
///
/// # Errors
/// [`CorruptValue`] if the old item is damaged.
pub(super) fn write(
    state: &ShardState,
    working: &Working,
    write: &Write,
    stamp: Stamp,
) -> Result<Outcome, CorruptValue> {
    let span = match owned_span(state, write) {
        Ok(span) => span,
        Err(reply) => return Ok(Outcome::reply(reply)),
    };
    assert!(write.key.fits(&span.schema), "the key was bound to this descriptor");
    let key = item_key(write.table, &write.key);
    let stored = working.item(&key)?;
    let old_size = stored.as_ref().map_or(0, StoredItem::size);
    let old =
        old_tree(write, &span.schema, stored.as_ref()).map_err(|damage| damage.at(Family::Items, &key))?;

    if let Some(condition) = &write.condition
        && !condition.holds_for(old.as_ref())
    {
        return Ok(Outcome::reply(ReplyBody::ConditionFailed {
            item: old.filter(|_| write.old_on_failure),
            old_size,
            new_size: proposed_size(&write.action),
        }));
    }
    let exists = stored.is_some();
    let next = match next_item(write, &span.schema, old.as_ref(), exists) {
        Ok(next) => next,
        Err(text) => return Ok(Outcome::reply(ReplyBody::Invalid(text))),
    };
    let header = next.item.as_deref().map(|item| ItemHeader::local(stamp, item));
    let new_size = header.map_or(0, |header| u64::from(header.size));
    if new_size > ITEM_SIZE_MAX as u64 {
        let text = if matches!(write.action, Action::Update(_)) { TOO_LARGE_UPDATE } else { TOO_LARGE };
        return Ok(Outcome::reply(ReplyBody::Invalid(text.to_owned())));
    }
    let row = header.zip(next.item.as_deref()).map(|(header, item)| seal_item(&header, item));
    let images = (old.as_ref(), next.item.as_deref());
    let upkeep = match index::upkeep(state, working, span, &write.key, images, stamp)? {
        Ok(upkeep) => upkeep,
        Err(reply) => return Ok(Outcome::reply(reply)),
    };
    let mut changes = changes(span, key, exists.then_some(old_size), row, new_size);
    changes.extend(upkeep.changes);
    let attributes = image(write.returns, old, next);
    let written = Written { attributes, old_size, new_size };
    let body = if span.schema.indexes.is_empty() {
        ReplyBody::Written(written)
    } else {
        let (charges, collection) = (upkeep.charges, upkeep.collection);
        ReplyBody::WrittenIndexed(Box::new(WrittenIndexed { written, charges, collection }))
    };
    Ok(Outcome { body, changes })
}

/// The span that holds the key, in the version that the write was bound to.
fn owned_span<'s>(state: &'s ShardState, write: &Write) -> Result<&'s Span, ReplyBody> {
    let span = state.spans.get(&write.table).ok_or(ReplyBody::NotMine)?;
    if !span.interval.contains(write.key.hash) {
        return Err(ReplyBody::NotMine);
    }
    if span.schema.version != write.schema {
        return Err(ReplyBody::SchemaMismatch { current: span.schema.version });
    }
    Ok(span)
}

/// The item before as a tree, where something will look at it.
fn old_tree(
    write: &Write,
    schema: &TableSchema,
    stored: Option<&StoredItem<'_>>,
) -> Result<Option<Item>, Damage> {
    let wanted = write.condition.is_some()
        || !schema.indexes.is_empty()
        || matches!(write.action, Action::Update(_))
        || matches!(write.returns, ReturnValues::AllOld | ReturnValues::UpdatedOld);
    stored.filter(|_| wanted).map(StoredItem::item).transpose()
}

/// Size of what would be written, as far as it is known without evaluating an update.
fn proposed_size(action: &Action) -> u64 {
    match action {
        Action::Put(item) => trilith_values::size::item_size(item) as u64,
        Action::Delete | Action::Update(_) => 0,
    }
}

/// What the item becomes.
struct Next<'w> {
    /// The item after; `None` where there is none.
    item: Option<Cow<'w, Item>>,
    /// What an update touched.
    touched: Vec<Path>,
}

/// The item after the write, or the text of why it cannot be.
fn next_item<'w>(
    write: &'w Write,
    schema: &TableSchema,
    old: Option<&Item>,
    exists: bool,
) -> Result<Next<'w>, String> {
    Ok(match &write.action {
        Action::Put(item) => {
            assert!(write.key.is_key_of(schema, item), "the key was taken from the item");
            check_depth(item)?;
            Next { item: Some(Cow::Borrowed(item)), touched: Vec::new() }
        }
        Action::Delete => Next { item: None, touched: Vec::new() },
        Action::Update(update) => {
            assert_eq!(old.is_some(), exists, "an update reads the item before");
            let (item, touched) = updated(write, update, schema, old)?;
            // What only takes away finds nothing to take from, and makes no item.
            let made = exists || !update.only_removes();
            Next { item: made.then_some(Cow::Owned(item)), touched }
        }
    })
}

fn updated(
    write: &Write,
    update: &Update,
    schema: &TableSchema,
    old: Option<&Item>,
) -> Result<(Item, Vec<Path>), String> {
    let (item, touched) = match old {
        Some(old) => {
            let mut item = old.clone();
            let touched = update.apply(&mut item);
            (item, touched)
        }
        None => {
            let mut item = write.key.attributes(schema);
            let touched = update.apply_to_new(&mut item);
            (item, touched)
        }
    };
    let touched = touched.map_err(|error| error.to_string())?;
    if let Some(name) = write.key.changed_attribute(schema, &item) {
        return Err(format!(
            "One or more parameter values were invalid: Cannot update attribute {name}. \
             This attribute is part of the key"
        ));
    }
    check_depth(&item)?;
    Ok((item, touched))
}

fn check_depth(item: &Item) -> Result<(), String> {
    let deepest = item.values().map(AttributeValue::depth).max().unwrap_or(0);
    if deepest > NESTING_MAX { Err(TOO_DEEP.to_owned()) } else { Ok(()) }
}

/// The row, and the span's counters after it. Removing what is not there changes nothing.
fn changes(span: &Span, key: Bytes, old_size: Option<u64>, row: Option<Bytes>, new_size: u64) -> Vec<Change> {
    if old_size.is_none() && row.is_none() {
        return Vec::new();
    }
    let count = |now: u64, before: u64, after: u64| {
        (now + after).checked_sub(before).expect("a span counts what it holds")
    };
    let items = count(span.items, u64::from(old_size.is_some()), u64::from(row.is_some()));
    let bytes = count(span.bytes, old_size.unwrap_or(0), new_size);
    vec![
        Change::Row { family: Family::Items, key, value: row },
        Change::Count { table: span.schema.table, items, bytes },
    ]
}

/// The image that the caller asked for. An empty one is none, except of a whole item.
fn image(returns: ReturnValues, old: Option<Item>, next: Next<'_>) -> Option<Item> {
    let view = |item: &Item| Some(updated_view(item, &next.touched)).filter(|view| !view.is_empty());
    match returns {
        ReturnValues::None => None,
        ReturnValues::AllOld => old,
        ReturnValues::UpdatedOld => old.as_ref().and_then(view),
        ReturnValues::UpdatedNew => next.item.as_deref().and_then(view),
        ReturnValues::AllNew => next.item.map(Cow::into_owned),
    }
}
