//! Reads as data, so that a read can travel to the replica that serves it and run beside the data.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use trilith_values::key::KeyValue;
use trilith_values::{AttributeValue, Item, SchemaVersion, ShardId, TableId, TransactionId};

use super::check::{CheckPage, CheckPlan};
use crate::catalog::Catalog;
use crate::codec::items;
use crate::expr::key_condition::RangeTest;
use crate::expr::{Condition, Projection};
use crate::item::ItemKey;
use crate::machine::ledger::LedgerRow;
use crate::machine::{OwedRow, PreparedRow};
use crate::schema::{DistanceFunction, HashInterval, IndexCount};
use crate::time::Stamp;

/// A read of one shard.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum Plan {
    /// One item by its key.
    Get(GetPlan),
    /// One partition, in sort-key order.
    Query(QueryPlan),
    /// A run of hashes, in hash then key order.
    Scan(ScanPlan),
    /// Item and byte counters of a table's span in this shard.
    Count {
        /// The table.
        table: TableId,
    },
    /// The catalog, where it is newer than the version the asker has. Answered by the catalog's own shard.
    Catalog {
        /// [`Catalog::version`] that the asker has; 0 for none.
        newer_than: u64,
    },
    /// Entries of a secondary index, in the order of its keys.
    Index(IndexPlan),
    /// Counters of a table's local indexes in this shard.
    CountIndexes {
        /// The table.
        table: TableId,
    },
    /// What the shard owes to global indexes, oldest first.
    Owed {
        /// Exclusive start.
        after: Stamp,
        /// Bytes of rows at the most; the first row always comes.
        max_bytes: u64,
    },
    /// Whether a new global index has everything that this shard's span of the table held before it.
    Backfilled {
        /// The table.
        table: TableId,
        /// The index.
        index: TableId,
    },
    /// Items as they are at one moment, for a transaction.
    TransactGet {
        /// The shard that has them.
        shard: ShardId,
        /// Which.
        gets: Vec<GetPlan>,
    },
    /// What a shard keeps of transactions.
    Transactions {
        /// Which shard.
        shard: ShardId,
        /// Rows of each kind at the most.
        limit: u32,
    },
    /// The nearest vectors of a vector index.
    Vectors(Box<VectorPlan>),
    /// Rows of one side of an index, to be compared with the other.
    Check(CheckPlan),
}

/// Searches a shard's part of a vector index.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct VectorPlan {
    /// The index.
    pub index: TableId,
    /// Version of its descriptor that the op was bound to.
    pub schema: SchemaVersion,
    /// Which entries; the shard must own them all.
    pub run: IndexRun,
    /// How near vectors are.
    pub distance: DistanceFunction,
    /// What is searched for: finite, and as long as the index's vectors.
    pub vector: Vec<f32>,
    /// How many at the most, 1 to 100.
    pub top: u32,
    /// Attributes that must have these values.
    pub filters: Vec<(String, AttributeValue)>,
    /// The name under which vectors are shown, where they are.
    pub shown: Option<String>,
    /// What of each entry; `None` is all that it shows.
    pub projection: Option<Projection>,
}

impl VectorPlan {
    /// A hash that the owner of the entries owns.
    pub fn place(&self) -> u64 {
        self.run.place()
    }
}

/// Reads a page of an index.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct IndexPlan {
    /// Whose span it lies in: the table's for a local index, its own id for a global one.
    pub span: TableId,
    /// Version of that span's descriptor that the op was bound to.
    pub schema: SchemaVersion,
    /// The index, where it is a local one: its entries stand among those of others.
    pub local: Option<TableId>,
    /// Which entries.
    pub run: IndexRun,
    /// Exclusive start: hash and key of an entry's row.
    pub start_after: Option<(u64, Vec<u8>)>,
    /// Names of the key attributes of index and table: what the key of the last entry consists of.
    pub key_names: Vec<String>,
    /// Whether the whole items are read from the table, for attributes that the index does not hold; of local indexes.
    pub fetch: bool,
    /// What happens to each entry read.
    pub shape: PageShape,
}

/// Which entries of an index are read.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum IndexRun {
    /// Of one partition, in the order of the index's sort keys.
    Partition {
        /// Hash that places it.
        hash: u64,
        /// What the keys of its rows begin with, equalities on leading RANGE attributes included.
        prefix: Vec<u8>,
        /// Which values of the next RANGE attribute.
        range: Option<RangeTest>,
        /// Ascending.
        forward: bool,
    },
    /// Of a run of hashes; the shard reads those of them that it owns.
    Interval(HashInterval),
}

impl IndexPlan {
    /// A hash that the owner of the entries owns.
    pub fn place(&self) -> u64 {
        self.run.place()
    }
}

impl IndexRun {
    fn place(&self) -> u64 {
        match self {
            Self::Partition { hash, .. } => *hash,
            Self::Interval(interval) => interval.first,
        }
    }
}

/// Reads one item.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct GetPlan {
    /// The table.
    pub table: TableId,
    /// Version the op was bound to.
    pub schema: SchemaVersion,
    /// The key.
    pub key: ItemKey,
    /// What of it; `None` is all.
    pub projection: Option<Projection>,
}

/// Reads a page of one partition.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct QueryPlan {
    /// The table.
    pub table: TableId,
    /// Version the op was bound to.
    pub schema: SchemaVersion,
    /// The partition.
    pub partition: KeyValue,
    /// Its hash under the table's seed.
    pub hash: u64,
    /// Which sort keys.
    pub range: Option<RangeTest>,
    /// Ascending.
    pub forward: bool,
    /// Exclusive start (sort key; the empty marker for tables without one means "after the only item").
    pub start_after: Option<ItemKey>,
    /// What happens to each item read.
    pub shape: PageShape,
}

/// Reads a page of a run of hashes.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct ScanPlan {
    /// The table.
    pub table: TableId,
    /// Version the op was bound to.
    pub schema: SchemaVersion,
    /// Which hashes; the shard reads those of them that it owns.
    pub interval: HashInterval,
    /// Exclusive start.
    pub start_after: Option<ItemKey>,
    /// What happens to each item read.
    pub shape: PageShape,
}

/// Bounds and shape of a page.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct PageShape {
    /// Items evaluated at the most, where the caller said so (at least 1).
    pub limit: Option<u64>,
    /// Bytes evaluated at the most before the page ends: 1 MB less what earlier shards used.
    pub max_bytes: u64,
    /// Keeps an item only if it holds.
    pub filter: Option<Condition>,
    /// What of each item; `None` is all.
    pub projection: Option<Projection>,
    /// Counts only; `items` stays empty.
    pub count_only: bool,
}

/// What a read answers.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum ReadReply {
    /// Of a get.
    Got {
        /// The item, projected, where it exists.
        #[borsh(serialize_with = "items::write_option", deserialize_with = "items::read_option")]
        item: Option<Item>,
        /// Its whole size in bytes, 0 where there is none.
        size: u64,
    },
    /// Of a query or scan.
    Page(Page),
    /// Of a count.
    Counted {
        /// Items.
        items: u64,
        /// Bytes.
        bytes: u64,
    },
    /// Of a catalog: the catalog, or nothing where the asker has this version.
    Catalog(Option<Box<Catalog>>),
    /// This shard does not own the key or hashes. Look again.
    NotMine,
    /// Bound to another version than the shard has. Bind again.
    SchemaMismatch {
        /// The shard's version.
        current: SchemaVersion,
    },
    /// Of an index.
    IndexPage(IndexPage),
    /// Of a count of indexes: each with entries and bytes.
    IndexesCounted(BTreeMap<TableId, IndexCount>),
    /// Of what is owed: stamps, rows, and bytes of the stored form.
    Owed(Vec<(Stamp, Vec<OwedRow>, u64)>),
    /// Of a backfill.
    Backfilled {
        /// Every item of the span was passed over.
        passed: bool,
        /// What was owed for that has arrived.
        arrived: bool,
    },
    /// Of a transaction's items: each, in order.
    TransactGot(Vec<GotAt>),
    /// Of what a shard keeps of transactions.
    Transactions(Box<TransactionsPage>),
    /// Of a search of vectors.
    Nearest(Nearest),
    /// Of one side of an index.
    Checked(Box<CheckPage>),
}

/// The nearest entries of a shard's part of a vector index.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Nearest {
    /// The nearest first.
    pub found: Vec<Neighbour>,
    /// How many vectors there are to find.
    pub vectors: u64,
}

/// An entry that was found.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Neighbour {
    /// How far it is ([`Probe::distance`](crate::schema::vector::Probe::distance)).
    pub distance: f64,
    /// Key of its row: of two that are equally far, the lesser comes first.
    pub key: Vec<u8>,
    /// What is shown of it.
    #[borsh(serialize_with = "items::write", deserialize_with = "items::read")]
    pub item: Item,
}

/// An item as a transaction reads it.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct GotAt {
    /// The item, projected, where it exists.
    #[borsh(serialize_with = "items::write_option", deserialize_with = "items::read_option")]
    pub item: Option<Item>,
    /// Its whole size in bytes, 0 where there is none.
    pub size: u64,
    /// When it was written; where there is none, when an item of its shard was last removed.
    pub version: Stamp,
    /// Whether a transaction is about to change it.
    pub locked: bool,
}

/// What a shard keeps of transactions: of each kind the first rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TransactionsPage {
    /// Prepared parts.
    pub prepared: Vec<(TransactionId, PreparedRow)>,
    /// Decisions.
    pub decided: Vec<(TransactionId, LedgerRow)>,
    /// Tokens, the oldest first: since when, whose, which.
    pub aged: Vec<(Stamp, u64, String)>,
}

/// A page of an index.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct IndexPage {
    /// Entries, or the items that they are of. Its `last` is unused.
    pub page: Page,
    /// Where the page stopped early: the key attributes, of index and table, of the last entry evaluated.
    #[borsh(serialize_with = "items::write_option", deserialize_with = "items::read_option")]
    pub last: Option<Item>,
    /// What the fetched items cost: for each, the 4 KB blocks that it begins.
    pub fetched_blocks: u64,
}

/// A page of items.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Page {
    /// Kept items, projected, in order.
    #[borsh(serialize_with = "items::write_list", deserialize_with = "items::read_list")]
    pub items: Vec<Item>,
    /// Kept.
    pub count: u64,
    /// Evaluated.
    pub scanned: u64,
    /// Bytes evaluated (whole items, before filter and projection).
    pub bytes: u64,
    /// Where the page stopped early: the key of the last item evaluated.
    pub last: Option<ItemKey>,
    /// Of a scan: the last hash this shard owns in the asked interval; the next shard begins after it.
    pub covered_to: Option<u64>,
}
