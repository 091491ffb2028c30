//! What a shard owes to global indexes, and how it is paid.
//!
//! A write's apply notes the entries that it changes ([`OwedRow`]) in one row of the outbox, under its stamp. A worker of
//! the shard's leader reads those rows in their order, brings each to the shard that owns its place in the index
//! ([`IndexApply`]), and when all have taken it, removes what it brought ([`OutboxTrim`]).
//!
//! Nothing is lost and nothing comes back, whatever is repeated, delayed or reordered on the way. A worker sends what is
//! owed from the oldest row on, without gaps, and the next run of rows only after the one before was taken. The receiver
//! keeps, for each sender, the stamp up to which rows have arrived ([`Span::arrived`](crate::schema::Span)), and skips
//! what is not above it: an old put that comes after a newer delete is known by its stamp. So no tombstones are needed.
//! All changes of one item come from one shard in the order of its log; entries of different items never share a row.
//!
//! The outbox is bounded ([`Outbox::is_full`]): beyond that, writes that owe more are refused until it drains.

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use trilith_values::{ShardId, TableId};

use super::change::{Change, Outcome};
use super::index::sealed_entry;
use super::reply::ReplyBody;
use super::state::{Limits, ShardState};
use super::working::Working;
use crate::codec::{self, CorruptValue};
use crate::item::{ItemKey, StoredItem};
use crate::keyspace::{Family, item_key, place_of_row};
use crate::schema::Span;
use crate::time::Stamp;

/// One entry of a global index that changes: its row's key, and the row or nothing.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OwedRow {
    /// Key in [`Family::GlobalIndex`].
    pub key: Vec<u8>,
    /// The entry, sealed; `None` removes it.
    pub value: Option<Vec<u8>>,
}

/// How much a shard owes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Outbox {
    /// Rows of the outbox.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Stamp of the newest row there ever was.
    pub newest: Stamp,
    /// Everything up to this stamp was paid and removed.
    pub trimmed: Stamp,
}

impl Outbox {
    /// Whether rows above `after` are owed.
    pub fn owes_above(&self, after: Stamp) -> bool {
        self.rows > 0 && self.newest > after
    }

    /// Whether a write that would owe more has to wait.
    pub fn is_full(&self, limits: &Limits) -> bool {
        self.rows >= limits.outbox_rows || self.bytes >= limits.outbox_bytes
    }
}

/// Rows owed to one span of a global index, from one shard, in the order of their stamps and without gaps since the run
/// before.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct IndexApply {
    /// The index.
    pub index: TableId,
    /// Who owes them.
    pub source: ShardId,
    /// Each with the stamp of the write that owes it.
    pub rows: Vec<(Stamp, OwedRow)>,
}

/// The keys that [`IndexApply`] needs.
pub(super) fn reads(apply: &IndexApply) -> impl Iterator<Item = (Family, Bytes)> {
    apply.rows.iter().map(|(_, row)| (Family::GlobalIndex, Bytes::copy_from_slice(&row.key)))
}

/// Takes rows into a span of a global index.
///
/// # Errors
/// [`CorruptValue`] if an entry before is damaged.
pub(super) fn index_apply(
    state: &ShardState,
    working: &Working,
    apply: &IndexApply,
) -> Result<Outcome, CorruptValue> {
    let Some(span) = state.spans.get(&apply.index) else {
        return Ok(Outcome::reply(ReplyBody::NotMine));
    };
    let is_mine = |row: &OwedRow| {
        place_of_row(&row.key)
            .is_some_and(|(index, hash)| index == apply.index && span.interval.contains(hash))
    };
    if !apply.rows.iter().all(|(_, row)| is_mine(row)) {
        return Ok(Outcome::reply(ReplyBody::NotMine));
    }
    let arrived = span.arrived.get(&apply.source).copied().unwrap_or(Stamp::ZERO);
    // Rows of one key may follow each other in a run: only the last of them counts.
    let mut last = std::collections::BTreeMap::new();
    for (stamp, row) in apply.rows.iter().filter(|(stamp, _)| *stamp > arrived) {
        last.insert(&row.key, (*stamp, &row.value));
    }
    let Some(newest) = apply.rows.iter().map(|(stamp, _)| *stamp).max().filter(|stamp| *stamp > arrived)
    else {
        return Ok(Outcome::reply(ReplyBody::SpanDone));
    };
    let mut next = span.clone();
    next.arrived.insert(apply.source, newest);
    let mut changes = Vec::with_capacity(last.len() + 1);
    for (key, (_, value)) in last {
        let key = Bytes::copy_from_slice(key);
        let before = size(working.get(Family::GlobalIndex, &key).map(|sealed| &sealed[..]), &key)?;
        let after = size(value.as_deref(), &key)?;
        if before.is_none() && after.is_none() {
            continue;
        }
        next.items = next.items + u64::from(after.is_some()) - u64::from(before.is_some());
        next.bytes = next.bytes + after.unwrap_or(0) - before.unwrap_or(0);
        let value = value.as_deref().map(Bytes::copy_from_slice);
        changes.push(Change::Row { family: Family::GlobalIndex, key, value });
    }
    changes.push(Change::Span(Box::new(next)));
    Ok(Outcome { body: ReplyBody::SpanDone, changes })
}

fn size(sealed: Option<&[u8]>, key: &Bytes) -> Result<Option<u64>, CorruptValue> {
    let stored = sealed.map(StoredItem::open).transpose();
    Ok(stored.map_err(|damage| damage.at(Family::GlobalIndex, key))?.map(|stored| stored.size()))
}

/// Removes rows of the outbox that have arrived where they were owed to: stamps in order, and the bytes of each. What
/// was removed before is skipped.
pub(super) fn trim(state: &ShardState, rows: &[(Stamp, u64)]) -> Outcome {
    let rows = rows.iter().filter(|(stamp, _)| *stamp > state.outbox().trimmed).copied().collect::<Vec<_>>();
    let changes = if rows.is_empty() { Vec::new() } else { vec![Change::Paid(rows)] };
    Outcome { body: ReplyBody::SpanDone, changes }
}

/// Owes a new global index the entries of items that were there before it.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Backfill {
    /// The table.
    pub table: TableId,
    /// The index.
    pub index: TableId,
    /// The items, by their keys.
    pub keys: Vec<ItemKey>,
    /// Whether all items of the shard's span were named, in this command or before.
    pub done: bool,
}

/// The keys that [`Backfill`] needs.
pub(super) fn backfill_reads(backfill: &Backfill) -> impl Iterator<Item = (Family, Bytes)> {
    backfill.keys.iter().map(|key| (Family::Items, item_key(backfill.table, key)))
}

/// Notes the entries of the named items, as they are now, in the outbox. Items whose attributes cannot be keys of the
/// index have none (contract 3.1).
///
/// # Errors
/// [`CorruptValue`] if an item is damaged.
pub(super) fn backfill(
    state: &ShardState,
    working: &Working,
    backfill: &Backfill,
    stamp: Stamp,
) -> Result<Outcome, CorruptValue> {
    let Some(span) = state.spans.get(&backfill.table) else {
        return Ok(Outcome::reply(ReplyBody::NotMine));
    };
    let Some(index) = span.schema.indexes.iter().find(|index| index.id == backfill.index) else {
        return Ok(Outcome::reply(ReplyBody::NotMine));
    };
    if state.outbox().is_full(state.limits()) {
        return Ok(Outcome::reply(ReplyBody::Overloaded));
    }
    let mut owed = Vec::new();
    for key in &backfill.keys {
        let row = item_key(backfill.table, key);
        let Some(stored) = working.item(&row)? else { continue };
        let item = stored.item().map_err(|damage| damage.at(Family::Items, &row))?;
        if let Some(entry) = index.entry(&span.schema, key, &item) {
            let value = Some(sealed_entry(&entry, stamp).to_vec());
            owed.push(OwedRow { key: entry.key.to_vec(), value });
        }
    }
    let mut changes = Vec::new();
    if !owed.is_empty() {
        changes.push(Change::Owe(owed));
    }
    if backfill.done && !span.backfilled.contains_key(&backfill.index) {
        let mut next: Span = span.clone();
        next.backfilled.insert(backfill.index, stamp);
        changes.push(Change::Span(Box::new(next)));
    }
    Ok(Outcome { body: ReplyBody::SpanDone, changes })
}

/// The stored form of what one command owes.
pub(super) fn seal_owed(rows: &[OwedRow]) -> Bytes {
    codec::seal_with(
        rows.iter().map(|row| row.key.len() + row.value.as_ref().map_or(0, Vec::len)).sum(),
        |out| {
            rows.serialize(out).expect("a vector takes any bytes");
        },
    )
}
