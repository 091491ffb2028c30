//! The catalog as one value, its rows, and how they become each other.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use trilith_values::{NodeId, ShardId, TableId};

use super::command::{ClusterRecord, NodeRecord, ShardRecord};
use super::table::{IndexRecord, TableRecord};
use crate::codec;
use crate::keyspace::{CATALOG_SHARD, Key, Prefix};
use crate::read::{View, ViewError, get_row, scan_rows};

/// The catalog's version and its id sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Counters {
    /// Raised by every command that changed the catalog. 0: never changed.
    pub version: u64,
    /// The next id of a table or index.
    pub next_table: u64,
    /// The next id of a replica.
    pub next_replica: u64,
    /// The next id of a node.
    pub next_node: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self { version: 0, next_table: 1, next_replica: 1, next_node: 1 }
    }
}

/// The whole catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Catalog {
    pub(super) cluster: Option<ClusterRecord>,
    pub(super) counters: Counters,
    tables: BTreeMap<TableId, TableRecord>,
    names: BTreeMap<u64, BTreeMap<String, TableId>>,
    nodes: BTreeMap<NodeId, NodeRecord>,
    shards: BTreeMap<ShardId, ShardRecord>,
    joins: BTreeMap<u128, NodeId>,
}

/// A change of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The cluster has an identity now.
    Cluster(ClusterRecord),
    /// Version and sequences.
    Counters(Counters),
    /// A table, new or changed.
    Table(Box<TableRecord>),
    /// A table is forgotten.
    TableGone(TableId),
    /// A node, new or changed.
    Node(NodeRecord),
    /// A shard, new or changed.
    Shard(ShardRecord),
    /// A token's node.
    Join(u128, NodeId),
}

impl Catalog {
    /// Reads the catalog from its rows; it is empty where there are none.
    ///
    /// # Errors
    /// [`ViewError`] when a row cannot be read or is damaged.
    pub fn load(view: &dyn View) -> Result<Self, ViewError> {
        let mut catalog = Self::default();
        if let Some(cluster) = get_row(view, &Key::Cluster)? {
            catalog.put(Change::Cluster(cluster));
        }
        if let Some(counters) = get_row(view, &Key::Counters)? {
            catalog.put(Change::Counters(counters));
        }
        scan_rows(view, &Prefix::Tables, u32::MAX, |_, table| catalog.put(Change::Table(table)))?;
        scan_rows(view, &Prefix::Nodes, u32::MAX, |_, node| catalog.put(Change::Node(node)))?;
        scan_rows(view, &Prefix::Shards, u32::MAX, |_, shard| catalog.put(Change::Shard(shard)))?;
        scan_rows(view, &Prefix::Joins, u32::MAX, |key, node| {
            if let Key::Join(token) = key {
                catalog.put(Change::Join(token, node));
            }
        })?;
        Ok(catalog)
    }

    /// [`Catalog::load`], unless the stored version is `version` or older.
    ///
    /// # Errors
    /// As [`Catalog::load`].
    pub fn load_newer(view: &dyn View, version: u64) -> Result<Option<Self>, ViewError> {
        let counters: Option<Counters> = get_row(view, &Key::Counters)?;
        match counters {
            Some(counters) if counters.version > version => Self::load(view).map(Some),
            Some(_) | None => Ok(None),
        }
    }

    /// Whether a node has a replica, or is about to have one.
    pub fn has_place(&self, node: NodeId) -> bool {
        self.shards().any(|shard| {
            let incoming = shard.incoming.iter().map(|(place, _)| place);
            shard.replicas.iter().chain(incoming).any(|place| place.node == node)
        })
    }

    /// How often the catalog has changed.
    pub fn version(&self) -> u64 {
        self.counters.version
    }

    /// The cluster's identity, from its first command on.
    pub fn cluster(&self) -> Option<&ClusterRecord> {
        self.cluster.as_ref()
    }

    /// A table by id.
    pub fn table(&self, table: TableId) -> Option<&TableRecord> {
        self.tables.get(&table)
    }

    /// A table by name.
    pub fn table_named(&self, account: u64, name: &str) -> Option<&TableRecord> {
        let id = self.names.get(&account)?.get(name)?;
        Some(self.tables.get(id).expect("a name belongs to a table"))
    }

    /// A global or local index by its id, with its table.
    pub fn index(&self, id: TableId) -> Option<(&TableRecord, &IndexRecord)> {
        let of = |table: &&TableRecord| table.definition.indexes.iter().any(|index| index.schema.id == id);
        let table = self.tables.values().find(of)?;
        Some((table, table.definition.indexes.iter().find(|index| index.schema.id == id)?))
    }

    /// All tables, by id.
    pub fn tables(&self) -> impl Iterator<Item = &TableRecord> {
        self.tables.values()
    }

    /// Names of an account's tables, in lexical order (of bytes), those after `after` if given.
    pub fn table_names<'c>(
        &'c self,
        account: u64,
        after: Option<&str>,
    ) -> impl Iterator<Item = &'c str> + use<'c> {
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let names = self.names.get(&account).into_iter();
        let names = names.flat_map(move |names| names.range::<str, _>((from, std::ops::Bound::Unbounded)));
        names.map(|(name, _)| name.as_str()).collect::<Vec<_>>().into_iter()
    }

    /// How many tables an account has.
    pub fn count_tables(&self, account: u64) -> usize {
        self.names.get(&account).map_or(0, BTreeMap::len)
    }

    /// A node.
    pub fn node(&self, node: NodeId) -> Option<&NodeRecord> {
        self.nodes.get(&node)
    }

    /// All nodes that ever were, by id.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeRecord> {
        self.nodes.values()
    }

    /// The node that joined with a token.
    pub fn joined(&self, token: u128) -> Option<&NodeRecord> {
        self.joins.get(&token).and_then(|node| self.nodes.get(node))
    }

    /// A shard.
    pub fn shard(&self, shard: ShardId) -> Option<&ShardRecord> {
        self.shards.get(&shard)
    }

    /// All shards, by id, the catalog's own among them.
    pub fn shards(&self) -> impl Iterator<Item = &ShardRecord> {
        self.shards.values()
    }

    /// The shards that hold tables, by id.
    pub fn data_shards(&self) -> impl Iterator<Item = &ShardRecord> {
        self.shards.values().filter(|shard| shard.id != CATALOG_SHARD)
    }

    /// Makes a change, and answers the rows that it sets or removes.
    pub(crate) fn make(&mut self, change: Change) -> Vec<(Key, Option<Bytes>)> {
        let rows = self.rows(&change);
        self.put(change);
        rows
    }

    /// What a change, made now, means for the rows.
    fn rows(&self, change: &Change) -> Vec<(Key, Option<Bytes>)> {
        match change {
            Change::Cluster(cluster) => vec![(Key::Cluster, Some(codec::seal_row(cluster)))],
            Change::Counters(counters) => vec![(Key::Counters, Some(codec::seal_row(counters)))],
            Change::Table(table) => {
                let name = Key::TableName(table.account, table.name.clone());
                let mut rows = vec![(Key::Table(table.id), Some(codec::seal_row(table)))];
                if !self.tables.contains_key(&table.id) {
                    rows.push((name, Some(codec::seal_row(&table.id))));
                }
                rows
            }
            Change::TableGone(id) => {
                let name = self
                    .tables
                    .get(id)
                    .map(|table| (Key::TableName(table.account, table.name.clone()), None));
                name.into_iter().chain([(Key::Table(*id), None)]).collect()
            }
            Change::Node(node) => vec![(Key::Node(node.id), Some(codec::seal_row(node)))],
            Change::Shard(shard) => vec![(Key::Shard(shard.id), Some(codec::seal_row(shard)))],
            Change::Join(token, node) => vec![(Key::Join(*token), Some(codec::seal_row(node)))],
        }
    }

    /// Makes a change in memory.
    fn put(&mut self, change: Change) {
        match change {
            Change::Cluster(cluster) => self.cluster = Some(cluster),
            Change::Counters(counters) => self.counters = counters,
            Change::Table(table) => {
                let names = self.names.entry(table.account).or_default();
                names.insert(table.name.clone(), table.id);
                self.tables.insert(table.id, *table);
            }
            Change::TableGone(id) => self.forget(id),
            Change::Node(node) => drop(self.nodes.insert(node.id, node)),
            Change::Shard(shard) => drop(self.shards.insert(shard.id, shard)),
            Change::Join(token, node) => drop(self.joins.insert(token, node)),
        }
    }

    fn forget(&mut self, id: TableId) {
        let Some(table) = self.tables.remove(&id) else {
            return;
        };
        if let Some(names) = self.names.get_mut(&table.account) {
            names.remove(&table.name);
            if names.is_empty() {
                self.names.remove(&table.account);
            }
        }
    }
}
