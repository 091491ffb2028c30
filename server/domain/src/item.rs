//! An item's key, and the form in which an item is stored.
//!
//! ```text
//! payload = | stamp: u64 | origin: u16 | flags: u16 | size: u32 | attributes (trilith_values::codec) |
//! ```
//!
//! all little-endian, inside the envelope of [`crate::codec`]. The header answers what many readers ask without
//! touching the attributes: which version this is, and what it counts for. So counters, `COUNT` and page limits need
//! no tree.

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use trilith_values::codec::{ItemReader, decode_item, encode_item};
use trilith_values::key::KeyValue;
use trilith_values::size::item_size;
use trilith_values::{AttributeValue, Item};
use xxhash_rust::xxh3::xxh3_64;

use crate::codec::{self, Damage};
use crate::schema::TableSchema;
use crate::time::Stamp;

/// The primary key of an item, with the hash that places it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct ItemKey {
    /// Hash of the partition key under the table's seed.
    pub hash: u64,
    /// Partition key.
    pub partition: KeyValue,
    /// Sort key; `None` for a table without one.
    pub sort: Option<KeyValue>,
}

impl ItemKey {
    /// The key with its hash under the table's seed.
    pub fn new(seed: u64, partition: KeyValue, sort: Option<KeyValue>) -> Self {
        Self { hash: trilith_values::key::partition_hash(seed, &partition), partition, sort }
    }

    /// The key of a whole item; `None` where a key attribute is missing or of another type than declared.
    pub fn of_item(schema: &TableSchema, item: &Item) -> Option<Self> {
        let of = |attribute: &crate::schema::KeyAttribute| {
            let value = KeyValue::try_from(item.get(&attribute.name)?).ok()?;
            (value.key_type() == attribute.kind).then_some(value)
        };
        let partition = of(&schema.hash)?;
        let sort = match &schema.range {
            Some(range) => Some(of(range)?),
            None => None,
        };
        Some(Self::new(schema.seed, partition, sort))
    }

    /// Whether it has the attributes and types that the schema declares, and the hash its seed gives.
    pub fn fits(&self, schema: &TableSchema) -> bool {
        let sort = self.sort.as_ref().map(KeyValue::key_type);
        self.partition.key_type() == schema.hash.kind
            && sort == schema.range.as_ref().map(|range| range.kind)
            && self.hash == trilith_values::key::partition_hash(schema.seed, &self.partition)
    }

    /// The key attributes alone: what an update of a missing item begins with.
    pub fn attributes(&self, schema: &TableSchema) -> Item {
        let mut item = Item::from([(schema.hash.name.clone(), AttributeValue::from(&self.partition))]);
        if let (Some(range), Some(sort)) = (&schema.range, &self.sort) {
            item.insert(range.name.clone(), AttributeValue::from(sort));
        }
        item
    }

    /// Whether `item` has this key.
    pub fn is_key_of(&self, schema: &TableSchema, item: &Item) -> bool {
        self.changed_attribute(schema, item).is_none()
    }

    /// The first key attribute that `item` lacks or has with another value.
    pub fn changed_attribute<'s>(&self, schema: &'s TableSchema, item: &Item) -> Option<&'s str> {
        let differs = |name: &str, value: &KeyValue| match (item.get(name), value) {
            (Some(AttributeValue::S(a)), KeyValue::S(b)) => a != b,
            (Some(AttributeValue::N(a)), KeyValue::N(b)) => a != b,
            (Some(AttributeValue::B(a)), KeyValue::B(b)) => a != b,
            _ => true,
        };
        if differs(&schema.hash.name, &self.partition) {
            return Some(&schema.hash.name);
        }
        let (range, sort) = schema.range.as_ref().zip(self.sort.as_ref())?;
        differs(&range.name, sort).then_some(&range.name)
    }
}

/// What is stored before an item's attributes, ready for replication between regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ItemHeader {
    /// When it was last written: its version.
    pub stamp: Stamp,
    /// Which region wrote it: 0 is this one.
    pub origin: u16,
    /// Reserved bits, 0 today.
    pub flags: u16,
    /// Size in the service's accounting (bytes), of all attributes.
    pub size: u32,
}

/// Bytes of an encoded [`ItemHeader`].
const HEADER: usize = 8 + 2 + 2 + 4;

impl ItemHeader {
    /// The header of an item that this region writes.
    pub fn local(stamp: Stamp, item: &Item) -> Self {
        let size = u32::try_from(item_size(item)).expect("an item is far below 4 GB");
        Self { stamp, origin: 0, flags: 0, size }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.stamp.0.to_le_bytes());
        out.extend_from_slice(&self.origin.to_le_bytes());
        out.extend_from_slice(&self.flags.to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
    }

    fn decode(bytes: &[u8; HEADER]) -> Self {
        let [s0, s1, s2, s3, s4, s5, s6, s7, o0, o1, f0, f1, z0, z1, z2, z3] = *bytes;
        Self {
            stamp: Stamp(u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7])),
            origin: u16::from_le_bytes([o0, o1]),
            flags: u16::from_le_bytes([f0, f1]),
            size: u32::from_le_bytes([z0, z1, z2, z3]),
        }
    }
}

/// The stored form of an item.
pub fn seal_item(header: &ItemHeader, item: &Item) -> Bytes {
    codec::seal_with(HEADER + header.size as usize + 16 * item.len(), |out| {
        header.encode(out);
        encode_item(out, item);
    })
}

/// A digest of an item's attributes: equal for equal items, as they have one encoding.
pub fn digest(item: &Item) -> u64 {
    let mut body = Vec::new();
    encode_item(&mut body, item);
    xxh3_64(&body)
}

/// A stored item, its header read and its attributes not yet.
#[derive(Clone, Copy, Debug)]
pub struct StoredItem<'a> {
    /// What stands before the attributes.
    pub header: ItemHeader,
    body: &'a [u8],
}

impl<'a> StoredItem<'a> {
    /// From what [`seal_item`] made; checks the envelope.
    ///
    /// # Errors
    /// [`Damage`] if the envelope does not hold or the header is cut off.
    pub fn open(sealed: &'a [u8]) -> Result<Self, Damage> {
        Self::of_payload(codec::open(sealed)?)
    }

    /// From a value whose envelope was checked before.
    pub(crate) fn trusted(sealed: &'a [u8]) -> Result<Self, Damage> {
        Self::of_payload(sealed.get(codec::ENVELOPE..).ok_or(Damage::Short)?)
    }

    fn of_payload(payload: &'a [u8]) -> Result<Self, Damage> {
        let Some((header, body)) = payload.split_first_chunk::<HEADER>() else {
            return Err(Damage::Content("the item's header is cut off".to_owned()));
        };
        Ok(Self { header: ItemHeader::decode(header), body })
    }

    /// The [`digest`] of the attributes, without decoding them.
    pub fn digest(&self) -> u64 {
        xxh3_64(self.body)
    }

    /// Size in the service's accounting, bytes.
    pub fn size(&self) -> u64 {
        u64::from(self.header.size)
    }

    /// The attributes as a tree.
    ///
    /// # Errors
    /// [`Damage::Content`] if they cannot be decoded.
    pub fn item(&self) -> Result<Item, Damage> {
        let mut body = self.body;
        let item = decode_item(&mut body).map_err(Damage::content)?;
        if !body.is_empty() {
            return Err(Damage::Content("bytes follow the item".to_owned()));
        }
        Ok(item)
    }

    /// The attributes one by one, without a tree.
    ///
    /// # Errors
    /// [`Damage::Content`] if they cannot be decoded.
    pub fn reader(&self) -> Result<ItemReader<'a>, Damage> {
        let mut body = self.body;
        ItemReader::new(&mut body).map_err(Damage::content)
    }
}
