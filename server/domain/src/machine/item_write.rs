//! A write of one item: who owns it, whether its condition holds, what it becomes, and what is answered.
//!
//! [`evaluate`] says what a write comes to and changes nothing; [`changes`] is what that means for rows and counters.
//! A plain write is the one after the other; a transaction evaluates all its writes before it changes anything.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use trilith_values::{AttributeValue, Item, TableId};

use super::change::{Change, Outcome};
use super::command::{Action, ReturnValues, Write};
use super::index::{self, Upkeep};
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
    let mut evaluated = match evaluate(state, working, write, stamp)? {
        Ok(evaluated) => evaluated,
        Err(refusal) => return Ok(Outcome::reply(refusal)),
    };
    let mut changes = changes(state, vec![evaluated.change(stamp)]);
    changes.append(&mut evaluated.upkeep.changes);
    let mut indexed = evaluated.written();
    indexed.written.attributes = evaluated.image(write.returns);
    let body = if state.spans.get(&write.table).is_none_or(|span| span.schema.indexes.is_empty()) {
        ReplyBody::Written(indexed.written)
    } else {
        ReplyBody::WrittenIndexed(Box::new(indexed))
    };
    Ok(Outcome { body, changes })
}

/// What a write comes to, before anything has changed.
pub(super) struct Evaluated<'w> {
    table: TableId,
    key: Bytes,
    /// The item before as a tree, where something looked at it.
    old: Option<Item>,
    /// Its size in bytes; `None` where there is none.
    old_size: Option<u64>,
    next: Next<'w>,
    /// Size of the item after, bytes; 0 where there is none.
    new_size: u64,
    /// A check changes nothing, whatever there is.
    checks: bool,
    /// What the table's indexes do with it.
    pub(super) upkeep: Upkeep,
}

/// What becomes of the row of one item.
pub(super) struct ItemChange {
    pub(super) table: TableId,
    pub(super) key: Bytes,
    /// Size of the item before, bytes; `None` where there is none.
    pub(super) old_size: Option<u64>,
    /// The row after; `None` where there is none.
    pub(super) row: Option<Bytes>,
    /// Size of the item after, bytes; 0 where there is none.
    pub(super) new_size: u64,
}

/// Whether a write may happen and what it comes to; or the reply that says why not.
///
/// # Errors
/// [`CorruptValue`] if the old item is damaged.
pub(super) fn evaluate<'w>(
    state: &ShardState,
    working: &Working,
    write: &'w Write,
    stamp: Stamp,
) -> Result<Result<Evaluated<'w>, ReplyBody>, CorruptValue> {
    let span = match owned_span(state, write) {
        Ok(span) => span,
        Err(reply) => return Ok(Err(reply)),
    };
    assert!(write.key.fits(&span.schema), "the key was bound to this descriptor");
    let key = item_key(write.table, &write.key);
    if state.locks.contains_key(&key) {
        return Ok(Err(ReplyBody::Conflict));
    }
    let stored = working.item(&key)?;
    let old_size = stored.as_ref().map(StoredItem::size);
    let old =
        old_tree(write, &span.schema, stored.as_ref()).map_err(|damage| damage.at(Family::Items, &key))?;

    if let Some(condition) = &write.condition
        && !condition.holds_for(old.as_ref())
    {
        return Ok(Err(ReplyBody::ConditionFailed {
            item: old.filter(|_| write.old_on_failure),
            old_size: old_size.unwrap_or(0),
            new_size: proposed_size(&write.action),
        }));
    }
    let next = match next_item(write, &span.schema, old.as_ref(), old_size.is_some()) {
        Ok(next) => next,
        Err(text) => return Ok(Err(ReplyBody::Invalid(text))),
    };
    let checks = matches!(write.action, Action::Check);
    let after = next.item.as_deref().map(|item| trilith_values::size::item_size(item) as u64);
    let new_size = if checks { old_size } else { after }.unwrap_or(0);
    if new_size > ITEM_SIZE_MAX as u64 {
        let text = if matches!(write.action, Action::Update(_)) { TOO_LARGE_UPDATE } else { TOO_LARGE };
        return Ok(Err(ReplyBody::Invalid(text.to_owned())));
    }
    let images = (old.as_ref(), next.item.as_deref());
    let upkeep = if checks {
        Upkeep::default()
    } else {
        match index::upkeep(state, working, span, &write.key, images, stamp, index::Stage::Open)? {
            Ok(upkeep) => upkeep,
            Err(reply) => return Ok(Err(reply)),
        }
    };
    Ok(Ok(Evaluated { table: write.table, key, old, old_size, next, new_size, checks, upkeep }))
}

impl Evaluated<'_> {
    /// Whether there is anything to change.
    pub(super) fn changes(&self) -> bool {
        !self.checks && (self.old_size.is_some() || self.next.item.is_some())
    }

    /// What is answered, without an image. What its indexes are charged is taken out.
    pub(super) fn written(&mut self) -> WrittenIndexed {
        let (old_size, new_size) = (self.old_size.unwrap_or(0), self.new_size);
        WrittenIndexed {
            written: Written { attributes: None, old_size, new_size },
            charges: std::mem::take(&mut self.upkeep.charges),
            collection: self.upkeep.collection.take(),
        }
    }

    /// The item after; `None` where there is none.
    pub(super) fn into_after(self) -> Option<Item> {
        self.next.item.map(Cow::into_owned)
    }

    /// The change of the item's row, under this stamp; `None` where nothing changes.
    pub(super) fn change(&self, stamp: Stamp) -> Option<ItemChange> {
        self.changes().then(|| ItemChange {
            table: self.table,
            key: self.key.clone(),
            old_size: self.old_size,
            row: self.next.item.as_deref().map(|item| seal_item(&ItemHeader::local(stamp, item), item)),
            new_size: self.new_size,
        })
    }

    /// The image that the caller asked for. An empty one is none, except of a whole item.
    fn image(self, returns: ReturnValues) -> Option<Item> {
        let view = |item: &Item| Some(updated_view(item, &self.next.touched)).filter(|view| !view.is_empty());
        match returns {
            ReturnValues::None => None,
            ReturnValues::AllOld => self.old,
            ReturnValues::UpdatedOld => self.old.as_ref().and_then(view),
            ReturnValues::UpdatedNew => self.next.item.as_deref().and_then(view),
            ReturnValues::AllNew => self.next.item.map(Cow::into_owned),
        }
    }
}

/// The rows of these items, and their spans' counters after all of them. No item is named twice.
pub(super) fn changes(state: &ShardState, items: Vec<Option<ItemChange>>) -> Vec<Change> {
    let mut changes = Vec::with_capacity(2 * items.len());
    let mut counters = BTreeMap::new();
    for item in items.into_iter().flatten() {
        let ItemChange { table, key, old_size, row, new_size } = item;
        let span = state.spans.get(&table).expect("evaluated in a span that is owned");
        let (items, bytes) = counters.entry(table).or_insert((span.items, span.bytes));
        let count = |now: u64, before: u64, after: u64| {
            (now + after).checked_sub(before).expect("a span counts what it holds")
        };
        *items = count(*items, u64::from(old_size.is_some()), u64::from(row.is_some()));
        *bytes = count(*bytes, old_size.unwrap_or(0), new_size);
        changes.push(Change::Row { family: Family::Items, key, value: row });
    }
    let counted = counters.into_iter();
    changes.extend(counted.map(|(table, (items, bytes))| Change::Count { table, items, bytes }));
    changes
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
        Action::Delete | Action::Update(_) | Action::Check => 0,
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
        Action::Delete | Action::Check => Next { item: None, touched: Vec::new() },
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
