//! Tables.

use trilith_proto::data::v1 as proto;
use trilith_values::KeyType;

use crate::error::{Error, Result};

/// Creates a table; on-demand unless provisioned units are named.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTable {
    table: String,
    partition: (String, KeyType),
    sort: Option<(String, KeyType)>,
    provisioned: Option<(u32, u32)>,
    tags: Vec<(String, String)>,
    deletion_protection: bool,
}

impl CreateTable {
    /// A table with this partition key.
    pub fn new(table: impl Into<String>, partition_key: impl Into<String>, key_type: KeyType) -> Self {
        Self {
            table: table.into(),
            partition: (partition_key.into(), key_type),
            sort: None,
            provisioned: None,
            tags: Vec::new(),
            deletion_protection: false,
        }
    }

    /// With a sort key.
    pub fn sort(mut self, sort_key: impl Into<String>, key_type: KeyType) -> Self {
        self.sort = Some((sort_key.into(), key_type));
        self
    }

    /// With reserved units per second instead of on demand.
    pub fn provisioned(mut self, read_units: u32, write_units: u32) -> Self {
        self.provisioned = Some((read_units, write_units));
        self
    }

    /// With one more tag.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.push((key.into(), value.into()));
        self
    }

    /// With a guard against deletion.
    pub fn deletion_protection(mut self) -> Self {
        self.deletion_protection = true;
        self
    }

    pub(crate) fn message(self) -> proto::CreateTableRequest {
        let keys = [(Some(self.partition), proto::KeyType::Hash), (self.sort, proto::KeyType::Range)];
        let keys: Vec<_> =
            keys.into_iter().filter_map(|(key, part)| key.map(|(name, of)| (name, of, part))).collect();
        let (billing_mode, provisioned_throughput) = billing(self.provisioned);
        proto::CreateTableRequest {
            table_name: self.table,
            attribute_definitions: keys
                .iter()
                .map(|(name, of, _)| proto::AttributeDefinition {
                    attribute_name: name.clone(),
                    attribute_type: scalar(*of).into(),
                })
                .collect(),
            key_schema: keys
                .into_iter()
                .map(|(attribute_name, _, part)| proto::KeySchemaElement {
                    attribute_name,
                    key_type: part.into(),
                })
                .collect(),
            billing_mode,
            provisioned_throughput,
            tags: self
                .tags
                .into_iter()
                .map(|(key, value)| proto::Tag { key: Some(key), value: Some(value) })
                .collect(),
            deletion_protection_enabled: Some(self.deletion_protection),
            ..Default::default()
        }
    }
}

fn scalar(key_type: KeyType) -> proto::ScalarAttributeType {
    match key_type {
        KeyType::S => proto::ScalarAttributeType::S,
        KeyType::N => proto::ScalarAttributeType::N,
        KeyType::B => proto::ScalarAttributeType::B,
    }
}

fn billing(provisioned: Option<(u32, u32)>) -> (i32, Option<proto::ProvisionedThroughput>) {
    match provisioned {
        None => (proto::BillingMode::PayPerRequest.into(), None),
        Some((reads, writes)) => {
            let throughput = proto::ProvisionedThroughput {
                read_capacity_units: Some(reads.into()),
                write_capacity_units: Some(writes.into()),
            };
            (proto::BillingMode::Provisioned.into(), Some(throughput))
        }
    }
}

/// Changes a table.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateTable {
    table: String,
    billing: Option<Option<(u32, u32)>>,
    deletion_protection: Option<bool>,
}

impl UpdateTable {
    /// Of this table; nothing yet.
    pub fn new(table: impl Into<String>) -> Self {
        Self { table: table.into(), billing: None, deletion_protection: None }
    }

    /// To reserved units per second.
    pub fn provisioned(mut self, read_units: u32, write_units: u32) -> Self {
        self.billing = Some(Some((read_units, write_units)));
        self
    }

    /// To on demand.
    pub fn on_demand(mut self) -> Self {
        self.billing = Some(None);
        self
    }

    /// Sets or lifts the guard against deletion.
    pub fn deletion_protection(mut self, protected: bool) -> Self {
        self.deletion_protection = Some(protected);
        self
    }

    pub(crate) fn message(self) -> proto::UpdateTableRequest {
        let (billing_mode, provisioned_throughput) = self.billing.map(billing).unwrap_or_default();
        proto::UpdateTableRequest {
            table_name: self.table,
            billing_mode,
            provisioned_throughput,
            deletion_protection_enabled: self.deletion_protection,
            ..Default::default()
        }
    }
}

/// Where a table is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TableStatus {
    /// Not usable yet.
    Creating,
    /// Usable.
    Active,
    /// Usable; a change is on its way.
    Updating,
    /// Not usable any more.
    Deleting,
    /// A state that this client does not know.
    Unknown,
}

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Name.
    pub name: String,
    /// Where it is in its life.
    pub status: TableStatus,
    /// Amazon resource name.
    pub arn: String,
    /// UUID.
    pub id: String,
    /// Number of items, as of a while ago.
    pub items: u64,
    /// Bytes of all items, as of a while ago.
    pub bytes: u64,
    /// Whether it refuses to be deleted.
    pub deletion_protection: bool,
    /// The key's attributes: the partition key, and the sort key where there is one.
    pub keys: Vec<(String, KeyType)>,
}

impl Table {
    pub(crate) fn of(description: Option<proto::TableDescription>) -> Result<Self> {
        let table = description.ok_or_else(|| Error::protocol("the server answered without the table"))?;
        let status = match table.table_status() {
            proto::TableStatus::Creating => TableStatus::Creating,
            proto::TableStatus::Active => TableStatus::Active,
            proto::TableStatus::Updating => TableStatus::Updating,
            proto::TableStatus::Deleting => TableStatus::Deleting,
            proto::TableStatus::Unspecified => TableStatus::Unknown,
        };
        let kind_of = |name: &str| {
            let definition = table.attribute_definitions.iter().find(|one| one.attribute_name == name);
            match definition.map(proto::AttributeDefinition::attribute_type) {
                Some(proto::ScalarAttributeType::N) => KeyType::N,
                Some(proto::ScalarAttributeType::B) => KeyType::B,
                Some(proto::ScalarAttributeType::S | proto::ScalarAttributeType::Unspecified) | None => {
                    KeyType::S
                }
            }
        };
        let mut keys: Vec<_> = table.key_schema.iter().collect();
        keys.sort_by_key(|element| element.key_type() != proto::KeyType::Hash);
        let keys =
            keys.iter().map(|key| (key.attribute_name.clone(), kind_of(&key.attribute_name))).collect();
        Ok(Self {
            keys,
            status,
            name: table.table_name,
            arn: table.table_arn,
            id: table.table_id,
            items: table.item_count,
            bytes: table.table_size_bytes,
            deletion_protection: table.deletion_protection_enabled,
        })
    }
}

/// A page of table names, in lexical order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableNames {
    /// At most 100 names.
    pub names: Vec<String>,
    /// Begin the next page behind this one; `None` on the last page.
    pub last: Option<String>,
}
