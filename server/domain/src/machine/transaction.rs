//! Transactions: several writes that happen together or not at all.
//!
//! Where one shard owns all the items, one command is the whole transaction ([`write_all`]): every write is evaluated
//! against the items as they are, and only if all of them may happen are all of them made, under one stamp.
//!
//! Across shards each shard first prepares its part ([`prepare`]): it evaluates the writes the same way and keeps what
//! each item is to become, as an intent, in a row beside the item. From then on the item is locked: other writes and
//! other transactions are refused, reads see it as it was. When the ledger has decided ([`super::ledger`]), [`finish`]
//! makes the intents real or drops them, and nothing can go wrong any more: the item has not changed in between.
//!
//! Invariants: an item is locked by one transaction at the most; the locks in memory are what the rows of prepared
//! transactions say; finishing is idempotent. Locks do not wait, so there is no deadlock. All of a transaction's locks are
//! held when it is decided, so transactions are serializable in the order of their decisions.

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use trilith_values::{Item, ShardId, TableId, TransactionId};

use super::change::{Change, Outcome};
use super::command::{Finish, Prepare, TransactWrite, Write};
use super::index::{self, Stage};
use super::item_write::{self, Evaluated, ItemChange};
use super::ledger::{self, TokenState};
use super::reply::{PartVerdict, ReplyBody, WrittenIndexed};
use super::state::ShardState;
use super::working::Working;
use crate::codec::{self, CorruptValue, items};
use crate::item::{ItemHeader, ItemKey, StoredItem, seal_item};
use crate::keyspace::{Family, Key, item_key};
use crate::time::Stamp;

/// A prepared transaction, as its shard keeps it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PreparedRow {
    /// The shard that knows the decision.
    pub ledger: ShardId,
    /// Since when its items are locked.
    pub since: Stamp,
    /// The items, in the order of the writes.
    pub keys: Vec<(TableId, ItemKey)>,
}

/// What an item is to become when its transaction is committed.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct IntentRow {
    /// By which it is locked.
    pub transaction: TransactionId,
    /// Whether it is to change at all; it may only have been checked.
    pub changes: bool,
    /// The item after; `None` where there is none, or no change.
    #[borsh(serialize_with = "items::write_option", deserialize_with = "items::read_option")]
    pub after: Option<Item>,
}

/// Makes all writes or none.
///
/// # Errors
/// [`CorruptValue`] if an old item is damaged.
pub(super) fn write_all(
    state: &ShardState,
    working: &Working,
    transaction: &TransactWrite,
    stamp: Stamp,
) -> Result<Outcome, CorruptValue> {
    if transaction.shard != state.shard() {
        return Ok(Outcome::reply(ReplyBody::NotMine));
    }
    if let Some(token) = &transaction.token
        && let Some(used) = ledger::used(working, state.shard(), token, None, stamp)?
    {
        return Ok(Outcome::reply(ReplyBody::Ledger(used)));
    }
    let mut parts = match evaluate(state, working, &transaction.writes, stamp)? {
        Ok(parts) => parts,
        Err(refusal) => return Ok(Outcome::reply(refusal)),
    };
    let written: Vec<WrittenIndexed> = parts.iter_mut().map(Evaluated::written).collect();
    let mut changes = item_write::changes(state, parts.iter().map(|part| part.change(stamp)).collect());
    changes.extend(parts.iter_mut().flat_map(|part| std::mem::take(&mut part.upkeep.changes)));
    if let Some(token) = &transaction.token {
        let done = TokenState::Done(written.iter().map(WrittenIndexed::larger).collect());
        changes.extend(ledger::token_is(state.shard(), token, done, stamp));
    }
    Ok(Outcome { body: ReplyBody::TransactWritten(written), changes })
}

/// Evaluates all writes and locks their items, or does nothing.
///
/// # Errors
/// [`CorruptValue`] if an old item is damaged.
pub(super) fn prepare(
    state: &ShardState,
    working: &Working,
    prepare: &Prepare,
    stamp: Stamp,
) -> Result<Outcome, CorruptValue> {
    assert!(!state.prepared.contains_key(&prepare.transaction), "a part is prepared once");
    let mut parts = match evaluate(state, working, &prepare.writes, stamp)? {
        Ok(parts) => parts,
        Err(refusal) => return Ok(Outcome::reply(refusal)),
    };
    let written = parts.iter_mut().map(Evaluated::written).collect();
    let mut changes = Vec::with_capacity(parts.len() + 1);
    for (write, part) in prepare.writes.iter().zip(parts) {
        let key = item_key(write.table, &write.key);
        let transaction = prepare.transaction;
        let row = IntentRow { transaction, changes: part.changes(), after: part.into_after() };
        changes.push(Change::Row { family: Family::Intents, key, value: Some(codec::seal_row(&row)) });
    }
    let keys = prepare.writes.iter().map(|write| (write.table, write.key.clone())).collect();
    let row = PreparedRow { ledger: prepare.ledger, since: stamp, keys };
    changes.push(Change::Prepared(prepare.transaction, Some(Box::new(row))));
    Ok(Outcome { body: ReplyBody::Prepared(written), changes })
}

/// Makes the intents of a prepared transaction real, or drops them. One that is not prepared here is finished.
///
/// # Errors
/// [`CorruptValue`] if an old item or an intent is damaged.
pub(super) fn finish(
    state: &ShardState,
    working: &Working,
    finish: &Finish,
    stamp: Stamp,
) -> Result<Outcome, CorruptValue> {
    let Some(row) = state.prepared.get(&finish.transaction) else {
        return Ok(Outcome::reply(ReplyBody::Finished));
    };
    let mut items = Vec::with_capacity(row.keys.len());
    let mut changes = Vec::with_capacity(row.keys.len() + 1);
    for (table, key) in &row.keys {
        if finish.commit {
            items.push(committed(state, working, *table, key, stamp, &mut changes)?);
        }
        let key = item_key(*table, key);
        changes.push(Change::Row { family: Family::Intents, key, value: None });
    }
    changes.push(Change::Prepared(finish.transaction, None));
    changes.extend(item_write::changes(state, items));
    Ok(Outcome { body: ReplyBody::Finished, changes })
}

/// The change that an intent stands for; those of the table's indexes are added to `changes`.
fn committed(
    state: &ShardState,
    working: &Working,
    table: TableId,
    item: &ItemKey,
    stamp: Stamp,
    changes: &mut Vec<Change>,
) -> Result<Option<ItemChange>, CorruptValue> {
    let key = item_key(table, item);
    let sealed = working.get(Family::Intents, &key).expect("a locked item has its intent");
    let intent: IntentRow = codec::open_row(sealed).map_err(|damage| damage.at(Family::Intents, &key))?;
    if !intent.changes {
        return Ok(None);
    }
    let span = state.spans.get(&table).expect("locks go with their span");
    let stored = working.item(&key)?;
    let old_size = stored.as_ref().map(StoredItem::size);
    if !span.schema.indexes.is_empty() {
        let old = stored.as_ref().map(StoredItem::item).transpose();
        let old = old.map_err(|damage| damage.at(Family::Items, &key))?;
        let images = (old.as_ref(), intent.after.as_ref());
        match index::upkeep(state, working, span, item, images, stamp, Stage::Decided)? {
            Ok(upkeep) => changes.extend(upkeep.changes),
            Err(reply) => unreachable!("what is decided is not refused: {reply:?}"),
        }
    }
    let header = intent.after.as_ref().map(|item| ItemHeader::local(stamp, item));
    let new_size = header.map_or(0, |header| u64::from(header.size));
    let row = header.zip(intent.after.as_ref()).map(|(header, item)| seal_item(&header, item));
    Ok(Some(ItemChange { table, key, old_size, row, new_size }))
}

/// Each write's part; or the reply that says why not all of them can happen.
fn evaluate<'w>(
    state: &ShardState,
    working: &Working,
    writes: &'w [Write],
    stamp: Stamp,
) -> Result<Result<Vec<Evaluated<'w>>, ReplyBody>, CorruptValue> {
    let mut parts = Vec::with_capacity(writes.len());
    for write in writes {
        match item_write::evaluate(state, working, write, stamp)? {
            // Not about this write but about where it was sent: the whole is bound and sent again.
            Err(
                elsewhere @ (ReplyBody::NotMine | ReplyBody::SchemaMismatch { .. } | ReplyBody::Overloaded),
            ) => {
                return Ok(Err(elsewhere));
            }
            part => parts.push(part),
        }
    }
    if parts.iter().any(Result::is_err) {
        return Ok(Err(ReplyBody::Cancelled(parts.into_iter().map(verdict).collect())));
    }
    Ok(Ok(parts.into_iter().flatten().collect()))
}

fn verdict(part: Result<Evaluated<'_>, ReplyBody>) -> PartVerdict {
    match part {
        Ok(mut part) => PartVerdict::Fine(Box::new(part.written())),
        Err(ReplyBody::ConditionFailed { item, .. }) => PartVerdict::ConditionFailed { item },
        Err(ReplyBody::Invalid(text)) => PartVerdict::Invalid(text),
        Err(ReplyBody::Conflict) => PartVerdict::Conflict,
        Err(ReplyBody::CollectionFull) => PartVerdict::CollectionFull,
        Err(other) => unreachable!("evaluating a write answers no {other:?}"),
    }
}

/// What becomes of prepared transactions when a table goes: its items are no longer theirs.
pub(super) fn without_table(state: &ShardState, table: TableId) -> Vec<Change> {
    let concerned = state.prepared.iter().filter(|(_, row)| row.keys.iter().any(|(of, _)| *of == table));
    let rest = |row: &PreparedRow| {
        let keys: Vec<_> = row.keys.iter().filter(|(of, _)| *of != table).cloned().collect();
        (!keys.is_empty()).then(|| Box::new(PreparedRow { keys, ..row.clone() }))
    };
    concerned.map(|(transaction, row)| Change::Prepared(*transaction, rest(row))).collect()
}

/// The rows that preparing and finishing look at: items, and the intents beside them.
pub(super) fn reads_to_finish(finish: &Finish) -> Vec<(Family, Bytes)> {
    let rows = |(table, key): &(TableId, ItemKey)| {
        let row = item_key(*table, key);
        [(Family::Items, row.clone()), (Family::Intents, row), index::reads(*table, key)]
    };
    finish.keys.iter().flat_map(rows).collect()
}

impl ShardState {
    /// Takes a prepared transaction in, or out; answers its row's key.
    pub(super) fn set_prepared(&mut self, transaction: TransactionId, row: Option<&PreparedRow>) -> Key {
        if let Some(before) = self.prepared.remove(&transaction) {
            for (table, key) in &before.keys {
                self.locks.remove(&item_key(*table, key));
            }
        }
        if let Some(row) = row {
            for (table, key) in &row.keys {
                self.locks.insert(item_key(*table, key), transaction);
            }
            self.prepared.insert(transaction, row.clone());
        }
        Key::Prepared(self.shard(), transaction)
    }
}
