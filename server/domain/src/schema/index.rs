//! What a secondary index is to the shards: its key, what it keeps of an item, and the entry that an item has in it.
//!
//! An entry is the projected item (key attributes of table and index always among it), stored in the form of an item
//! under a key of its own ([`crate::keyspace`]). A local index shares the table's spans: its entries stand beside the
//! items and are written with them. A global index has an id and spans of its own, placed by the hash of its own key.
//!
//! An item without one of the index's key attributes has no entry: every index is sparse. One whose attribute is of
//! another type than declared cannot be written; one that was there before the index was made is left out of it.
//!
//! A vector index ([`super::vector`]) is a global index whose key may be empty: then its entries are placed by the hash
//! of the item's own key.

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use trilith_values::key::{KeyType, KeyValue, partition_hash};
use trilith_values::size::key_value_size;
use trilith_values::{AttributeValue, Item, SchemaVersion, TableId};

use super::table::{KeyAttribute, TableSchema};
use super::vector::{VECTOR, VectorSchema};
use crate::item::ItemKey;
use crate::keyspace;
use crate::limits::{PARTITION_KEY_MAX, SORT_KEY_MAX};

/// Whose spans an index lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum IndexScope {
    /// The table's: a local secondary index.
    Local,
    /// Its own: a global secondary index, with the seed of its partition hash.
    Global {
        /// Seed of the hash over its HASH attributes.
        seed: u64,
    },
}

/// Which of the service's kinds of index one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum IndexKind {
    /// A local secondary index.
    Local,
    /// A global secondary index.
    Global,
    /// A vector index.
    Vector,
}

/// What an index keeps of an item besides the keys of table and index.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum IndexProjection {
    /// `KEYS_ONLY`.
    KeysOnly,
    /// `INCLUDE`: these attributes, in the order of the request.
    Include(Vec<String>),
    /// `ALL`.
    All,
}

/// The descriptor of an index. Never changed once it is made.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct IndexSchema {
    /// From the sequence of table ids, never used again.
    pub id: TableId,
    /// Its name, unique in its table.
    pub name: String,
    /// Whose spans it lies in.
    pub scope: IndexScope,
    /// HASH attributes: one, or up to four of a global index; of a vector index one or none.
    pub hash: Vec<KeyAttribute>,
    /// RANGE attributes: one of a local index, up to four of a global one.
    pub range: Vec<KeyAttribute>,
    /// What it keeps.
    pub projection: IndexProjection,
    /// Of a vector index.
    pub vector: Option<VectorSchema>,
}

/// What an index holds of one item.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexEntry {
    /// The key of its row, in the family of the index's scope.
    pub key: Bytes,
    /// The projected item.
    pub item: Item,
}

/// Values of an index's key attributes, in the order of its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexKey {
    /// Of the HASH attributes.
    pub hash: Vec<KeyValue>,
    /// Of the RANGE attributes.
    pub range: Vec<KeyValue>,
}

impl IndexSchema {
    /// Whether it is a local index.
    pub fn is_local(&self) -> bool {
        self.scope == IndexScope::Local
    }

    /// Its kind.
    pub fn kind(&self) -> IndexKind {
        match (&self.vector, self.scope) {
            (Some(_), _) => IndexKind::Vector,
            (None, IndexScope::Global { .. }) => IndexKind::Global,
            (None, IndexScope::Local) => IndexKind::Local,
        }
    }

    /// The attributes whose types it declares: those of its key, and the filters of a vector index.
    pub fn declared(&self) -> impl Iterator<Item = &KeyAttribute> {
        self.key_attributes().chain(self.vector.iter().flat_map(|vector| &vector.filters))
    }

    /// HASH, then RANGE attributes.
    pub fn key_attributes(&self) -> impl Iterator<Item = &KeyAttribute> {
        self.hash.iter().chain(&self.range)
    }

    /// Whether an entry shows this attribute where the item has it.
    pub fn projects(&self, table: &TableSchema, name: &str) -> bool {
        if self.vector.as_ref().is_some_and(|vector| vector.attribute == name) {
            // It is kept in another form.
            return false;
        }
        match &self.projection {
            IndexProjection::All => true,
            IndexProjection::KeysOnly => self.is_key(table, name),
            IndexProjection::Include(names) => self.is_key(table, name) || names.iter().any(|n| n == name),
        }
    }

    fn is_key(&self, table: &TableSchema, name: &str) -> bool {
        table.key_attributes().chain(self.declared()).any(|attribute| attribute.name == name)
    }

    /// The item's values of the key; `None` where one is missing or cannot be a value of it.
    pub fn key_of(&self, item: &Item) -> Option<IndexKey> {
        if self.check_declared(item).is_err() {
            return None;
        }
        let values = |attributes: &[KeyAttribute]| -> Option<Vec<KeyValue>> {
            let value = |attribute: &KeyAttribute| KeyValue::try_from(item.get(&attribute.name)?).ok();
            attributes.iter().map(value).collect()
        };
        Some(IndexKey { hash: values(&self.hash)?, range: values(&self.range)? })
    }

    /// The hash that places a partition of a global index: over all HASH values together.
    pub fn hash_of<'v>(seed: u64, values: impl IntoIterator<Item = &'v KeyValue>) -> u64 {
        values.into_iter().fold(seed, partition_hash)
    }

    /// The entry of an item, where it has one.
    pub fn entry(&self, table: &TableSchema, key: &ItemKey, item: &Item) -> Option<IndexEntry> {
        let values = self.key_of(item)?;
        let packed = match &self.vector {
            Some(vector) => Some(vector.packed(item)?),
            None => None,
        };
        let mut item = self.project(table, item);
        item.extend(packed.map(|packed| (VECTOR.to_owned(), AttributeValue::B(packed))));
        Some(IndexEntry { key: self.row_key(table.table, key, &values), item })
    }

    /// The key of an entry's row.
    pub fn row_key(&self, table: TableId, key: &ItemKey, values: &IndexKey) -> Bytes {
        match self.scope {
            IndexScope::Local => keyspace::local_index_key(table, key, self.id, &values.range),
            IndexScope::Global { seed } => {
                let hash = match &values.hash[..] {
                    [] => Self::hash_of(seed, std::iter::once(&key.partition).chain(&key.sort)),
                    hash => Self::hash_of(seed, hash),
                };
                keyspace::global_index_key(self.id, hash, values.hash.iter().chain(&values.range), key)
            }
        }
    }

    /// What an entry shows of an item; of a vector index, all but the vector.
    pub fn project(&self, table: &TableSchema, item: &Item) -> Item {
        let shown = item.iter().filter(|(name, _)| self.projects(table, name));
        shown.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Whether the item's values can be in the index, as far as it has them.
    ///
    /// # Errors
    /// The text of the ValidationException (contract 14.3).
    pub fn check(&self, item: &Item) -> Result<(), String> {
        self.check_declared(item)?;
        self.vector.iter().try_for_each(|vector| vector.check(&self.name, item))
    }

    fn check_declared(&self, item: &Item) -> Result<(), String> {
        let mut range_size = 0;
        let of_key = self.hash.len() + self.range.len();
        for (i, attribute) in self.declared().enumerate() {
            let Some(value) = item.get(&attribute.name) else { continue };
            let KeyAttribute { name, kind } = attribute;
            let key = match KeyValue::try_from(value) {
                Ok(key) if key.key_type() == *kind => key,
                _ => {
                    return Err(format!(
                        "One or more parameter values were invalid: Type mismatch for Index Key {name} Expected: {} \
                         Actual: {} IndexName: {}",
                        kind.as_str(),
                        value.type_name(),
                        self.name
                    ));
                }
            };
            if i >= of_key {
                continue;
            }
            if key.is_empty() {
                let what = if *kind == KeyType::B { "binary" } else { "string" };
                return Err(format!(
                    "One or more parameter values are not valid. A value specified for a secondary index key is not \
                     supported. The AttributeValue for a key attribute cannot contain an empty {what} value. IndexName: \
                     {}, IndexKey: {name}",
                    self.name
                ));
            }
            if i >= self.hash.len() {
                range_size += key_value_size(&key);
            } else if key_value_size(&key) > PARTITION_KEY_MAX {
                return Err(format!(
                    "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit \
                     of{PARTITION_KEY_MAX} bytes"
                ));
            }
        }
        if range_size > SORT_KEY_MAX {
            return Err(format!(
                "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit \
                 of {SORT_KEY_MAX} bytes"
            ));
        }
        Ok(())
    }

    /// The descriptor of a global index for the shards that hold its own spans.
    pub fn span_schema(&self, table: TableId) -> TableSchema {
        let seed = match self.scope {
            IndexScope::Global { seed } => seed,
            IndexScope::Local => 0,
        };
        let placeholder = || KeyAttribute { name: VECTOR.to_owned(), kind: KeyType::B };
        TableSchema {
            table: self.id,
            version: SchemaVersion::FIRST,
            // A vector index may have none, and then its entries have no key of their own.
            hash: self.hash.first().cloned().unwrap_or_else(placeholder),
            range: self.range.first().cloned(),
            seed,
            indexes: Vec::new(),
            index_of: Some(table),
            vector: self.vector.clone(),
        }
    }
}
