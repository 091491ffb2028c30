//! What a table is to the shards that hold it, and the span of it that one shard owns.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Read, Result, Write};

use borsh::{BorshDeserialize, BorshSerialize};
use trilith_values::key::KeyType;
use trilith_values::{SchemaVersion, ShardId, TableId};

use super::index::IndexSchema;
use super::vector::VectorSchema;
use crate::time::Stamp;

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
///
/// Its form has two formats. One without indexes is written as version 0.1.0 did; else the byte that says whether there
/// is a sort key is 2 or 3 instead of 0 or 1, and what is said of indexes follows the seed.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Its indexes.
    pub indexes: Vec<IndexSchema>,
    /// Of a global index's own descriptor: the table that it is an index of.
    pub index_of: Option<TableId>,
    /// Of a vector index's own descriptor: what makes it one.
    pub vector: Option<VectorSchema>,
}

impl TableSchema {
    /// Partition key, then sort key.
    pub fn key_attributes(&self) -> impl Iterator<Item = &KeyAttribute> {
        std::iter::once(&self.hash).chain(&self.range)
    }

    /// Its local indexes.
    pub fn local_indexes(&self) -> impl Iterator<Item = &IndexSchema> {
        self.indexes.iter().filter(|index| index.is_local())
    }

    /// Whether it speaks of indexes, which version 0.1.0 did not know.
    fn is_extended(&self) -> bool {
        !self.indexes.is_empty() || self.index_of.is_some()
    }
}

impl BorshSerialize for TableSchema {
    fn serialize<W: Write>(&self, writer: &mut W) -> Result<()> {
        self.table.serialize(writer)?;
        self.version.serialize(writer)?;
        self.hash.serialize(writer)?;
        write_tagged(&self.range, self.is_extended(), writer)?;
        self.seed.serialize(writer)?;
        if self.is_extended() {
            self.indexes.serialize(writer)?;
            self.index_of.serialize(writer)?;
            self.vector.serialize(writer)?;
        }
        Ok(())
    }
}

impl BorshDeserialize for TableSchema {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        let table = TableId::deserialize_reader(reader)?;
        let version = SchemaVersion::deserialize_reader(reader)?;
        let hash = KeyAttribute::deserialize_reader(reader)?;
        let (range, extended) = read_tagged(reader)?;
        let seed = u64::deserialize_reader(reader)?;
        let mut schema =
            Self { table, version, hash, range, seed, indexes: Vec::new(), index_of: None, vector: None };
        if extended {
            schema.indexes = Vec::deserialize_reader(reader)?;
            schema.index_of = Option::deserialize_reader(reader)?;
            schema.vector = Option::deserialize_reader(reader)?;
        }
        Ok(schema)
    }
}

/// Writes an optional sort key whose tag also says whether the record it stands in is of the extended format.
pub(crate) fn write_tagged<W: Write>(
    range: &Option<KeyAttribute>,
    extended: bool,
    writer: &mut W,
) -> Result<()> {
    (u8::from(range.is_some()) + 2 * u8::from(extended)).serialize(writer)?;
    range.iter().try_for_each(|range| range.serialize(writer))
}

/// Reads what [`write_tagged`] wrote.
pub(crate) fn read_tagged<R: Read>(reader: &mut R) -> Result<(Option<KeyAttribute>, bool)> {
    let tag = u8::deserialize_reader(reader)?;
    if tag > 3 {
        return Err(Error::new(ErrorKind::InvalidData, format!("no sort key has the tag {tag}")));
    }
    let range = (tag % 2 == 1).then(|| KeyAttribute::deserialize_reader(reader)).transpose()?;
    Ok((range, tag > 1))
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
///
/// What is said of indexes is written only where the descriptor speaks of them: else the form is that of version 0.1.0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The table's descriptor as this shard knows it.
    pub schema: TableSchema,
    /// The hashes this shard owns of it.
    pub interval: HashInterval,
    /// Items in it.
    pub items: u64,
    /// Their sizes summed, in the service's accounting (bytes).
    pub bytes: u64,
    /// What the local indexes hold in it.
    pub local: BTreeMap<TableId, IndexCount>,
    /// Of a global index: up to which stamp of each shard of the table its owed rows have arrived. What comes again is
    /// known by it, and changes nothing.
    pub arrived: BTreeMap<ShardId, Stamp>,
    /// Of a table: global indexes whose backfill has passed over this span, with the stamp of its end.
    pub backfilled: BTreeMap<TableId, Stamp>,
}

/// What an index holds of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct IndexCount {
    /// Entries.
    pub items: u64,
    /// Their sizes summed, in the service's accounting (bytes).
    pub bytes: u64,
}

impl Span {
    /// An empty span.
    pub fn new(schema: TableSchema, interval: HashInterval) -> Self {
        Self {
            schema,
            interval,
            items: 0,
            bytes: 0,
            local: BTreeMap::new(),
            arrived: BTreeMap::new(),
            backfilled: BTreeMap::new(),
        }
    }
}

impl Span {
    /// The span under another version of its descriptor. What is said of indexes that are gone is forgotten.
    pub fn with_schema(&self, schema: TableSchema) -> Self {
        let mut span = Self { schema, ..self.clone() };
        let lives = |id: &TableId| span.schema.indexes.iter().any(|index| index.id == *id);
        span.local.retain(|id, _| lives(id));
        span.backfilled.retain(|id, _| lives(id));
        span
    }
}

impl BorshSerialize for Span {
    fn serialize<W: Write>(&self, writer: &mut W) -> Result<()> {
        self.schema.serialize(writer)?;
        self.interval.serialize(writer)?;
        self.items.serialize(writer)?;
        self.bytes.serialize(writer)?;
        if self.schema.is_extended() {
            self.local.serialize(writer)?;
            self.arrived.serialize(writer)?;
            self.backfilled.serialize(writer)?;
        }
        Ok(())
    }
}

impl BorshDeserialize for Span {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        let schema = TableSchema::deserialize_reader(reader)?;
        let mut span = Self::new(schema, HashInterval::deserialize_reader(reader)?);
        span.items = u64::deserialize_reader(reader)?;
        span.bytes = u64::deserialize_reader(reader)?;
        if span.schema.is_extended() {
            span.local = BTreeMap::deserialize_reader(reader)?;
            span.arrived = BTreeMap::deserialize_reader(reader)?;
            span.backfilled = BTreeMap::deserialize_reader(reader)?;
        }
        Ok(span)
    }
}
