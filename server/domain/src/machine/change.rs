//! What a command changes, and what that means for the rows.
//!
//! A command answers a list of [`Change`]s. They are made in one place ([`ShardState::make`]), to the state in memory
//! and to the rows at once, so that neither can run ahead of the other; and what is made goes into the state's hash.

use bytes::Bytes;
use trilith_values::{CommandId, TableId, TransactionId};
use xxhash_rust::xxh3::Xxh3;

use super::index;
use super::outbox::{self, OwedRow};
use super::reply::ReplyBody;
use super::state::ShardState;
use super::transaction::PreparedRow;
use super::working::Working;
use crate::catalog;
use crate::codec::{self, CorruptValue};
use crate::keyspace::{Family, Key};
use crate::schema::Span;
use crate::time::Stamp;

/// A change of one row or a run of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Sets a row.
    Put {
        /// The row's family.
        family: Family,
        /// The row's key.
        key: Bytes,
        /// Its new value, sealed.
        value: Bytes,
    },
    /// Removes a row; there may be none.
    Delete {
        /// The row's family.
        family: Family,
        /// The row's key.
        key: Bytes,
    },
    /// Removes the rows with `start <= key < end`.
    DeleteRange {
        /// The rows' family.
        family: Family,
        /// The first key that goes.
        start: Bytes,
        /// The first key that stays.
        end: Bytes,
    },
}

/// All effects of a batch, to be written atomically and in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects(pub Vec<Effect>);

impl Effects {
    /// The runs of rows that it removes whole: once they are synced away, the engine may give their space back.
    pub fn dropped_ranges(&self) -> impl Iterator<Item = (Family, &Bytes, &Bytes)> {
        self.0.iter().filter_map(|effect| match effect {
            Effect::DeleteRange { family, start, end } => Some((*family, start, end)),
            Effect::Put { .. } | Effect::Delete { .. } => None,
        })
    }
}

/// What a command answers and changes.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) body: ReplyBody,
    pub(super) changes: Vec<Change>,
}

impl Outcome {
    /// An answer that changes nothing.
    pub(super) fn reply(body: ReplyBody) -> Self {
        Self { body, changes: Vec::new() }
    }
}

/// One change. Most are absolute (the value after it); the counters of indexes and of what is owed are relative, so that
/// a command may change several items. Making it cannot fail but for damage.
#[derive(Debug)]
pub(super) enum Change {
    /// Sets or removes a row of an item.
    Row { family: Family, key: Bytes, value: Option<Bytes> },
    /// Removes a run of rows.
    Range { family: Family, start: Bytes, end: Bytes },
    /// Adds or replaces a span.
    Span(Box<Span>),
    /// Sets a span's counters.
    Count { table: TableId, items: u64, bytes: u64 },
    /// Removes a span (its rows go by [`Change::Range`]).
    SpanGone(TableId),
    /// Changes the catalog.
    Catalog(catalog::Change),
    /// Changes what a local index holds of a span: sizes of an entry that goes and of one that comes.
    IndexCount { table: TableId, index: TableId, gone: Option<u64>, come: Option<u64> },
    /// Changes the size of an item collection by so many bytes.
    Collection { key: Bytes, grown: i64 },
    /// Owes these rows to global indexes. All of a command go into one row of the outbox.
    Owe(Vec<OwedRow>),
    /// Removes rows from the outbox: stamps, and the bytes of each.
    Paid(Vec<(Stamp, u64)>),
    /// Sets or removes a prepared transaction.
    Prepared(TransactionId, Option<Box<PreparedRow>>),
}

impl ShardState {
    /// Makes the changes of one command, whose stamp is the state's last.
    ///
    /// # Errors
    /// [`CorruptValue`] if a row that it adds to is damaged.
    pub(super) fn make(&mut self, changes: Vec<Change>, working: &mut Working) -> Result<(), CorruptValue> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut hasher = EffectHasher::after(self.row.hash);
        let mut owed = Vec::new();
        for change in changes {
            self.make_one(change, working, &mut hasher, &mut owed)?;
        }
        if !owed.is_empty() {
            let key = Key::Owed(self.shard(), self.last_stamp()).encode();
            let row = outbox::seal_owed(&owed);
            self.outbox.rows += 1;
            self.outbox.newest = self.last_stamp();
            self.outbox.bytes += row.len() as u64;
            working.touch_outbox();
            hasher.set(working, Family::Outbox, key, Some(row));
        }
        self.row.hash = hasher.digest();
        Ok(())
    }

    fn make_one(
        &mut self,
        change: Change,
        working: &mut Working,
        hasher: &mut EffectHasher,
        owed: &mut Vec<OwedRow>,
    ) -> Result<(), CorruptValue> {
        match change {
            Change::Owe(rows) => owed.extend(rows),
            Change::Paid(rows) => {
                for (stamp, bytes) in rows {
                    let key = Key::Owed(self.shard(), stamp).encode();
                    hasher.set(working, Family::Outbox, key, None);
                    self.outbox.rows = self.outbox.rows.saturating_sub(1);
                    self.outbox.bytes = self.outbox.bytes.saturating_sub(bytes);
                    self.outbox.trimmed = stamp;
                }
                working.touch_outbox();
            }
            Change::IndexCount { table, index, gone, come } => {
                let parts = [table.0, index.0, gone.map_or(u64::MAX, |size| size), come.unwrap_or(u64::MAX)];
                hasher.feed(b'i', &[parts.map(u64::to_le_bytes).as_flattened()]);
                let span = self.spans.get_mut(&table).expect("a counted span is owned");
                let count = span.local.entry(index).or_default();
                let after = |now: u64, come: u64, gone: u64| {
                    (now + come).checked_sub(gone).expect("an index counts what it holds")
                };
                count.items = after(count.items, u64::from(come.is_some()), u64::from(gone.is_some()));
                count.bytes = after(count.bytes, come.unwrap_or(0), gone.unwrap_or(0));
                working.touch_span(table);
            }
            Change::Collection { key, grown } => {
                let bytes = index::collection_bytes(working, &key)?.saturating_add_signed(grown);
                let row = (bytes > 0).then(|| codec::seal_row(&bytes));
                hasher.set(working, Family::LocalIndex, key, row);
            }
            Change::Row { family, key, value } => {
                if family == Family::Items && value.is_none() {
                    self.last_removal = self.row.last_stamp;
                    working.touch_removal();
                }
                hasher.set(working, family, key, value);
            }
            Change::Range { family, start, end } => {
                hasher.feed(b'r', &[family.name().as_bytes(), &start, &end]);
                working.remove_range(family, start, end);
            }
            Change::Span(span) => {
                let table = span.schema.table;
                hasher.feed(b's', &[&borsh::to_vec(&span).expect("a vector takes any bytes")]);
                self.spans.insert(table, *span);
                working.touch_span(table);
            }
            Change::Count { table, items, bytes } => {
                let counted = [table.0, items, bytes].map(u64::to_le_bytes);
                hasher.feed(b'c', &[counted.as_flattened()]);
                let span = self.spans.get_mut(&table).expect("a counted span is owned");
                (span.items, span.bytes) = (items, bytes);
                working.touch_span(table);
            }
            Change::SpanGone(table) => {
                hasher.feed(b'g', &[&table.0.to_le_bytes()]);
                self.spans.remove(&table);
                working.touch_span(table);
            }
            Change::Prepared(transaction, row) => {
                let key = self.set_prepared(transaction, row.as_deref()).encode();
                hasher.set(working, Family::Meta, key, row.as_deref().map(codec::seal_row));
            }
            Change::Catalog(change) => {
                for (key, value) in self.catalog.make(change) {
                    hasher.set(working, Family::Meta, key.encode(), value);
                }
            }
        }
        Ok(())
    }

    /// Sets a command aside that panicked: records it, counts it, and lets it into the hash.
    pub(super) fn set_aside(&mut self, command: CommandId, key: &Key, row: Bytes, working: &mut Working) {
        let mut hasher = EffectHasher::after(self.row.hash);
        // Neither the place in the log (which is not the state's) nor the text (which may differ between versions).
        hasher.feed(b'p', &[&command.0.to_le_bytes()]);
        self.row.hash = hasher.digest();
        self.row.poisoned += 1;
        working.set(key.family(), key.encode(), Some(row));
    }

    /// The rows of the state itself that a batch has changed: touched spans, and the machine's row.
    pub(super) fn store(&self, working: &mut Working) {
        for table in working.take_touched_spans() {
            let row = self.spans.get(&table).map(codec::seal_row);
            working.set(Family::Meta, Key::Span(self.shard(), table).encode(), row);
        }
        if working.take_touched_outbox() {
            let row = codec::seal_row(&self.outbox);
            working.set(Family::Meta, Key::Outbox(self.shard()).encode(), Some(row));
        }
        if working.take_touched_removal() {
            let key = Key::LastRemoval(self.shard()).encode();
            working.set(Family::Meta, key, Some(codec::seal_row(&self.last_removal)));
        }
        let (key, value) = self.machine_row();
        working.set(Family::Meta, key, Some(value));
    }
}

/// The rolling hash of a shard's effects.
struct EffectHasher(Xxh3);

impl EffectHasher {
    fn after(hash: u64) -> Self {
        Self(Xxh3::with_seed(hash))
    }

    fn set(&mut self, working: &mut Working, family: Family, key: Bytes, value: Option<Bytes>) {
        match &value {
            Some(value) => self.feed(b'w', &[family.name().as_bytes(), &key, value]),
            None => self.feed(b'd', &[family.name().as_bytes(), &key]),
        }
        working.set(family, key, value);
    }

    /// Every part with its length, so that no two effects look alike.
    fn feed(&mut self, kind: u8, parts: &[&[u8]]) {
        self.0.update(&[kind]);
        for part in parts {
            self.0.update(&(part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }

    fn digest(&self) -> u64 {
        self.0.digest()
    }
}
