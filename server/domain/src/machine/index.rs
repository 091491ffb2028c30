//! What a change of one item means for the table's indexes: the one place where an item before and an item after become
//! index changes, for a plain write and for a transaction's commit alike.
//!
//! Entries of local indexes change in the same batch as the item. What global indexes are owed is only noted
//! ([`Change::Owe`]); it becomes one row of the outbox for the whole command ([`super::outbox`]).
//!
//! Entries follow from the items alone, so nothing of an index is read: the entry before is the one that the item before
//! has. The exception is the size of the item collection, which stands in a row of its own that every write declares.

use bytes::Bytes;
use trilith_values::size::item_size;
use trilith_values::{AttributeValue, Item, TableId};

use super::change::Change;
use super::outbox::OwedRow;
use super::reply::{CollectionSize, IndexCharge, ReplyBody};
use super::state::ShardState;
use super::working::Working;
use crate::capacity;
use crate::codec::{self, CorruptValue};
use crate::item::{ItemHeader, ItemKey, seal_item};
use crate::keyspace::{Family, collection_key};
use crate::limits::ITEM_SIZE_MAX;
use crate::schema::{IndexEntry, IndexKind, IndexSchema, Span};
use crate::time::Stamp;

/// What the indexes do with the change of an item.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    /// To be made with the change of the item.
    pub(super) changes: Vec<Change>,
    /// What each index that changed is charged.
    pub(super) charges: Vec<IndexCharge>,
    /// The item collection afterwards, in a table with local indexes.
    pub(super) collection: Option<CollectionSize>,
}

/// Whether a change may still be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It may.
    Open,
    /// It was prepared and is decided: it happens, whatever has changed about the table since.
    Decided,
}

/// The keys that a write of an item needs for its indexes, besides the item.
pub(super) fn reads(table: TableId, key: &ItemKey) -> (Family, Bytes) {
    (Family::LocalIndex, collection_key(table, key.hash, &key.partition))
}

/// What the indexes of the item's table do when the item `old` becomes `new` under `stamp`; a reply where the item may
/// not become so.
///
/// # Errors
/// [`CorruptValue`] if the size of the collection is damaged.
pub(super) fn upkeep(
    state: &ShardState,
    working: &Working,
    span: &Span,
    key: &ItemKey,
    (old, new): (Option<&Item>, Option<&Item>),
    stamp: Stamp,
    stage: Stage,
) -> Result<Result<Upkeep, ReplyBody>, CorruptValue> {
    let mut upkeep = Upkeep::default();
    if span.schema.indexes.is_empty() {
        return Ok(Ok(upkeep));
    }
    let open = stage == Stage::Open;
    if let Some(new) = new.filter(|_| open)
        && let Some(text) = span.schema.indexes.iter().find_map(|index| index.check(new).err())
    {
        return Ok(Err(ReplyBody::Invalid(text)));
    }
    let size = |item: Option<&Item>| item.map_or(0, |item| item_size(item) as u64);
    let (mut before, mut after) = (size(old), size(new));
    let mut owed = Vec::new();
    for index in &span.schema.indexes {
        let entry = |item: Option<&Item>| index.entry(&span.schema, key, item?);
        let (gone, come) = (entry(old), entry(new));
        if index.is_local() {
            before += size(gone.as_ref().map(|entry| &entry.item));
            after += size(come.as_ref().map(|entry| &entry.item));
        }
        upkeep.entry(index, span.schema.table, gone, come, stamp, &mut owed);
    }
    if !owed.is_empty() {
        if open && state.outbox().is_full(state.limits()) {
            return Ok(Err(ReplyBody::Overloaded));
        }
        upkeep.changes.push(Change::Owe(owed));
    }
    if span.schema.local_indexes().next().is_some() {
        if open && after > ITEM_SIZE_MAX as u64 && after > before {
            return Ok(Err(ReplyBody::Invalid("Item size has exceeded the maximum allowed size".to_owned())));
        }
        let (_, row) = reads(span.schema.table, key);
        let held = collection_bytes(working, &row)?;
        let bytes = (held + after).saturating_sub(before);
        if open && after > before && bytes > state.limits().collection_bytes {
            return Ok(Err(ReplyBody::CollectionFull));
        }
        if after != before {
            let grown = i64::try_from(after).unwrap_or(i64::MAX) - i64::try_from(before).unwrap_or(i64::MAX);
            upkeep.changes.push(Change::Collection { key: row, grown });
        }
        let name = span.schema.hash.name.clone();
        let key = Item::from([(name, AttributeValue::from(&key.partition))]);
        upkeep.collection = Some(CollectionSize { key, bytes });
    }
    Ok(Ok(upkeep))
}

/// Bytes of an item collection, as its row says; 0 where there is none.
pub(super) fn collection_bytes(working: &Working, row: &Bytes) -> Result<u64, CorruptValue> {
    let sealed = working.get(Family::LocalIndex, row);
    let bytes = sealed.map(|sealed| codec::open_row::<u64>(sealed)).transpose();
    Ok(bytes.map_err(|damage| damage.at(Family::LocalIndex, row))?.unwrap_or(0))
}

/// The row of an entry.
pub(super) fn sealed_entry(entry: &IndexEntry, stamp: Stamp) -> Bytes {
    seal_item(&ItemHeader::local(stamp, &entry.item), &entry.item)
}

impl Upkeep {
    fn entry(
        &mut self,
        index: &IndexSchema,
        table: TableId,
        gone: Option<IndexEntry>,
        come: Option<IndexEntry>,
        stamp: Stamp,
        owed: &mut Vec<OwedRow>,
    ) {
        if gone == come {
            return;
        }
        self.charge(index, gone.as_ref(), come.as_ref());
        let size = |entry: &IndexEntry| item_size(&entry.item) as u64;
        if index.is_local() {
            let (gone, come) = (gone.as_ref().map(size), come.as_ref().map(size));
            self.changes.push(Change::IndexCount { table, index: index.id, gone, come });
        }
        let moved = |gone: &IndexEntry| come.as_ref().is_none_or(|come| come.key != gone.key);
        if let Some(gone) = gone.filter(moved) {
            self.row(index, gone.key, None, owed);
        }
        if let Some(come) = come {
            let row = sealed_entry(&come, stamp);
            self.row(index, come.key, Some(row), owed);
        }
    }

    fn row(&mut self, index: &IndexSchema, key: Bytes, value: Option<Bytes>, owed: &mut Vec<OwedRow>) {
        if index.is_local() {
            self.changes.push(Change::Row { family: Family::LocalIndex, key, value });
        } else {
            owed.push(OwedRow { key: key.to_vec(), value: value.map(|value| value.to_vec()) });
        }
    }

    /// The write ladder (contract 5.1): one write where an entry comes, goes or changes in place, two where it moves. A
    /// vector index is charged the bytes of these writes, each 1 KB at the least.
    fn charge(&mut self, index: &IndexSchema, gone: Option<&IndexEntry>, come: Option<&IndexEntry>) {
        let size = |entry: Option<&IndexEntry>| entry.map_or(0, |entry| item_size(&entry.item) as u64);
        let moved = gone.zip(come).is_some_and(|(gone, come)| gone.key != come.key);
        let kind = index.kind();
        let write = match kind {
            IndexKind::Vector => capacity::vector_write_bytes,
            IndexKind::Local | IndexKind::Global => capacity::write_blocks,
        };
        let units =
            if moved { write(size(gone), 0) + write(0, size(come)) } else { write(size(gone), size(come)) };
        self.charges.push(IndexCharge { name: index.name.clone(), kind, units });
    }
}
