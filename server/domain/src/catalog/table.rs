//! A table as the catalog knows it: its definition, its state, and which shard owns which of its hashes.

use std::collections::BTreeMap;
use std::io::{Read, Result, Write};

use borsh::{BorshDeserialize, BorshSerialize};
use trilith_values::{SchemaVersion, ShardId, TableId};

use crate::schema::table::{read_tagged, write_tagged};
use crate::schema::{HashInterval, IndexSchema, KeyAttribute, TableSchema};
use crate::time::Stamp;

/// Where a table is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum TableStatus {
    /// Its spans are being opened; not usable yet.
    Creating,
    /// Every span has applied its descriptor.
    Active,
    /// A changed descriptor is on its way to the spans; usable.
    Updating,
    /// Its spans are being dropped.
    Deleting,
}

/// `BillingMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum BillingMode {
    /// `PROVISIONED`.
    Provisioned,
    /// `PAY_PER_REQUEST`.
    PayPerRequest,
}

/// `TableClass`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum TableClass {
    /// `STANDARD`.
    Standard,
    /// `STANDARD_INFREQUENT_ACCESS`.
    StandardInfrequentAccess,
}

/// A pair of read and write units (per second for throughput).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Units {
    /// Read units.
    pub read: i64,
    /// Write units.
    pub write: i64,
}

/// Where an index is in its life. Local indexes are always Active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum IndexStatus {
    /// Its spans are being opened, and items that are there already brought into it; not readable yet.
    Creating,
    /// Readable.
    Active,
    /// Its spans are being dropped.
    Deleting,
}

/// A secondary index of a table.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct IndexRecord {
    /// Its descriptor. Until the catalog takes the table, its id is 0.
    pub schema: IndexSchema,
    /// Where it is in its life.
    pub status: IndexStatus,
    /// Whether items that were there before it are being brought in; `None` for one that was made with its table.
    pub backfilling: Option<bool>,
    /// Provisioned units of a global index; zero in on-demand mode.
    pub throughput: Units,
    /// On-demand maxima of a global index, where set.
    pub on_demand_maximum: Option<Units>,
    /// Warm throughput of a global index, where set.
    pub warm: Option<Units>,
    /// Which shard owns which of its hashes; empty for a local index.
    pub spans: Vec<SpanPlace>,
}

/// What a table was asked to be: the part of it that requests set.
///
/// Its form has two formats, told apart like those of [`TableSchema`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDefinition {
    /// Partition key.
    pub hash: KeyAttribute,
    /// Sort key.
    pub range: Option<KeyAttribute>,
    /// How it is billed.
    pub billing: BillingMode,
    /// Provisioned units; zero in on-demand mode.
    pub throughput: Units,
    /// On-demand maxima, where set (-1 or absent: none).
    pub on_demand_maximum: Option<Units>,
    /// Warm throughput, where set.
    pub warm: Option<Units>,
    /// Table class, where it was ever named.
    pub class: Option<TableClass>,
    /// `DeletionProtectionEnabled`.
    pub deletion_protection: bool,
    /// Its indexes, local ones first, each kind in the order of the request.
    pub indexes: Vec<IndexRecord>,
}

impl BorshSerialize for TableDefinition {
    fn serialize<W: Write>(&self, writer: &mut W) -> Result<()> {
        let extended = !self.indexes.is_empty();
        self.hash.serialize(writer)?;
        write_tagged(&self.range, extended, writer)?;
        self.billing.serialize(writer)?;
        self.throughput.serialize(writer)?;
        self.on_demand_maximum.serialize(writer)?;
        self.warm.serialize(writer)?;
        self.class.serialize(writer)?;
        self.deletion_protection.serialize(writer)?;
        if extended { self.indexes.serialize(writer) } else { Ok(()) }
    }
}

impl BorshDeserialize for TableDefinition {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        let hash = KeyAttribute::deserialize_reader(reader)?;
        let (range, extended) = read_tagged(reader)?;
        Ok(Self {
            hash,
            range,
            billing: BillingMode::deserialize_reader(reader)?,
            throughput: Units::deserialize_reader(reader)?,
            on_demand_maximum: Option::deserialize_reader(reader)?,
            warm: Option::deserialize_reader(reader)?,
            class: Option::deserialize_reader(reader)?,
            deletion_protection: bool::deserialize_reader(reader)?,
            indexes: if extended { Vec::deserialize_reader(reader)? } else { Vec::new() },
        })
    }
}

impl TableDefinition {
    /// The index of this name.
    pub fn index(&self, name: &str) -> Option<&IndexRecord> {
        self.indexes.iter().find(|index| index.schema.name == name)
    }
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TableRecord {
    /// Internal id, never used again.
    pub id: TableId,
    /// The twelve-digit account it belongs to, as a number.
    pub account: u64,
    /// Its name in that account.
    pub name: String,
    /// The `TableId` that Describe answers, a UUID.
    pub uuid: u128,
    /// When it was created.
    pub created: Stamp,
    /// Where it is in its life.
    pub status: TableStatus,
    /// What it was asked to be.
    pub definition: TableDefinition,
    /// Version of the descriptor that spans should have.
    pub version: SchemaVersion,
    /// Seed of the partition hash.
    pub seed: u64,
    /// Which shard owns which hashes; in hash order, tiling the whole space.
    pub spans: Vec<SpanPlace>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// When it last went to on-demand billing.
    pub on_demand_since: Option<Stamp>,
    /// When it went to on-demand billing in the 24 hours before the last such change, that one included.
    pub to_on_demand: Vec<Stamp>,
    /// When provisioned units were last raised and lowered.
    pub last_increase: Option<Stamp>,
    /// See above.
    pub last_decrease: Option<Stamp>,
    /// Stamps of today's (UTC) decreases, for `NumberOfDecreasesToday`.
    pub decreases: Vec<Stamp>,
    /// When the class last changed.
    pub class_changed: Option<Stamp>,
    /// When its class changed in the 30 days before the last change, that one included.
    pub class_changes: Vec<Stamp>,
}

/// One span of a table and the shard that owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SpanPlace {
    /// The hashes.
    pub interval: HashInterval,
    /// The owner.
    pub shard: ShardId,
}

impl TableRecord {
    /// The descriptor for the shards.
    pub fn schema(&self) -> TableSchema {
        TableSchema {
            table: self.id,
            version: self.version,
            hash: self.definition.hash.clone(),
            range: self.definition.range.clone(),
            seed: self.seed,
            indexes: self.live_indexes().map(|index| index.schema.clone()).collect(),
            index_of: None,
            vector: None,
        }
    }

    /// The indexes that writes keep up: all that are not being deleted.
    pub fn live_indexes(&self) -> impl Iterator<Item = &IndexRecord> {
        self.definition.indexes.iter().filter(|index| index.status != IndexStatus::Deleting)
    }

    /// The shard that owns `hash`.
    pub fn shard_of(&self, hash: u64) -> ShardId {
        shard_of(&self.spans, hash)
    }
}

impl IndexRecord {
    /// The shard that owns `hash` of a global index.
    pub fn shard_of(&self, hash: u64) -> ShardId {
        shard_of(&self.spans, hash)
    }
}

fn shard_of(spans: &[SpanPlace], hash: u64) -> ShardId {
    let i = spans.partition_point(|span| span.interval.last < hash);
    let span = spans.get(i).expect("spans tile the hash space");
    assert!(span.interval.contains(hash), "spans tile the hash space");
    span.shard
}
