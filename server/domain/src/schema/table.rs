//! What a table is to the shards that hold it, and the span of it that one shard owns.

use borsh::{BorshDeserialize, BorshSerialize};
use trilith_values::key::KeyType;
use trilith_values::{SchemaVersion, TableId};

/// A key attribute of a table: its name and declared type.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct KeyAttribute {
    /// Attribute name, 1 to 255 bytes.
    pub name: String,
    /// Declared type: S, N or B.
    pub kind: KeyType,
}

/// What a shard must know of a table to apply a write to it. Shard state: changed only by logged commands
/// (SpanOpen, SpanAlter, SpanDrop), so apply never asks the catalog.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TableSchema {
    /// Never used again, across accounts, tables and indexes.
    pub table: TableId,
    /// Raised by every change of this descriptor; commands bear the version they were bound to.
    pub version: SchemaVersion,
    /// Partition key.
    pub hash: KeyAttribute,
    /// Sort key, where the table has one.
    pub range: Option<KeyAttribute>,
    /// Seed of the partition hash, so that tables are spread independently of each other.
    pub seed: u64,
}

/// An interval of partition hashes, both ends inclusive: the whole space is `0..=u64::MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct HashInterval {
    /// First hash inside.
    pub first: u64,
    /// Last hash inside.
    pub last: u64,
}

impl HashInterval {
    /// Every hash.
    pub const ALL: Self = Self { first: 0, last: u64::MAX };

    /// Whether `hash` lies inside.
    pub fn contains(&self, hash: u64) -> bool {
        self.first <= hash && hash <= self.last
    }

    /// What both share, if anything.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let both = Self { first: self.first.max(other.first), last: self.last.min(other.last) };
        (both.first <= both.last).then_some(both)
    }

    /// The whole space cut into `parts` intervals that tile it, as equal as integers allow. Used for a new
    /// table's spans and for the segments of a parallel scan.
    pub fn part(i: u64, parts: u64) -> Self {
        assert!(i < parts, "part {i} of {parts}");
        let bound = |i: u64| -> u128 { (u128::from(i) << 64) / u128::from(parts) };
        let first = bound(i) as u64;
        let last = (bound(i + 1) - 1) as u64;
        assert!(first <= last, "a part is never empty");
        Self { first, last }
    }
}

/// A span: one shard's share of a table, and the descriptor it applies writes by. Carries its own counters.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Span {
    /// The table's descriptor as this shard knows it.
    pub schema: TableSchema,
    /// The hashes this shard owns of it.
    pub interval: HashInterval,
    /// Items in it.
    pub items: u64,
    /// Their sizes summed, in the service's accounting (bytes).
    pub bytes: u64,
}
