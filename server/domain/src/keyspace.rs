//! Every key that is ever stored.
//!
//! ```text
//! rows of items:  table id: u64 | hash: u64 | partition key, ordered | sort key, ordered     (numbers big-endian)
//! local indexes:  table id | hash | partition key | index id: u64 | the index's sort key | sort key
//! global indexes: index id: u64 | hash | HASH values | RANGE values | partition key | sort key
//! rows of shards: shard id: u32 | kind: u8 | ...
//! outbox:         shard id: u32 | stamp: u64
//! ```
//!
//! Rows of items have no shard in their key, in whichever family they stand: a span is copied, moved, dropped or
//! handed to another shard by ranges alone ([`span_ranges`]), and a split moves no data. Everything else stands under
//! its shard's id ([`shard_ranges`]). The two together are all that a shard has on disk. Rows of a node, which belong
//! to no shard, stand under a shard id that none ever has ([`crate::node_key`]).
//!
//! Invariants: byte order of item rows is the order of table, hash, partition key, sort key; keys of a family are
//! prefix-free where they are compared; [`Key::decode`] gives back exactly what [`Key::encode`] took, and refuses
//! everything else. The encodings and the names of families never change.

use std::fmt;

use bytes::Bytes;
use trilith_values::codec::CodecError;
use trilith_values::key::{decode_ordered, encode_ordered};
use trilith_values::{KeyValue, NodeId, ShardId, TableId, TransactionId};

use crate::item::ItemKey;
use crate::schema::HashInterval;
use crate::time::Stamp;

/// A set of rows that is kept apart from the others. The name on disk is fixed for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Items of tables.
    Items,
    /// Rows of local secondary indexes.
    LocalIndex,
    /// Rows of global secondary indexes.
    GlobalIndex,
    /// Records owed to indexes, streams and other regions; under the shard's id.
    Outbox,
    /// When items expire.
    Expiry,
    /// Prepared but undecided parts of transactions.
    Intents,
    /// Rows of the shards themselves: applied state, descriptors, ledgers.
    Meta,
}

impl Family {
    /// All families, in the order of their discriminants.
    pub const ALL: [Self; 7] = [
        Self::Items,
        Self::LocalIndex,
        Self::GlobalIndex,
        Self::Outbox,
        Self::Expiry,
        Self::Intents,
        Self::Meta,
    ];

    /// Families whose rows belong to items and begin with table id and hash.
    pub const OF_ITEMS: [Self; 5] =
        [Self::Items, Self::LocalIndex, Self::GlobalIndex, Self::Expiry, Self::Intents];

    /// Families whose rows belong to a shard and begin with its id.
    pub const OF_SHARDS: [Self; 2] = [Self::Outbox, Self::Meta];

    /// The name of the family on disk.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Items => "items",
            Self::LocalIndex => "local_index",
            Self::GlobalIndex => "global_index",
            Self::Outbox => "outbox",
            Self::Expiry => "expiry",
            Self::Intents => "intents",
            Self::Meta => "meta",
        }
    }
}

/// In the place of a shard id, for rows that belong to no shard. No shard ever has it.
pub const NO_SHARD: ShardId = ShardId(u32::MAX);

/// The shard that holds the catalog.
pub const CATALOG_SHARD: ShardId = ShardId(0);

/// A stored key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// An item of a table.
    Item(TableId, ItemKey),
    /// An entry of a local index: of the item with this key, under the value of the index's sort key.
    LocalIndex {
        /// The table.
        table: TableId,
        /// The item's key.
        key: ItemKey,
        /// The index.
        index: TableId,
        /// Value of the index's own sort key.
        sort: KeyValue,
    },
    /// The bytes of one item collection: a partition's items and their entries in local indexes.
    Collection {
        /// The table.
        table: TableId,
        /// Hash of the partition key.
        hash: u64,
        /// The partition key.
        partition: KeyValue,
    },
    /// An entry of a global index: values of its HASH and RANGE attributes, then the item's primary key.
    GlobalIndex {
        /// The index.
        index: TableId,
        /// Hash over its HASH values.
        hash: u64,
        /// All values, in order.
        values: Vec<KeyValue>,
    },
    /// What one command owes to global indexes ([`crate::machine::OwedRow`]).
    Owed(ShardId, Stamp),
    /// How much a shard owes ([`crate::machine::Outbox`]).
    Outbox(ShardId),
    /// What the shard's replica has applied: log id and membership. The row belongs to consensus.
    Applied(ShardId),
    /// The state machine's own small state ([`crate::machine::ShardState`]).
    Machine(ShardId),
    /// A table's span in the shard ([`crate::schema::Span`]).
    Span(ShardId, TableId),
    /// A command that panicked: number `n` of the log entry `index`.
    Poison {
        /// The shard.
        shard: ShardId,
        /// Index of the log entry.
        index: u64,
        /// Which of its commands.
        n: u32,
    },
    /// A lock of an item ([`crate::machine::IntentRow`]).
    Intent(TableId, ItemKey),
    /// When an item of the shard was last removed.
    LastRemoval(ShardId),
    /// A prepared transaction of the shard ([`crate::machine::PreparedRow`]).
    Prepared(ShardId, TransactionId),
    /// A decision ([`crate::machine::ledger::LedgerRow`]).
    Ledger(ShardId, TransactionId),
    /// A client's token ([`crate::machine::ledger::TokenRow`]).
    Token {
        /// The shard.
        shard: ShardId,
        /// Whose.
        account: u64,
        /// The token.
        token: String,
    },
    /// Which token got its state at a stamp ([`crate::machine::ledger::AgingRow`]).
    Aging(ShardId, Stamp),
    /// The cluster's identity. This and the rows below are the catalog, in [`CATALOG_SHARD`].
    Cluster,
    /// The catalog's version and its id sequences.
    Counters,
    /// A table by its id.
    Table(TableId),
    /// A table's id by account and name.
    TableName(u64, String),
    /// A node.
    Node(NodeId),
    /// A shard.
    Shard(ShardId),
    /// The node that joined with a token.
    Join(u128),
}

/// Bytes of a table id and a hash.
const TABLE_AND_HASH: usize = 8 + 8;

const APPLIED: u8 = 0x01;
const MACHINE: u8 = 0x02;
const SPAN: u8 = 0x03;
const POISON: u8 = 0x04;
const OUTBOX: u8 = 0x05;
const LAST_REMOVAL: u8 = 0x10;
const PREPARED: u8 = 0x11;
const LEDGER: u8 = 0x12;
const TOKEN: u8 = 0x13;
const AGING: u8 = 0x14;
const CLUSTER: u8 = 0x40;
const COUNTERS: u8 = 0x41;
const TABLE: u8 = 0x42;
const TABLE_NAME: u8 = 0x43;
const NODE: u8 = 0x44;
const SHARD: u8 = 0x45;
const JOIN: u8 = 0x46;

impl Key {
    /// The family the row stands in.
    pub fn family(&self) -> Family {
        match self {
            Self::Item(..) => Family::Items,
            Self::LocalIndex { .. } | Self::Collection { .. } => Family::LocalIndex,
            Self::GlobalIndex { .. } => Family::GlobalIndex,
            Self::Owed(..) => Family::Outbox,
            Self::Intent(..) => Family::Intents,
            Self::Applied(_)
            | Self::Outbox(_)
            | Self::Machine(_)
            | Self::Span(..)
            | Self::Poison { .. }
            | Self::LastRemoval(_)
            | Self::Prepared(..)
            | Self::Ledger(..)
            | Self::Token { .. }
            | Self::Aging(..)
            | Self::Cluster
            | Self::Counters
            | Self::Table(_)
            | Self::TableName(..)
            | Self::Node(_)
            | Self::Shard(_)
            | Self::Join(_) => Family::Meta,
        }
    }

    /// The key's bytes.
    pub fn encode(&self) -> Bytes {
        let bytes = match self {
            Self::LocalIndex { table, key, index, sort } => {
                return local_index_key(*table, key, *index, std::slice::from_ref(sort));
            }
            Self::Collection { table, hash, partition } => {
                return collection_key(*table, *hash, partition);
            }
            Self::GlobalIndex { index, hash, values } => {
                let mut bytes = table_and_hash(*index, *hash);
                values.iter().for_each(|value| encode_ordered(value, &mut bytes));
                bytes
            }
            Self::Owed(shard, stamp) => [&shard.0.to_be_bytes()[..], &stamp.0.to_be_bytes()].concat(),
            Self::Outbox(shard) => meta(*shard, OUTBOX, &[]),
            Self::Item(table, key) | Self::Intent(table, key) => return item_key(*table, key),
            Self::LastRemoval(shard) => meta(*shard, LAST_REMOVAL, &[]),
            Self::Prepared(shard, transaction) => meta(*shard, PREPARED, &[&transaction.0.to_be_bytes()]),
            Self::Ledger(shard, transaction) => meta(*shard, LEDGER, &[&transaction.0.to_be_bytes()]),
            Self::Token { shard, account, token } => {
                meta(*shard, TOKEN, &[&account.to_be_bytes(), token.as_bytes()])
            }
            Self::Aging(shard, stamp) => meta(*shard, AGING, &[&stamp.0.to_be_bytes()]),
            Self::Applied(shard) => meta(*shard, APPLIED, &[]),
            Self::Machine(shard) => meta(*shard, MACHINE, &[]),
            Self::Span(shard, table) => meta(*shard, SPAN, &[&table.0.to_be_bytes()]),
            Self::Poison { shard, index, n } => {
                meta(*shard, POISON, &[&index.to_be_bytes(), &n.to_be_bytes()])
            }
            Self::Cluster => meta(CATALOG_SHARD, CLUSTER, &[]),
            Self::Counters => meta(CATALOG_SHARD, COUNTERS, &[]),
            Self::Table(table) => meta(CATALOG_SHARD, TABLE, &[&table.0.to_be_bytes()]),
            Self::TableName(account, name) => {
                meta(CATALOG_SHARD, TABLE_NAME, &[&account.to_be_bytes(), name.as_bytes()])
            }
            Self::Node(node) => meta(CATALOG_SHARD, NODE, &[&node.0.to_be_bytes()]),
            Self::Shard(shard) => meta(CATALOG_SHARD, SHARD, &[&shard.0.to_be_bytes()]),
            Self::Join(token) => meta(CATALOG_SHARD, JOIN, &[&token.to_be_bytes()]),
        };
        bytes.into()
    }

    /// The key that these bytes are.
    ///
    /// # Errors
    /// [`BadKey`] for bytes that [`Key::encode`] does not make, and for families without rows so far.
    pub fn decode(family: Family, bytes: &[u8]) -> Result<Self, BadKey> {
        let mut rest = Reader(bytes);
        let key = match family {
            Family::Items => {
                let (table, key) = decode_item_key(&mut rest)?;
                Self::Item(table, key)
            }
            Family::Intents => {
                let (table, key) = decode_item_key(&mut rest)?;
                Self::Intent(table, key)
            }
            Family::Meta => decode_meta(&mut rest)?,
            Family::LocalIndex => decode_local_index(&mut rest)?,
            Family::GlobalIndex => decode_global_index(&mut rest)?,
            Family::Outbox => Self::Owed(ShardId(rest.u32()?), Stamp(rest.u64()?)),
            Family::Expiry => return Err(BadKey::Family(family)),
        };
        if rest.0.is_empty() { Ok(key) } else { Err(BadKey::Trailing) }
    }
}

fn meta(shard: ShardId, kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(5 + parts.iter().map(|part| part.len()).sum::<usize>());
    bytes.extend_from_slice(&shard.0.to_be_bytes());
    bytes.push(kind);
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

/// The key of an item's row, in every family of items.
pub fn item_key(table: TableId, key: &ItemKey) -> Bytes {
    let mut bytes = partition_prefix(table, key.hash, &key.partition);
    if let Some(sort) = &key.sort {
        encode_ordered(sort, &mut bytes);
    }
    bytes.into()
}

/// What the keys of one partition's items begin with.
pub fn partition_prefix(table: TableId, hash: u64, partition: &KeyValue) -> Vec<u8> {
    let mut bytes = table_and_hash(table, hash);
    encode_ordered(partition, &mut bytes);
    bytes
}

fn table_and_hash(table: TableId, hash: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(&table.0.to_be_bytes());
    bytes.extend_from_slice(&hash.to_be_bytes());
    bytes
}

/// In the place of a local index's id, for the row of the item collection. No table or index ever has it.
const COLLECTION: TableId = TableId(0);

/// The row that counts the bytes of an item collection.
pub fn collection_key(table: TableId, hash: u64, partition: &KeyValue) -> Bytes {
    local_index_prefix(table, hash, partition, COLLECTION).into()
}

/// What the entries of one partition in a local index begin with.
pub fn local_index_prefix(table: TableId, hash: u64, partition: &KeyValue, index: TableId) -> Vec<u8> {
    let mut bytes = partition_prefix(table, hash, partition);
    bytes.extend_from_slice(&index.0.to_be_bytes());
    bytes
}

/// The row of an item's entry in a local index, under the values of the index's own sort key.
pub fn local_index_key(table: TableId, key: &ItemKey, index: TableId, sort: &[KeyValue]) -> Bytes {
    let mut bytes = local_index_prefix(table, key.hash, &key.partition, index);
    sort.iter().chain(&key.sort).for_each(|value| encode_ordered(value, &mut bytes));
    bytes.into()
}

/// What the entries of one partition of a global index begin with.
pub fn global_index_prefix<'v>(
    index: TableId,
    hash: u64,
    values: impl Iterator<Item = &'v KeyValue>,
) -> Vec<u8> {
    let mut bytes = table_and_hash(index, hash);
    values.for_each(|value| encode_ordered(value, &mut bytes));
    bytes
}

/// The row of an item's entry in a global index: all values of the index's key, then the item's own key.
pub fn global_index_key<'v>(
    index: TableId,
    hash: u64,
    values: impl Iterator<Item = &'v KeyValue>,
    key: &'v ItemKey,
) -> Bytes {
    let own = std::iter::once(&key.partition).chain(&key.sort);
    global_index_prefix(index, hash, values.chain(own)).into()
}

/// Table (or global index) and hash that the key of an item's row begins with; `None` where it is too short.
pub fn place_of_row(key: &[u8]) -> Option<(TableId, u64)> {
    let mut rest = Reader(key);
    Some((TableId(rest.u64().ok()?), rest.u64().ok()?))
}

/// The index that a row of [`Family::LocalIndex`] belongs to, and the key of its item; `None` for the row of a
/// collection.
///
/// # Errors
/// [`BadKey`] for bytes that are no such key.
pub fn local_entry(key: &[u8]) -> Result<Option<(TableId, ItemKey)>, BadKey> {
    Ok(match Key::decode(Family::LocalIndex, key)? {
        Key::LocalIndex { key, index, .. } => Some((index, key)),
        _ => None,
    })
}

fn decode_local_index(rest: &mut Reader<'_>) -> Result<Key, BadKey> {
    let table = TableId(rest.u64()?);
    let hash = rest.u64()?;
    let partition = decode_ordered(&mut rest.0)?;
    let index = TableId(rest.u64()?);
    if index == COLLECTION {
        return Ok(Key::Collection { table, hash, partition });
    }
    let sort = decode_ordered(&mut rest.0)?;
    let own = if rest.0.is_empty() { None } else { Some(decode_ordered(&mut rest.0)?) };
    Ok(Key::LocalIndex { table, key: ItemKey { hash, partition, sort: own }, index, sort })
}

fn decode_global_index(rest: &mut Reader<'_>) -> Result<Key, BadKey> {
    let index = TableId(rest.u64()?);
    let hash = rest.u64()?;
    let mut values = Vec::new();
    while !rest.0.is_empty() {
        values.push(decode_ordered(&mut rest.0)?);
    }
    Ok(Key::GlobalIndex { index, hash, values })
}

fn decode_item_key(rest: &mut Reader<'_>) -> Result<(TableId, ItemKey), BadKey> {
    let table = TableId(rest.u64()?);
    let hash = rest.u64()?;
    let partition = decode_ordered(&mut rest.0)?;
    let sort = if rest.0.is_empty() { None } else { Some(decode_ordered(&mut rest.0)?) };
    Ok((table, ItemKey { hash, partition, sort }))
}

fn decode_meta(rest: &mut Reader<'_>) -> Result<Key, BadKey> {
    let shard = ShardId(rest.u32()?);
    let kind = rest.take::<1>()?[0];
    if shard == NO_SHARD {
        return Err(BadKey::NoShard);
    }
    if kind >= CLUSTER && shard != CATALOG_SHARD {
        return Err(BadKey::Kind(kind));
    }
    Ok(match kind {
        APPLIED => Key::Applied(shard),
        MACHINE => Key::Machine(shard),
        SPAN => Key::Span(shard, TableId(rest.u64()?)),
        OUTBOX => Key::Outbox(shard),
        POISON => Key::Poison { shard, index: rest.u64()?, n: rest.u32()? },
        LAST_REMOVAL => Key::LastRemoval(shard),
        PREPARED => Key::Prepared(shard, TransactionId(u128::from_be_bytes(rest.take()?))),
        LEDGER => Key::Ledger(shard, TransactionId(u128::from_be_bytes(rest.take()?))),
        TOKEN => Key::Token { shard, account: rest.u64()?, token: rest.text()? },
        AGING => Key::Aging(shard, Stamp(rest.u64()?)),
        CLUSTER => Key::Cluster,
        COUNTERS => Key::Counters,
        TABLE => Key::Table(TableId(rest.u64()?)),
        TABLE_NAME => {
            let account = rest.u64()?;
            Key::TableName(account, rest.text()?)
        }
        NODE => Key::Node(NodeId(rest.u64()?)),
        SHARD => Key::Shard(ShardId(rest.u32()?)),
        JOIN => Key::Join(u128::from_be_bytes(rest.take()?)),
        _ => return Err(BadKey::Kind(kind)),
    })
}

/// Bytes that are no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadKey {
    /// A key value in it is malformed, or it ends too early.
    Codec(CodecError),
    /// No row of a shard has this kind.
    Kind(u8),
    /// It is a row of no shard: of a node ([`crate::node_key`]), if anything.
    NoShard,
    /// The family has no rows so far.
    Family(Family),
    /// Bytes follow the key.
    Trailing,
}

impl From<CodecError> for BadKey {
    fn from(error: CodecError) -> Self {
        Self::Codec(error)
    }
}

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Codec(error) => write!(f, "malformed key: {error}"),
            Self::Kind(kind) => write!(f, "no row of a shard has the kind {kind:#04x}"),
            Self::NoShard => f.write_str("the row belongs to no shard"),
            Self::Family(family) => write!(f, "the family {} has no rows yet", family.name()),
            Self::Trailing => f.write_str("bytes follow the key"),
        }
    }
}

impl std::error::Error for BadKey {}

/// Takes fixed-size parts off the front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], BadKey> {
        let (part, rest) = self.0.split_first_chunk().ok_or(CodecError::Truncated)?;
        self.0 = rest;
        Ok(*part)
    }

    fn u64(&mut self) -> Result<u64, BadKey> {
        self.take().map(u64::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, BadKey> {
        self.take().map(u32::from_be_bytes)
    }

    /// All the rest.
    fn text(&mut self) -> Result<String, BadKey> {
        let text = std::str::from_utf8(std::mem::take(&mut self.0)).map_err(|_| CodecError::Utf8)?;
        Ok(text.to_owned())
    }
}

/// What groups of keys begin with: the twin of [`Key`] for scans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// Rows of a table's items, in a family of items.
    Table(TableId),
    /// Rows of one partition of a table.
    Partition(TableId, u64, KeyValue),
    /// All rows of a shard, in a family of shards.
    Shard(ShardId),
    /// Spans of a shard.
    Spans(ShardId),
    /// Commands of a shard that panicked.
    Poisons(ShardId),
    /// Prepared transactions of a shard.
    Prepared(ShardId),
    /// Decisions of a shard.
    Ledger(ShardId),
    /// Tokens of a shard, in the order of their age.
    Aging(ShardId),
    /// Tables of the catalog.
    Tables,
    /// Names of an account's tables.
    TableNames(u64),
    /// Nodes of the catalog.
    Nodes,
    /// Shards of the catalog.
    Shards,
    /// Join tokens of the catalog.
    Joins,
}

impl Prefix {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Table(table) => table.0.to_be_bytes().to_vec(),
            Self::Partition(table, hash, partition) => partition_prefix(*table, *hash, partition),
            Self::Shard(shard) => shard.0.to_be_bytes().to_vec(),
            Self::Spans(shard) => meta(*shard, SPAN, &[]),
            Self::Poisons(shard) => meta(*shard, POISON, &[]),
            Self::Prepared(shard) => meta(*shard, PREPARED, &[]),
            Self::Ledger(shard) => meta(*shard, LEDGER, &[]),
            Self::Aging(shard) => meta(*shard, AGING, &[]),
            Self::Tables => meta(CATALOG_SHARD, TABLE, &[]),
            Self::TableNames(account) => meta(CATALOG_SHARD, TABLE_NAME, &[&account.to_be_bytes()]),
            Self::Nodes => meta(CATALOG_SHARD, NODE, &[]),
            Self::Shards => meta(CATALOG_SHARD, SHARD, &[]),
            Self::Joins => meta(CATALOG_SHARD, JOIN, &[]),
        }
    }

    /// The range of the keys that begin with it: first key, and the first key behind the last.
    pub fn range(&self) -> (Vec<u8>, Vec<u8>) {
        let start = self.encode();
        let end = prefix_end(&start);
        (start, end)
    }
}

/// A key above every key that begins with `prefix`, and not above any other key that is greater than those.
///
/// Where all bytes are 0xff there is no next prefix; then it is above all keys: none has 0xff everywhere up to there,
/// since a tag follows table and hash, and a kind follows a shard.
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    match prefix.iter().rposition(|&byte| byte != 0xff) {
        Some(last) => {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            end
        }
        None => vec![0xff; prefix.len().max(TABLE_AND_HASH) + 1],
    }
}

/// The range of keys of the items in an interval of hashes, in any family of items: first key, and the first key
/// behind the last.
pub fn interval_range(table: TableId, interval: &HashInterval) -> (Vec<u8>, Vec<u8>) {
    let bound = |hash: u64| [table.0.to_be_bytes(), hash.to_be_bytes()].concat();
    (bound(interval.first), prefix_end(&bound(interval.last)))
}

/// A run of rows of one family: first key, and the first key behind the last.
pub type RowRange = (Family, Bytes, Bytes);

/// All rows of a span, in every family of items.
pub fn span_ranges(table: TableId, interval: &HashInterval) -> Vec<RowRange> {
    let (start, end) = interval_range(table, interval);
    let (start, end) = (Bytes::from(start), Bytes::from(end));
    Family::OF_ITEMS.iter().map(|family| (*family, start.clone(), end.clone())).collect()
}

/// All rows of a shard that stand under its id: everything but its spans' items.
pub fn shard_ranges(shard: ShardId) -> Vec<RowRange> {
    let (start, end) = Prefix::Shard(shard).range();
    let (start, end) = (Bytes::from(start), Bytes::from(end));
    Family::OF_SHARDS.iter().map(|family| (*family, start.clone(), end.clone())).collect()
}

#[cfg(test)]
mod tests;
